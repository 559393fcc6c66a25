package lag

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// uneven is a topic of which each partition has its own backlog and production.
type uneven struct {
	at       time.Time
	backlogs []int64
	rates    []float64 // messages a second
}

func (u *uneven) readings() []Reading {
	out := make([]Reading, len(u.backlogs))
	for i := range out {
		end := 1_000_000 + int64(u.rates[i]*u.at.Sub(start).Seconds())
		out[i] = Reading{Topic: "orders", Partition: int32(i), At: u.at, End: end, Stable: end, Commit: end - u.backlogs[i]}
	}
	return out
}

// play polls a minute and says what is known after it.
func (u *uneven) play(tr *Tracker) (e Estimate) {
	u.at = start
	for range 13 {
		e = tr.Observe(u.at, u.readings(), Members{Pods: Pods{Ready: 2}})
		u.at = u.at.Add(5 * time.Second)
	}
	return e
}

func hotOptions() Options {
	o := options()
	o.PerPod, o.Learn, o.RebalanceTime = 50, false, 0
	return o
}

func TestHotPartitionIsNamedNotScaledFor(t *testing.T) {
	u := &uneven{backlogs: make([]int64, 24), rates: make([]float64, 24)}
	for i := range u.backlogs {
		u.backlogs[i] = 200 / 23
	}
	u.backlogs[7] = 9800
	e := u.play(tracker(t, hotOptions()))
	if e.Replicas != 2 { // one for 7, and one for the 184 of the others
		t.Errorf("%d replicas, want 2: %s", e.Replicas, e.Why)
	}
	if len(e.Hot) != 1 || e.Hot[0].Topic != "orders" || e.Hot[0].Partition != 7 || e.Hot[0].Lag != 9800 || !near(e.Hot[0].Need, 9800.0/60/50) {
		t.Errorf("hot: %+v", e.Hot)
	}
	if want := "partition orders/7 holds 9800 of 9984 messages; one pod drains it in 196s"; !strings.Contains(e.Why, want) {
		t.Errorf("%q does not say %q", e.Why, want)
	}
	u.backlogs, u.rates[7] = make([]int64, 24), 60
	if e = u.play(tracker(t, hotOptions())); e.Replicas != 1 || !strings.Contains(e.Why, "gets 60/s; one pod does not keep up") {
		t.Errorf("60/s in one partition, 50/s a pod: %d replicas: %s", e.Replicas, e.Why)
	}
	for i := range u.backlogs {
		u.backlogs[i], u.rates[i] = 5000, 0
	}
	if e = u.play(tracker(t, hotOptions())); e.Replicas != 24 || len(e.Hot) != 24 || strings.Contains(e.Why, "holds") {
		t.Errorf("all partitions are full: %d replicas: %s", e.Replicas, e.Why)
	}
}

// TestPartitionKeepsOnePodBusy compares with the sum over partitions of what each can keep busy; where none can keep more than
// one, the result must be that of the formula to the last bit.
func TestPartitionKeepsOnePodBusy(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "partitions")
		u := &uneven{backlogs: make([]int64, n), rates: make([]float64, n)}
		full := rapid.Bool().Draw(t, "some are full")
		for i := range u.backlogs {
			u.backlogs[i] = rapid.Int64Range(0, 1200).Draw(t, "backlog")
			u.rates[i] = float64(rapid.IntRange(0, 20).Draw(t, "rate"))
			if full && rapid.IntRange(0, 4).Draw(t, "full") == 0 {
				u.backlogs[i] = rapid.Int64Range(3000, 100000).Draw(t, "large backlog")
			}
		}
		o := hotOptions()
		o.Snap = false
		tr, err := NewTracker(o)
		if err != nil {
			t.Fatal(err)
		}
		e := u.play(tr)
		var want float64
		hot := 0
		for i := range u.backlogs {
			need := needOf(float64(u.backlogs[i]), u.rates[i], o.PerPod, o.Policy)
			want += min(1, need)
			if need > 1 {
				hot++
			}
		}
		if hot == 0 && len(e.Hot) == 0 {
			load := Load{Lag: e.Lag, Produce: e.Produce, PerPod: o.PerPod, Partitions: n}
			if today := Level(Need(load, o.Policy), n, false); e.Replicas != today {
				t.Fatalf("%d replicas, want %d by the formula: %s", e.Replicas, today, e.Why)
			}
		}
		if low, high := int(math.Ceil(want-1e-3)), int(math.Ceil(want+1e-3)); len(e.Hot) != hot || e.Replicas < low || e.Replicas > high {
			t.Fatalf("%d replicas and %d hot, want %.6g and %d: %s", e.Replicas, len(e.Hot), want, hot, e.Why)
		}
		for i := 1; i < len(e.Hot); i++ {
			if e.Hot[i].Need > e.Hot[i-1].Need {
				t.Fatalf("the worst is not first: %+v", e.Hot)
			}
		}
	})
}

func TestBurstInOnePartitionIsNotItsRate(t *testing.T) {
	u := &uneven{backlogs: make([]int64, 24), rates: make([]float64, 24)}
	for i := range u.rates {
		u.rates[i] = 20
	}
	tr := tracker(t, hotOptions())
	u.play(tr)
	// 1000 messages more are 0.33 pods for partition 3; as its rate, 1000 in half a minute would be hot.
	readings := u.readings()
	readings[3].End, readings[3].Stable = readings[3].End+1000, readings[3].Stable+1000
	if e := tr.Observe(u.at, readings, Members{Pods: Pods{Ready: 2}}); e.Unknown != "" || len(e.Hot) != 0 {
		t.Errorf("%s; hot: %+v", e.Why, e.Hot)
	}
}

// TestLatchLetsGoOfWhatOnlyAHotPartitionHolds drains all but one partition, which is stuck.
func TestLatchLetsGoOfWhatOnlyAHotPartitionHolds(t *testing.T) {
	o := hotOptions()
	tr := tracker(t, o)
	u := &uneven{backlogs: make([]int64, 24), rates: make([]float64, 24), at: start}
	for i := range u.backlogs {
		u.backlogs[i] = 1500
	}
	u.backlogs[7] = 60000
	var levels []int
	for range 40 {
		e := tr.Observe(u.at, u.readings(), Members{Pods: Pods{Ready: 24}})
		if e.Unknown == "" && (len(levels) == 0 || levels[len(levels)-1] != e.Replicas) {
			levels = append(levels, e.Replicas)
		}
		if e.Unknown == "" && !e.Draining {
			t.Fatalf("60000 messages are left: %s", e.Why)
		}
		u.at = u.at.Add(5 * time.Second)
		for i := range u.backlogs {
			if i != 7 {
				u.backlogs[i] = max(0, u.backlogs[i]-250)
			}
		}
	}
	if len(levels) != 2 || levels[0] < 8 || levels[1] > 2 {
		t.Errorf("levels %v, want some, then one for the hot partition, and the margin", levels)
	}
}

func TestShareGroupIsNotBoundByPartitions(t *testing.T) {
	tr := tracker(t, hotOptions())
	at := start
	var e Estimate
	for range 4 {
		e = tr.Observe(at, []Reading{{Topic: "orders", At: at, Share: true, ShareLag: 21000, Commit: 0, End: 30000, Stable: 30000}}, Members{Pods: Pods{Ready: 1}})
		at = at.Add(5 * time.Second)
	}
	if e.Replicas != 7 || len(e.Hot) != 0 || strings.Contains(e.Why, "partition") {
		t.Errorf("%d replicas for a share group's 21000 messages in one partition, want 7: %s", e.Replicas, e.Why)
	}
	for i := range 4 {
		e = tr.Observe(at, []Reading{{Topic: "orders", At: at, Share: true, ShareLag: 21000 - int64(i)*1000, Commit: 0, End: 30000, Stable: Unknown}}, Members{Pods: Pods{Ready: 1}})
		at = at.Add(5 * time.Second)
	}
	if !e.RatesKnown || e.Consume <= 0 {
		t.Errorf("share consumers read %g/s", e.Consume)
	}
}
