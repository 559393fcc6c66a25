package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"swell/scaler/ledger"
)

// A clock that is put back, by a step or by a fail-over to another node, hides no entry of a time: neither what was written before the
// step nor what was after it.
func TestAClockThatIsPutBackHidesNothing(t *testing.T) {
	for name, restart := range map[string]bool{"a step": false, "a fail-over": true} {
		dir := t.TempDir()
		l := open(t, dir, small)
		var all []time.Time
		write := func(from time.Duration, minutes int) {
			for i := range minutes {
				e := entry(len(all))
				e.Model = noon.Add(from + time.Duration(i)*time.Minute)
				e.At = e.Model
				all = append(all, e.Model)
				if err := l.Append(e); err != nil {
					t.Fatal(err)
				}
			}
		}
		write(0, 40)
		for _, from := range []time.Duration{10, 30, -60, 0, 120} {
			if restart {
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				l = open(t, dir, small)
			}
			write(from*time.Minute, 40)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		for begin := -70; begin < 170; begin += 7 {
			from, to := noon.Add(time.Duration(begin)*time.Minute), noon.Add(time.Duration(begin+15)*time.Minute)
			got, want := map[string]bool{}, map[string]bool{}
			for n, at := range all {
				if !at.Before(from) && at.Before(to) {
					want[fmt.Sprint("object ", n)] = true
				}
			}
			if err := ledger.Walk(dir, from, to, func(e ledger.Entry) error { got[e.Object] = true; return nil }); err != nil {
				t.Fatal(err)
			}
			if len(got) != len(want) {
				t.Errorf("%s: from minute %d on %d entries are found: want %d", name, begin, len(got), len(want))
			}
		}
	}
}
