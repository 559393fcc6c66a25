package report_test

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"swell/scaler/ledger"
	"swell/scaler/report"
)

// adviceFor a day of a pool: on-demand nodes of which some are of the base and some prepaid, the last ones of the base first, beside four on spot.
func adviceFor(t *testing.T, base, prepaid, onDemand int, prepaidHourly float64) map[string]report.Recommendation {
	t.Helper()
	spec := fmt.Sprintf(`{"purchase":{"onDemandBase":%d,"spotMax":"50%%","prepaid":"Read"}}`, base)
	entries := []ledger.Entry{at(0, ledger.Entry{Action: "policy", Policy: &ledger.Policy{Kind: "CapacityPool", Name: "general", Spec: json.RawMessage(spec)}})}
	for n := range onDemand {
		e := instance(fmt.Sprintf("i-%d", n), "a", "on-demand", 0, nil, known(1.0))
		e.Instance.Base, e.Instance.Prepaid = n < base, n < prepaid
		if e.Instance.Prepaid {
			e.Instance.Hourly = &prepaidHourly
		}
		entries = append(entries, e)
	}
	for n := range 4 {
		entries = append(entries, instance(fmt.Sprintf("i-s%d", n), "a", "spot", 0, nil, known(0.4)))
	}
	out := map[string]report.Recommendation{}
	for _, c := range made(t, report.Options{}, append(entries, end(dayOfMinutes))...).Recommended {
		out[c.Kind] = c
	}
	return out
}

// What is paid for anyhow is not saved by not running it.
func TestABaseThatIsPrepaidIsNotAdvisedAgainst(t *testing.T) {
	if c, found := adviceFor(t, 4, 4, 4, 1)["on-demand-base"]; found {
		t.Errorf("of a base that is all prepaid: %+v", c)
	}
	// three of four: the one that is not may go
	c := adviceFor(t, 4, 3, 4, 1)["on-demand-base"]
	if c.Change != "on-demand base 3 instead of 4" || math.Abs(c.Saves.Dollars()-24*0.6) > 1e-6 {
		t.Errorf("of a base of which three are prepaid: %+v", c)
	}
	// one of four, of another price: half may go, at the price of those that are not prepaid
	c = adviceFor(t, 4, 1, 4, 3)["on-demand-base"]
	if c.Change != "on-demand base 2 instead of 4" || math.Abs(c.Saves.Dollars()-2*24*0.6) > 1e-6 {
		t.Errorf("of a base of which one is prepaid: %+v", c)
	}
	// above the base are two that are not prepaid; those of the base that are, are not taken off them
	share := adviceFor(t, 2, 2, 4, 1)["spot-share"]
	if math.Abs(share.Saves.Dollars()-0.1*6*24*0.6) > 1e-6 {
		t.Errorf("above a prepaid base: %+v", share)
	}
	// and where all above it is prepaid there is nothing to move
	if c, found := adviceFor(t, 2, 4, 4, 1)["spot-share"]; found {
		t.Errorf("of on-demand that is all prepaid: %+v", c)
	}
}

// A forecast is judged when its time has come: one for later than the ledger knows is not.
func TestAForecastOfTheFutureIsNotJudged(t *testing.T) {
	var entries []ledger.Entry
	for m := 0.0; m < 60; m++ {
		e := sizing(m, 10, 10, 10, 0)
		if m >= 45 { // of a demand that rises a minute after the ledger's end
			e.Sizing.Point, e.Sizing.Upper, e.Sizing.Lead = known(90.0), known(90.0), 16*60
		}
		entries = append(entries, e)
	}
	a := made(t, report.Options{}, append(entries, end(60))...).Balloons[0].Accuracy
	if a.WAPE == nil || *a.WAPE != 0 || a.Hours != 0.75 {
		t.Errorf("WAPE %v of %g hours, want none of three quarters", a.WAPE, a.Hours)
	}
	// the period's end is not knowledge's: what the ledger has of later judges the forecasts of the period
	a = made(t, report.Options{To: nine.Add(20 * time.Minute)}, append(entries, end(60))...).Balloons[0].Accuracy
	if math.Abs(a.Hours-20.0/60) > 1e-9 {
		t.Errorf("%g hours are judged of the first twenty minutes", a.Hours)
	}
}

// Other quantiles are of the errors of forecasts whose time has come.
func TestQuantilesAreOfForecastsWhoseTimeHasCome(t *testing.T) {
	entries := []ledger.Entry{instance("i-1", "a", "spot", 0, nil, known(1.0))}
	for m := 0.0; m < 300; m++ {
		e := sizing(m, 10, 10, 12, 1)
		if m >= 290 {
			e.Sizing.Lead = 11 * 60
			e.Sizing.Point = known(1.0)
		}
		entries = append(entries, e)
	}
	for _, q := range made(t, report.Options{}, append(entries, end(300))...).Balloons[0].Quantiles {
		if q.HeldPodHours > 1e-9 {
			t.Errorf("quantile %g would have held %g pod-hours; demand was always what was forecast", q.Quantile, q.HeldPodHours)
		}
	}
}
