package scaler

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/scaler/history"
)

// historyFile is a CSV of 50 pods, five minutes a row.
func historyFile(t *testing.T, from, to time.Time) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("timestamp,value\n")
	for at := from; at.Before(to); at = at.Add(5 * time.Minute) {
		fmt.Fprintf(&b, "%s,50\n", at.Format(time.RFC3339))
	}
	path := filepath.Join(t.TempDir(), "web.csv")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A file that reaches a week beyond the present is learned up to that: what is sampled then counts, and the Balloon says what
// was left out.
func TestAFileThatReachesBeyondThePresentIsCutThere(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 3, 0, 0, time.UTC)
	path := historyFile(t, now.Truncate(5*time.Minute).AddDate(0, 0, -14), now.AddDate(0, 0, 7))
	o := Options{Config: config.Scaler{History: config.History{TimeZone: "UTC", Files: []config.HistoryFile{{Namespace: "shop", Balloon: "web", File: path}}}}}
	l := New(nil, nil, nil, newBook(t), o)
	p, err := l.loadPast(t.Context(), now, "shop", "web")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(p.warning, path) || !strings.Contains(p.warning, "after the present") {
		t.Errorf("the warning is %q: want the file named", p.warning)
	}
	for m := range 180 {
		p.history.Take(history.Reading{At: now.Add(time.Duration(m) * time.Minute), Elapsed: time.Minute, Share: 1, Replicas: 500,
			Demand: history.Demand{Pods: 500, Class: history.Known}})
	}
	if a := p.history.AtLead(now.Add(3*time.Hour), 5*time.Minute, 0.5); !a.Ready || a.Point < 400 {
		t.Errorf("the forecast is %g pods (%s) after three hours of 500: want the live rows learned", a.Point, a.Reason)
	}
	b := &v1alpha1.Balloon{}
	w := &workload{history: p.history, load: attempt{done: true}, warning: p.warning}
	for _, c := range historyConditions(size{balloon: b, memory: w}) {
		if c.Type == "HistoryKept" && (c.Reason != "FileAhead" || !strings.Contains(c.Message, "after the present")) {
			t.Errorf("HistoryKept is %s: %s: want it to say what was left out", c.Reason, c.Message)
		}
	}
	l.options.Config.History.Files[0].File = historyFile(t, now.Truncate(5*time.Minute).AddDate(0, 0, -14), now.Truncate(5*time.Minute))
	if p, err := l.loadPast(t.Context(), now, "shop", "web"); err != nil || p.warning != "" {
		t.Errorf("%q, %v: want nothing said of a file that ends now", p.warning, err)
	}
}

// A time zone that is not there is an error that names it, and not UTC.
func TestATimeZoneThatIsNotThereIsAnError(t *testing.T) {
	l := New(nil, nil, nil, newBook(t), Options{Config: config.Scaler{History: config.History{TimeZone: "Mars/Olympus"}}})
	if _, err := l.loadPast(t.Context(), time.Now(), "shop", "web"); err == nil || !strings.Contains(err.Error(), "history.timeZone") {
		t.Errorf("%v: want the field named", err)
	}
}
