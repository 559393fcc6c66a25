package backlog_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"swell/bench/testbed/load"
	"swell/metrics/lag"
)

// seen is one look at a workload while it works off a backlog.
type seen struct {
	at            time.Time // model time
	wanted, ready int
	lag           int64
	drained       bool
}

// A burst is drained within T from the last pod Ready, without more pods than the next level above what it needs, and without
// going up and down, for backlogs of 10 to 1,000 times what comes in a second.
func TestABurstIsDrainedInTime(t *testing.T) {
	const (
		rate   = 20.0
		perPod = 10.0
		drain  = 60 * time.Second
	)
	ratios := []int{10, 100, 1000}
	topics := map[string]int{}
	for _, ratio := range ratios {
		topics[fmt.Sprintf("ratio-%d", ratio)] = partitions
	}
	r := newRig(t, topics, nil)
	policy := lag.Policy{DrainTarget: drain, RebalanceTime: 5 * time.Second, Utilization: 0.8, Snap: true}
	usual := lag.Level(lag.Need(lag.Load{Produce: rate, PerPod: perPod, Partitions: partitions}, policy), partitions, true)
	for _, ratio := range ratios {
		t.Run(fmt.Sprintf("L/λ=%d", ratio), func(t *testing.T) {
			name := fmt.Sprintf("ratio-%d", ratio)
			// one of them learns μ on the way, which is what was declared
			r.apply(t, workload{Name: name, Replicas: usual, PerPod: perPod, Learn: ratio == 100})
			backlog := float64(ratio) * rate
			at := r.Clock.Now().Add(90 * time.Second)
			traffic := r.play(t, name, load.PlayerOptions{Rate: burst(rate, backlog, at)}, load.ConsumerOptions{PerPodRate: perPod})
			r.settled(t, name, usual, at)
			looks := r.watch(t, name, traffic, at, usual, rate)

			// what comes while the pods start is backlog as well
			late := backlog + rate*(podStart+15*time.Second+10*time.Second).Seconds()
			most := lag.Level(lag.Need(lag.Load{Lag: int64(late), Produce: rate, PerPod: perPod, Partitions: partitions}, policy), partitions, true)
			checkDrain(t, looks, drain, lag.Level(float64(most+1), partitions, true))
		})
	}
}

// settled waits until the workload is known and at its usual replicas, which must be before the burst.
func (r *rig) settled(t *testing.T, name string, usual int, before time.Time) {
	t.Helper()
	r.eventually(t, "the workload settles", func() error {
		q := r.consumer(t, name)
		if q.Status.DesiredReplicas == nil {
			return fmt.Errorf("replicas are unknown: %+v", q.Status.Conditions)
		}
		return nil
	})
	if now := r.Clock.Now(); now.After(before) {
		t.Fatalf("the workload settled %s after the burst began: the machine is too slow for the test", now.Sub(before))
	}
	if got := r.replicas(t, name); got != usual {
		t.Logf("%d replicas before the burst, %d are usual: %s", got, usual, r.consumer(t, name).Status.Why)
	}
}

// calm is how long the replicas are watched for after they fell, so that going up once more would be seen.
const calm = 3 * time.Minute

// watch looks on until the backlog is gone and the replicas are few again, and for a while after that.
func (r *rig) watch(t *testing.T, name string, traffic *traffic, from time.Time, usual int, rate float64) []seen {
	t.Helper()
	inHand := r.inHand(traffic, from) + int64(rate)
	var looks []seen
	peak, drained := 0, false
	var fell time.Time
	r.eventually(t, "the burst is drained and the replicas fall", func() error {
		s := traffic.consumers.Stats()
		look := seen{at: r.Clock.Now(), wanted: r.replicas(t, name), ready: s.Ready, lag: s.Queue.Lag}
		peak = max(peak, look.wanted)
		// the burst takes two seconds to come
		drained = drained || look.at.Sub(from) > 5*time.Second && look.lag <= inHand
		look.drained = drained
		looks = append(looks, look)
		switch {
		case !drained:
			return fmt.Errorf("%d messages wait, %d pods: %s", look.lag, look.ready, r.consumer(t, name).Status.Why)
		case look.wanted > usual+1 && look.wanted >= peak && peak > usual:
			return errors.New("the replicas do not fall")
		case fell.IsZero():
			fell = look.at
		}
		if left := calm - look.at.Sub(fell); left > 0 {
			return fmt.Errorf("looking on for %s", left)
		}
		return nil
	})
	return looks
}

// inHand is the most messages that waited in the half minute before a time, when nothing was behind: what is between two reads.
func (r *rig) inHand(traffic *traffic, until time.Time) (most int64) {
	for now := r.Clock.Now(); now.Before(until); now = r.Clock.Now() {
		if until.Sub(now) < 30*time.Second {
			most = max(most, traffic.consumers.Stats().Queue.Lag)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return most
}

// checkDrain holds what was seen against the promise.
func checkDrain(t *testing.T, looks []seen, drain time.Duration, most int) {
	t.Helper()
	var lastReady, done time.Time
	turns, direction := 0, 0
	for i, look := range looks {
		if look.wanted > most {
			t.Errorf("%d replicas, %d are the next level above what the burst needs", look.wanted, most)
			most = look.wanted
		}
		if look.drained && done.IsZero() {
			done = look.at
		}
		if i == 0 {
			continue
		}
		if look.ready > looks[i-1].ready && done.IsZero() {
			lastReady = look.at
		}
		if change := look.wanted - looks[i-1].wanted; change != 0 {
			if next := max(-1, min(1, change)); next != direction {
				turns, direction = turns+1, next
			}
		}
	}
	if lastReady.IsZero() {
		lastReady = looks[0].at
	}
	// one commit, one poll and one look are not the pods' time
	const slack = 15 * time.Second
	took := done.Sub(lastReady)
	t.Logf("drained %s after the last pod was ready, %s after the burst; most replicas %d of at most %d", took.Round(time.Second),
		done.Sub(looks[0].at).Round(time.Second), peakOf(looks), most)
	if took > drain+slack {
		t.Errorf("drained %s after the last pod was ready, want %s", took, drain)
	}
	if turns > 2 {
		t.Errorf("the replicas changed direction %d times, want up once and down once: %s", turns, timeline(looks))
	}
}

func peakOf(looks []seen) int {
	peak := 0
	for _, l := range looks {
		peak = max(peak, l.wanted)
	}
	return peak
}

// timeline is each change of the replicas.
func timeline(looks []seen) string {
	text, last := "", -1
	for _, l := range looks {
		if l.wanted != last {
			text += fmt.Sprintf(" %s %d (lag %d)", l.at.Format("15:04:05"), l.wanted, l.lag)
			last = l.wanted
		}
	}
	return text
}
