package aws

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// SpotPrice is what an instance type cost in a zone an hour, from a time on.
type SpotPrice struct {
	Type, Zone string
	From       time.Time
	Hourly     float64
}

// SpotPriceHistory is how the spot prices of some types changed in a period, with those that were in force at its beginning. EC2 knows
// about 90 days. The order is that of types, zones and times.
func (c *Client) SpotPriceHistory(ctx context.Context, types []string, from, to time.Time) ([]SpotPrice, error) {
	var out []SpotPrice
	for some := range slices.Chunk(types, 100) {
		in := &ec2.DescribeSpotPriceHistoryInput{ProductDescriptions: linuxProducts, StartTime: &from, EndTime: &to}
		for _, t := range some {
			in.InstanceTypes = append(in.InstanceTypes, ec2types.InstanceType(t))
		}
		pages := ec2.NewDescribeSpotPriceHistoryPaginator(c.ec2, in)
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, c.explain(err, "reading the history of the spot prices of %d instance types", len(some))
			}
			for _, p := range page.SpotPriceHistory {
				price, err := strconv.ParseFloat(awssdk.ToString(p.SpotPrice), 64)
				if err != nil || price <= 0 {
					continue
				}
				out = append(out, SpotPrice{string(p.InstanceType), awssdk.ToString(p.AvailabilityZone), awssdk.ToTime(p.Timestamp), price})
			}
		}
	}
	slices.SortFunc(out, func(a, b SpotPrice) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Zone, b.Zone), a.From.Compare(b.From))
	})
	return out, nil
}
