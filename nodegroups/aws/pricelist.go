package aws

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// OnDemandPrice is what an instance type costs on demand an hour in USD, as AWS's price list has it: for Linux, with shared tenancy.
type OnDemandPrice struct {
	Type string
	// From is since when the list has it, which need not be when it changed: in AWS's example it is the first of a month.
	From   time.Time
	Hourly float64 // above 0
}

// runningLinux is what the price list says of an instance that runs and is paid by the hour. Without one of these, the list has
// prices of reserved capacity that is not used, of other systems, of software, and of reserved and dedicated instances as well.
var runningLinux = map[string]string{
	"operatingSystem": "Linux",
	"tenancy":         "Shared",
	"capacitystatus":  "Used",
	"preInstalledSw":  "NA",
	"marketoption":    "OnDemand",
	"operation":       "RunInstances",
}

// errNotListed is that the price list has no such price.
var errNotListed = errors.New("AWS's price list has none for Linux with shared tenancy")

// listed is an item of a price list, as far as it is read.
// https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/reading-service-price-list-file-for-services.html
type listed struct {
	Product struct {
		SKU        string            `json:"sku"`
		Attributes map[string]string `json:"attributes"`
	} `json:"product"`
	Terms struct {
		OnDemand map[string]listedTerm `json:"OnDemand"`
	} `json:"terms"`
}

type listedTerm struct {
	EffectiveDate   string                     `json:"effectiveDate"`
	PriceDimensions map[string]listedDimension `json:"priceDimensions"`
}

type listedDimension struct {
	Unit         string            `json:"unit"`
	BeginRange   string            `json:"beginRange"`
	EndRange     string            `json:"endRange"`
	PricePerUnit map[string]string `json:"pricePerUnit"`
}

// priceListed of a type in a region is found among the items of a price list, by the time from which it is listed. There is more than one
// where the list has a change. Items of something else are left out; those that differ are an error, for which of them is paid
// is not known.
func priceListed(instanceType, region string, items []string) ([]OnDemandPrice, error) {
	found := map[time.Time]OnDemandPrice{}
	for n, text := range items {
		var item listed
		if err := json.Unmarshal([]byte(text), &item); err != nil {
			return nil, fmt.Errorf("item %d of the price list: %w; tell of it as a bug", n+1, err)
		}
		if !item.is(instanceType, region) {
			continue
		}
		for _, code := range slices.Sorted(maps.Keys(item.Terms.OnDemand)) {
			p, err := item.Terms.OnDemand[code].price()
			if err != nil {
				return nil, fmt.Errorf("term %s of the price list: %w", code, err)
			}
			p.Type = instanceType
			if other, ok := found[p.From]; ok && other.Hourly != p.Hourly {
				return nil, fmt.Errorf("the price list has %s and %s from %s on, and which is paid is not known; give the price by hand, and tell of it as a bug",
					dollars(min(p.Hourly, other.Hourly)), dollars(max(p.Hourly, other.Hourly)), p.From.Format(time.DateOnly))
			}
			found[p.From] = p
		}
	}
	if len(found) == 0 {
		return nil, errNotListed
	}
	return slices.SortedFunc(maps.Values(found), func(a, b OnDemandPrice) int { return a.From.Compare(b.From) }), nil
}

// is says whether an item is of a running Linux instance of the type, in the region itself and not in an outpost or zone apart.
func (l listed) is(instanceType, region string) bool {
	a := l.Product.Attributes
	for name, value := range runningLinux {
		if a[name] != value {
			return false
		}
	}
	return a["instanceType"] == instanceType && a["regionCode"] == region && cmp.Or(a["locationType"], "AWS Region") == "AWS Region"
}

// price of a term, which is one for any number of hours. Nothing an hour is no price: the list has that for what is paid otherwise.
func (t listedTerm) price() (OnDemandPrice, error) {
	var p OnDemandPrice
	from, err := time.Parse(time.RFC3339, t.EffectiveDate)
	if err != nil {
		return p, fmt.Errorf("its effective date: %w; tell of it as a bug", err)
	}
	if len(t.PriceDimensions) != 1 {
		return p, fmt.Errorf("it has %d prices in place of one, and which is paid is not known; give the price by hand, and tell of it as a bug", len(t.PriceDimensions))
	}
	for _, d := range t.PriceDimensions {
		text, inUSD := d.PricePerUnit["USD"]
		hourly, err := strconv.ParseFloat(text, 64)
		switch {
		case !inUSD:
			return p, fmt.Errorf("its price is in %s and not in USD; give the price by hand", strings.Join(slices.Sorted(maps.Keys(d.PricePerUnit)), ", "))
		case d.Unit != "Hrs":
			return p, fmt.Errorf("its price is by %q and not by the hour; give the price by hand, and tell of it as a bug", d.Unit)
		case cmp.Or(d.BeginRange, "0") != "0" || cmp.Or(d.EndRange, "Inf") != "Inf":
			return p, fmt.Errorf("its price is for %s to %s hours alone; give the price by hand, and tell of it as a bug", d.BeginRange, d.EndRange)
		case err != nil || math.IsNaN(hourly) || math.IsInf(hourly, 0):
			return p, fmt.Errorf("its price is %q; tell of it as a bug", text)
		case hourly <= 0:
			return p, fmt.Errorf("it is %s an hour, and no running instance is that; give the price by hand", dollars(hourly))
		}
		p.From, p.Hourly = from.UTC(), hourly
	}
	return p, nil
}

func dollars(hourly float64) string { return "$" + strconv.FormatFloat(hourly, 'f', -1, 64) }
