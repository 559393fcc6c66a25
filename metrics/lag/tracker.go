package lag

import (
	"fmt"
	"slices"
	"time"
)

// Options are what one consumer group is judged by.
type Options struct {
	Rules
	Policy
	// Window is how far back rates are taken from; it must hold three polls. Default: 30s.
	Window time.Duration
	// PerPod is the declared μ, messages a second a pod; above zero.
	PerPod float64
	// Learn lets μ move away from what was declared.
	Learn bool
}

// Validate reports options that cannot be used.
func (o Options) Validate() error {
	if !(o.PerPod > 0) {
		return fmt.Errorf("perPodRate.initial is %g: give a number of messages a second above zero", o.PerPod)
	}
	return o.Policy.Validate()
}

// Pods are the group's ready pods.
type Pods struct {
	// Ready is how many there are; Unknown (-1) when that is not known.
	Ready int
	// LastReady is when the last of them became ready.
	LastReady time.Time
}

// Estimate is what is known of a group at one time.
type Estimate struct {
	Sum
	// Produce and Consume are messages a second; meaningful when RatesKnown.
	Produce, Consume float64
	RatesKnown       bool
	// PerPod is μ as it is used now.
	PerPod float64
	// Replicas is N; meaningful when Unknown is empty.
	Replicas int
	// Draining says that there is a backlog, so that Replicas does not fall.
	Draining bool
	// Saturated says why more pods are not asked for although the backlog would need them; empty if they are.
	Saturated string
	// Why is the formula with its numbers.
	Why string
	// Unknown says why Replicas is not known.
	Unknown string
}

// Tracker follows one consumer group from poll to poll. It is not safe for concurrent use.
type Tracker struct {
	opts  Options
	rates rates
	latch latch
	mu    learned
	// saturated compares the stretches of one drain.
	saturated saturation
	// steady is since when the number of ready pods has not changed.
	ready  int
	steady time.Time
}

// NewTracker starts to follow a group.
func NewTracker(o Options) (*Tracker, error) {
	if o.Window <= 0 {
		o.Window = 30 * time.Second
	}
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("follow a consumer group: %w", err)
	}
	return &Tracker{opts: o, rates: rates{window: o.Window}, ready: -1}, nil
}

// Resume takes over what an earlier run knew: the replicas it asked for, which do not fall while a backlog
// drains, and the μ it had learned (0: none).
func (t *Tracker) Resume(replicas int, perPod float64) {
	t.latch.level = max(t.latch.level, replicas)
	if perPod > 0 && t.opts.Learn {
		t.mu.resume(perPod)
	}
}

// SetOptions changes what the group is judged by and keeps what was seen.
func (t *Tracker) SetOptions(o Options) error {
	if o.Window <= 0 {
		o.Window = t.opts.Window
	}
	if err := o.Validate(); err != nil {
		return fmt.Errorf("change how a consumer group is followed: %w", err)
	}
	if o.Isolation != t.opts.Isolation {
		t.rates = rates{}
	}
	t.rates.window = o.Window
	t.opts = o
	return nil
}

// Observe takes in one poll and says what is known after it.
func (t *Tracker) Observe(now time.Time, readings []Reading, pods Pods) Estimate {
	t.rates.observe(readings, t.opts.Rules)
	if pods.Ready != t.ready || pods.LastReady.After(t.steady) {
		t.ready, t.steady = pods.Ready, now
	}
	e := Estimate{Sum: Add(readings, t.opts.Rules)}
	e.Produce, e.Consume, e.RatesKnown = t.rates.perSecond()
	t.compare(now, e)
	e.PerPod = t.opts.PerPod
	if t.opts.Learn {
		e.PerPod = t.mu.estimate(t.opts.PerPod)
	}
	switch {
	case e.Total == 0:
		e.Unknown = "the group has no partitions: check spec.kafka.topics, and that the topic exists or the group has committed"
	case !e.Complete():
		e.Unknown = fmt.Sprintf("%d of %d partitions are known: %s", e.Known, e.Total, e.Problems[0])
	case !e.RatesKnown:
		e.Unknown = "rates are not known yet: three polls within the rate window are needed"
	default:
		load := Load{Lag: e.Lag, Produce: e.Produce, PerPod: e.PerPod, Partitions: e.Total}
		e.Replicas, e.Draining, e.Why = t.latch.decide(now, load, t.opts.Policy, t.saturated.why)
		if !e.Draining {
			// Another backlog may be of other messages: nothing of this one is held against it.
			t.saturated = saturation{}
		}
		e.Saturated = t.saturated.why
		if e.Draining && pods.Ready >= 0 && !pods.LastReady.IsZero() {
			e.Why += fmt.Sprintf("; %d pods ready, the last for %s", pods.Ready, now.Sub(pods.LastReady).Round(time.Second))
		}
	}
	return e
}

// compare takes the consume rate for what the ready pods can do: only while more waits than they can have in
// hand, and after they were the same for a whole window. While more pods help it is a sample of μ.
func (t *Tracker) compare(now time.Time, e Estimate) {
	if !e.RatesKnown || !e.Complete() || t.ready <= 0 || e.Consume <= 0 {
		return
	}
	if now.Sub(t.steady) < t.opts.Window+t.opts.RebalanceTime {
		return
	}
	if float64(e.Lag) < max(e.Produce, e.Consume)*t.opts.settled().Seconds() {
		return
	}
	pods := min(t.ready, e.Total)
	t.saturated.observe(pods, e.Consume)
	if t.opts.Learn && t.saturated.why == "" {
		t.mu.observe(e.Consume / float64(pods))
	}
}

const (
	// learnedKept is how many samples of μ are kept.
	learnedKept = 60
	// declaredWeight is how many samples the declared μ weighs as much as.
	declaredWeight = 6
)

// learned is μ as it was seen.
type learned struct{ samples []float64 }

func (l *learned) observe(rate float64) {
	l.samples = append(l.samples, rate)
	if n := len(l.samples) - learnedKept; n > 0 {
		l.samples = append(l.samples[:0], l.samples[n:]...)
	}
}

// resume counts an earlier estimate, which was already drawn towards what was declared, as a few samples.
func (l *learned) resume(rate float64) {
	for range declaredWeight {
		l.observe(rate)
	}
}

// estimate is the samples' median, drawn towards the declared value the more the fewer there are.
func (l *learned) estimate(declared float64) float64 {
	n := len(l.samples)
	if n == 0 {
		return declared
	}
	sorted := slices.Sorted(slices.Values(l.samples))
	median := (sorted[(n-1)/2] + sorted[n/2]) / 2
	return (float64(n)*median + declaredWeight*declared) / float64(n+declaredWeight)
}
