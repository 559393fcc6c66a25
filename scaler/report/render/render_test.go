package render

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"swell/bench/ledgers"
	"swell/scaler/report"
)

// months are made once: a ledger of 200 nodes for as long takes seconds.
var months sync.Map

// month is a 28-day report of a 56-day ledger of 200 nodes, with a period before.
func month(t *testing.T) *report.Report {
	t.Helper()
	if r, ok := months.Load("r"); ok {
		return r.(*report.Report)
	}
	start := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	entries := ledgers.Cluster{Start: start, Days: 60, Every: 15 * time.Minute / 2, Unpriced: true}.Entries()
	r, err := report.Make(entries, report.Options{From: start.AddDate(0, 0, 30), To: start.AddDate(0, 0, 60)})
	if err != nil {
		t.Fatal(err)
	}
	months.Store("r", r)
	return r
}

const mostBytes = 3 << 20

func TestAMonthsPageIsSmallAndAsksForNothing(t *testing.T) {
	var body bytes.Buffer
	if err := HTML(&body, month(t)); err != nil {
		t.Fatal(err)
	}
	if body.Len() >= mostBytes {
		t.Errorf("the page has %d bytes, want fewer than %d", body.Len(), mostBytes)
	}
	for _, pattern := range []string{`(?i)(src|href)\s*=\s*["']?(https?:|//)`, `(?i)url\(`, `(?i)@import`, `(?i)\bfetch\(`, `XMLHttpRequest`} {
		if found := regexp.MustCompile(pattern).Find(body.Bytes()); found != nil {
			t.Errorf("the page contains %q", found)
		}
	}
	t.Logf("%d bytes", body.Len())
}

func TestCSVHasEachMeasureOnce(t *testing.T) {
	var body bytes.Buffer
	r := month(t)
	if err := CSV(&body, r); err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(&body).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(lines[0], ",") != strings.Join(CSVHeader, ",") {
		t.Errorf("header %v", lines[0])
	}
	seen := map[string]string{}
	pools := 0.0
	for _, l := range lines[1:] {
		key := strings.Join(l[2:10], ",")
		if _, twice := seen[key]; twice {
			t.Errorf("%s is there twice", key)
		}
		seen[key] = l[11]
		if v, err := strconv.ParseFloat(l[11], 64); l[2] == "pool" && l[9] == "cost" && err == nil {
			pools += v
		}
		if l[11] == "NaN" || l[11] == "+Inf" {
			t.Errorf("%v is no number", l)
		}
	}
	if got := seen["total,,,,,,,cost"]; got != r.Total.Cost.Total.Decimal() {
		t.Errorf("the total is %q, want %s", got, r.Total.Cost.Total.Decimal())
	}
	if got := report.Money(pools*3600*1e6+0.5).Cents() - r.Total.Cost.Total.Cents(); got < -1 || got > 1 {
		t.Errorf("the pools' costs are %f, the total %s", pools, r.Total.Cost.Total)
	}
	if got, ok := seen["pool,,tools,,,,,cost"]; !ok || got != "" {
		t.Errorf("a pool without prices costs %q, want an empty value", got)
	}
}

func TestJSONSaysNullForUnknown(t *testing.T) {
	var body bytes.Buffer
	if err := JSON(&body, month(t)); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Schema int
		Total  struct {
			Cost struct {
				Total             json.Number
				UnpricedNodeHours float64
			}
		}
		Pools []struct {
			Pool string
			Cost struct{ Total *float64 }
		}
	}
	if err := json.Unmarshal(body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Schema != report.Schema || got.Total.Cost.UnpricedNodeHours <= 0 {
		t.Errorf("%+v", got)
	}
	for _, p := range got.Pools {
		if (p.Cost.Total == nil) != (p.Pool == "tools") {
			t.Errorf("pool %s costs %v", p.Pool, p.Cost.Total)
		}
	}
}

func TestMarkdownHasTheSummary(t *testing.T) {
	var body bytes.Buffer
	r := month(t)
	if err := Markdown(&body, r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# Capacity, 31 October to 29 November 2026\n", "| Total, at least | " + r.Total.Cost.Total.String(), "have no known price and are in no amount", "## What to change", "## If a zone were lost", "| ap-northeast-1"} {
		if !strings.Contains(body.String(), want) {
			t.Errorf("no %q in\n%s", want, body.String())
		}
	}
}
