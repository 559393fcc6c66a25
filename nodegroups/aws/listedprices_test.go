package aws_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	emulator "swell/bench/testbed/aws"
	"swell/nodegroups"
	"swell/nodegroups/aws"
)

// reading of the groups, and of the price list beside them.
func (w *world) listedGroups() (price func(group string) float64, problems []string) {
	w.t.Helper()
	w.groups(general)
	w.c.Listed()
	groups, found := w.groups(general)
	for _, p := range found {
		if strings.Contains(p.What, "price") {
			problems = append(problems, p.What+": "+p.Mend)
		}
	}
	w.c.Listed()
	return func(group string) float64 { return find(groups, group).HourlyPrice }, problems
}

func readOnDemand(o *aws.Options) { o.Prices, o.ReadOnDemandPrices = nil, true }

func TestOnDemandPricesAreReadBesideTheGroups(t *testing.T) {
	change := time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC)
	w := newWorldOf(t, func(f *emulator.Fleet) {
		f.Prices["m6i.4xlarge"] = emulator.Price{OnDemand: 0.992, Spot: 0.31, Later: []emulator.LaterPrice{{From: change, OnDemand: 0.9}}}
	}, readOnDemand)
	groups, _ := w.groups(general)
	if p := find(groups, "general-1a-on-demand").HourlyPrice; p != 0 {
		t.Errorf("%v before the price list was read, want that it is not known", p)
	}
	w.c.Listed()
	price, problems := w.listedGroups()
	if price("general-1a-on-demand") != 0.992 || price("general-1a-spot") != 0.31 || len(problems) != 0 {
		t.Errorf("on demand %v, spot %v, problems %v", price("general-1a-on-demand"), price("general-1a-spot"), problems)
	}
	// the types of spot groups are read too, for what spot saves is told by them
	if a, b := w.c.OnDemandPrice("m6i.4xlarge"), w.c.OnDemandPrice("m5.4xlarge"); a != 0.992 || b != 0.992 || w.c.OnDemandPrice("m9z.huge") != 0 {
		t.Errorf("the ledger is told %v and %v", a, b)
	}
	if w.seen["GetProducts"] != 2 {
		t.Errorf("%d calls, want one a type", w.seen["GetProducts"])
	}
	w.pass(2 * time.Hour)
	w.c.Age(11 * time.Hour)
	if price, _ := w.listedGroups(); price("general-1a-on-demand") != 0.992 || w.seen["GetProducts"] != 2 {
		t.Errorf("%v by %d calls within twelve hours", price("general-1a-on-demand"), w.seen["GetProducts"])
	}
	w.c.Age(time.Hour)
	if price, _ := w.listedGroups(); price("general-1a-on-demand") != 0.9 || w.seen["GetProducts"] != 4 {
		t.Errorf("%v by %d calls after twelve hours", price("general-1a-on-demand"), w.seen["GetProducts"])
	}
}

func TestAConfiguredOnDemandPriceGoesFirstAndNothingIsReadUnasked(t *testing.T) {
	w := newWorld(t, readOnDemand, func(o *aws.Options) {
		o.Prices = map[string]aws.Price{"m6i.4xlarge": {OnDemand: 0.7}, "m5.4xlarge": {OnDemand: 0.6}}
	})
	if price, _ := w.listedGroups(); price("general-1a-on-demand") != 0.7 || w.c.OnDemandPrice("m6i.4xlarge") != 0.7 || w.seen["GetProducts"] != 0 {
		t.Errorf("%v by %d calls", price("general-1a-on-demand"), w.seen["GetProducts"])
	}
	w = newWorld(t, func(o *aws.Options) { o.Prices = nil })
	if price, _ := w.listedGroups(); price("general-1a-on-demand") != 0 || w.seen["GetProducts"] != 0 {
		t.Errorf("%v by %d calls, and none was asked for", price("general-1a-on-demand"), w.seen["GetProducts"])
	}
}

func TestAPriceListThatCannotBeReadAgainIsKeptForAMonth(t *testing.T) {
	w := newWorld(t, readOnDemand)
	w.listedGroups()
	w.order("deny", emulator.Order{Fault: emulator.Fault{Service: "pricing"}})
	denied := func(problems []string) bool {
		return slices.ContainsFunc(problems, func(p string) bool {
			return strings.Contains(p, "on-demand prices cannot be read: reading the on-demand price of m5.4xlarge") && strings.Contains(p, ": allow pricing:GetProducts")
		})
	}
	for _, c := range []struct {
		later time.Duration
		want  float64
		calls int
		told  bool
	}{{time.Hour, 0.992, 2, false}, {11 * time.Hour, 0.992, 3, true}, {9 * time.Minute, 0.992, 3, true}, {2 * time.Minute, 0.992, 4, true}, {29 * 24 * time.Hour, 0.992, 5, true}, {24 * time.Hour, 0, 6, true}} {
		w.c.Age(c.later)
		price, problems := w.listedGroups()
		if price("general-1a-on-demand") != c.want || w.seen["GetProducts"] != c.calls || denied(problems) != c.told {
			t.Errorf("%s later: %v by %d calls, want %v by %d; problems %v", c.later, price("general-1a-on-demand"), w.seen["GetProducts"], c.want, c.calls, problems)
		}
	}
	w.order("reset", emulator.Order{})
	w.c.Age(10 * time.Minute)
	if price, problems := w.listedGroups(); price("general-1a-on-demand") != 0.992 || len(problems) != 0 {
		t.Errorf("allowed again: %v, problems %v", price("general-1a-on-demand"), problems)
	}
}

// A price that the list has from a later day on is not in force.
func TestAPriceThatIsListedForLaterIsNotTaken(t *testing.T) {
	w := newWorld(t, readOnDemand)
	tomorrow := time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)
	w.instead = func(rw http.ResponseWriter, action, _ string) bool {
		if action != "GetProducts" {
			return false
		}
		raw, err := json.Marshal(map[string]any{"FormatVersion": "aws_v1", "PriceList": []string{
			listedItem(t, func(p map[string]any) { usd(p, "9"); term(p)["effectiveDate"] = tomorrow }), listedItem(t, func(p map[string]any) { term(p)["effectiveDate"] = "2020-01-01T00:00:00Z" })}})
		if err != nil {
			t.Error(err)
		}
		rw.Header().Set("Content-Type", "application/x-amz-json-1.1")
		if _, err := rw.Write(raw); err != nil {
			t.Error(err)
		}
		return true
	}
	if price, problems := w.listedGroups(); price("general-1a-on-demand") != 1.24 {
		t.Errorf("%v, want the price of today; problems %v", price("general-1a-on-demand"), problems)
	}
}

func TestATypeThatIsNotListedIsAProblem(t *testing.T) {
	w := newWorld(t, readOnDemand)
	w.instead = func(rw http.ResponseWriter, action, _ string) bool {
		if action != "GetProducts" {
			return false
		}
		rw.Header().Set("Content-Type", "application/x-amz-json-1.1")
		if _, err := rw.Write([]byte(`{"FormatVersion":"aws_v1","PriceList":[]}`)); err != nil {
			t.Error(err)
		}
		return true
	}
	price, problems := w.listedGroups()
	want := []string{"the on-demand price of m6i.4xlarge in ap-northeast-1: AWS's price list has none for Linux with shared tenancy: give prices.m6i.4xlarge.onDemand in the scaler's configuration",
		"the on-demand price of m5.4xlarge in ap-northeast-1: AWS's price list has none for Linux with shared tenancy: give prices.m5.4xlarge.onDemand in the scaler's configuration"}
	if slices.Sort(problems); price("general-1a-on-demand") != 0 || !slices.Equal(problems, []string{want[1], want[0]}) {
		t.Errorf("%v, problems %q", price("general-1a-on-demand"), problems)
	}
}

func TestTheCheckAsksForThePriceListWhereItIsRead(t *testing.T) {
	status := func(w *world) string {
		for _, f := range w.c.Check(ctx, []aws.Checked{{Selection: nodegroups.Selection{Pool: "general", Tags: general}, MaxNodes: 10}}) {
			if f.At == "pricing:GetProducts" {
				return string(f.Status)
			}
		}
		return ""
	}
	if s := status(newWorld(t)); s != "" {
		t.Errorf("without reading it: %s", s)
	}
	w := newWorld(t, readOnDemand)
	if s := status(w); s != string(aws.FindingOK) {
		t.Errorf("allowed: %q", s)
	}
	w.order("deny", emulator.Order{Fault: emulator.Fault{Service: "pricing"}})
	if s := status(w); s != string(aws.FindingProblem) {
		t.Errorf("denied: %q", s)
	}
}
