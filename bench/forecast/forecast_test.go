package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"swell/bench/figure"
	"swell/bench/traces"
)

// The kept loads' lines of the document are what their back-tests give.
func TestTheDocumentIsUpToDate(t *testing.T) {
	var out, log bytes.Buffer
	if err := run(options{traces: traces.Folder(), doc: filepath.Join("..", "..", "docs", "forecasting.md"), check: true}, loads(), &out, &log); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(log.String(), "not there") {
		defer traces.Missing(t, "the kept loads' lines are right; the others: "+log.String())
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for _, line := range lines {
		var f figure.Figure
		if err := json.Unmarshal([]byte(line), &f); err != nil || f.Bench != "forecast" || f.Value <= 0 || f.Labels["trace"] == "" {
			t.Fatalf("%s: %v", line, err)
		}
	}
	if len(lines) < 18 { // nine horizons of three kept loads, in two thirds
		t.Fatalf("%d figures", len(lines))
	}
}

// wikimedia is the quickest load to score.
func wikimedia(t *testing.T) []load {
	t.Helper()
	for _, l := range loads() {
		if l.Name == "wikimedia" {
			return []load{l}
		}
	}
	t.Fatal("wikimedia is not among the loads")
	return nil
}

func TestTablesAreWrittenAndChecked(t *testing.T) {
	doc := filepath.Join(t.TempDir(), "doc.md")
	write := func(text string) {
		if err := os.WriteFile(doc, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	of := wikimedia(t)
	write("# Head\n" + tableBegin + "\nold\n" + tableEnd + "\ntail\n")
	try := func(check bool, loads []load) error {
		return run(options{doc: doc, check: check}, loads, &bytes.Buffer{}, &bytes.Buffer{})
	}
	if err := try(true, of); err == nil || !strings.Contains(err.Error(), "out of date") {
		t.Fatalf("an old table passes: %v", err)
	}
	if err := try(false, of); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	if s := string(raw); !strings.HasPrefix(s, "# Head\n") || !strings.HasSuffix(s, tableEnd+"\ntail\n") || strings.Contains(s, "old") || strings.Count(s, "| wikimedia |") != 3 {
		t.Fatalf("written:\n%s", s)
	}
	if err := try(true, of); err != nil {
		t.Fatalf("right after writing: %v", err)
	}
	write(strings.Replace(string(raw), "| 60 min | 1.92", "| 60 min | 1.93", 1))
	if err := try(true, of); err == nil {
		t.Fatal("a changed line passes")
	}
	absent := append([]load{{Recorded: traces.Recorded{Name: "gone", File: "gone"}}}, of...)
	if err := try(false, absent); err == nil || !strings.Contains(err.Error(), "not all loads") {
		t.Fatalf("tables without a load are written: %v", err)
	}
	write("no place\n")
	if err := try(true, of); err == nil || !strings.Contains(err.Error(), "no place for the tables") {
		t.Fatalf("got %v", err)
	}
}

func TestAMissIsAnError(t *testing.T) {
	l := wikimedia(t)[0]
	l.points = []pointBar{{60, 1, 0.1, 0}}
	l.bounds = []boundBar{{0.5, 1, 100, 1}}
	doc := filepath.Join(t.TempDir(), "doc.md")
	if err := os.WriteFile(doc, []byte(tableBegin+"\n"+tableEnd), 0o600); err != nil {
		t.Fatal(err)
	}
	err := run(options{doc: doc}, []load{l}, &bytes.Buffer{}, &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "needed is 0.1") {
		t.Fatalf("got %v", err)
	}
}
