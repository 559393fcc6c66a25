package scaler

import (
	"testing"
	"time"

	"swell/scaler/ledger"
)

// A scaler that was away for forty hours still learns of an instance that was last written half a day before it went.
func TestAnOutageDoesNotHideWhatRanBefore(t *testing.T) {
	began := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	for name, x := range map[string]struct {
		written, last time.Duration // before began
	}{
		"a day's work": {5 * time.Hour, time.Minute}, "away for forty hours": {52 * time.Hour, 40 * time.Hour},
		"away for a month": {740 * time.Hour, 720 * time.Hour},
	} {
		dir := t.TempDir()
		book, err := ledger.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range []ledger.Entry{
			{Model: began.Add(-x.written), Action: "instance", Phase: ledger.Note, Instance: &ledger.Instance{ID: "i-1"}},
			{Model: began.Add(-x.last), Action: "start", Phase: ledger.Note},
		} {
			e.At = e.Model
			if err := book.Append(e); err != nil {
				t.Fatal(err)
			}
		}
		if err := book.Close(); err != nil {
			t.Fatal(err)
		}
		found := false
		if err := walkPast(dir, began, func(e ledger.Entry) error { found = found || e.Instance != nil; return nil }); err != nil {
			t.Fatal(err)
		}
		if !found {
			t.Errorf("%s: the instance is not found", name)
		}
	}
}
