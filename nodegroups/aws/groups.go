package aws

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"swell/nodegroups"
)

// Problem is why a group cannot be used, and the mend.
type Problem struct {
	Group, What, Mend string
}

// Groups returns the groups that carry all of the tags, sorted, as the groups of a pool. A group that cannot be planned for is
// left out and told of as a problem; that no group matches is an error.
func (c *Client) Groups(ctx context.Context, tags map[string]string, pool string) ([]nodegroups.Group, []Problem, error) {
	described, err := c.describeGroups(ctx, tags)
	if err != nil {
		return nil, nil, err
	}
	if len(described) == 0 {
		return nil, nil, fmt.Errorf("finding the groups of pool %s: no Auto Scaling group in %s has the tags %s; tag the groups, or correct spec.groups.tags of the CapacityPool",
			pool, c.options.Region, inWords(tags))
	}
	if err := c.learnLaunchTimes(ctx, described); err != nil {
		return nil, nil, err
	}
	var out []nodegroups.Group
	var problems []Problem
	for _, d := range described {
		g, problem, err := c.group(ctx, d)
		if err != nil {
			return nil, nil, err
		}
		if problem != nil {
			problems = append(problems, *problem)
			continue
		}
		g.Pool = pool
		out = append(out, g)
	}
	nodegroups.Sort(out)
	slices.SortFunc(problems, func(a, b Problem) int { return strings.Compare(a.Group, b.Group) })
	return out, problems, nil
}

func inWords(tags map[string]string) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, k+"="+tags[k])
	}
	return strings.Join(out, ", ")
}

func (c *Client) describeGroups(ctx context.Context, tags map[string]string) ([]astypes.AutoScalingGroup, error) {
	in := &autoscaling.DescribeAutoScalingGroupsInput{MaxRecords: awssdk.Int32(100)}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		in.Filters = append(in.Filters, astypes.Filter{Name: awssdk.String("tag:" + k), Values: []string{tags[k]}})
	}
	var out []astypes.AutoScalingGroup
	pages := autoscaling.NewDescribeAutoScalingGroupsPaginator(c.autoscaling, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, c.explain(err, "describing the Auto Scaling groups tagged %s", inWords(tags))
		}
		out = append(out, page.AutoScalingGroups...)
	}
	return out, nil
}

// learnLaunchTimes asks EC2 for the launch times of instances that were not seen before. One that EC2 does not know yet is
// asked for again the next time.
func (c *Client) learnLaunchTimes(ctx context.Context, groups []astypes.AutoScalingGroup) error {
	var unknown []string
	now := c.now()
	c.mu.Lock()
	for _, g := range groups {
		for _, i := range g.Instances {
			id := awssdk.ToString(i.InstanceId)
			known, ok := c.launched[id]
			if !ok {
				unknown = append(unknown, id)
				continue
			}
			known.seen = now
			c.launched[id] = known
		}
	}
	// by age, since one reading has the instances of one pool only
	maps.DeleteFunc(c.launched, func(_ string, l launch) bool { return now.Sub(l.seen) > forgetAfter })
	c.mu.Unlock()
	// a filter takes at most 200 values, and unlike a list of ids it does not fail for one that is not there
	for ids := range slices.Chunk(unknown, 200) {
		in := &ec2.DescribeInstancesInput{Filters: []ec2types.Filter{{Name: awssdk.String("instance-id"), Values: ids}}}
		pages := ec2.NewDescribeInstancesPaginator(c.ec2, in)
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return c.explain(err, "describing %d instances", len(ids))
			}
			c.mu.Lock()
			for _, r := range page.Reservations {
				for _, i := range r.Instances {
					c.launched[awssdk.ToString(i.InstanceId)] = launch{at: awssdk.ToTime(i.LaunchTime), seen: now}
				}
			}
			c.mu.Unlock()
		}
	}
	return nil
}

func (c *Client) group(ctx context.Context, d astypes.AutoScalingGroup) (nodegroups.Group, *Problem, error) {
	g := nodegroups.Group{
		Name: awssdk.ToString(d.AutoScalingGroupName), Min: int(awssdk.ToInt32(d.MinSize)), Max: int(awssdk.ToInt32(d.MaxSize)),
		Desired: int(awssdk.ToInt32(d.DesiredCapacity)), Tags: map[string]string{},
	}
	for _, t := range d.Tags {
		g.Tags[awssdk.ToString(t.Key)] = awssdk.ToString(t.Value)
	}
	if len(d.AvailabilityZones) != 1 {
		return g, &Problem{g.Name, fmt.Sprintf("it spans the zones %s, so the zone of a launch cannot be planned", strings.Join(d.AvailabilityZones, ", ")),
			"make one group per zone, and take the pool's tag off this one"}, nil
	}
	g.Zone = d.AvailabilityZones[0]
	template, problem, err := c.launchTemplate(ctx, d)
	if problem != nil || err != nil {
		return g, problem, err
	}
	g.Image = template.image
	if g.InstanceTypes, problem = typesOf(d, template); problem != nil {
		return g, problem, nil
	}
	if g.Market, problem = marketOf(g, d, template); problem != nil {
		return g, problem, nil
	}
	g.HourlyPrice = c.price(g)
	if g.Template, problem, err = c.nodeTemplate(ctx, g); problem != nil || err != nil {
		return g, problem, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, i := range d.Instances {
		id := awssdk.ToString(i.InstanceId)
		instance := nodegroups.Instance{ID: id, Type: awssdk.ToString(i.InstanceType), Zone: awssdk.ToString(i.AvailabilityZone), Lifecycle: lifecycle(i.LifecycleState),
			Protected: awssdk.ToBool(i.ProtectedFromScaleIn), ProviderID: nodegroups.ProviderID(awssdk.ToString(i.AvailabilityZone), id)}
		if known, ok := c.launched[id]; ok {
			instance.LaunchedAt = c.options.Clock.At(known.at)
		}
		g.Instances = append(g.Instances, instance)
	}
	return g, nil, nil
}

func lifecycle(s astypes.LifecycleState) nodegroups.Lifecycle {
	switch {
	case s == astypes.LifecycleStateInService:
		return nodegroups.InService
	case strings.HasPrefix(string(s), "Pending"), strings.HasPrefix(string(s), "Warmed"):
		return nodegroups.Pending
	}
	return nodegroups.Terminating // terminating, detaching, standing by: no place for new pods
}

// price of one more instance: the highest of the types, since which one comes is not known; zero if any is unknown.
func (c *Client) price(g nodegroups.Group) float64 {
	highest := 0.0
	for _, t := range g.InstanceTypes {
		p := c.options.Prices[t].OnDemand
		if g.Market == nodegroups.Spot {
			p = c.options.Prices[t].Spot
		}
		if p == 0 {
			return 0
		}
		highest = max(highest, p)
	}
	return highest
}
