package aws_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"swell/nodegroups/aws"
)

// listedItem is the item in testdata, changed. It has the form of AWS's documentation, with names and prices of our own:
// https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/reading-service-price-list-file-for-services.html and the example of
// https://docs.aws.amazon.com/cli/latest/reference/pricing/get-products.html
func listedItem(t *testing.T, change func(map[string]any)) string {
	t.Helper()
	raw, err := os.ReadFile("testdata/pricelist.json")
	if err != nil {
		t.Fatal(err)
	}
	var p map[string]any
	if err := json.Unmarshal(raw, &p); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(p)
	}
	if raw, err = json.Marshal(p); err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func attributes(p map[string]any) map[string]any {
	return p["product"].(map[string]any)["attributes"].(map[string]any)
}

func onDemand(p map[string]any) map[string]any {
	return p["terms"].(map[string]any)["OnDemand"].(map[string]any)
}

// term is the item's own on-demand term.
func term(p map[string]any) map[string]any {
	return onDemand(p)["D7K2QXR4M8W3ZJ6B.JRTCKXETXF"].(map[string]any)
}

func dimensions(p map[string]any) map[string]any { return term(p)["priceDimensions"].(map[string]any) }

func dimension(p map[string]any) map[string]any {
	return dimensions(p)["D7K2QXR4M8W3ZJ6B.JRTCKXETXF.6YS6EN2CT7"].(map[string]any)
}

func usd(p map[string]any, price string) {
	dimension(p)["pricePerUnit"] = map[string]any{"USD": price}
}

func TestAnItemOfThePriceListIsRead(t *testing.T) {
	got, err := aws.PriceOf("m6i.4xlarge", "ap-northeast-1", []string{listedItem(t, nil)})
	want := []aws.OnDemandPrice{{Type: "m6i.4xlarge", From: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Hourly: 1.24}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

func TestItemsOfSomethingElseAreLeftOut(t *testing.T) {
	for name, value := range map[string]string{"operatingSystem": "Windows", "tenancy": "Dedicated", "capacitystatus": "UnusedCapacityReservation", "preInstalledSw": "SQL Std",
		"marketoption": "CapacityBlock", "operation": "RunInstances:0010", "instanceType": "m6i.2xlarge", "regionCode": "us-east-1", "locationType": "AWS Local Zone"} {
		other := listedItem(t, func(p map[string]any) { attributes(p)[name] = value; usd(p, "9") })
		if got, err := aws.PriceOf("m6i.4xlarge", "ap-northeast-1", []string{other, listedItem(t, nil)}); err != nil || len(got) != 1 || got[0].Hourly != 1.24 {
			t.Errorf("beside %s %s: %v, %v", name, value, got, err)
		}
		if got, err := aws.PriceOf("m6i.4xlarge", "ap-northeast-1", []string{other}); err == nil || !strings.Contains(err.Error(), "has none for Linux with shared tenancy") {
			t.Errorf("%s %s alone: %v, %v", name, value, got, err)
		}
	}
}

func TestAPriceThatIsNoneIsRefused(t *testing.T) {
	for what, c := range map[string]struct {
		change func(map[string]any)
		want   string
	}{
		"nothing an hour":   {func(p map[string]any) { usd(p, "0.0000000000") }, "it is $0 an hour, and no running instance is that; give the price by hand"},
		"less than nothing": {func(p map[string]any) { usd(p, "-1") }, "it is $-1 an hour"},
		"no number":         {func(p map[string]any) { usd(p, "NaN") }, `its price is "NaN"`},
		"no text":           {func(p map[string]any) { usd(p, "") }, `its price is ""`},
		"another currency":  {func(p map[string]any) { dimension(p)["pricePerUnit"] = map[string]any{"CNY": "8.1"} }, "its price is in CNY and not in USD; give the price by hand"},
		"another unit":      {func(p map[string]any) { dimension(p)["unit"] = "Quantity" }, `its price is by "Quantity" and not by the hour`},
		"a range of hours":  {func(p map[string]any) { dimension(p)["beginRange"] = "750" }, "its price is for 750 to Inf hours alone"},
		"two prices": {func(p map[string]any) {
			dimensions(p)["D7K2QXR4M8W3ZJ6B.JRTCKXETXF.other"] = map[string]any{"unit": "Hrs", "pricePerUnit": map[string]any{"USD": "0"}}
		}, "it has 2 prices in place of one, and which is paid is not known"},
		"no price":          {func(p map[string]any) { term(p)["priceDimensions"] = map[string]any{} }, "it has 0 prices in place of one"},
		"no effective date": {func(p map[string]any) { term(p)["effectiveDate"] = "" }, "its effective date: "},
		"only reserved":     {func(p map[string]any) { delete(p["terms"].(map[string]any), "OnDemand") }, "has none for Linux"},
	} {
		got, err := aws.PriceOf("m6i.4xlarge", "ap-northeast-1", []string{listedItem(t, c.change)})
		if err == nil || len(got) != 0 || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v, want %s", what, got, err, c.want)
		}
	}
	if _, err := aws.PriceOf("m6i.4xlarge", "ap-northeast-1", []string{listedItem(t, nil), "{"}); err == nil || !strings.HasPrefix(err.Error(), "item 2 of the price list: ") {
		t.Errorf("an item that is no JSON: %v", err)
	}
}

func TestTwoPricesOfOneTimeAreAnErrorAndOfTwoTimesAChange(t *testing.T) {
	same, dearer := listedItem(t, nil), listedItem(t, func(p map[string]any) { usd(p, "1.3") })
	if got, err := aws.PriceOf("m6i.4xlarge", "ap-northeast-1", []string{same, same}); err != nil || len(got) != 1 {
		t.Errorf("one price twice: %v, %v", got, err)
	}
	_, err := aws.PriceOf("m6i.4xlarge", "ap-northeast-1", []string{dearer, same})
	if want := "the price list has $1.24 and $1.3 from 2026-11-01 on, and which is paid is not known; give the price by hand, and tell of it as a bug"; err == nil || err.Error() != want {
		t.Errorf("two prices: %v, want %s", err, want)
	}
	later := listedItem(t, func(p map[string]any) { usd(p, "1.1"); term(p)["effectiveDate"] = "2026-11-15T00:00:00Z" })
	got, err := aws.PriceOf("m6i.4xlarge", "ap-northeast-1", []string{later, same})
	want := []aws.OnDemandPrice{{Type: "m6i.4xlarge", From: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Hourly: 1.24}, {Type: "m6i.4xlarge", From: time.Date(2026, 11, 15, 0, 0, 0, 0, time.UTC), Hourly: 1.1}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("a change: %v, %v, want %v", got, err, want)
	}
}
