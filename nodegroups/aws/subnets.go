package aws

import (
	"context"
	"fmt"
	"slices"
	"strconv"
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

// addresses fills in the groups' subnets, their free addresses and what a node takes of them, and tells of groups that run short,
// before a launch fails or pods get none.
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
		need, wrong := c.addressesOfNode(*g)
		if wrong != nil {
			problems = append(problems, *wrong)
		}
		if g.AddressesPerNode = need; free < need {
			problems = append(problems, Problem{g.Name, fmt.Sprintf("its subnets have %d free addresses in %s, and one more node may take %d", free, g.Zone, need),
				"give the group a subnet with free addresses, or, where its nodes take fewer, the tag " + addressesTag})
		}
	}
	return problems
}

// addressesTag on a group says how many addresses of its subnets one node takes, such as 1 with custom networking or IPv6.
const addressesTag = "swell/addresses-per-node"

// addressesOfNode is what one more node may take: what the group's tag says, else the addresses of one interface of the type that
// has the most, as the VPC CNI takes them by default. The lock is held.
func (c *Client) addressesOfNode(g nodegroups.Group) (int, *Problem) {
	most := c.addressesOfInterface(g)
	tag, tagged := g.Tags[addressesTag]
	if !tagged {
		return most, nil
	}
	n, err := strconv.Atoi(tag)
	if err != nil || n < 1 {
		return most, &Problem{g.Name, fmt.Sprintf("its tag %s is %q", addressesTag, tag), "write how many addresses of its subnets one node takes, at least 1"}
	}
	return n, nil
}

func (c *Client) addressesOfInterface(g nodegroups.Group) int {
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
