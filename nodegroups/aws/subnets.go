package aws

import (
	"context"
	"fmt"
	"slices"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"swell/nodegroups"
)

// subnetMaxAge is how long the free addresses of a subnet are taken as current, machine time.
const subnetMaxAge = time.Minute

// subnet is its zone and how many IPv4 addresses it has left.
type subnet struct {
	zone string
	free int
	read time.Time
}

// addresses fills in the groups' subnets and free addresses, and tells of groups that run short. A launch takes one address.
// The VPC CNI by default takes a whole interface's more, so that a group with fewer is told of before a launch fails or pods
// get none.
func (c *Client) addresses(ctx context.Context, groups []nodegroups.Group, described []astypes.AutoScalingGroup) []Problem {
	ids := map[string][]string{}
	for _, d := range described {
		ids[awssdk.ToString(d.AutoScalingGroupName)] = subnetsOf(d)
	}
	var wanted []string
	for _, g := range groups {
		wanted = append(wanted, ids[g.AutoScalingGroup()]...)
	}
	slices.Sort(wanted)
	if err := c.readSubnets(ctx, slices.Compact(wanted)); err != nil {
		return []Problem{{"", "the free addresses of its subnets are unknown: " + err.Error(), "allow ec2:DescribeSubnets"}}
	}
	var problems []Problem
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range groups {
		g := &groups[i]
		free, known := 0, true
		for _, id := range ids[g.AutoScalingGroup()] {
			s, ok := c.subnets[id]
			if !ok {
				known = false
				problems = append(problems, Problem{g.Name, "its subnet " + id + " does not exist", "give the group subnets that exist"})
			}
			if ok && s.zone == g.Zone {
				free += s.free
				g.Subnets = append(g.Subnets, id)
			}
		}
		slices.Sort(g.Subnets)
		if !known || len(g.Subnets) == 0 {
			continue
		}
		g.FreeAddresses = &free
		if need := c.addressesOfNode(*g); free < need {
			problems = append(problems, Problem{g.Name, fmt.Sprintf("its subnets have %d free addresses in %s, and one more node may take %d", free, g.Zone, need),
				"give the group a subnet with free addresses"})
		}
	}
	return problems
}

// addressesOfNode is what one more node may take: the addresses of one interface of the type that has the most. The lock is held.
func (c *Client) addressesOfNode(g nodegroups.Group) int {
	most := 1
	for _, name := range g.InstanceTypes {
		if n := c.types[name].NetworkInfo; n != nil {
			most = max(most, int(awssdk.ToInt32(n.Ipv4AddressesPerInterface)))
		}
	}
	return most
}

// readSubnets reads those that were not read within the last minute.
func (c *Client) readSubnets(ctx context.Context, ids []string) error {
	now := c.now()
	c.mu.Lock()
	stale := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { s, ok := c.subnets[id]; return ok && now.Sub(s.read) < subnetMaxAge })
	c.mu.Unlock()
	for some := range slices.Chunk(stale, 200) {
		in := &ec2.DescribeSubnetsInput{Filters: []ec2types.Filter{{Name: awssdk.String("subnet-id"), Values: some}}}
		pages := ec2.NewDescribeSubnetsPaginator(c.ec2, in)
		found := map[string]subnet{}
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return c.explain(err, "describing %d subnets", len(some))
			}
			for _, s := range page.Subnets {
				found[awssdk.ToString(s.SubnetId)] = subnet{awssdk.ToString(s.AvailabilityZone), int(awssdk.ToInt32(s.AvailableIpAddressCount)), now}
			}
		}
		c.mu.Lock()
		for _, id := range some {
			delete(c.subnets, id)
			if s, ok := found[id]; ok {
				c.subnets[id] = s
			}
		}
		c.mu.Unlock()
	}
	return nil
}
