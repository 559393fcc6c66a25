package aws

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/savingsplans"
	sptypes "github.com/aws/aws-sdk-go-v2/service/savingsplans/types"

	"swell/nodegroups"
)

// plans are the account's savings plans as last read.
type plans struct {
	list []nodegroups.Commitment // without rates
	read time.Time
	// rates by plan and type, which hold for a plan's life; zero is that the plan has none.
	rates map[string]map[string]float64
}

// commitments are the savings plans that may pay for instances of the types here; with an error, as far as they were read.
func (c *Client) commitments(ctx context.Context, types []string) ([]nodegroups.Commitment, error) {
	list, err := c.savingsPlans(ctx)
	out := slices.Clone(list)
	for i := range out {
		rates, wrong := c.planRates(ctx, out[i], types)
		out[i].Rates = rates
		if err == nil {
			err = wrong
		}
	}
	return out, err
}

// savingsPlans that are active, for EC2 and not for another region, read every five minutes; with an error, those read last.
func (c *Client) savingsPlans(ctx context.Context) ([]nodegroups.Commitment, error) {
	c.mu.Lock()
	known := c.plans
	c.mu.Unlock()
	if !known.read.IsZero() && c.now().Sub(known.read) < reservedMaxAge {
		return known.list, nil
	}
	in := &savingsplans.DescribeSavingsPlansInput{States: []sptypes.SavingsPlanState{sptypes.SavingsPlanStateActive}}
	var list []nodegroups.Commitment
	for {
		out, err := c.savings.DescribeSavingsPlans(ctx, in)
		if err != nil {
			return known.list, c.explain(err, "reading the account's savings plans")
		}
		for _, p := range out.SavingsPlans {
			region := awssdk.ToString(p.Region)
			if p.State != sptypes.SavingsPlanStateActive || !slices.Contains(p.ProductTypes, sptypes.SavingsPlanProductTypeEc2) ||
				p.SavingsPlanType == sptypes.SavingsPlanTypeEc2Instance && region != c.options.Region {
				continue
			}
			hourly, err := strconv.ParseFloat(awssdk.ToString(p.Commitment), 64)
			if err != nil {
				return known.list, fmt.Errorf("reading the commitment of savings plan %s: %w; tell of it as a bug", awssdk.ToString(p.SavingsPlanId), err)
			}
			list = append(list, nodegroups.Commitment{ID: awssdk.ToString(p.SavingsPlanId), Hourly: hourly, Family: awssdk.ToString(p.Ec2InstanceFamily)})
		}
		if awssdk.ToString(out.NextToken) == "" {
			break
		}
		in.NextToken = out.NextToken
	}
	c.mu.Lock()
	c.plans.list, c.plans.read = list, c.now()
	c.mu.Unlock()
	return list, nil
}

// planRates are what instances of the types take of a plan, an hour of Linux with default tenancy in this region; each type is
// asked for once.
func (c *Client) planRates(ctx context.Context, plan nodegroups.Commitment, types []string) (map[string]float64, error) {
	c.mu.Lock()
	if c.plans.rates == nil {
		c.plans.rates = map[string]map[string]float64{}
	}
	if c.plans.rates[plan.ID] == nil {
		c.plans.rates[plan.ID] = map[string]float64{}
	}
	known := map[string]float64{}
	var unknown []string
	for _, t := range types {
		family, _, _ := strings.Cut(t, ".")
		if rate, ok := c.plans.rates[plan.ID][t]; ok {
			known[t] = rate
		} else if plan.Family == "" || plan.Family == family {
			unknown = append(unknown, t)
		}
	}
	c.mu.Unlock()
	for some := range slices.Chunk(unknown, 20) {
		fresh, err := c.askRates(ctx, plan.ID, some)
		if err != nil {
			return known, err
		}
		c.mu.Lock()
		for _, t := range some {
			known[t], c.plans.rates[plan.ID][t] = fresh[t], fresh[t]
		}
		c.mu.Unlock()
	}
	return known, nil
}

func (c *Client) askRates(ctx context.Context, plan string, types []string) (map[string]float64, error) {
	in := &savingsplans.DescribeSavingsPlanRatesInput{SavingsPlanId: &plan, Filters: []sptypes.SavingsPlanRateFilter{
		{Name: sptypes.SavingsPlanRateFilterNameRegion, Values: []string{c.options.Region}},
		{Name: sptypes.SavingsPlanRateFilterNameInstanceType, Values: types},
		{Name: sptypes.SavingsPlanRateFilterNameProductDescription, Values: []string{"Linux/UNIX"}},
		{Name: sptypes.SavingsPlanRateFilterNameTenancy, Values: []string{"shared"}},
	}}
	rates := map[string]float64{}
	for {
		out, err := c.savings.DescribeSavingsPlanRates(ctx, in)
		if err != nil {
			return nil, c.explain(err, "reading the rates of savings plan %s", plan)
		}
		for _, r := range out.SearchResults {
			rate, err := strconv.ParseFloat(awssdk.ToString(r.Rate), 64)
			// UnusedBox and the like are of capacity reservations
			if err != nil || r.Unit != sptypes.SavingsPlanRateUnitHours || !strings.Contains(awssdk.ToString(r.UsageType), "BoxUsage:") {
				continue
			}
			for _, p := range r.Properties {
				if p.Name == sptypes.SavingsPlanRatePropertyKeyInstanceType {
					rates[awssdk.ToString(p.Value)] = rate
				}
			}
		}
		if awssdk.ToString(out.NextToken) == "" {
			return rates, nil
		}
		in.NextToken = out.NextToken
	}
}
