package aws

import (
	"context"
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

// Prepaid are the account's EC2 reservations, and its savings plans with what they pay for instances of the types. Those of
// another account of the organisation are not seen: what they pay for counts as not prepaid. Where one of the two cannot be
// read, what was read of it last is given, with a problem.
func (c *Client) Prepaid(ctx context.Context, types []string) (nodegroups.Prepaid, []Problem) {
	var out nodegroups.Prepaid
	var problems []Problem
	var err error
	if out.Reservations, err = c.reservations(ctx); err != nil {
		problems = append(problems, Problem{"", "which instances are prepaid by reservations is unknown, and those read last are taken, if any were: " + err.Error(),
			"allow ec2:DescribeReservedInstances, or set spec.purchase.prepaid: Ignore"})
	}
	if out.Commitments, err = c.commitments(ctx, types); err != nil {
		problems = append(problems, Problem{"", "which instances are prepaid by savings plans is unknown, and those read last are taken, if any were: " + err.Error(),
			"allow savingsplans:DescribeSavingsPlans and savingsplans:DescribeSavingsPlanRates, or set spec.purchase.prepaid: Ignore"})
	}
	return out, problems
}

// reservations that are active; with an error, those read last.
func (c *Client) reservations(ctx context.Context) ([]nodegroups.Reservation, error) {
	c.mu.Lock()
	known := c.reserved
	c.mu.Unlock()
	if !known.read.IsZero() && c.now().Sub(known.read) < reservedMaxAge {
		return known.list, nil
	}
	out, err := c.ec2.DescribeReservedInstances(ctx, &ec2.DescribeReservedInstancesInput{Filters: []ec2types.Filter{{Name: awssdk.String("state"), Values: []string{"active"}}}})
	if err != nil {
		return known.list, c.explain(err, "reading the account's reserved instances")
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
