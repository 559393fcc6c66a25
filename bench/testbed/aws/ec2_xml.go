package aws

import (
	"slices"
	"strings"
)

type reservationsXML struct {
	Reservations []reservationXML `xml:"reservationSet>item"`
	NextToken    string           `xml:"nextToken,omitempty"`
}

type reservationXML struct {
	ID        string           `xml:"reservationId"`
	Owner     string           `xml:"ownerId"`
	Instances []ec2InstanceXML `xml:"instancesSet>item"`
}

type ec2InstanceXML struct {
	ID        string      `xml:"instanceId"`
	Image     string      `xml:"imageId"`
	StateCode int         `xml:"instanceState>code"`
	State     string      `xml:"instanceState>name"`
	DNS       string      `xml:"privateDnsName"`
	IP        string      `xml:"privateIpAddress"`
	Type      string      `xml:"instanceType"`
	Launched  string      `xml:"launchTime"`
	Zone      string      `xml:"placement>availabilityZone"`
	Subnet    string      `xml:"subnetId"`
	Lifecycle string      `xml:"instanceLifecycle,omitempty"`
	Arch      string      `xml:"architecture"`
	Tags      []ec2TagXML `xml:"tagSet>item"`
	Reason    string      `xml:"stateReason>code,omitempty"`
}

type ec2TagXML struct {
	Key   string `xml:"key"`
	Value string `xml:"value"`
}

type instanceTypesXML struct {
	Types []instanceTypeXML `xml:"instanceTypeSet>item"`
}

type instanceTypeXML struct {
	Name          string   `xml:"instanceType"`
	VCPUs         int      `xml:"vCpuInfo>defaultVCpus"`
	Cores         int      `xml:"vCpuInfo>defaultCores"`
	MemoryMiB     int64    `xml:"memoryInfo>sizeInMiB"`
	Architectures []string `xml:"processorInfo>supportedArchitectures>item"`
	Interfaces    int      `xml:"networkInfo>maximumNetworkInterfaces"`
	Addresses     int      `xml:"networkInfo>ipv4AddressesPerInterface"`
	Usage         []string `xml:"supportedUsageClasses>item"`
}

type offeringsXML struct {
	Offerings []offeringXML `xml:"instanceTypeOfferingSet>item"`
}

type offeringXML struct {
	Type         string `xml:"instanceType"`
	LocationType string `xml:"locationType"`
	Location     string `xml:"location"`
}

type templateVersionsXML struct {
	Versions []templateVersionXML `xml:"launchTemplateVersionSet>item"`
}

type templateVersionXML struct {
	ID      string `xml:"launchTemplateId"`
	Name    string `xml:"launchTemplateName"`
	Version int    `xml:"versionNumber"`
	Default bool   `xml:"defaultVersion"`
	Created string `xml:"createTime"`
	Image   string `xml:"launchTemplateData>imageId"`
	Type    string `xml:"launchTemplateData>instanceType,omitempty"`
	Market  string `xml:"launchTemplateData>instanceMarketOptions>marketType,omitempty"`
}

type subnetsXML struct {
	Subnets   []subnetXML `xml:"subnetSet>item"`
	NextToken string      `xml:"nextToken,omitempty"`
}

type subnetXML struct {
	ID     string `xml:"subnetId"`
	State  string `xml:"state"`
	VPC    string `xml:"vpcId"`
	CIDR   string `xml:"cidrBlock"`
	Free   int    `xml:"availableIpAddressCount"`
	Zone   string `xml:"availabilityZone"`
	ZoneID string `xml:"availabilityZoneId"`
}

type spotPricesXML struct {
	Prices    []spotPriceXML `xml:"spotPriceHistorySet>item"`
	NextToken string         `xml:"nextToken"`
}

type spotPriceXML struct {
	Type    string `xml:"instanceType"`
	Product string `xml:"productDescription"`
	Price   string `xml:"spotPrice"`
	At      string `xml:"timestamp"`
	Zone    string `xml:"availabilityZone"`
}

var stateCodes = map[string]int{statePending: 0, stateRunning: 16, stateShuttingDown: 32, stateTerminated: 48, stateStopped: 80}

func (e *Emulator) ec2InstanceXML(i *instance) ec2InstanceXML {
	out := ec2InstanceXML{ID: i.ID, Image: i.Image, StateCode: stateCodes[i.State], State: i.State, DNS: e.dnsName(i), IP: i.IP, Type: i.Type,
		Launched: timestamp(i.LaunchedAt), Zone: i.Zone, Subnet: i.Subnet, Lifecycle: spotOnly(i.Market), Arch: "x86_64"}
	if i.Ended == "interruption" {
		out.Reason = "Server.SpotInstanceTermination"
	}
	for k, v := range e.instanceTags(i) {
		out.Tags = append(out.Tags, ec2TagXML{Key: k, Value: v})
	}
	slices.SortFunc(out.Tags, func(a, b ec2TagXML) int { return strings.Compare(a.Key, b.Key) })
	return out
}
