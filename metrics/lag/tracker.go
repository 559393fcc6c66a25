package lag

import (
	"fmt"
	"math"
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
	if !(o.PerPod > 0) || math.IsInf(o.PerPod, 0) {
		return fmt.Errorf("perPodRate.initial is %g: give a number of messages a second above zero", o.PerPod)
	}
	return o.Policy.Validate()
}

// Members are who reads for the group, as far as that is known.
type Members struct {
	Pods
	// Rebalancing says that the group was about to change who reads which partition when it was last looked at.
	Rebalancing bool
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
	// SaturatedFrom is what the group reads is held against; meaningful unless Saturated is empty.
	SaturatedFrom Stretch
	// Rebalancing says that the replicas are held because the group is rebalancing: what it does not read meanwhile is no want of pods.
	Rebalancing bool
	// Hot are partitions that one pod each cannot drain within T, the worst first; more pods do not help them.
	Hot []HotPartition
	// Why is the formula with its numbers.
	Why string
	// Unknown says why Replicas is not known.
	Unknown string
}

// HotPartition is a partition that needs more than one pod, and can have but one.
type HotPartition struct {
	Topic     string
	Partition int32
	// Lag is its share of the group's, in messages, and Need the pods that it would keep busy, above 1.
	Lag  int64
	Need float64
}

// Tracker follows one consumer group from poll to poll. It is not safe for concurrent use.
type Tracker struct {
	opts  Options
	rates rates
	latch latch
	mu    learned
	pause pause
	// saturated compares the stretches of one drain.
	saturated saturation
	// loadedSince is since when every poll found more messages waiting than the pods can have in hand; zero if the last did not.
	loadedSince time.Time
	leader      leader
}

// NewTracker starts to follow a group.
func NewTracker(o Options) (*Tracker, error) {
	if o.Window <= 0 {
		o.Window = 30 * time.Second
	}
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("follow a consumer group: %w", err)
	}
	return &Tracker{opts: o, rates: rates{window: o.Window}, pause: pause{ready: -1}}, nil
}

// Resume takes over what an earlier run knew: its replicas do not fall while a backlog drains, nor rise while more do not help.
func (t *Tracker) Resume(k Known) {
	t.latch.level = max(t.latch.level, k.Replicas)
	if k.PerPod > 0 && t.opts.Learn {
		t.mu.resume(k.PerPod)
	}
	t.saturated.resume(k.Saturated)
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
	if o.PerPod != t.opts.PerPod {
		// What was declared anew is believed more than what an earlier run had learned.
		t.mu.known = 0
	}
	t.rates.window = o.Window
	t.opts = o
	return nil
}

// Observe takes in one poll and says what is known after it.
func (t *Tracker) Observe(now time.Time, readings []Reading, members Members) Estimate {
	t.rates.observe(readings, t.opts.Rules)
	t.pause.observe(now, members, t.opts.Policy, t.opts.Window)
	e := Estimate{Sum: Add(readings, t.opts.Rules)}
	e.Produce, e.Consume, e.RatesKnown = t.rates.perSecond()
	t.compare(now, e, readings)
	e.PerPod = t.perPod()
	switch {
	case e.Total == 0:
		e.Unknown = "the group has no partitions: check spec.kafka.topics, and that the topic exists or the group has committed"
	case !e.Complete():
		e.Unknown = fmt.Sprintf("%d of %d partitions are known: %s", e.Known, e.Total, e.Problems[0])
	case !e.RatesKnown:
		e.Unknown = "rates are not known yet: three polls within the rate window are needed"
	default:
		t.decide(now, &e, readings, members.Pods)
	}
	return e
}

// decide counts the replicas for a group that is known.
func (t *Tracker) decide(now time.Time, e *Estimate, readings []Reading, pods Pods) {
	load := Load{Lag: e.Lag, Produce: t.rates.sustained(e.Produce), PerPod: e.PerPod, Partitions: e.Total, Share: e.Share}
	load, e.Hot = t.rates.hot(readings, t.opts.Rules, load, t.opts.Policy)
	t.latch.join(t.leader, load, t.opts.Policy)
	d := t.latch.decide(now, load, t.opts.Policy, holds{saturated: t.saturated.why, pause: t.pause, follows: t.leader.follows})
	e.Replicas, e.Draining, e.Rebalancing, e.Why = d.replicas, d.draining, d.rebalancing, d.why
	if !e.Draining {
		// Another backlog may be of other messages: nothing of this one is held against it.
		t.saturated = saturation{}
	}
	e.Saturated, e.SaturatedFrom = t.saturated.why, t.saturated.Stretch
	if hot := sayHot(e.Hot, load, t.opts.Policy); hot != "" {
		e.Why += "; " + hot
	}
	if e.Draining && pods.Ready >= 0 && !pods.LastReady.IsZero() {
		e.Why += fmt.Sprintf("; pods ready: %d, the last for %s", pods.Ready, now.Sub(pods.LastReady).Round(time.Second))
	}
}

// compare takes the consume rate for what the ready pods can do: only when, for a whole window, more waited than they can have
// in hand, in most partitions, and nothing changed. While more pods help it is a sample of μ.
func (t *Tracker) compare(now time.Time, e Estimate, readings []Reading) {
	if !t.loaded(e, readings) {
		t.loadedSince = time.Time{}
		return
	}
	if t.loadedSince.IsZero() {
		t.loadedSince = now
	}
	ready := t.pause.ready
	if ready <= 0 || now.Sub(t.loadedSince) < t.opts.Window || now.Sub(t.pause.steady) < t.opts.Window+t.opts.RebalanceTime {
		return
	}
	if !e.Share {
		ready = min(ready, e.Total)
	}
	if !t.leader.saturated() {
		t.saturated.observe(ready, e.Consume)
	}
	if t.opts.Learn && t.saturated.why == "" && !t.leader.follows {
		t.mu.observe(e.Consume / float64(ready))
	}
}

// idlePods is the share of the pods that may be short of messages when what they read together is taken for what they can.
const idlePods = 0.05

// loaded says whether hardly a pod can be short of messages: a pod idles only when all of its partitions are empty.
func (t *Tracker) loaded(e Estimate, readings []Reading) bool {
	inHand := max(e.Produce, e.Consume) * t.opts.settled().Seconds()
	if !e.RatesKnown || !e.Complete() || e.Consume <= 0 || float64(e.Lag) < inHand || t.pause.ready <= 0 {
		return false
	}
	if e.Share {
		return true
	}
	empty := 0
	for _, p := range readings {
		if messages, _ := Of(p, t.opts.Rules); float64(messages) < inHand/float64(e.Total) {
			empty++
		}
	}
	pods := min(t.pause.ready, e.Total)
	return float64(empty/(e.Total/pods)) <= idlePods*float64(pods)
}
