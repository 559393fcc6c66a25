package report_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"swell/scaler/ledger"
	"swell/scaler/report"
)

// gap is an entry in place of others, which the machine could not write from some minutes before it on.
func gap(minute, before float64, entries int) ledger.Entry {
	e := at(minute, ledger.Entry{Action: "gap", Object: "ledger", Count: entries})
	e.Book = &ledger.Book{Lost: &ledger.Lost{Entries: entries, From: e.At.Add(-time.Duration(before * float64(time.Minute))), To: e.At}}
	return e
}

const dayOfMinutes = 24 * 60

func TestLostEntriesMakeAmountsALowerBound(t *testing.T) {
	spot := []ledger.GroupUse{use("a", "spot", 1, 0, 5, 0)}
	web := pods("shop", "Deployment/web", "general", "a", "spot", 4)
	entries := []ledger.Entry{instance("i-1", "a", "spot", 0, nil, known(1.0))}
	for m := 0.0; m < 5*dayOfMinutes; m += 5 {
		entries = append(entries, sampleAt(m, spot, web))
		if m == dayOfMinutes {
			entries = append(entries, gap(dayOfMinutes+3, 2, 7))
		}
		if int(m)%dayOfMinutes == 0 { // what runs is written again every day
			again := instance("i-1", "a", "spot", 0, nil, known(1.0))
			again.Model = nine.Add(time.Duration(m+4) * time.Minute)
			entries = append(entries, again)
		}
	}
	entries = append(entries, end(5*dayOfMinutes))
	r := made(t, report.Options{}, entries...)
	want := report.Gap{From: nine.Add(dayOfMinutes * time.Minute), To: nine.Add((dayOfMinutes + 3) * time.Minute), Entries: 7}
	if !slices.Equal(r.Ledger.Gaps, []report.Gap{want}) {
		t.Errorf("gaps %+v, want %+v", r.Ledger.Gaps, want)
	}
	wantMoney(t, "what is known", r.Total.Cost.Total, 5*24)
	rows := []report.Row{r.Total}
	for _, list := range [][]report.Row{r.Cells, r.Pools, r.Zones, r.Markets, r.Namespaces, r.Workloads} {
		rows = append(rows, list...)
	}
	for _, row := range rows {
		if !row.Cost.LowerBound {
			t.Errorf("%+v is said to be all", row)
		}
	}
	if !r.Buys.LowerBound || !r.Purchases[0].LowerBound {
		t.Errorf("purchases %+v", r.Buys)
	}
	// nine o'clock of the second day, and what was launched then is known a day later at last
	for n, lower := range []bool{false, true, true, false, false, false} {
		if r.Days[n].Cost.LowerBound != lower {
			t.Errorf("%s: lower bound %t", r.Days[n].Day, r.Days[n].Cost.LowerBound)
		}
	}
	later := made(t, report.Options{From: nine.Add(60 * time.Hour)}, entries...)
	if later.Total.Cost.LowerBound || later.Buys.LowerBound || len(later.Ledger.Gaps) != 0 || !later.Before.Cost.LowerBound {
		t.Errorf("two days later: %+v, gaps %+v, before %+v", later.Total.Cost, later.Ledger.Gaps, later.Before)
	}
}

// Of an instance whose end was lost only the time until then is sure: one that runs is written again every day.
func TestALostEndIsNotPaidToTheLedgersEnd(t *testing.T) {
	runs := instance("i-runs", "a", "spot", 0, nil, known(1.0))
	again := instance("i-runs", "a", "spot", 0, nil, known(1.0))
	again.Model = nine.Add(dayOfMinutes * time.Minute)
	ended := instance("i-ended", "a", "spot", 30, nil, known(1.0))
	hour := at(60, ledger.Entry{Action: "start"})
	r := made(t, report.Options{}, runs, ended, hour, gap(90, 20, 3), again, end(3*dayOfMinutes))
	wantMoney(t, "one all the time, one for half an hour", r.Total.Cost.Total, 72+0.5)
	if len(r.NoEntry) != 1 || r.NoEntry[0].ID != "i-ended" || r.NoEntry[0].Why != "end-lost" || !strings.Contains(r.NoEntry[0].Said, "2026-12-01T10:00:00Z") {
		t.Errorf("unexplained %+v", r.NoEntry)
	}
	// within a day nobody can tell yet
	r = made(t, report.Options{}, runs, ended, hour, gap(90, 20, 3), end(120))
	wantMoney(t, "both", r.Total.Cost.Total, 2+1.5)
	if len(r.NoEntry) != 0 {
		t.Errorf("unexplained %+v", r.NoEntry)
	}
}

// Entries that were kept in memory may stand before the gap, though others of their time and before were lost.
func TestAGapBeginsWithTheOldestThatWasLost(t *testing.T) {
	kept := []ledger.Entry{instance("i-1", "a", "spot", 0, nil, known(1.0)), at(60, ledger.Entry{Action: "start"})}
	for m := 120.0; m < 185; m += 5 {
		kept = append(kept, at(m, ledger.Entry{Action: "start"}))
	}
	for name, g := range map[string]ledger.Entry{"by the machine's time": gap(185, 120, 40), "by the model's": gap(185, 1, 40)} {
		if name == "by the model's" {
			g.Book.Lost.ModelFrom = nine.Add(65 * time.Minute)
		}
		r := made(t, report.Options{To: nine.Add(150 * time.Minute)}, append(slices.Clone(kept), g, end(240))...)
		want := report.Gap{From: nine.Add(65 * time.Minute), To: nine.Add(185 * time.Minute), Entries: 40}
		if !slices.Equal(r.Ledger.Gaps, []report.Gap{want}) || !r.Total.Cost.LowerBound {
			t.Errorf("%s: gaps %+v, want %+v; %+v", name, r.Ledger.Gaps, want, r.Total.Cost)
		}
	}
	// a second one that reaches back into the first is one with it
	r := made(t, report.Options{}, append(slices.Clone(kept), gap(185, 120, 40), at(190, ledger.Entry{Action: "start"}), gap(200, 140, 2), end(240))...)
	if want := (report.Gap{From: nine.Add(60 * time.Minute), To: nine.Add(200 * time.Minute), Entries: 42}); !slices.Equal(r.Ledger.Gaps, []report.Gap{want}) {
		t.Errorf("gaps %+v, want %+v", r.Ledger.Gaps, want)
	}
}

// What was before the ledger began is not known either.
func TestBeforeTheLedgerNothingIsKnown(t *testing.T) {
	r := made(t, report.Options{From: nine.Add(-15 * time.Hour)}, instance("i-1", "a", "spot", 0, nil, known(1.0)), end(600), end(20*60))
	if !r.Total.Cost.LowerBound || !r.Days[0].Cost.LowerBound || len(r.Ledger.Gaps) != 0 {
		t.Errorf("total %+v, days %+v", r.Total.Cost, r.Days)
	}
	if r = made(t, report.Options{}, instance("i-1", "a", "spot", 0, nil, known(1.0)), end(600)); r.Total.Cost.LowerBound {
		t.Errorf("of the ledger alone: %+v", r.Total.Cost)
	}
}

// An instance of the bill that the ledger does not know, and that ran when entries were lost, is told so.
func TestABillsInstanceOfAGapIsToldSo(t *testing.T) {
	bill := []report.BillLine{{ID: "i-lost", Type: "t", Zone: "a", Market: "spot", Start: nine.Add(70 * time.Minute), End: known(nine.Add(80 * time.Minute)), Hourly: known(0.6)}}
	entries := []ledger.Entry{instance("i-1", "a", "spot", 0, known(30.0), known(1.0)), at(60, ledger.Entry{Action: "start"}), gap(90, 25, 2), end(120)}
	r := made(t, report.Options{Bill: bill}, entries...)
	i := slices.IndexFunc(r.Bill.Unexplained, func(u report.Unexplained) bool { return u.ID == "i-lost" })
	if i < 0 || !strings.Contains(r.Bill.Unexplained[i].Said, "2 entries were lost") {
		t.Errorf("unexplained %+v", r.Bill.Unexplained)
	}
}
