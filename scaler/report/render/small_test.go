package render

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"swell/bench/ledgers"
	"swell/scaler/ledger"
	"swell/scaler/report"
)

// small are three hours in which one instance of unknown price ran, under a name that would break out of a page.
func small(t *testing.T, hostile string) *report.Report {
	t.Helper()
	from := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
	entries := []ledger.Entry{
		{Model: from, Action: "instance", Instance: &ledger.Instance{ID: "i-1", Pool: hostile, Zone: "a", Market: "spot", Type: "t", LaunchedAt: from}},
		{Model: from, Action: "sample", Sample: &ledger.Sample{Groups: []ledger.GroupUse{{Pool: hostile, Zone: "a", Market: "spot", Nodes: 1, Allocatable: ledger.Resources{Cores: 4, Memory: 8}}},
			Workloads: []ledger.WorkloadUse{{Namespace: hostile, Workload: "Deployment/" + hostile, Pool: hostile, Zone: "a", Market: "spot", Pods: 1, Asked: ledger.Resources{Cores: 1, Memory: 1}}}}},
		{Model: from.Add(3 * time.Hour), Action: "start"},
	}
	r, err := report.Make(slices.Values(entries), report.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestNamesStayText(t *testing.T) {
	r := small(t, `</script><script>alert(1)</script>|<b>*`)
	var page, text bytes.Buffer
	if err := HTML(&page, r); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(page.String(), "<script>alert") || strings.Contains(page.String(), "<b>") {
		t.Error("a name became part of the page")
	}
	if err := Markdown(&text, r); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text.String(), "<b>") || !strings.Contains(text.String(), `\|&lt;b>\*`) {
		t.Errorf("a name became markup in\n%s", text.String())
	}
	for line := range strings.Lines(text.String()) {
		if strings.HasPrefix(line, "| &lt;") && strings.Contains(line, "$0.00") {
			t.Errorf("what has no price is said to cost nothing: %s", line)
		}
	}
}

// TestShortPeriods: a day is drawn by the hour, and one of three hours has a page too.
func TestShortPeriods(t *testing.T) {
	day, err := report.Make(ledgers.Cluster{Days: 1, Peak: 20, Workloads: 10}.Entries(), report.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]*report.Report{"day": day, "hours": small(t, "general")} {
		var page bytes.Buffer
		if err := HTML(&page, r); err != nil {
			t.Fatal(err)
		}
		byHour := false
		for _, c := range plots(r).Charts {
			byHour = byHour || c.ID == "cost" && c.Axis == 0 && len(c.Series[0].Values) == len(r.Hours())
		}
		if byHour != (name == "day") {
			t.Errorf("%s: a plot of costs by the hour is there: %v", name, byHour)
		}
		picture(t, name, page.Bytes())
	}
}
