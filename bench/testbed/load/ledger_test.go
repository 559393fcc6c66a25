package load

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"swell/scaler/series"
)

// TestLedgerAgainstOracle compares the ledger's sums with a walk over every single message.
func TestLedgerAgainstOracle(t *testing.T) {
	type message struct{ due, read int } // seconds; read −1 is unread
	rapid.Check(t, func(t *rapid.T) {
		start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		second := func(n int) time.Time { return start.Add(time.Duration(n) * time.Second) }
		ledger := NewLedger(2)
		messages := [2][]message{}
		end := rapid.IntRange(1, 60).Draw(t, "end")
		late := rapid.IntRange(0, 20).Draw(t, "late")
		for now := range end {
			for p := range messages {
				for range rapid.IntRange(0, 3).Draw(t, "due") {
					ledger.ack(int32(p), int64(len(messages[p])), second(now))
					messages[p] = append(messages[p], message{now, -1})
				}
				read, at := rapid.IntRange(0, 4).Draw(t, "read"), 0
				for at < len(messages[p]) && messages[p][at].read >= 0 {
					at++
				}
				for ; read > 0 && at < len(messages[p]); read, at = read-1, at+1 {
					messages[p][at].read = now
				}
				ledger.read(int32(p), int64(at), second(now))
			}
		}
		until := rapid.IntRange(0, end).Draw(t, "until")
		since := rapid.IntRange(0, until).Draw(t, "since")
		var want QueueTotals
		for _, partition := range messages {
			for _, m := range partition {
				want.Produced++
				if m.due > until {
					continue
				}
				read := m.read
				if read < 0 || read > until {
					want.Lag++
					read = until
					want.LagNow = max(want.LagNow, time.Duration(until-m.due)*time.Second)
				} else {
					want.Consumed++
				}
				if read-m.due > late && m.due >= since {
					want.Late++
				}
				if read >= since {
					want.LagMax = max(want.LagMax, time.Duration(read-m.due)*time.Second)
				}
			}
		}
		if got := ledger.Totals(second(since), second(until), time.Duration(late)*time.Second); got != want {
			t.Fatalf("got %+v\nwant %+v\nof %+v", got, want, messages)
		}
	})
}

// TestOverwrittenMessagesAreLost: a broker that forgot acknowledged messages gives their offsets to new ones.
func TestOverwrittenMessagesAreLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		due := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		ledger := NewLedger(1)
		var stored, lost int64
		for range rapid.IntRange(1, 8).Draw(t, "crashes") {
			for range rapid.Int64Range(0, 20).Draw(t, "messages") {
				due = due.Add(time.Duration(rapid.IntRange(0, 1).Draw(t, "later")) * time.Second)
				ledger.ack(0, stored, due)
				stored++
			}
			forgotten := rapid.Int64Range(0, stored).Draw(t, "forgotten")
			stored, lost = stored-forgotten, lost+forgotten
		}
		ledger.verify(map[int32]int64{0: stored})
		if got := ledger.Totals(time.Time{}, due, time.Second); got.Lost != lost || got.Duplicate != 0 {
			t.Fatalf("lost %d, duplicates %d, want %d and none", got.Lost, got.Duplicate, lost)
		}
	})
}

// TestLostIsNotBelowWhatIsMissing: acknowledgements without an offset count too.
func TestLostIsNotBelowWhatIsMissing(t *testing.T) {
	due := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ledger := NewLedger(1)
	for _, offset := range []int64{0, 1, -1, 2} {
		ledger.ack(0, offset, due)
	}
	ledger.verify(map[int32]int64{0: 4})
	if got := ledger.Totals(time.Time{}, due, time.Second); got.Lost != 0 {
		t.Errorf("lost %d of messages that are all stored", got.Lost)
	}
	ledger.verify(map[int32]int64{0: 3})
	if got := ledger.Totals(time.Time{}, due, time.Second); got.Lost != 1 {
		t.Errorf("lost %d, want 1: four were acknowledged and three are stored", got.Lost)
	}
}

// TestTotalsStopAtTheEnd: what is unread when the hour ends does not age while the last acknowledgements are waited for.
func TestTotalsStopAtTheEnd(t *testing.T) {
	end := time.Now().Add(-time.Hour)
	ledger := NewLedger(1)
	ledger.ack(0, 0, end.Add(-2*time.Second))
	ledger.ack(0, 1, end.Add(-time.Second))
	ledger.read(0, 1, end.Add(-time.Second))
	ledger.read(0, 2, end.Add(time.Minute))
	c := &Consumers{ledger: ledger, opt: ConsumerOptions{LateAfter: 10 * time.Second}}
	got := c.TotalsBetween(end.Add(-time.Minute), end)
	want := QueueTotals{Produced: 2, Consumed: 1, Lag: 1, LagNow: time.Second, LagMax: time.Second}
	if got != want {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestAssignedCoversEachPartitionOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		partitions, members := rapid.IntRange(1, 60).Draw(t, "partitions"), rapid.IntRange(1, 80).Draw(t, "members")
		next := 0
		for m := range members {
			from, to := assigned(partitions, members, m)
			if from != next || to < from || to-from > partitions/members+1 {
				t.Fatalf("member %d of %d reads %d to %d of %d, after %d", m, members, from, to, partitions, next)
			}
			next = to
		}
		if next != partitions {
			t.Fatalf("%d of %d partitions are read", next, partitions)
		}
	})
}

func TestShareSpendsAllItCan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		backlog := rapid.SliceOfN(rapid.Int64Range(0, 50), 0, 8).Draw(t, "backlog")
		budget := rapid.Int64Range(0, 200).Draw(t, "budget")
		var all, given int64
		for i, n := range share(budget, backlog) {
			if n > backlog[i] {
				t.Fatalf("partition %d: %d of a backlog of %d", i, n, backlog[i])
			}
			all, given = all+backlog[i], given+n
		}
		if given != min(all, budget) {
			t.Fatalf("%d of a budget of %d over %d", given, budget, all)
		}
	})
}

func TestCurve(t *testing.T) {
	start := time.Date(1998, 6, 24, 0, 0, 0, 0, time.UTC)
	curve, err := FromSeries(start, time.Minute, []float64{10, 30, 20}, 2)
	if err != nil {
		t.Fatal(err)
	}
	for second, want := range map[int]float64{-60: 20, 0: 20, 30: 20, 60: 40, 90: 60, 120: 50, 150: 40, 900: 40} {
		if got := curve(start.Add(time.Duration(second) * time.Second)); got != want {
			t.Errorf("second %d: %g, want %g", second, got, want)
		}
	}
	if got := curve.Between(start.Add(30*time.Second), start.Add(90*time.Second)); got < 2399.99 || got > 2400.01 {
		t.Errorf("integral %g, want 2400", got)
	}
	for _, bad := range [][]float64{nil, {1, -1}} {
		if _, err := FromSeries(start, time.Minute, bad, 1); err == nil {
			t.Errorf("%v is taken", bad)
		}
	}
	gap := series.Series{Start: start, Step: time.Minute, Values: []float64{math.NaN(), 10, 30, math.NaN()}}
	_, err = FromSeries(gap.Start, gap.Step, gap.Values, 1)
	if err == nil || !strings.Contains(err.Error(), "the row of 1998-06-24T00:00:00Z (row 0) is unknown: fill it, or give rows without it") {
		t.Errorf("an unknown row: %v", err)
	}
	known := gap.Slice(start.Add(time.Minute), start.Add(3*time.Minute))
	curve, err = FromSeries(known.Start, known.Step, known.Values, 1)
	if err != nil || curve(start.Add(2*time.Minute)) != 20 {
		t.Errorf("the known rows of a series with a gap: %v", err)
	}
}
