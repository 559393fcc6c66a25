package awsconformance_test

import (
	"encoding/json"
	"maps"
	"slices"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/pricing"
	pricingtypes "github.com/aws/aws-sdk-go-v2/service/pricing/types"
)

// listItem is an item of a price list.
type listItem struct {
	Product struct {
		ProductFamily, SKU string
		Attributes         map[string]string
	}
	ServiceCode, Version, PublicationDate string
	Terms                                 map[string]map[string]struct {
		SKU, OfferTermCode, EffectiveDate string
		TermAttributes                    map[string]string
		PriceDimensions                   map[string]struct {
			Unit, BeginRange, EndRange, RateCode, Description string
			AppliesTo                                         []string
			PricePerUnit                                      map[string]string
		}
	}
}

// filtered are items that match fields, in pairs of name and value, at most size a page.
func (t *target) filtered(size int32, fields ...string) []listItem {
	t.Helper()
	in := &pricing.GetProductsInput{ServiceCode: awssdk.String("AmazonEC2"), MaxResults: &size}
	for n := 0; n < len(fields); n += 2 {
		in.Filters = append(in.Filters, pricingtypes.Filter{Type: pricingtypes.FilterTypeTermMatch, Field: &fields[n], Value: &fields[n+1]})
	}
	var out []listItem
	pages := pricing.NewGetProductsPaginator(t.prices, in)
	for pages.HasMorePages() {
		page := must[*pricing.GetProductsOutput](t)(pages.NextPage(ctx))
		if len(page.PriceList) > int(size) || awssdk.ToString(page.FormatVersion) != "aws_v1" {
			t.Errorf("%d items a page of %d in the form %q", len(page.PriceList), size, awssdk.ToString(page.FormatVersion))
		}
		for _, text := range page.PriceList {
			var i listItem
			if err := json.Unmarshal([]byte(text), &i); err != nil {
				t.Fatal(err)
			}
			out = append(out, i)
		}
	}
	return out
}

// wrongly asked for, as a change of a call that is right.
func wrongly(change func(*pricing.GetProductsInput)) func(*target) any {
	return func(t *target) any {
		in := &pricing.GetProductsInput{ServiceCode: awssdk.String("AmazonEC2"), FormatVersion: awssdk.String("aws_v1"), MaxResults: awssdk.Int32(1)}
		change(in)
		_, err := t.prices.GetProducts(ctx, in)
		return refusal(err)
	}
}

func operatingSystem(kind pricingtypes.FilterType, value string) func(*pricing.GetProductsInput) {
	return func(in *pricing.GetProductsInput) {
		in.Filters = []pricingtypes.Filter{{Type: kind, Field: awssdk.String("operatingSystem"), Value: &value}}
	}
}

var pricingCases = []conformanceCase{
	{op: "pricing:GetProducts", docs: priceList, says: "an item is text in JSON, of a product with its terms and what each costs a unit",
		want: `{"dimension":"Hrs 0 Inf 0.1240000000","family":"Compute Instance","instanceType":"m5.large","markets":["OnDemand","Reserved"],"since":"2026-12-01T00:00:00Z","skuIsTheKey":true}`, run: func(t *target) any {
			found := t.filtered(100, "instanceType", "m5.large", "regionCode", region, "operatingSystem", "Linux", "tenancy", "Shared", "capacitystatus", "Used", "preInstalledSw", "NA", "marketoption", "OnDemand")
			if len(found) != 1 {
				return len(found)
			}
			i := found[0]
			key := i.Product.SKU + ".JRTCKXETXF"
			term := i.Terms["OnDemand"][key]
			d := term.PriceDimensions[key+".6YS6EN2CT7"]
			return m{"family": i.Product.ProductFamily, "instanceType": i.Product.Attributes["instanceType"], "markets": slices.Sorted(maps.Keys(i.Terms)), "since": term.EffectiveDate,
				"dimension": d.Unit + " " + d.BeginRange + " " + d.EndRange + " " + d.PricePerUnit["USD"], "skuIsTheKey": term.SKU == i.Product.SKU && term.OfferTermCode == "JRTCKXETXF" && d.RateCode == key+".6YS6EN2CT7"}
		}},
	{op: "pricing:GetProducts", docs: priceDocs + "Filter.html", says: "only products that match all filters",
		want: `{"all":11,"dedicated":1,"notUsed":2,"nothing":0,"windows":1}`, run: func(t *target) any {
			return m{"all": len(t.filtered(100, "instanceType", "m5.large")), "windows": len(t.filtered(100, "instanceType", "m5.large", "operatingSystem", "Windows")),
				"dedicated": len(t.filtered(100, "ServiceCode", "AmazonEC2", "tenancy", "Dedicated")), "nothing": len(t.filtered(100, "instanceType", "m5.large", "operatingSystem", "Solaris")),
				"notUsed": len(t.filtered(100, "capacitystatus", "UnusedCapacityReservation")) + len(t.filtered(100, "capacitystatus", "AllocatedCapacityReservation"))}
		}},
	{op: "pricing:GetProducts", docs: priceDocs + "GetProducts.html", says: "pages of at most MaxResults have all items once",
		want: `{"items":11,"skus":11}`, run: func(t *target) any {
			skus := map[string]bool{}
			found := t.filtered(2, "instanceType", "m5.large")
			for _, i := range found {
				skus[i.Product.SKU] = true
			}
			return m{"items": len(found), "skus": len(skus)}
		}},
	{op: "pricing:GetProducts", docs: priceDocs + "GetProducts.html", says: "more than 100 results a page are InvalidParameterException",
		want: `{"error":"InvalidParameterException"}`, run: wrongly(func(in *pricing.GetProductsInput) { in.MaxResults = awssdk.Int32(101) })},
	{op: "pricing:GetProducts", docs: priceDocs + "GetProducts.html", says: "no results a page are InvalidParameterException",
		want: `{"error":"InvalidParameterException"}`, run: wrongly(func(in *pricing.GetProductsInput) { in.MaxResults = awssdk.Int32(0) })},
	{op: "pricing:GetProducts", docs: priceDocs + "GetProducts.html", says: "a form other than aws_v1 is InvalidParameterException",
		want: `{"error":"InvalidParameterException"}`, run: wrongly(func(in *pricing.GetProductsInput) { in.FormatVersion = awssdk.String("aws_v2") })},
	{op: "pricing:GetProducts", docs: priceDocs + "GetProducts.html", says: "a token of none is InvalidNextTokenException",
		want: `{"error":"InvalidNextTokenException"}`, run: wrongly(func(in *pricing.GetProductsInput) { in.NextToken = awssdk.String("none") })},
	{op: "pricing:GetProducts", docs: priceDocs + "GetProducts.html", says: "a service that there is not is NotFoundException",
		want: `{"error":"NotFoundException"}`, run: wrongly(func(in *pricing.GetProductsInput) { in.ServiceCode = awssdk.String("AmazonNone") })},
	{op: "pricing:GetProducts", docs: priceDocs + "Filter.html", says: "a filter without a value is InvalidParameterException",
		want: `{"error":"InvalidParameterException"}`, run: wrongly(operatingSystem(pricingtypes.FilterTypeTermMatch, ""))},
	{op: "pricing:GetProducts", docs: priceDocs + "Filter.html", says: "a sort of filter that there is not is InvalidParameterException",
		want: `{"error":"InvalidParameterException"}`, run: wrongly(operatingSystem("LIKE", "Linux"))},
}
