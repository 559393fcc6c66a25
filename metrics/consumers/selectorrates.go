package consumers

import (
	"fmt"
	"time"

	"swell/metrics/lag"
	"swell/metrics/store"
)

// rated follows the rates of one selection for as long as they are asked for.
type rated struct {
	// tracker belongs to whoever judges.
	tracker *lag.Tracker
	asked   time.Time
	// produce and consume are what the last poll gave; problem says why they are not known.
	produce, consume float64
	problem          string
}

// Rates are the messages a second that are produced for a group and read by it. They are followed from the first time that they are
// asked for, so that the first answers are errors. Where namespace rules refuse, the error wraps ErrForbidden.
func (c *Consumers) Rates(q Question) (produce, consume float64, err error) {
	q.LateAfter, q.Ages = 0, false
	if _, err := c.Ask(q); err != nil {
		return 0, 0, err
	}
	r, err := c.asked.rate(q.selection(), c.settings.Load().RateWindow.Duration)
	if err != nil {
		return 0, 0, err
	}
	if r.problem != "" {
		return 0, 0, fmt.Errorf("rates of group %q in Kafka cluster %q: %s", q.Group, q.Cluster, r.problem)
	}
	return r.produce, r.consume, nil
}

// rate is a copy of what is known of a selection's rates, which are followed from now on. There are no more of them than questions.
func (a *asked) rate(s selection, window time.Duration) (rated, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.rates[s]
	if r == nil {
		// Of the policy only the window matters: nobody asks how many pods such a group needs.
		t, err := lag.NewTracker(lag.Options{Rules: Question{}.rules(), Policy: lag.Policy{DrainTarget: time.Minute, Utilization: 1}, Window: window, PerPod: 1})
		if err != nil {
			return rated{}, err
		}
		r = &rated{tracker: t, problem: "not known yet: they take three polls from the first time that they are asked for"}
		a.rates[s] = r
	}
	r.asked = time.Now()
	return *r, nil
}

// forgetRates starts all rates afresh.
func (a *asked) forgetRates() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.rates)
}

// followRates takes a poll of a cluster into the rates that are asked for. The caller judges.
func (c *Consumers) followRates(s *settings, now time.Time, cluster string) {
	c.asked.mu.Lock()
	followed := map[selection]*lag.Tracker{}
	for sel, r := range c.asked.rates {
		if sel.cluster == cluster {
			followed[sel] = r.tracker
		}
	}
	c.asked.mu.Unlock()
	for sel, tracker := range followed {
		topics, err := sel.parse()
		if err != nil {
			continue
		}
		view := c.opts.Store.View(store.Key{Cluster: cluster, Group: sel.group}, now, s.clusters[cluster].StaleAfter.Duration, topics.Selection())
		e := tracker.Observe(now, view.Readings, lag.Members{Pods: lag.Pods{Ready: int(lag.Unknown)}})
		c.asked.mu.Lock()
		if r := c.asked.rates[sel]; r != nil && r.tracker == tracker {
			r.produce, r.consume, r.problem = e.Produce, e.Consume, e.Unknown
			if r.problem == "" && !e.RatesKnown {
				r.problem = "three polls within the rate window are needed"
			}
		}
		c.asked.mu.Unlock()
	}
}
