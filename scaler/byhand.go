package scaler

import (
	"context"
	"reflect"
	"time"

	"swell/scaler/byhand"
	"swell/scaler/plan"
)

const (
	// handsEvery is the time between two readings of what is asked for by hand, and handsWithin what one may take; machine time.
	handsEvery  = 2 * time.Second
	handsWithin = 5 * time.Second
)

// hands is what was last read of what is asked for by hand.
type hands struct {
	orders byhand.Orders
	err    error     // of the last try; the orders are older then
	at     time.Time // of the last reading, machine time; zero is never
	swept  time.Time // machine time
}

func (l *Loop) handStore() byhand.Store { return byhand.Store{Kube: l.kube, Namespace: l.namespace()} }

// readHands reads what is asked for by hand, and says whether it changed.
func (l *Loop) readHands(ctx context.Context) bool {
	call, cancel := context.WithTimeout(ctx, handsWithin)
	defer cancel()
	orders, err := l.handStore().Read(call)
	now := time.Now()
	l.handsLock.Lock()
	defer l.handsLock.Unlock()
	h := &l.hands
	changed := (h.err == nil) != (err == nil)
	if h.err = err; err == nil {
		changed = changed || !reflect.DeepEqual(h.orders, orders)
		h.orders, h.at = orders, now
	}
	return changed
}

// watchHands reads it for as long as ctx lasts, and takes away what ended long ago.
func (l *Loop) watchHands(ctx context.Context) {
	for sleep(ctx, handsEvery) {
		if l.readHands(ctx) {
			l.Kick()
		}
		l.handsLock.Lock()
		old := len(l.hands.orders.Expired(time.Now())) > 0 && time.Since(l.hands.swept) > time.Minute
		if old {
			l.hands.swept = time.Now()
		}
		l.handsLock.Unlock()
		if !old {
			continue
		}
		call, cancel := context.WithTimeout(ctx, handsWithin)
		if err := l.handStore().Sweep(call, time.Now()); err != nil {
			l.options.Log.Warn("sweeping what was asked for by hand", "error", err)
		}
		cancel()
	}
}

// applyHands adds what is asked for by hand to the policy. What cannot be read is unknown: nothing is returned for it.
func (l *Loop) applyHands(p *plan.Policy) []plan.Problem {
	l.handsLock.Lock()
	h := l.hands
	l.handsLock.Unlock()
	var problems []plan.Problem
	for _, x := range h.orders.Problems {
		problems = append(problems, plan.Problem{Object: "ConfigMap " + l.namespace() + "/" + byhand.Name, What: x.What, Mend: x.Mend})
	}
	maxAge := l.clock.Wait(l.options.Config.Observe.MaxAge.Duration)
	if h.err != nil && (h.at.IsZero() || time.Since(h.at) > max(maxAge, 2*handsEvery)) {
		problems = append(problems, plan.Problem{Object: "ConfigMap " + l.namespace() + "/" + byhand.Name, What: "what is asked for by hand is not known",
			Mend: h.err.Error() + "; until then nothing is returned"})
		p.NoSale = "what is frozen by hand is not known"
	}
	now := time.Now()
	for i := range p.Pools {
		pool := &p.Pools[i]
		if p.NoSale != "" {
			pool.Freeze = stronger(pool.Freeze, plan.Freeze{Until: l.clock.Now().Add(time.Minute), Reason: p.NoSale}, l.clock.Now())
		}
		if f := h.orders.Freeze(pool.Name, now); f != nil {
			pool.Freeze = stronger(pool.Freeze, plan.Freeze{Until: l.clock.At(f.Until), All: f.What == byhand.All, Reason: by(*f)}, l.clock.Now())
		}
		for _, e := range h.orders.Holds(pool.Name, now) {
			pool.Holds = append(pool.Holds, plan.Hold{Zone: e.Zone, Nodes: int(e.Nodes), Until: l.clock.At(e.Until)})
		}
	}
	return problems
}

// stronger of two freezes: one that is over is none, one of everything goes before one of scale-in, then the later end.
func stronger(a, b plan.Freeze, now time.Time) plan.Freeze {
	switch {
	case !b.Until.After(now):
		return a
	case !a.Until.After(now), b.All && !a.All, a.All == b.All && b.Until.After(a.Until):
		return b
	}
	return a
}

// by is a freeze's reason, with whose it is.
func by(e byhand.Entry) string {
	why := e.Reason
	if why == "" {
		why = "no reason was given"
	}
	if e.By != "" {
		why += " (by " + e.By + ")"
	}
	return why
}
