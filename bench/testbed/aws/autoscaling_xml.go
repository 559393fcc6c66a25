package aws

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

type groupsXML struct {
	Groups    []groupXML `xml:"AutoScalingGroups>member"`
	NextToken string     `xml:"NextToken,omitempty"`
}

type groupXML struct {
	Name              string         `xml:"AutoScalingGroupName"`
	ARN               string         `xml:"AutoScalingGroupARN"`
	LaunchTemplate    *templateXML   `xml:"LaunchTemplate,omitempty"`
	Mixed             *mixedXML      `xml:"MixedInstancesPolicy,omitempty"`
	Min               int            `xml:"MinSize"`
	Max               int            `xml:"MaxSize"`
	Desired           int            `xml:"DesiredCapacity"`
	Cooldown          int            `xml:"DefaultCooldown"`
	Zones             []string       `xml:"AvailabilityZones>member"`
	HealthCheckType   string         `xml:"HealthCheckType"`
	HealthCheckGrace  int            `xml:"HealthCheckGracePeriod"`
	Instances         []memberXML    `xml:"Instances>member"`
	Created           string         `xml:"CreatedTime"`
	Suspended         []suspendedXML `xml:"SuspendedProcesses>member"`
	Subnets           string         `xml:"VPCZoneIdentifier"`
	Tags              []tagXML       `xml:"Tags>member"`
	Policies          []string       `xml:"TerminationPolicies>member"`
	ProtectNew        bool           `xml:"NewInstancesProtectedFromScaleIn"`
	CapacityRebalance bool           `xml:"CapacityRebalance"`
	WarmPool          *warmConfigXML `xml:"WarmPoolConfiguration,omitempty"`
	WarmSize          *int           `xml:"WarmPoolSize,omitempty"`
}

type templateXML struct {
	ID      string `xml:"LaunchTemplateId"`
	Name    string `xml:"LaunchTemplateName"`
	Version string `xml:"Version,omitempty"`
}

type mixedXML struct {
	Template        templateXML   `xml:"LaunchTemplate>LaunchTemplateSpecification"`
	Overrides       []overrideXML `xml:"LaunchTemplate>Overrides>member"`
	OnDemandBase    int           `xml:"InstancesDistribution>OnDemandBaseCapacity"`
	OnDemandPercent int           `xml:"InstancesDistribution>OnDemandPercentageAboveBaseCapacity"`
	SpotStrategy    string        `xml:"InstancesDistribution>SpotAllocationStrategy"`
}

type overrideXML struct {
	Type   string `xml:"InstanceType"`
	Weight int    `xml:"WeightedCapacity,omitempty"`
}

type suspendedXML struct {
	Name   string `xml:"ProcessName"`
	Reason string `xml:"SuspensionReason"`
}

type memberXML struct {
	ID             string      `xml:"InstanceId"`
	Type           string      `xml:"InstanceType"`
	Weight         int         `xml:"WeightedCapacity,omitempty"`
	Group          string      `xml:"AutoScalingGroupName,omitempty"`
	Zone           string      `xml:"AvailabilityZone"`
	Lifecycle      string      `xml:"LifecycleState"`
	Health         string      `xml:"HealthStatus"`
	Protected      bool        `xml:"ProtectedFromScaleIn"`
	LaunchTemplate templateXML `xml:"LaunchTemplate"`
}

type groupInstancesXML struct {
	Instances []memberXML `xml:"AutoScalingInstances>member"`
	NextToken string      `xml:"NextToken,omitempty"`
}

type tagXML struct {
	ResourceID   string `xml:"ResourceId"`
	ResourceType string `xml:"ResourceType"`
	Key          string `xml:"Key"`
	Value        string `xml:"Value"`
	AtLaunch     bool   `xml:"PropagateAtLaunch"`
}

type tagsXML struct {
	Tags      []tagXML `xml:"Tags>member"`
	NextToken string   `xml:"NextToken,omitempty"`
}

type activityXML struct {
	ID            string `xml:"ActivityId"`
	Group         string `xml:"AutoScalingGroupName"`
	Description   string `xml:"Description"`
	Cause         string `xml:"Cause"`
	Start         string `xml:"StartTime"`
	End           string `xml:"EndTime,omitempty"`
	Status        string `xml:"StatusCode"`
	StatusMessage string `xml:"StatusMessage,omitempty"`
	Progress      int    `xml:"Progress"`
	Details       string `xml:"Details,omitempty"`
}

type activitiesXML struct {
	Activities []activityXML `xml:"Activities>member"`
	NextToken  string        `xml:"NextToken,omitempty"`
}

type activityResultXML struct {
	Activity *activityXML `xml:"Activity,omitempty"`
}

type launchResultXML struct {
	Group     string           `xml:"AutoScalingGroupName"`
	Token     string           `xml:"ClientToken"`
	Instances []launchedXML    `xml:"Instances>member"`
	Errors    []launchErrorXML `xml:"Errors>member"`
}

type launchedXML struct {
	Type   string   `xml:"InstanceType"`
	Market string   `xml:"MarketType"`
	Subnet string   `xml:"SubnetId"`
	Zone   string   `xml:"AvailabilityZone"`
	ZoneID string   `xml:"AvailabilityZoneId"`
	IDs    []string `xml:"InstanceIds>member"`
}

type launchErrorXML struct {
	Type    string `xml:"InstanceType"`
	Market  string `xml:"MarketType"`
	Subnet  string `xml:"SubnetId"`
	Zone    string `xml:"AvailabilityZone"`
	ZoneID  string `xml:"AvailabilityZoneId"`
	Code    string `xml:"ErrorCode"`
	Message string `xml:"ErrorMessage"`
}

// templateID of a launch template name.
func (e *Emulator) templateID(name string) string {
	return fmt.Sprintf("lt-0%016x", e.hash("template "+name, 0))
}

func (e *Emulator) groupXML(g *group, withInstances bool) groupXML {
	template := templateXML{ID: e.templateID(g.LaunchTemplate), Name: g.LaunchTemplate, Version: g.TemplateVersion}
	out := groupXML{
		Name: g.Name, ARN: e.groupARN(g.Name),
		Min: g.Min, Max: g.Max, Desired: g.desired, Cooldown: int(cooldown / time.Second), Zones: append([]string{g.Zone}, g.MoreZones...), HealthCheckType: "EC2",
		Created: timestamp(g.created), Subnets: strings.Join(g.Subnets, ","), Tags: e.tagsXML(g.Group), Policies: []string{"Default"},
		CapacityRebalance: g.CapacityRebalance, WarmPool: g.warmXML(),
	}
	if g.warm != nil {
		n := len(e.state.warmInstances(g.Name))
		out.WarmSize = &n
	}
	if len(g.InstanceTypes) > 1 || len(g.Weights) > 0 || g.Market == mixed {
		out.Mixed = &mixedXML{Template: template, OnDemandPercent: 100, SpotStrategy: "price-capacity-optimized"}
		if g.Market == "spot" {
			out.Mixed.OnDemandPercent = 0
		}
		if g.Market == mixed {
			out.Mixed.OnDemandBase, out.Mixed.OnDemandPercent = g.OnDemandBase, g.OnDemandPercent
		}
		for _, t := range g.InstanceTypes {
			out.Mixed.Overrides = append(out.Mixed.Overrides, overrideXML{Type: t, Weight: g.Weights[t]})
		}
	} else {
		out.LaunchTemplate = &template
	}
	for _, p := range g.suspended {
		out.Suspended = append(out.Suspended, suspendedXML{Name: p, Reason: "User suspended"})
	}
	if withInstances {
		for _, id := range e.state.order {
			if i := e.state.instances[id]; i.Group == g.Name && i.State != stateTerminated && !i.Warm {
				out.Instances = append(out.Instances, e.memberXML(i, false))
			}
		}
	}
	return out
}

func (e *Emulator) memberXML(i *instance, withGroup bool) memberXML {
	m := memberXML{ID: i.ID, Type: i.Type, Zone: i.Zone, Health: "Healthy", Protected: i.Protected, Lifecycle: lifecycleOf(i)}
	if g := e.state.groups[i.Group]; g != nil {
		m.LaunchTemplate = templateXML{ID: e.templateID(g.LaunchTemplate), Name: g.LaunchTemplate, Version: strconv.Itoa(max(i.Version, 1))}
		m.Weight = g.Weights[i.Type]
	}
	if withGroup {
		m.Group, m.Health = i.Group, "HEALTHY"
	}
	return m
}

func lifecycleOf(i *instance) string {
	stage := "Terminating"
	switch {
	case i.State == statePending && !i.Leaving:
		stage = "Pending"
	case i.State == stateRunning && i.Leaving:
		stage = "Terminating:Wait"
	case i.State == stateRunning && len(i.Waits) > 0:
		stage = "Pending:Wait"
	case i.State == stateRunning && i.Warm:
		stage = "Running"
	case i.State == stateRunning:
		stage = "InService"
	case i.State == stateStopped:
		stage = "Stopped"
	}
	if i.Warm {
		return "Warmed:" + stage
	}
	return stage
}

func (e *Emulator) groupARN(name string) string {
	return fmt.Sprintf("arn:aws:autoscaling:%s:%s:autoScalingGroup:00000000-0000-0000-0000-000000000000:autoScalingGroupName/%s", e.fleet.Region, account, name)
}

func (e *Emulator) tagsXML(g Group) []tagXML {
	var out []tagXML
	for k, v := range e.fleet.allTags(g) {
		out = append(out, tagXML{ResourceID: g.Name, ResourceType: "auto-scaling-group", Key: k, Value: v, AtLaunch: true})
	}
	slices.SortFunc(out, func(a, b tagXML) int { return strings.Compare(a.Key, b.Key) })
	return out
}

func (e *Emulator) activityOf(a *activity) activityXML {
	out := activityXML{ID: a.ID, Group: a.Group, Description: a.What, Cause: a.Cause, Start: timestamp(a.Start), Status: a.Status, StatusMessage: a.Message, Progress: 50}
	if !a.End.IsZero() {
		out.End, out.Progress = timestamp(a.End), 100
	}
	subnet := a.Subnet
	if i := e.state.instances[a.Instance]; i != nil {
		subnet = i.Subnet
	}
	if subnet != "" {
		out.Details = fmt.Sprintf(`{"Subnet ID":%q,"Availability Zone":%q}`, subnet, e.fleet.Subnets[subnet].Zone)
	}
	return out
}

// sortable is a number as text that sorts as the number does.
func sortable(n int) string { return fmt.Sprintf("%020d", n) }
