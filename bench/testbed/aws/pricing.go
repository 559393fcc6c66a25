package aws

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

// LaterPrice is what an instance costs on demand from a time on.
type LaterPrice struct {
	From     time.Time `yaml:"from"`
	OnDemand float64   `yaml:"onDemand"`
}

// onDemand price of a type at a time, and since when the price list has it: no earlier than the month's first day, as in
// AWS's example of the list.
func (f Fleet) onDemand(instanceType string, at time.Time) (hourly float64, since time.Time) {
	at = at.UTC()
	hourly, since = f.Prices[instanceType].OnDemand, time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)
	for _, l := range f.Prices[instanceType].Later {
		if !at.Before(l.From) {
			hourly = l.OnDemand
			if l.From.After(since) {
				since = l.From.UTC()
			}
		}
	}
	return hourly, since
}

// variant is one of the products that EC2 lists for an instance type: what differs from the Linux instance that runs, and its price
// as a multiple of that one's and an addition for each vCPU.
type variant struct {
	sets   map[string]string
	factor float64
	extra  float64
}

// variants of a type. Only the first is what an instance of a group costs; the others are there to be found by who filters wrongly.
var variants = []variant{
	{nil, 1, 0},
	{map[string]string{"capacitystatus": "UnusedCapacityReservation", "usagetype": "UnusedBox:"}, 1, 0},
	{map[string]string{"capacitystatus": "AllocatedCapacityReservation", "usagetype": "Reservation:"}, 0, 0},
	{map[string]string{"tenancy": "Dedicated", "usagetype": "DedicatedUsage:"}, 1.06, 0},
	{map[string]string{"tenancy": "Host", "usagetype": "HostBoxUsage:"}, 0, 0},
	{map[string]string{"operatingSystem": "Windows", "operation": "RunInstances:0002", "licenseModel": "No License required"}, 1, 0.046},
	{map[string]string{"operatingSystem": "RHEL", "operation": "RunInstances:0010"}, 1, 0.0144},
	{map[string]string{"operatingSystem": "SUSE", "operation": "RunInstances:000g"}, 1, 0.0125},
	{map[string]string{"preInstalledSw": "SQL Std", "operation": "RunInstances:0004"}, 1, 0.12},
	{map[string]string{"marketoption": "CapacityBlock", "usagetype": "CapacityBlock:"}, 0.5, 0},
	{map[string]string{"regionCode": "us-east-1", "location": "US East (N. Virginia)"}, 0.8, 0},
}

// product is an item of a price list: what is told of it, and its JSON.
type product struct {
	sku, family string
	attributes  map[string]string
	text        string
}

// products are the price list of EC2 for the fleet's types, in the order of their SKUs.
func (e *Emulator) products(now time.Time) []product {
	var out []product
	for _, name := range slices.Sorted(maps.Keys(e.fleet.InstanceTypes)) {
		if e.fleet.Prices[name].OnDemand <= 0 {
			continue
		}
		for n, v := range variants {
			out = append(out, e.product(name, n, v, now))
		}
	}
	slices.SortFunc(out, func(a, b product) int { return cmp.Compare(a.sku, b.sku) })
	return out
}

func (e *Emulator) product(name string, n int, v variant, now time.Time) product {
	t := e.fleet.InstanceTypes[name]
	hourly, since := e.fleet.onDemand(name, now)
	hourly = hourly*v.factor + v.extra*float64(t.VCPU)
	p := product{sku: fmt.Sprintf("%016X", e.hash("sku "+name, uint64(n))), family: "Compute Instance", attributes: map[string]string{
		"capacitystatus": "Used", "instanceType": name, "licenseModel": "No License required", "location": "the fleet's", "locationType": "AWS Region",
		"marketoption": "OnDemand", "memory": fmt.Sprintf("%g GiB", float64(t.MemoryMiB)/1024), "operatingSystem": "Linux", "operation": "RunInstances",
		"preInstalledSw": "NA", "regionCode": e.fleet.Region, "servicecode": "AmazonEC2", "servicename": "Amazon Elastic Compute Cloud", "tenancy": "Shared",
		"usagetype": "BoxUsage:", "vcpu": fmt.Sprint(t.VCPU),
	}}
	maps.Copy(p.attributes, v.sets)
	p.attributes["usagetype"] += name
	terms := map[string]any{"OnDemand": map[string]any{}, "Reserved": map[string]any{}}
	add := func(market, code string, attributes map[string]string, lines ...map[string]any) {
		key := p.sku + "." + code
		dimensions := map[string]any{}
		for _, l := range lines {
			rate := key + "." + l["rateCode"].(string)
			l["rateCode"], l["appliesTo"] = rate, []string{}
			dimensions[rate] = l
		}
		terms[market].(map[string]any)[key] = map[string]any{"priceDimensions": dimensions, "sku": p.sku, "offerTermCode": code, "termAttributes": attributes,
			"effectiveDate": since.Format("2006-01-02T15:04:05Z")}
	}
	hours := func(rate string, price float64) map[string]any {
		return map[string]any{"rateCode": rate, "unit": "Hrs", "beginRange": "0", "endRange": "Inf", "pricePerUnit": map[string]string{"USD": fmt.Sprintf("%.10f", price)},
			"description": fmt.Sprintf("$%g per %s %s Instance Hour", price, p.attributes["operatingSystem"], name)}
	}
	add("OnDemand", "JRTCKXETXF", map[string]string{}, hours("6YS6EN2CT7", hourly))
	// what is paid upfront is an amount and nothing an hour
	upfront := map[string]any{"rateCode": "2TG2D8R56U", "unit": "Quantity", "pricePerUnit": map[string]string{"USD": fmt.Sprintf("%.0f", hourly*8760*0.6)}, "description": "Upfront Fee"}
	add("Reserved", "6QCMYABX3D", map[string]string{"LeaseContractLength": "1yr", "OfferingClass": "standard", "PurchaseOption": "All Upfront"}, upfront, hours("6YS6EN2CT7", 0))
	raw, err := json.Marshal(map[string]any{"product": map[string]any{"productFamily": p.family, "attributes": p.attributes, "sku": p.sku}, "serviceCode": "AmazonEC2", "terms": terms,
		"version": since.Format("20060102150405"), "publicationDate": since.Format("2006-01-02T15:04:05Z")})
	if err != nil {
		panic(fmt.Sprintf("encoding a product: %v", err)) // only plain values get here
	}
	p.text = string(raw)
	return p
}

// field of a product that a filter names. AWS's own example writes ServiceCode for servicecode.
func (p product) field(name string) string {
	if name == "productFamily" {
		return p.family
	}
	if name == "ServiceCode" || name == "serviceCode" {
		name = "servicecode"
	}
	return p.attributes[name]
}

type productsInput struct {
	ServiceCode, FormatVersion, NextToken string
	MaxResults                            *int
	Filters                               []struct{ Type, Field, Value string }
}

// check refuses what AWS's model of the operation does not allow.
func (in productsInput) check() *apiError {
	bad := func(format string, args ...any) *apiError {
		return refuse(http.StatusBadRequest, "InvalidParameterException", format, args...)
	}
	switch {
	case in.ServiceCode == "":
		return bad("Input Parameters are invalid, provided ServiceCode must not be null")
	case in.FormatVersion != "" && in.FormatVersion != "aws_v1":
		return bad("Input Parameters are invalid, provided FormatVersion %s is not supported", in.FormatVersion)
	case in.MaxResults != nil && (*in.MaxResults < 1 || *in.MaxResults > 100):
		return bad("Input Parameters are invalid, provided MaxResults %d must be between 1 and 100", *in.MaxResults)
	case len(in.Filters) > 50:
		return bad("Input Parameters are invalid, %d filters are more than 50", len(in.Filters))
	case in.ServiceCode != "AmazonEC2":
		return refuse(http.StatusBadRequest, "NotFoundException", "The service code %s was not found", in.ServiceCode)
	}
	for _, f := range in.Filters {
		switch {
		case f.Type != "TERM_MATCH":
			return bad("Input Parameters are invalid, the filter type %q is not TERM_MATCH", f.Type)
		case f.Field == "" || f.Value == "" || len(f.Field) > 1024 || len(f.Value) > 1024:
			return bad("Input Parameters are invalid, a filter needs a Field and a Value of 1 to 1024 characters")
		}
	}
	return nil
}

func (e *Emulator) getProducts(r *request) (any, *apiError) {
	var in productsInput
	if err := json.Unmarshal(r.body, &in); err != nil {
		return nil, refuse(http.StatusBadRequest, "SerializationException", "The body is not valid JSON: %v", err)
	}
	if bad := in.check(); bad != nil {
		return nil, bad
	}
	size := 100
	if in.MaxResults != nil {
		size = *in.MaxResults
	}
	found := slices.DeleteFunc(e.products(r.now), func(p product) bool {
		for _, f := range in.Filters {
			if p.field(f.Field) != f.Value {
				return true
			}
		}
		return false
	})
	// a token is of the filters that it was given for
	asked, _ := json.Marshal(in.Filters)
	found, next, bad := page(found, func(p product) string { return p.sku }, "GetProducts"+string(asked), in.NextToken, size)
	if bad != nil {
		return nil, refuse(http.StatusBadRequest, "InvalidNextTokenException", "%s", bad.Message)
	}
	out := map[string]any{"FormatVersion": "aws_v1", "PriceList": []string{}}
	for _, p := range found {
		out["PriceList"] = append(out["PriceList"].([]string), p.text)
	}
	if next != "" {
		out["NextToken"] = next
	}
	return out, nil
}

// laterPrices refuses a change of a price that is none.
func (f Fleet) laterPrices() error {
	for name, p := range f.Prices {
		for n, l := range p.Later {
			if l.From.IsZero() || l.OnDemand <= 0 || n > 0 && !l.From.After(p.Later[n-1].From) {
				return fmt.Errorf("prices.%s.later[%d] is %g from %s: give a price above 0 and a time, the earlier first", name, n, l.OnDemand, l.From.Format(time.RFC3339))
			}
		}
	}
	return nil
}
