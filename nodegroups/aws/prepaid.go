package aws

import (
	"context"
	"slices"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"swell/nodegroups"
)

// reservedMaxAge is how long the account's reservations are taken as current, machine time.
const reservedMaxAge = 5 * time.Minute

// reservations as last read.
type reservations struct {
	list []nodegroups.Reservation
	read time.Time
}

// prepaid sets how many instances of the on-demand groups the account's EC2 reservations and savings plans pay for. Those
// of another account of the organisation are not seen: what they pay for counts as not prepaid.
func (c *Client) prepaid(ctx context.Context, pool string, groups []nodegroups.Group) []Problem {
	list, err := c.reservations(ctx)
	if err != nil {
		return []Problem{{"", "which instances of pool " + pool + " are prepaid is unknown, and none is taken as such: " + err.Error(),
			"allow ec2:DescribeReservedInstances, or set spec.purchase.prepaid: Ignore"}}
	}
	var types []string
	for _, g := range groups {
		if g.Market == nodegroups.OnDemand && !slices.Contains(types, g.InstanceTypes[0]) {
			types = append(types, g.InstanceTypes[0])
		}
	}
	commitments, err := c.commitments(ctx, types)
	nodegroups.AllocatePrepaid(groups, list, commitments)
	if err != nil {
		return []Problem{{"", "which instances of pool " + pool + " savings plans pay for is unknown, and none is taken as prepaid by them: " + err.Error(),
			"allow savingsplans:DescribeSavingsPlans and savingsplans:DescribeSavingsPlanRates, or set spec.purchase.prepaid: Ignore"}}
	}
	return nil
}

func (c *Client) reservations(ctx context.Context) ([]nodegroups.Reservation, error) {
	c.mu.Lock()
	known := c.reserved
	c.mu.Unlock()
	if !known.read.IsZero() && c.now().Sub(known.read) < reservedMaxAge {
		return known.list, nil
	}
	out, err := c.ec2.DescribeReservedInstances(ctx, &ec2.DescribeReservedInstancesInput{Filters: []ec2types.Filter{{Name: awssdk.String("state"), Values: []string{"active"}}}})
	if err != nil {
		return nil, c.explain(err, "reading the account's reserved instances")
	}
	fresh := reservations{read: c.now()}
	for _, r := range out.ReservedInstances {
		if r.State != ec2types.ReservedInstanceStateActive || !strings.HasPrefix(string(r.ProductDescription), "Linux/UNIX") {
			continue
		}
		fresh.list = append(fresh.list, nodegroups.Reservation{ID: awssdk.ToString(r.ReservedInstancesId), Type: string(r.InstanceType),
			Zone: awssdk.ToString(r.AvailabilityZone), Count: int(awssdk.ToInt32(r.InstanceCount)),
			Flexible: r.Scope == ec2types.ScopeRegional && r.InstanceTenancy == ec2types.TenancyDefault})
	}
	c.mu.Lock()
	c.reserved = fresh
	c.mu.Unlock()
	return fresh.list, nil
}
