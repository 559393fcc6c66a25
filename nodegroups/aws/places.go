package aws

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"swell/nodegroups"
)

// tokenlessFor is how long a group that LaunchInstances refused to take is not launched in by token, machine time.
const tokenlessFor = time.Hour

// place is where a group of a name launches.
type place struct {
	asg string
	// spans says that the name is one zone of several, warm that the group has a warm pool.
	spans, warm bool
}

// placed remembers what a reading showed of a group.
func (c *Client) placed(name string, d astypes.AutoScalingGroup) place {
	p := place{asg: awssdk.ToString(d.AutoScalingGroupName), warm: d.WarmPoolConfiguration != nil}
	p.spans = name != p.asg
	c.mu.Lock()
	defer c.mu.Unlock()
	c.places[name] = p
	return p
}

// placeOf a group's name. One that was never read, as after a restart, is read first: an Auto Scaling group's own name may look
// like one zone of another, and one with a warm pool must not be asked by token.
func (c *Client) placeOf(ctx context.Context, name, zone string) (place, *nodegroups.LaunchFailure, error) {
	c.mu.Lock()
	p, ok := c.places[name]
	c.mu.Unlock()
	if ok {
		return p, nil, nil
	}
	names := []string{name}
	whole, spans := strings.CutSuffix(name, nodegroups.NameInZone("", zone))
	if spans {
		names = append(names, whole)
	}
	found, failure, err := c.describeNamed(ctx, "reading group "+name+" before the first launch in it", names...)
	if err != nil || failure != nil {
		return place{}, failure, err
	}
	for _, n := range names {
		if at := slices.IndexFunc(found, func(d astypes.AutoScalingGroup) bool { return awssdk.ToString(d.AutoScalingGroupName) == n }); at >= 0 {
			return c.placed(name, found[at]), nil, nil
		}
	}
	return place{asg: whole, spans: spans}, nil, nil // the service refuses it
}

// describeNamed reads groups by name; those that there are not are left out. A failure is what the service refuses.
func (c *Client) describeNamed(ctx context.Context, doing string, names ...string) ([]astypes.AutoScalingGroup, *nodegroups.LaunchFailure, error) {
	out, err := c.autoscaling.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: names})
	if err == nil {
		return out.AutoScalingGroups, nil, nil
	}
	if unsure(err) {
		return nil, nil, c.explain(err, "%s", doing)
	}
	f := failureOf(err)
	return nil, &f, nil
}

func (c *Client) setTokenless(asg string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokenless[asg] = c.now()
}

func (c *Client) isTokenless(asg string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.tokenless[asg]
	return ok && c.now().Sub(at) < tokenlessFor
}

// noteLaunched remembers instances that the service may not list yet, where desiredByZone asks for them.
func (c *Client) noteLaunched(p place, instances []nodegroups.Instance) {
	if !p.spans || len(instances) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	maps.DeleteFunc(c.unlisted, func(_ string, own map[string]time.Time) bool {
		maps.DeleteFunc(own, func(_ string, at time.Time) bool { return now.Sub(at) > nodegroups.ListedWithin })
		return len(own) == 0
	})
	if c.unlisted[p.asg] == nil {
		c.unlisted[p.asg] = map[string]time.Time{}
	}
	for _, i := range instances {
		c.unlisted[p.asg][i.ID] = now
	}
}

// desiredByZone shares what an Auto Scaling group lacks of its desired capacity out over its zones, as it launches by itself: each
// in the zone with the fewest. What was launched by token and is not listed yet is no part of it: its zone is known.
func (c *Client) desiredByZone(g nodegroups.Group, zones []string) map[string]int {
	if len(zones) == 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	own := c.unlisted[g.Name]
	maps.DeleteFunc(own, func(id string, at time.Time) bool {
		return c.now().Sub(at) > nodegroups.ListedWithin || slices.ContainsFunc(g.Instances, func(i nodegroups.Instance) bool { return i.ID == id })
	})
	desired := map[string]int{}
	for _, z := range zones {
		desired[z] = 0
	}
	for _, i := range g.Instances {
		if i.Lifecycle.Counts() {
			desired[i.Zone]++
		}
	}
	for range g.Desired - g.Alive() - len(own) {
		desired[slices.MinFunc(zones, func(a, b string) int { return desired[a] - desired[b] })]++
	}
	return desired
}

// noSuchGroup is the failure of a name that no group has.
func (c *Client) noSuchGroup(group string) *nodegroups.LaunchFailure {
	return &nodegroups.LaunchFailure{Code: "ValidationError", Class: nodegroups.BadTemplate,
		Message: fmt.Sprintf("there is no such group as %s in %s: check its name and tags", group, c.options.Region)}
}
