package aws

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// maxLaunch is how many instances one LaunchInstances call may ask for.
const maxLaunch = 100

var tokenPattern = regexp.MustCompile(`^[A-Za-z0-9\-_/]{1,64}$`)

func (e *Emulator) launchInstances(r *request) (any, *apiError) {
	n, bad := r.number("RequestedCapacity", 0, 1, 1<<30)
	if bad != nil {
		return nil, bad
	}
	token, strategy := r.form.Get("ClientToken"), r.form.Get("RetryStrategy")
	r.call.Group, r.call.Count, r.call.Token = r.form.Get("AutoScalingGroupName"), n, token
	switch {
	case n == 0:
		return nil, invalid("1 validation error detected: Value null at 'requestedCapacity' failed to satisfy constraint: Member must not be null")
	case !tokenPattern.MatchString(token):
		return nil, invalid(`1 validation error detected: Value '%s' at 'clientToken' failed to satisfy constraint: Member must satisfy regular expression pattern: [A-Za-z0-9\-_\/]+ and have length less than or equal to 64`, token)
	case strategy != "" && strategy != "none" && strategy != "retry-with-group-configuration":
		return nil, invalid("1 validation error detected: Value '%s' at 'retryStrategy' failed to satisfy constraint: Member must satisfy enum value set: [retry-with-group-configuration, none]", strategy)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	g, bad := e.find(r.call.Group)
	if bad != nil {
		return nil, bad
	}
	if bad := g.launchable(n); bad != nil {
		return nil, bad
	}
	zone, subnet, bad := e.launchPlace(r, g)
	if bad != nil {
		return nil, bad
	}
	asked := fmt.Sprintf("%s %s %s %d %s", g.Name, zone, subnet, n, strategy)
	if seen, ok := e.state.tokens[token]; ok {
		if seen.Request != asked {
			return nil, refuse(http.StatusBadRequest, "IdempotentParameterMismatch", "The client token %s was used with other parameters.", token)
		}
		r.call.Instances = append(r.call.Instances, seen.Instances...)
		return e.launchAnswer(r, g, zone, token, seen), nil
	}
	if g.desired+n > g.Max {
		return nil, invalid("Launching %d instances would bring the desired capacity to %d, above the max size %d of the AutoScalingGroup.", n, g.desired+n, g.Max)
	}
	if slices.Contains(g.suspended, "Launch") {
		return nil, invalid("The Launch process of AutoScalingGroup %s is suspended.", g.Name)
	}
	reply := e.launchByToken(r, g, zone, subnet, n, token, strategy == "retry-with-group-configuration", asked)
	return e.launchAnswer(r, g, zone, token, reply), nil
}

// launchByToken launches n capacity units and remembers the outcome. The lock is held.
func (e *Emulator) launchByToken(r *request, g *group, zone, subnet string, n int, token string, retry bool, asked string) launchReply {
	c := e.change(r.now)
	var launched launched
	var errs []launchError
	if bad := e.faultOfFleet(r.now); bad != nil {
		errs = []launchError{*bad}
	} else {
		launched, errs = e.launch(c, g, zone, subnet, n, token, "launch-instances")
	}
	grow := launched.units
	if retry {
		grow = n
	}
	c.do(record{Op: opDesired, Group: g.Name, Number: g.desired + grow})
	reply := launchReply{Request: asked, Instances: launched.ids, Errors: errs}
	c.do(record{Op: opToken, Token: token, Reply: &reply})
	c.commit()
	r.call.Instances = append(r.call.Instances, launched.ids...)
	if len(errs) > 0 && launched.units < n {
		r.call.Code = errs[0].Code
	}
	return reply
}

// launchAnswer is a call's outcome, or its token alone where EC2 takes longer than the call waits.
func (e *Emulator) launchAnswer(r *request, g *group, zone, token string, reply launchReply) launchResultXML {
	if e.timesOut(r.now, g) {
		return launchResultXML{Group: g.Name, Token: token}
	}
	return e.launchXML(g, zone, token, reply)
}

// launchable refuses what LaunchInstances does not do for a group.
func (g *group) launchable(n int) *apiError {
	if g.warm != nil {
		return refuse(http.StatusBadRequest, "UnsupportedOperation", "Auto Scaling groups with warm pools are not supported.")
	}
	if g.Market == mixed {
		return invalid("LaunchInstances supports mixed instances policies with fully On-Demand or fully Spot purchasing options only.")
	}
	least := g.weight(g.InstanceTypes[0])
	for _, t := range g.InstanceTypes {
		least = min(least, g.weight(t))
	}
	if (n+least-1)/least > maxLaunch {
		return invalid("RequestedCapacity %d exceeds the limit of %d instances per launch.", n, maxLaunch)
	}
	return nil
}

// launchPlace is the zone, and the subnet if one is named, that a call launches into. The lock is held.
func (e *Emulator) launchPlace(r *request, g *group) (zone, subnet string, bad *apiError) {
	zones, ids, subnets := r.list("AvailabilityZones.member."), r.list("AvailabilityZoneIds.member."), r.list("SubnetIds.member.")
	if len(zones) > 0 && len(ids) > 0 {
		return "", "", invalid("AvailabilityZones and AvailabilityZoneIds cannot both be specified.")
	}
	if len(zones) > 1 || len(ids) > 1 || len(subnets) > 1 {
		return "", "", invalid("Only one Availability Zone or subnet can be specified.")
	}
	own := append([]string{g.Zone}, g.MoreZones...)
	if len(subnets) == 1 {
		subnet = subnets[0]
		if !slices.Contains(g.Subnets, subnet) {
			return "", "", invalid("The subnet %s is not part of AutoScalingGroup %s.", subnet, g.Name)
		}
		zone = e.fleet.Subnets[subnet].Zone
	}
	for _, z := range own {
		if len(ids) == 1 && zoneID(z) == ids[0] {
			zones = []string{z}
		}
	}
	if len(ids) == 1 && len(zones) == 0 {
		return "", "", invalid("The Availability Zone %s is not part of AutoScalingGroup %s.", ids[0], g.Name)
	}
	if len(zones) == 1 {
		if !slices.Contains(own, zones[0]) || zone != "" && zone != zones[0] {
			return "", "", invalid("The Availability Zone %s is not part of AutoScalingGroup %s.", zones[0], g.Name)
		}
		zone = zones[0]
	}
	if zone == "" {
		if len(own) > 1 {
			return "", "", invalid("AutoScalingGroup %s has more than one Availability Zone (%s): one must be specified.", g.Name, strings.Join(own, ", "))
		}
		zone = g.Zone
	}
	return zone, subnet, nil
}

// launchXML is the reply that a token stands for.
func (e *Emulator) launchXML(g *group, zone, token string, reply launchReply) launchResultXML {
	market := "OnDemand"
	if g.Market == "spot" {
		market = "Spot"
	}
	out := launchResultXML{Group: g.Name, Token: token}
	at := map[string]int{}
	for _, id := range reply.Instances {
		i := e.state.instances[id]
		key := i.Type + " " + i.Subnet
		n, ok := at[key]
		if !ok {
			n = len(out.Instances)
			at[key] = n
			out.Instances = append(out.Instances, launchedXML{Type: i.Type, Market: market, Subnet: i.Subnet, Zone: i.Zone, ZoneID: zoneID(i.Zone)})
		}
		out.Instances[n].IDs = append(out.Instances[n].IDs, id)
	}
	for _, f := range reply.Errors {
		out.Errors = append(out.Errors, launchErrorXML{Type: f.Type, Market: market, Subnet: f.Subnet, Zone: zone, ZoneID: zoneID(zone), Code: f.Code, Message: f.Message})
	}
	return out
}
