package aws

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

var ec2Service service

func init() {
	ec2Service = service{
		name: "ec2",
		actions: map[string]func(*Emulator, *request) (any, *apiError){
			"DescribeInstances":              (*Emulator).describeInstances,
			"DescribeInstanceTypes":          (*Emulator).describeInstanceTypes,
			"DescribeInstanceTypeOfferings":  (*Emulator).describeOfferings,
			"DescribeLaunchTemplateVersions": (*Emulator).describeTemplateVersions,
			"DescribeSubnets":                (*Emulator).describeSubnets,
			"DescribeSpotPriceHistory":       (*Emulator).describeSpotPrices,
			"CreateLaunchTemplateVersion":    (*Emulator).createTemplateVersion,
			"ModifyLaunchTemplate":           (*Emulator).modifyTemplate,
			"DescribeInstanceStatus":         (*Emulator).describeInstanceStatus,
			"DescribeReservedInstances":      (*Emulator).describeReserved,
			"TerminateInstances":             (*Emulator).terminateInstances,
		},
		throttle: apiError{Status: http.StatusServiceUnavailable, Code: "RequestLimitExceeded", Message: "Request limit exceeded."},
		denied:   apiError{Status: http.StatusForbidden, Code: "UnauthorizedOperation", Message: "You are not authorized to perform this operation. "},
		write:    writeEC2,
		fail:     failEC2,
	}
}

// visibleFor is how long EC2 still describes an instance that is terminated.
const visibleFor = time.Hour

var instanceIDPattern = regexp.MustCompile(`^i-[0-9a-f]{8}([0-9a-f]{9})?$`)

func (e *Emulator) describeInstances(r *request) (any, *apiError) {
	ids, size, bad := r.idsAndSize("InstanceId.", 1000)
	if bad != nil {
		return nil, bad
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if bad := e.knownInstances(ids, r.now); bad != nil {
		return nil, bad
	}
	filters, bad := r.ec2Filters()
	if bad != nil {
		return nil, bad
	}
	var found []*instance
	for _, id := range e.state.order {
		i := e.state.instances[id]
		if !e.visible(i, r.now) || len(ids) > 0 && !slices.Contains(ids, id) {
			continue
		}
		ok, bad := e.instanceMeets(i, filters)
		if bad != nil {
			return nil, bad
		}
		if ok {
			found = append(found, i)
		}
	}
	slices.SortFunc(found, func(a, b *instance) int { return strings.Compare(a.ID, b.ID) })
	found, next, bad := page(found, func(i *instance) string { return i.ID }, "DescribeInstances", r.form.Get("NextToken"), size)
	if bad != nil {
		return nil, bad
	}
	out := reservationsXML{NextToken: next}
	for _, i := range found {
		out.Reservations = append(out.Reservations, reservationXML{ID: "r-" + i.ID[2:], Owner: account, Instances: []ec2InstanceXML{e.ec2InstanceXML(i)}})
	}
	return out, nil
}

const (
	mostFilterValues = 200 // of one call, by EC2's guide on listing and filtering resources
	mostTypes        = 100 // of one DescribeInstanceTypes call
)

// ec2Filters reads the filters of a describing call.
func (r *request) ec2Filters() ([]filter, *apiError) {
	filters, n := r.filters("Filter.", ".Value."), 0
	for _, f := range filters {
		n += len(f.Values)
	}
	if n > mostFilterValues {
		return nil, refuse(http.StatusBadRequest, "FilterLimitExceeded", "The maximum number of filter values specified on a single call is %d", mostFilterValues)
	}
	return filters, nil
}

// idsAndSize reads the ids of a describing call and its page size, which EC2 does not take together.
func (r *request) idsAndSize(prefix string, high int) ([]string, int, *apiError) {
	ids, text := r.list(prefix), r.form.Get("MaxResults")
	if text == "" {
		return ids, high, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 5 || n > high {
		return nil, 0, refuse(http.StatusBadRequest, "InvalidParameterValue", "Value ( %s ) for parameter maxResults is invalid. Expecting a value between 5 and %d.", text, high)
	}
	if len(ids) > 0 {
		return nil, 0, refuse(http.StatusBadRequest, "InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults")
	}
	return ids, n, nil
}

func (e *Emulator) visible(i *instance, now time.Time) bool {
	return i.State != stateTerminated || now.Before(i.GoneAt.Add(e.fleet.shorten(visibleFor)))
}

func (e *Emulator) instanceMeets(i *instance, filters []filter) (bool, *apiError) {
	tags := e.instanceTags(i)
	for _, f := range filters {
		var v string
		switch {
		case f.Name == "instance-state-name":
			v = i.State
		case f.Name == "availability-zone":
			v = i.Zone
		case f.Name == "instance-id":
			v = i.ID
		case f.Name == "instance-type":
			v = i.Type
		case f.Name == "private-dns-name":
			v = e.dnsName(i)
		case f.Name == "instance-lifecycle":
			v = spotOnly(i.Market)
		case strings.HasPrefix(f.Name, "tag:"):
			v = tags[f.Name[4:]]
		default:
			return false, refuse(http.StatusBadRequest, "InvalidParameterValue", "The filter '%s' is invalid", f.Name)
		}
		if !slices.Contains(f.Values, v) {
			return false, nil
		}
	}
	return true, nil
}

func spotOnly(market string) string {
	if market == "spot" {
		return market
	}
	return ""
}

func (e *Emulator) instanceTags(i *instance) map[string]string {
	tags := map[string]string{}
	if g := e.state.groups[i.Group]; g != nil {
		for k, v := range e.fleet.allTags(g.Group) {
			tags[k] = v
		}
		tags["aws:ec2launchtemplate:id"], tags["aws:ec2launchtemplate:version"] = e.templateID(g.LaunchTemplate), strconv.Itoa(max(i.Version, 1))
	}
	tags["aws:autoscaling:groupName"] = i.Group
	return tags
}

func (e *Emulator) describeInstanceTypes(r *request) (any, *apiError) {
	names := r.list("InstanceType.")
	if len(names) > mostTypes {
		return nil, refuse(http.StatusBadRequest, "InvalidParameterValue", "At most %d instance types may be specified.", mostTypes)
	}
	out := instanceTypesXML{}
	for _, n := range names {
		if _, ok := e.fleet.InstanceTypes[n]; !ok {
			return nil, refuse(http.StatusBadRequest, "InvalidInstanceType", "The following supplied instance types do not exist: [%s]", n)
		}
	}
	for n, t := range e.fleet.InstanceTypes {
		if len(names) == 0 || slices.Contains(names, n) {
			out.Types = append(out.Types, instanceTypeXML{Name: n, VCPUs: t.VCPU, Cores: max(t.VCPU/2, 1), MemoryMiB: t.MemoryMiB,
				Architectures: []string{"x86_64"}, Interfaces: 8, Addresses: 30, Usage: []string{"on-demand", "spot"}})
		}
	}
	slices.SortFunc(out.Types, func(a, b instanceTypeXML) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func (e *Emulator) describeOfferings(r *request) (any, *apiError) {
	out := offeringsXML{}
	seen := map[offeringXML]bool{}
	for _, g := range e.fleet.Groups {
		for _, t := range g.InstanceTypes {
			o := offeringXML{Type: t, LocationType: "availability-zone", Location: g.Zone}
			if !seen[o] {
				seen[o] = true
				out.Offerings = append(out.Offerings, o)
			}
		}
	}
	return out, nil
}

func (e *Emulator) describeSubnets(r *request) (any, *apiError) {
	ids, size, bad := r.idsAndSize("SubnetId.", 1000)
	if bad != nil {
		return nil, bad
	}
	filters, bad := r.ec2Filters()
	if bad != nil {
		return nil, bad
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, id := range ids {
		if _, ok := e.fleet.Subnets[id]; !ok {
			return nil, refuse(http.StatusBadRequest, "InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", id)
		}
	}
	var found []subnetXML
	for id, s := range e.fleet.Subnets {
		ok := len(ids) == 0 || slices.Contains(ids, id)
		for _, f := range filters {
			v, known := map[string]string{"subnet-id": id, "availability-zone": s.Zone}[f.Name]
			if !known {
				return nil, refuse(http.StatusBadRequest, "InvalidParameterValue", "The filter '%s' is invalid", f.Name)
			}
			ok = ok && slices.Contains(f.Values, v)
		}
		if ok {
			found = append(found, subnetXML{ID: id, Zone: s.Zone, ZoneID: zoneID(s.Zone), State: "available", Free: max(e.state.freeAddresses(id), 0), CIDR: "10.0.0.0/8", VPC: "vpc-00000001"})
		}
	}
	slices.SortFunc(found, func(a, b subnetXML) int { return strings.Compare(a.ID, b.ID) })
	found, next, bad := page(found, func(s subnetXML) string { return s.ID }, "DescribeSubnets", r.form.Get("NextToken"), size)
	return subnetsXML{Subnets: found, NextToken: next}, bad
}

// linux is the product of a Linux instance's price; EC2 says the same of those in a VPC under a second name.
const linux = "Linux/UNIX"

// describeSpotPrices gives the prices in force, each since the start of the fleet: they do not change.
func (e *Emulator) describeSpotPrices(r *request) (any, *apiError) {
	zone, types, products := r.form.Get("AvailabilityZone"), r.list("InstanceType."), r.list("ProductDescription.")
	var all []spotPriceXML
	for _, g := range e.fleet.Groups {
		for _, z := range append([]string{g.Zone}, g.MoreZones...) {
			for _, t := range g.InstanceTypes {
				p := spotPriceXML{Type: t, Zone: z, Price: fmt.Sprintf("%.6f", cmp.Or(e.fleet.Prices[t].SpotIn[z], e.fleet.Prices[t].Spot)), Product: linux, At: timestamp(e.started)}
				if matches(zone, z) && (len(types) == 0 || slices.Contains(types, t)) && (len(products) == 0 || slices.Contains(products, linux)) && !slices.Contains(all, p) {
					all = append(all, p)
				}
			}
		}
	}
	size := 1000
	if text := r.form.Get("MaxResults"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 1000 {
			return nil, refuse(http.StatusBadRequest, "InvalidParameterValue", "Value ( %s ) for parameter maxResults is invalid. Expecting a value between 1 and 1000.", text)
		}
		size = n
	}
	out := spotPricesXML{}
	var bad *apiError
	slices.SortFunc(all, func(a, b spotPriceXML) int { return strings.Compare(a.Zone+a.Type, b.Zone+b.Type) })
	out.Prices, out.NextToken, bad = page(all, func(p spotPriceXML) string { return p.Zone + p.Type }, "DescribeSpotPriceHistory", r.form.Get("NextToken"), size)
	if bad != nil {
		return nil, bad
	}
	return out, nil
}
