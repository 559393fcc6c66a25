package aws_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	emulator "swell/bench/testbed/aws"
	"swell/nodegroups/aws"
)

var december = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)

// The emulator lists ten other products of each type beside the one that is asked for.
func TestOnDemandPricesAreThoseOfARunningLinuxInstance(t *testing.T) {
	w := newWorldOf(t, func(f *emulator.Fleet) { f.Prices["m5.4xlarge"] = emulator.Price{OnDemand: 0.9731, Spot: 0.3} })
	got, missing, err := w.c.OnDemandPrices(ctx, []string{"m6i.4xlarge", "m5.4xlarge", "m6i.4xlarge"})
	want := []aws.OnDemandPrice{{Type: "m5.4xlarge", From: december, Hourly: 0.9731}, {Type: "m6i.4xlarge", From: december, Hourly: 0.992}}
	if err != nil || len(missing) != 0 || !slices.Equal(got, want) {
		t.Fatalf("got %v, missing %v, %v, want %v", got, missing, err, want)
	}
	if w.seen["GetProducts"] != 2 {
		t.Errorf("%d calls, want one a type", w.seen["GetProducts"])
	}
}

// Each filter keeps a product out that would else be in the answer.
func TestThePriceListIsAskedForOneProduct(t *testing.T) {
	w := newWorld(t)
	var asked []string
	w.instead = func(rw http.ResponseWriter, action, body string) bool {
		var in struct {
			Filters []struct{ Type, Field, Value string }
		}
		if err := json.Unmarshal([]byte(body), &in); err != nil {
			t.Error(err)
		}
		for _, f := range in.Filters {
			asked = append(asked, f.Type+" "+f.Field+"="+f.Value)
		}
		return false
	}
	if _, _, err := w.c.OnDemandPrices(ctx, []string{"m6i.4xlarge"}); err != nil {
		t.Fatal(err)
	}
	want := []string{"TERM_MATCH capacitystatus=Used", "TERM_MATCH instanceType=m6i.4xlarge", "TERM_MATCH marketoption=OnDemand", "TERM_MATCH operatingSystem=Linux", "TERM_MATCH operation=RunInstances",
		"TERM_MATCH preInstalledSw=NA", "TERM_MATCH regionCode=ap-northeast-1", "TERM_MATCH tenancy=Shared"}
	if !slices.Equal(asked, want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
}

func TestAPriceThatChangesCountsFromItsDay(t *testing.T) {
	change := time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC)
	w := newWorldOf(t, func(f *emulator.Fleet) {
		f.Prices["m6i.4xlarge"] = emulator.Price{OnDemand: 0.992, Spot: 0.31, Later: []emulator.LaterPrice{{From: change, OnDemand: 0.9}}}
	})
	for _, want := range []aws.OnDemandPrice{{Type: "m6i.4xlarge", From: december, Hourly: 0.992}, {Type: "m6i.4xlarge", From: change, Hourly: 0.9}} {
		got, _, err := w.c.OnDemandPrices(ctx, []string{"m6i.4xlarge"})
		if err != nil || !slices.Equal(got, []aws.OnDemandPrice{want}) {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
		w.pass(time.Hour)
	}
}

func TestATypeThatIsNotListedIsNamedBesideTheOthers(t *testing.T) {
	w := newWorld(t)
	got, missing, err := w.c.OnDemandPrices(ctx, []string{"m6i.4xlarge", "m9z.huge"})
	if err != nil || len(got) != 1 || len(missing) != 1 {
		t.Fatalf("got %v, missing %v, %v", got, missing, err)
	}
	want := "the on-demand price of m9z.huge in ap-northeast-1: AWS's price list has none for Linux with shared tenancy; check the type and the region, or give its price by hand"
	if missing[0].Type != "m9z.huge" || missing[0].Error() != want {
		t.Errorf("missing %q, want %q", missing[0].Error(), want)
	}
}

func TestADeniedPriceListNamesTheAction(t *testing.T) {
	w := newWorld(t)
	w.order("deny", emulator.Order{Fault: emulator.Fault{Service: "pricing", Action: "GetProducts"}})
	_, _, err := w.c.OnDemandPrices(ctx, []string{"m6i.4xlarge"})
	if err == nil || !strings.HasPrefix(err.Error(), "reading the on-demand price of m6i.4xlarge in ap-northeast-1: ") ||
		!strings.HasSuffix(err.Error(), "; allow pricing:GetProducts, or give on-demand prices by hand") {
		t.Errorf("%v", err)
	}
	if w.seen["GetProducts"] != 1 {
		t.Errorf("%d calls: a refusal is none to be tried again", w.seen["GetProducts"])
	}
}

// An answer that is lost and a throttle are tried again; a throttle of the price list takes nothing from the calls that launch.
func TestThePriceListIsTriedAgain(t *testing.T) {
	w := newWorld(t, func(o *aws.Options) { o.Backoff = func(int, error) (time.Duration, error) { return 0, nil } })
	w.lose["GetProducts"] = 2
	if got, _, err := w.c.OnDemandPrices(ctx, []string{"m6i.4xlarge"}); err != nil || len(got) != 1 || w.seen["GetProducts"] != 3 {
		t.Errorf("%v, %v by %d calls", got, err, w.seen["GetProducts"])
	}
	before := w.c.Budget()
	w.order("throttle", emulator.Order{Fault: emulator.Fault{Service: "pricing", Share: 1}})
	if got, _, err := w.c.OnDemandPrices(ctx, []string{"m6i.4xlarge"}); err == nil || len(got) != 0 || w.seen["GetProducts"] != 6 {
		t.Errorf("%v, %v by %d calls", got, err, w.seen["GetProducts"])
	}
	if w.c.Budget() != before {
		t.Errorf("the budget is %g, was %g", w.c.Budget(), before)
	}
}

// What was read before a call failed is given, and a price on a later page is found.
func TestThePriceListIsReadByPagesAndInPart(t *testing.T) {
	w := newWorld(t, func(o *aws.Options) { o.Attempts = 1 })
	calls := 0
	page := func(next string, items ...string) string {
		out := map[string]any{"FormatVersion": "aws_v1", "PriceList": items}
		if next != "" {
			out["NextToken"] = next
		}
		raw, err := json.Marshal(out)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	w.instead = func(rw http.ResponseWriter, action, body string) bool {
		calls++
		rw.Header().Set("Content-Type", "application/x-amz-json-1.1")
		answer := page("more", listedItem(t, func(p map[string]any) { attributes(p)["operatingSystem"] = "Windows" }))
		if strings.Contains(body, `"NextToken":"more"`) {
			answer = page("", listedItem(t, nil))
		}
		if strings.Contains(body, "z1.bad") {
			rw.WriteHeader(http.StatusInternalServerError)
			answer = `{"__type":"InternalErrorException","Message":"An error on the server"}`
		}
		if _, err := rw.Write([]byte(answer)); err != nil {
			t.Error(err)
		}
		return true
	}
	got, _, err := w.c.OnDemandPrices(ctx, []string{"m6i.4xlarge", "z1.bad"})
	if len(got) != 1 || got[0].Hourly != 1.24 || err == nil || !strings.Contains(err.Error(), "reading the on-demand price of z1.bad") || calls != 3 {
		t.Errorf("got %v, %v by %d calls", got, err, calls)
	}
}

func TestPricesAreAskedForWhereTheListIsServed(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "a")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "b")
	for region, want := range map[string]string{"ap-northeast-1": "ap-south-1", "eu-west-3": "eu-central-1", "me-south-1": "eu-central-1", "us-west-2": "us-east-1", "ca-central-1": "us-east-1", "sa-east-1": "us-east-1"} {
		var host string
		c, err := aws.New(ctx, aws.Options{Region: region, Attempts: 1, HTTPClient: doer(func(r *http.Request) (*http.Response, error) {
			host = r.URL.Host
			return nil, http.ErrServerClosed
		})})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.OnDemandPrices(ctx, []string{"m5.large"}); err == nil || host != "api.pricing."+want+".amazonaws.com" {
			t.Errorf("%s: %q, %v", region, host, err)
		}
	}
	for _, region := range []string{"cn-north-1", "us-gov-west-1", "us-iso-east-1"} {
		c, err := aws.New(ctx, aws.Options{Region: region})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.OnDemandPrices(ctx, []string{"m5.large"}); err == nil || !strings.Contains(err.Error(), region+" cannot be asked for") {
			t.Errorf("%s: %v", region, err)
		}
		if _, _, err := c.OnDemandPrices(ctx, nil); err != nil { // all are given by hand
			t.Errorf("%s: %v", region, err)
		}
	}
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }
