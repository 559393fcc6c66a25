package aws

import (
	"context"
	"maps"
	"slices"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"swell/nodegroups"
)

// usable is a group as it was last read while it could be bought in, and when it was last described at all, machine time.
type usable struct {
	nodegroups.Group
	seen time.Time
}

// keepUsable remembers a whole group that can be bought in.
func (c *Client) keepUsable(g nodegroups.Group) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	maps.DeleteFunc(c.usable, func(_ string, u usable) bool { return now.Sub(u.seen) > forgetAfter })
	c.usable[g.Name] = usable{g, now}
}

// lastUsable is what keepUsable remembers of a group that is described now.
func (c *Client) lastUsable(name string) (nodegroups.Group, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	u, ok := c.usable[name]
	if ok {
		u.seen = c.now()
		c.usable[name] = u
	}
	return u.Group, ok
}

// unusable are the zones of a group in which nothing can be bought, for its instances, which count and are looked after all the
// same. What one more instance would be is as it was last read while it could be bought in, else as its instances are. One
// without either is left out.
func (c *Client) unusable(ctx context.Context, s nodegroups.Selection, d astypes.AutoScalingGroup, why string) ([]nodegroups.Group, error) {
	g := described(s, d)
	g.Unusable = why
	g.Instances = c.instances(d, template{})
	former, known := c.lastUsable(g.Name)
	switch {
	case known:
		g.Zone, g.Market, g.InstanceTypes, g.Image, g.Template, g.Templates = former.Zone, former.Market, former.InstanceTypes, former.Image, former.Template, former.Templates
	case len(g.Instances) == 0:
		return nil, nil
	default:
		if err := c.derive(ctx, &g, d); err != nil {
			return nil, err
		}
	}
	zones := map[string]bool{}
	for _, i := range g.Instances {
		zones[i.Zone] = true
	}
	if s.MultiZone && len(d.AvailabilityZones) > 1 {
		for _, zone := range d.AvailabilityZones {
			zones[zone] = true
		}
	}
	if len(zones) > 1 || len(zones) == 1 && s.MultiZone && len(d.AvailabilityZones) > 1 {
		return c.inZones(g, d, slices.Sorted(maps.Keys(zones))), nil
	}
	for zone := range zones {
		g.Zone, g.Template = zone, inZone(g.Template, zone)
		templates := map[string]nodegroups.Template{}
		for name, t := range g.Templates {
			templates[name] = inZone(t, zone)
		}
		g.Templates = templates
	}
	if g.Zone == "" {
		return nil, nil // it spanned zones, and has no instance in any
	}
	c.placed(g.Name, d)
	return []nodegroups.Group{g}, nil
}

// derive tells from a group's instances, at least one, what they are.
func (c *Client) derive(ctx context.Context, g *nodegroups.Group, d astypes.AutoScalingGroup) error {
	spot := 0
	types := map[string]bool{}
	c.mu.Lock()
	for _, i := range g.Instances {
		types[i.Type] = true
		if c.launched[i.ID].spot {
			spot++
		}
	}
	c.mu.Unlock()
	g.InstanceTypes = slices.Sorted(maps.Keys(types))
	if market, problem := marketOf(*g, d, template{spot: 2*spot > len(g.Instances)}); problem == nil {
		g.Market = market
	} else if g.Market = nodegroups.OnDemand; 2*spot > len(g.Instances) {
		g.Market = nodegroups.Spot
	}
	problem, err := c.nodeTemplates(ctx, g, template{})
	if problem != nil {
		g.Template, g.Templates = nodegroups.Template{}, nil
	}
	return err
}

// described is what the service says of a group itself.
func described(s nodegroups.Selection, d astypes.AutoScalingGroup) nodegroups.Group {
	g := nodegroups.Group{
		Name: awssdk.ToString(d.AutoScalingGroupName), Pool: s.Pool, Min: int(awssdk.ToInt32(d.MinSize)), Max: int(awssdk.ToInt32(d.MaxSize)),
		Desired: int(awssdk.ToInt32(d.DesiredCapacity)), Tags: map[string]string{}, ProtectsNew: awssdk.ToBool(d.NewInstancesProtectedFromScaleIn),
		Rebalances: awssdk.ToBool(d.CapacityRebalance),
	}
	for _, t := range d.Tags {
		g.Tags[awssdk.ToString(t.Key)] = awssdk.ToString(t.Value)
	}
	return g
}
