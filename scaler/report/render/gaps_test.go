package render

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"swell/scaler/ledger"
	"swell/scaler/report"
)

// partly are four days of two nodes, one of them of no pool, of whose ledger some entries were lost.
func partly(t *testing.T, gaps int) *report.Report {
	t.Helper()
	from := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	hourly := 1.0
	entries := []ledger.Entry{{Model: from, Action: "instance", Instance: &ledger.Instance{ID: "i-1", Pool: "general", Zone: "a", Market: "spot", Type: "t", Token: "t", LaunchedAt: from, Hourly: &hourly}}}
	use := func(workload, pool, market string) ledger.WorkloadUse {
		return ledger.WorkloadUse{Namespace: "shop", Workload: workload, Pool: pool, Zone: "a", Market: market, Pods: 1, Asked: ledger.Resources{Cores: 1, Memory: 1}}
	}
	for m := 0; m < 4*24*60; m += 5 {
		now := from.Add(time.Duration(m) * time.Minute)
		if lost := m/60 - 30; m%60 == 0 && lost >= 0 && lost < gaps {
			entries = append(entries, ledger.Entry{Model: now, Action: "gap", Count: 40, Book: &ledger.Book{Lost: &ledger.Lost{Entries: 40, From: now.Add(-time.Minute), To: now}}})
		}
		entries = append(entries, ledger.Entry{Model: now, Action: "sample", Sample: &ledger.Sample{
			Groups:    []ledger.GroupUse{{Pool: "general", Zone: "a", Market: "spot", Nodes: 1, Allocatable: ledger.Resources{Cores: 4, Memory: 8}, Asked: ledger.Resources{Cores: 1, Memory: 1}}},
			Workloads: []ledger.WorkloadUse{use("Deployment/web", "general", "spot"), use("Deployment/dns", "", "")}}})
		if m%(24*60) == 0 {
			again := entries[0]
			again.Model = now
			entries = append(entries, again)
		}
	}
	r, err := report.Make(slices.Values(entries), report.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func written(t *testing.T, write func(io.Writer, *report.Report) error, r *report.Report) string {
	t.Helper()
	var body bytes.Buffer
	if err := write(&body, r); err != nil {
		t.Fatal(err)
	}
	return body.String()
}

// Each form says that entries were lost, and marks what is a lower bound.
func TestEachFormTellsOfGaps(t *testing.T) {
	r := partly(t, 5)
	page, table, doc, summary := written(t, HTML, r), written(t, CSV, r), written(t, JSON, r), written(t, Markdown, r)
	const note = "lost: 200 (2 December 05:55 to 06:00, 2 December 06:55 to 07:00, 2 December 07:55 to 08:00, 2 times more)"
	for name, want := range map[string][]string{
		page:    {note, "Total, at least", "≥ $95.92", `"label":"40 entries of the ledger were lost"`, `class="swatch"`, "pod-hours were on nodes of no pool"},
		summary: {note, "| Total, at least | $95.92", "≥ $95.92", "pod-hours were on nodes of no pool"},
		doc:     {`"lowerBound": true`, `"entries": 40`, `"unpricedPodHours": 95.9`},
		table:   {",gap,2026-12-02T05:55:00Z,,,,,,lost_entries,,40\n", ",total,,,,,,,cost_is_lower_bound,,1\n", ",day,2026-12-01,,,,,,cost_is_lower_bound,,0\n", ",day,2026-12-02,,,,,,cost_is_lower_bound,,1\n", "Deployment/dns,cost,currency,\n", "Deployment/dns,unpriced_pod_hours,h,95.9"},
	} {
		for _, text := range want {
			if !strings.Contains(name, text) {
				t.Errorf("no %q in\n%.3000s", text, name)
			}
		}
	}
	// one without a gap says nothing of the kind
	r = partly(t, 0)
	for name, text := range map[string]string{"page": written(t, HTML, r), "summary": written(t, Markdown, r), "table": written(t, CSV, r)} {
		if strings.Contains(text, "are lost") || strings.Contains(text, "at least |") || strings.Contains(text, ",total,,,,,,,cost_is_lower_bound,,1") || strings.Contains(text, "swatch\"></span>") {
			t.Errorf("%s: of a ledger without a gap\n%.3000s", name, text)
		}
	}
	if got := written(t, Markdown, r); !strings.Contains(got, "| no pool | – |") {
		t.Errorf("the nodes of no pool are not named, or not of unknown cost, in\n%s", got)
	}
}
