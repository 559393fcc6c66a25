package report_test

import (
	"context"
	"encoding/csv"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"swell/nodegroups/aws"
	"swell/scaler/ledger"
	"swell/scaler/report"
)

// pricesOfAWS are what AWS's APIs say of the types, read by swell's own client.
func (a *account) pricesOfAWS(types ...string) (out []report.Price) {
	a.t.Helper()
	client, err := aws.New(context.Background(), aws.Options{Region: "ap-northeast-1", Endpoint: a.url, Log: slog.New(slog.DiscardHandler)})
	a.must(err)
	history, err := client.SpotPriceHistory(context.Background(), types, a.clock().Add(-24*time.Hour), a.clock())
	a.must(err)
	for _, p := range history {
		out = append(out, report.Price{Type: p.Type, Market: "spot", Zone: p.Zone, From: p.From, Hourly: p.Hourly})
	}
	listed, missing, err := client.OnDemandPrices(context.Background(), types)
	a.must(err)
	if len(missing) > 0 {
		a.t.Fatal(missing)
	}
	for _, p := range listed {
		out = append(out, report.Price{Type: p.Type, Market: "on-demand", From: p.From, Hourly: p.Hourly, Before: true})
	}
	return out
}

// forget takes all prices out of the ledger.
func (a *account) forget() {
	for n := range a.entries {
		if i := a.entries[n].Instance; i != nil {
			bare := *i
			bare.Hourly, bare.OnDemandHourly = nil, nil
			a.entries[n].Instance = &bare
		}
	}
}

func (a *account) end() time.Time {
	until := a.clock()
	a.entries = append(a.entries, ledger.Entry{At: until, Model: until, Phase: ledger.Note, Action: "start", Object: "swell-scaler-1"})
	return until
}

// TestAWSsOwnPricesGiveTheBill reports a ledger without any price by what AWS's APIs say alone.
func TestAWSsOwnPricesGiveTheBill(t *testing.T) {
	a := newAccount(t)
	a.pass(10 * time.Minute)
	spots := a.launch("general-1a-spot", 5, "swell-1")
	a.launch("general-1c-spot", 3, "swell-2")
	a.pass(17*time.Minute + 13*time.Second)
	dear := a.launch("general-1a-on-demand", 7, "swell-3")
	a.pass(41*time.Minute + 7*time.Second)
	a.terminate(spots[0])
	a.terminate(dear[0])
	a.interrupt(spots[1])
	a.pass(29*time.Minute + 7*time.Second)
	until := a.end()
	a.forget()
	text, cents := a.bill(until)
	lines, err := report.ReadBill(strings.NewReader(text))
	a.must(err)
	options := report.Options{From: time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC), To: until, Bill: lines}
	bare, err := report.Make(slices.Values(a.entries), options)
	a.must(err)
	if bare.Total.Cost.Total != nil {
		t.Fatalf("the ledger knows prices: %s", bare.Total.Cost.Total)
	}
	options.Prices = a.pricesOfAWS("m6i.4xlarge", "m5.4xlarge")
	r, err := report.Make(slices.Values(a.entries), options)
	a.must(err)
	if r.Total.Cost.Total == nil || r.Total.Cost.Total.Cents() != cents || r.Total.Cost.UnpricedNodeHours != 0 || len(r.Bill.Unexplained) != 0 {
		t.Errorf("the report's total is %s with %g node-hours unpriced, the bill %d cents; unexplained %+v", r.Total.Cost.Total, r.Total.Cost.UnpricedNodeHours, cents, r.Bill.Unexplained)
	}
	if r.Buys.Saved == nil || *r.Buys.Saved <= 0 {
		t.Errorf("spot saved %v, and both prices are known", r.Buys.Saved)
	}
	t.Logf("bill %s, report %s, spot saved %s", r.Bill.Bill, r.Total.Cost.Total, r.Buys.Saved)
}

// TestAPriceThatChangesIsTheBills has on-demand prices fall in the midst of an instance's life. Before that day the ledger's
// own price counts; where it has none, the listed one is taken to have held already.
func TestAPriceThatChangesIsTheBills(t *testing.T) {
	change := time.Date(2026, 12, 1, 9, 45, 0, 0, time.UTC)
	a := newAccountOf(t, strings.Replace(fleet, "m6i.4xlarge: {onDemand: 0.992, spot: 0.3107}", "m6i.4xlarge: {onDemand: 0.992, spot: 0.3107, later: [{from: 2026-12-01T09:45:00Z, onDemand: 0.9037}]}", 1))
	a.launch("general-1a-on-demand", 3, "swell-1")
	a.pass(44 * time.Minute)
	until := change.Add(37*time.Minute + 11*time.Second)
	a.pass(until.Sub(a.clock()) - 30*time.Second)
	a.launch("general-1a-on-demand", 2, "swell-2")
	a.pass(30 * time.Second)
	a.observe()
	a.end()
	text, _ := a.bill(until)
	lines, err := report.ReadBill(strings.NewReader(a.split(text, change, "0.9037")))
	a.must(err)
	options := report.Options{To: until, Bill: lines, Prices: a.pricesOfAWS("m6i.4xlarge", "m5.4xlarge")}
	r, err := report.Make(slices.Values(a.entries), options)
	a.must(err)
	if *r.Total.Cost.Total != r.Bill.Bill || len(r.Bill.Unexplained) != 0 {
		t.Errorf("the report's total is %s, the bill %s; unexplained %+v", r.Total.Cost.Total, r.Bill.Bill, r.Bill.Unexplained)
	}
	a.forget()
	after, err := report.Make(slices.Values(a.entries), report.Options{From: change, To: until, Bill: lines, Prices: options.Prices})
	a.must(err)
	if *after.Total.Cost.Total != after.Bill.Bill || len(after.Bill.Unexplained) != 0 {
		t.Errorf("after the change alone, without the ledger's prices: %s, the bill %s", after.Total.Cost.Total, after.Bill.Bill)
	}
	before, err := report.Make(slices.Values(a.entries), report.Options{To: change, Prices: options.Prices})
	a.must(err)
	for n := range options.Prices {
		options.Prices[n].Before = false
	}
	unknown, err := report.Make(slices.Values(a.entries), report.Options{To: change, Prices: options.Prices})
	a.must(err)
	if before.Total.Cost.UnpricedNodeHours != 0 || unknown.Total.Cost.UnpricedNodeHours == 0 {
		t.Errorf("before the change %g node-hours are unpriced where the price is taken to have held, %g where not", before.Total.Cost.UnpricedNodeHours, unknown.Total.Cost.UnpricedNodeHours)
	}
}

// split has the on-demand lines of a bill change their price at an instant.
func (a *account) split(text string, at time.Time, hourly string) string {
	a.t.Helper()
	lines, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	a.must(err)
	var out strings.Builder
	w := csv.NewWriter(&out)
	for _, l := range lines {
		start, _ := time.Parse(time.RFC3339, l[4])
		if l[3] != "on-demand" || !start.Before(at) {
			a.must(w.Write(l))
			continue
		}
		second := slices.Clone(l)
		l[5], second[4], second[6] = at.Format(time.RFC3339), at.Format(time.RFC3339), hourly
		a.must(w.Write(l))
		a.must(w.Write(second))
	}
	w.Flush()
	return out.String()
}
