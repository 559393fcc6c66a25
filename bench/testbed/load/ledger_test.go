package load

import (
	"testing"
	"time"

	"pgregory.net/rapid"
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
		since := rapid.IntRange(0, 60).Draw(t, "since")
		var want QueueTotals
		for _, partition := range messages {
			for _, m := range partition {
				read := m.read
				want.Produced++
				if read < 0 {
					want.Lag++
					read = end
					want.LagNow = max(want.LagNow, time.Duration(end-m.due)*time.Second)
				} else {
					want.Consumed++
				}
				if read-m.due > late && m.due >= since {
					want.Late++
				}
				if read >= since || m.read < 0 {
					want.LagMax = max(want.LagMax, time.Duration(read-m.due)*time.Second)
				}
			}
		}
		if got := ledger.Totals(second(since), second(end), time.Duration(late)*time.Second); got != want {
			t.Fatalf("got %+v\nwant %+v\nof %+v", got, want, messages)
		}
	})
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
}
