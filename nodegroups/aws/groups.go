package aws

import (
	"cmp"
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

// Problem is why a group cannot be used or not be used well, and the mend. One without a group is of all of a pool's.
type Problem struct {
	Group, What, Mend string
}

func (p Problem) String() string {
	if p.Group == "" {
		return p.What + "; " + p.Mend
	}
	return "group " + p.Group + ": " + p.What + "; " + p.Mend
}

// Groups selects by tags alone: groups that span zones or have a warm pool are refused.
func (c *Client) Groups(ctx context.Context, tags map[string]string, pool string) ([]nodegroups.Group, []Problem, error) {
	return c.Select(ctx, nodegroups.Selection{Pool: pool, Tags: tags})
}

// Select returns the groups that carry all of the selection's tags, sorted, as the groups of its pool. A group that cannot be
// bought in has its instances and says why; without instances, and never read while it could be, it is left out. Either is told
// of as a problem, and so is that no group matches.
//
// Calls: one DescribeAutoScalingGroups for 100 groups each time. What it rests on is kept: an instance type for the client's
// life, an instance from the first sight of it, a launch template for 5 minutes, a subnet for 1 minute. A pool of up to 100 groups read every 10 s so takes 6 calls a minute, one for 200 subnets, one for each launch
// template in 5 minutes, and one for up to 200 new instances at a time; and for each group that stays below its desired capacity
// two of its scaling activities.
func (c *Client) Select(ctx context.Context, s nodegroups.Selection) ([]nodegroups.Group, []Problem, error) {
	described, err := c.describeGroups(ctx, s.Tags)
	if err != nil {
		return nil, nil, err
	}
	if len(described) == 0 {
		return nil, []Problem{{"", fmt.Sprintf("no Auto Scaling group in %s has the tags %s", c.options.Region, inWords(s.Tags)), "tag the groups, or correct spec.groups.tags of the CapacityPool"}}, nil
	}
	if err := c.learnLaunchTimes(ctx, described); err != nil {
		return nil, nil, err
	}
	var out []nodegroups.Group
	var problems []Problem
	for _, d := range described {
		zones, wrong, err := c.zones(ctx, s, d)
		if err != nil {
			return nil, nil, err
		}
		problems, out = append(problems, wrong...), append(out, zones...)
	}
	problems = append(problems, c.prices(ctx, out)...)
	problems = append(problems, c.addresses(ctx, out, described)...)
	nodegroups.Sort(out)
	slices.SortFunc(problems, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.Group, b.Group), strings.Compare(a.What, b.What))
	})
	return out, problems, nil
}

// zones are the groups of one Auto Scaling group, and what is wrong with it.
func (c *Client) zones(ctx context.Context, s nodegroups.Selection, d astypes.AutoScalingGroup) ([]nodegroups.Group, []Problem, error) {
	g, problem, err := c.group(ctx, s, d)
	if err != nil {
		return nil, nil, err
	}
	if problem != nil {
		zones, err := c.unusable(ctx, s, d, problem.What)
		return zones, []Problem{*problem}, err
	}
	c.keepUsable(g)
	problems := c.unknownImage(ctx, g.Name, d)
	if problem := suspended(d); problem != nil {
		g.Unusable = problem.What
		problems = append(problems, *problem)
	}
	failed, unread := c.failedActivities(ctx, g)
	problems = append(problems, unread...)
	zones, problem := c.perZone(ctx, s, g, d)
	for i := range zones {
		zones[i].Failed = failedInZone(failed, zones[i], len(d.AvailabilityZones) > 1)
	}
	if problem != nil {
		problems = append(problems, *problem)
	}
	return zones, problems, nil
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

// learnLaunchTimes asks EC2 for the launch times of instances that were not seen before, or not since they were started last.
// One that EC2 does not know yet is asked for again the next time.
func (c *Client) learnLaunchTimes(ctx context.Context, groups []astypes.AutoScalingGroup) error {
	var unknown []string
	pending := map[string]bool{}
	now := c.now()
	c.mu.Lock()
	for _, g := range groups {
		for _, i := range g.Instances {
			id := awssdk.ToString(i.InstanceId)
			known, ok := c.launched[id]
			pending[id] = lifecycle(i.LifecycleState) == nodegroups.Pending
			if anew := pending[id] && !known.pending; !ok || anew { // one that was in service and is pending comes from a warm pool
				unknown = append(unknown, id)
			} else {
				known.pending = pending[id]
			}
			if ok {
				known.seen = now
				c.launched[id] = known
			}
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
					id := awssdk.ToString(i.InstanceId)
					c.launched[id] = launch{at: awssdk.ToTime(i.LaunchTime), seen: now, image: awssdk.ToString(i.ImageId), pending: pending[id],
						spot: i.InstanceLifecycle == ec2types.InstanceLifecycleTypeSpot}
				}
			}
			c.mu.Unlock()
		}
	}
	return nil
}

// group is the Auto Scaling group as a whole, its zone left open where it spans several.
func (c *Client) group(ctx context.Context, s nodegroups.Selection, d astypes.AutoScalingGroup) (nodegroups.Group, *Problem, error) {
	g := described(s, d)
	if problem := refused(s, g.Name, d); problem != nil {
		return g, problem, nil
	}
	if len(d.AvailabilityZones) == 1 {
		g.Zone = d.AvailabilityZones[0]
	}
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
	if problem, err = c.nodeTemplates(ctx, &g, template); problem != nil || err != nil {
		return g, problem, err
	}
	g.Instances = c.instances(d, template)
	return g, nil, nil
}

// refused says why the selection does not allow the group, or no selection could.
func refused(s nodegroups.Selection, name string, d astypes.AutoScalingGroup) *Problem {
	if awssdk.ToString(d.Status) != "" {
		return &Problem{name, "it is being deleted", "take the pool's tag off it, or wait until it is gone"}
	}
	if len(d.AvailabilityZones) != 1 && !s.MultiZone {
		return &Problem{name, fmt.Sprintf("it spans the zones %s, so the zone of a launch cannot be planned", strings.Join(d.AvailabilityZones, ", ")),
			"make one group per zone and take the pool's tag off this one, or set spec.groups.multiZone: SuspendAZRebalance"}
	}
	if d.WarmPoolConfiguration != nil && !s.WarmPool {
		return &Problem{name, "it has a warm pool, whose stopped instances are no nodes", "delete the warm pool, or set spec.groups.warmPool: Use"}
	}
	if d.WarmPoolConfiguration != nil && len(d.AvailabilityZones) != 1 {
		return &Problem{name, "it spans zones and has a warm pool: LaunchInstances takes no group with a warm pool, and a raised desired capacity cannot choose a zone", "delete the warm pool, or make one group per zone"}
	}
	if t := awssdk.ToString(d.DesiredCapacityType); t != "" && t != "units" {
		return &Problem{name, "its capacity is counted in " + t + ", not in instances", "set the group's desired capacity type to units"}
	}
	return nil
}

// suspended says that a group starts nothing, whatever it is asked for.
func suspended(d astypes.AutoScalingGroup) *Problem {
	for _, p := range d.SuspendedProcesses {
		if awssdk.ToString(p.ProcessName) == "Launch" {
			name := awssdk.ToString(d.AutoScalingGroupName)
			return &Problem{name, "its Launch process is suspended (" + awssdk.ToString(p.SuspensionReason) + ")",
				"resume it: aws autoscaling resume-processes --auto-scaling-group-name " + name + " --scaling-processes Launch; until then nothing is bought in it"}
		}
	}
	return nil
}

// instances of a group. Those of its warm pool are none: they are stopped, or not part of the group's capacity.
func (c *Client) instances(d astypes.AutoScalingGroup, t template) []nodegroups.Instance {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []nodegroups.Instance
	for _, i := range d.Instances {
		if strings.HasPrefix(string(i.LifecycleState), "Warmed:") {
			continue
		}
		id, zone := awssdk.ToString(i.InstanceId), awssdk.ToString(i.AvailabilityZone)
		instance := nodegroups.Instance{ID: id, Type: awssdk.ToString(i.InstanceType), Zone: zone, Lifecycle: lifecycle(i.LifecycleState),
			Protected: awssdk.ToBool(i.ProtectedFromScaleIn), ProviderID: nodegroups.ProviderID(zone, id), Image: awssdk.ToString(i.ImageId)}
		if known, ok := c.launched[id]; ok {
			instance.LaunchedAt = c.options.Clock.At(known.at)
			instance.Image = cmp.Or(known.image, instance.Image)
		}
		instance.Outdated = outdated(instance, i.LaunchTemplate, t)
		out = append(out, instance)
	}
	return out
}

// outdated reports whether the group would launch the instance otherwise now. What is not known is not outdated.
func outdated(i nodegroups.Instance, from *astypes.LaunchTemplateSpecification, t template) bool {
	if i.Image != "" && t.image != "" && i.Image != t.image {
		return true
	}
	version := ""
	if from != nil {
		version = awssdk.ToString(from.Version)
	}
	return version != "" && !strings.HasPrefix(version, "$") && t.version != "" && version != t.version
}

func lifecycle(s astypes.LifecycleState) nodegroups.Lifecycle {
	switch {
	case s == astypes.LifecycleStateInService:
		return nodegroups.InService
	case strings.HasPrefix(string(s), "Pending"):
		return nodegroups.Pending
	case s == astypes.LifecycleStateEnteringStandby || s == astypes.LifecycleStateStandby:
		return nodegroups.Standby
	}
	return nodegroups.Terminating // terminating, detaching: no place for new pods
}
