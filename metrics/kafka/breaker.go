package kafka

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// health is how one broker has been lately. Times are in model time.
type health struct {
	// fails are the failures in a row, since the time of the first one.
	fails int
	since time.Time
	// until is when it is asked again.
	until   time.Time
	problem string
	// tired is until when it is asked only for what the lag needs.
	tired time.Time
	// took is how long its last answer took, in the machine's time.
	took time.Duration
	// known says that it has answered, slowUntil up to which poll it counts as slow since an answer took longer than patience.
	known     bool
	slowUntil int
}

// slowFor is for how many polls a broker counts as slow after an answer that took longer than patience.
const slowFor = 16

// quick says that a broker answers within patience as a rule, so that it is not waited for much longer. One that was left behind may be slow
// and not dead: it gets the whole time that is promised to it in the next poll that asks it, and then, while it gives no answer, after
// twice as many failures each time.
func (p *Poller) quick(broker int32) bool {
	h := p.healthOf(broker)
	if h.fails > 0 {
		return h.fails&(h.fails-1) != 0
	}
	return h.known && p.turn > h.slowUntil
}

func (h *health) open(now time.Time) bool { return now.Before(h.until) }

func (h *health) text() string {
	return fmt.Sprintf("%s; failing since %s, asked again within two polls", h.problem, h.since.UTC().Format(time.RFC3339))
}

// fail leaves a broker alone: until the next poll at first, then for one or two.
func (h *health) fail(now time.Time, every time.Duration, random float64, problem string) {
	h.problem = problem
	if h.open(now) {
		// Requests that were sent together fail together.
		return
	}
	if h.fails == 0 {
		h.since = now
	}
	h.fails++
	// A little less than a whole number of polls, so that the poll which comes then does ask.
	most := every * 95 / 100
	if h.fails > 1 {
		most = every * 190 / 100
	}
	h.until = now.Add(most/2 + time.Duration(random*float64(most/2)))
}

// healthOf is how a broker has been; it never is nil.
func (p *Poller) healthOf(broker int32) *health {
	h := p.health[broker]
	if h == nil {
		h = &health{}
		p.health[broker] = h
	}
	return h
}

// brokerFailed notes that a broker did not answer.
func (p *Poller) brokerFailed(broker int32, problem string) {
	h := p.healthOf(broker)
	h.fail(p.now(), p.opts.Cluster.PollEvery.Duration, p.random(), problem)
	p.view.stale()
	switch h.fails {
	case 1:
		p.opts.Log.Warn("Kafka broker does not answer", "cluster", p.Cluster(), "broker", p.view.broker(broker), "problem", problem)
	case 2:
		// It may have moved to another address.
		p.client.ForceMetadataRefresh()
	}
}

func (p *Poller) brokerAnswered(broker int32, took time.Duration) {
	h := p.healthOf(broker)
	if h.fails > 0 {
		p.opts.Log.Info("Kafka broker answers again", "cluster", p.Cluster(), "broker", p.view.broker(broker), "since", h.since)
	}
	h.fails, h.until, h.problem, h.since, h.took, h.known = 0, time.Time{}, "", time.Time{}, took, true
	if took > p.patience() {
		h.slowUntil = p.turn + slowFor
	}
}

// OnBrokerThrottle notes that a broker wants to be asked less.
func (s *stats) OnBrokerThrottle(broker kgo.BrokerMetadata, interval time.Duration, _ bool) {
	s.throttled.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.throttles == nil {
		s.throttles = map[int32]time.Duration{}
	}
	s.throttles[broker.NodeID] = max(interval, s.throttles[broker.NodeID])
}

// takeThrottles leaves out what is not needed of brokers that throttle, and leaves those alone for a while that
// would keep a poll waiting.
func (p *Poller) takeThrottles() {
	p.stats.mu.Lock()
	throttles := p.stats.throttles
	p.stats.throttles = nil
	p.stats.mu.Unlock()
	now, every := p.now(), p.opts.Cluster.PollEvery.Duration
	for broker, interval := range throttles {
		h := p.healthOf(broker)
		h.tired = now.Add(2 * every)
		if interval >= p.patience() {
			h.fail(now, every, p.random(), fmt.Sprintf("it throttles swell-metrics for %s", interval))
		}
	}
}

// forgetHealth drops brokers that the cluster does not have.
func (p *Poller) forgetHealth() {
	for broker := range p.health {
		if _, ok := p.view.brokers[broker]; !ok {
			delete(p.health, broker)
		}
	}
}

// allOpen says that no broker may be asked, so that they all must be.
func (p *Poller) allOpen() bool {
	now := p.now()
	for broker := range p.view.brokers {
		if h := p.health[broker]; h == nil || !h.open(now) {
			return false
		}
	}
	return len(p.view.brokers) > 0
}

// pick is the broker that answers best and is not among those tried; ok is false where there is none.
func (p *Poller) pick(tried map[int32]bool) (best int32, ok bool) {
	now := p.now()
	for broker := range p.view.brokers {
		h := p.healthOf(broker)
		if tried[broker] || h.open(now) && !p.trial {
			continue
		}
		if !ok || less(h, p.healthOf(best), now) {
			best, ok = broker, true
		}
	}
	return best, ok
}

func less(a, b *health, now time.Time) bool {
	if x, y := now.Before(a.tired), now.Before(b.tired); x != y {
		return y
	}
	return a.took < b.took
}
