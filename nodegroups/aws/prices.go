package aws

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"swell/nodegroups"
)

const (
	// spotPriceMaxAge is how long a spot price that was read is taken as current, machine time.
	spotPriceMaxAge = 5 * time.Minute
	// spotPriceTry is the time between two attempts where prices cannot be read, machine time.
	spotPriceTry = time.Minute
	// spotPriceKept is how old a price may be that cannot be read again, machine time: spot prices change slowly.
	spotPriceKept = time.Hour
)

// linuxProducts are what EC2 calls Linux in its spot prices.
var linuxProducts = []string{"Linux/UNIX", "Linux/UNIX (Amazon VPC)"}

// spotPrices of an instance type by zone, an hour, and when they were read and asked for last.
type spotPrices struct {
	byZone      map[string]float64
	read, asked time.Time
}

// prices fills in what one more instance of each group costs, and what each of its instances does. A configured price goes before
// one that was read. What spot costs is read by zone, for Linux, every 5 minutes by one call for 100 types; what is on demand, if
// at all, twice a day.
func (c *Client) prices(ctx context.Context, groups []nodegroups.Group) []Problem {
	wanted := map[string]bool{}
	for _, g := range groups {
		for _, t := range pricedTypes(g) {
			if g.Market == nodegroups.Spot && c.options.Prices[t].Spot == 0 {
				wanted[t] = true
			}
		}
	}
	c.readSpotPrices(ctx, slices.Sorted(maps.Keys(wanted)))
	problems := c.readListed(ctx, groups)
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range groups {
		g := &groups[i]
		g.HourlyPrice = c.price(*g)
		for k := range g.Instances {
			g.Instances[k].HourlyPrice = c.priceOf(g.Instances[k].Type, g.Market, cmp.Or(g.Instances[k].Zone, g.Zone))
		}
	}
	if len(wanted) > 0 && c.spotError != "" {
		problems = append(problems, Problem{"", "spot prices cannot be read: " + c.spotError, "allow ec2:DescribeSpotPriceHistory, or give each type's in prices of the scaler's configuration"})
	}
	return problems
}

// pricedTypes of a group: those that it launches, and those of its instances, which it may have launched under another policy.
func pricedTypes(g nodegroups.Group) []string {
	out := slices.Clone(g.InstanceTypes)
	for _, in := range g.Instances {
		if in.Type != "" && !slices.Contains(out, in.Type) {
			out = append(out, in.Type)
		}
	}
	return out
}

// readsSpotPrices says whether any group that was read needs them.
func (c *Client) readsSpotPrices() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.spot) > 0
}

// price of one more instance: the highest of the types, since which one comes is not known; zero if any is unknown. The lock is
// held.
func (c *Client) price(g nodegroups.Group) float64 {
	highest := 0.0
	for _, t := range g.InstanceTypes {
		p := c.priceOf(t, g.Market, g.Zone)
		if p == 0 {
			return 0
		}
		highest = max(highest, p)
	}
	return highest
}

// priceOf a type in a market and zone, an hour; zero is unknown. The lock is held.
func (c *Client) priceOf(instanceType string, market nodegroups.Market, zone string) float64 {
	configured := c.options.Prices[instanceType]
	switch {
	case market != nodegroups.Spot:
		return c.onDemand(instanceType)
	case configured.Spot == 0 && c.now().Sub(c.spot[instanceType].read) < spotPriceKept:
		return c.spot[instanceType].byZone[zone]
	}
	return configured.Spot
}

// readSpotPrices reads those in force of the types that were not read of late.
func (c *Client) readSpotPrices(ctx context.Context, types []string) {
	now := c.now()
	c.mu.Lock()
	types = slices.DeleteFunc(types, func(t string) bool {
		s := c.spot[t]
		return now.Sub(s.read) < spotPriceMaxAge || now.Sub(s.asked) < spotPriceTry
	})
	for _, t := range types {
		s := c.spot[t]
		s.asked = now
		c.spot[t] = s
	}
	c.mu.Unlock()
	for some := range slices.Chunk(types, 100) {
		found, err := c.spotPricesNow(ctx, some, now)
		c.mu.Lock()
		if c.spotError = ""; err != nil {
			c.spotError = c.explain(err, "reading the spot prices of %d instance types", len(some)).Error()
		} else {
			for _, t := range some {
				c.spot[t] = spotPrices{found[t], now, now}
			}
		}
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// spotPricesNow are the prices in force by type and zone. Asked for what changes from now on, the service adds what holds now.
func (c *Client) spotPricesNow(ctx context.Context, types []string, now time.Time) (map[string]map[string]float64, error) {
	in := &ec2.DescribeSpotPriceHistoryInput{ProductDescriptions: linuxProducts, StartTime: &now}
	for _, t := range types {
		in.InstanceTypes = append(in.InstanceTypes, ec2types.InstanceType(t))
	}
	out := map[string]map[string]float64{}
	since := map[string]time.Time{}
	pages := ec2.NewDescribeSpotPriceHistoryPaginator(c.ec2, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, p := range page.SpotPriceHistory {
			t, zone, at := string(p.InstanceType), awssdk.ToString(p.AvailabilityZone), awssdk.ToTime(p.Timestamp)
			price, err := strconv.ParseFloat(awssdk.ToString(p.SpotPrice), 64)
			if err != nil || price <= 0 || at.Before(since[t+zone]) {
				continue
			}
			if since[t+zone] = at; out[t] == nil {
				out[t] = map[string]float64{}
			}
			out[t][zone] = price
		}
	}
	return out, nil
}
