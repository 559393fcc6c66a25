package aws

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/pricing"
	pricingtypes "github.com/aws/aws-sdk-go-v2/service/pricing/types"
)

// NoPrice is that a type's on-demand price is not to be had from the price list, though the list was read.
type NoPrice struct {
	Type, Region string
	Err          error
}

func (e NoPrice) Error() string {
	mend := ""
	if errors.Is(e.Err, errNotListed) {
		mend = "; check the type and the region, or give its price by hand"
	}
	return fmt.Sprintf("the on-demand price of %s in %s: %s%s", e.Type, e.Region, e.Err, mend)
}

func (e NoPrice) Unwrap() error { return e.Err }

// pricingRegion is where the prices of a region are asked for: the price list has endpoints in three regions of AWS, each of which
// knows all.
// https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-price-list-query-api.html
func pricingRegion(region string) (string, error) {
	area, _, _ := strings.Cut(region, "-")
	switch {
	case area == "cn" || strings.HasPrefix(region, "us-gov-") || strings.Contains(region, "-iso") || area == "eusc":
		return "", fmt.Errorf("the on-demand prices of %s cannot be asked for with its credentials, or are not in USD; give them by hand", region)
	case area == "ap":
		return "ap-south-1", nil
	case slices.Contains([]string{"eu", "me", "af", "il"}, area):
		return "eu-central-1", nil
	}
	return "us-east-1", nil
}

// OnDemandPrices are what the types cost on demand in the client's region, by AWS's price list: those in force, with the time from
// which they are listed. A type that the list was read for and whose price it does not say is among the missing; an error is of
// the calls, and ends the reading with what was read until then. The order is that of types and times.
func (c *Client) OnDemandPrices(ctx context.Context, types []string) (prices []OnDemandPrice, missing []NoPrice, err error) {
	if len(types) == 0 {
		return nil, nil, nil
	}
	region, err := pricingRegion(c.options.Region)
	if err != nil {
		return nil, nil, fmt.Errorf("reading on-demand prices: %w", err)
	}
	for _, t := range slices.Compact(slices.Sorted(slices.Values(types))) {
		items, err := c.listedProducts(ctx, region, t)
		if err != nil {
			return prices, missing, err
		}
		found, err := priceListed(t, c.options.Region, items)
		if err != nil {
			missing = append(missing, NoPrice{t, c.options.Region, err})
		}
		prices = append(prices, found...)
	}
	return prices, missing, nil
}

// listedProducts are the items of the price list that are of a running instance of a type.
func (c *Client) listedProducts(ctx context.Context, from, instanceType string) ([]string, error) {
	in := &pricing.GetProductsInput{ServiceCode: awssdk.String("AmazonEC2"), FormatVersion: awssdk.String("aws_v1"), MaxResults: awssdk.Int32(100)}
	asked := maps.Clone(runningLinux)
	asked["instanceType"], asked["regionCode"] = instanceType, c.options.Region
	for _, field := range slices.Sorted(maps.Keys(asked)) {
		in.Filters = append(in.Filters, pricingtypes.Filter{Type: pricingtypes.FilterTypeTermMatch, Field: awssdk.String(field), Value: awssdk.String(asked[field])})
	}
	var items []string
	pages := pricing.NewGetProductsPaginator(c.pricing, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx, func(o *pricing.Options) { o.Region = from })
		if err != nil {
			what := fmt.Sprintf("reading the on-demand price of %s in %s", instanceType, c.options.Region)
			if mend := mendOf(err, "pricing:GetProducts"); strings.HasPrefix(mend, "allow") {
				return nil, fmt.Errorf("%s: %w; %s, or give on-demand prices by hand", what, err, mend)
			}
			return nil, c.explain(err, "%s", what)
		}
		items = append(items, page.PriceList...)
	}
	return items, nil
}
