package lag

import (
	"fmt"
	"time"
)

// fallMargin is how far above the need the next lower level must stay, so that a rate on the edge of two levels does not flap.
const fallMargin = 1.1

// latch holds the replicas while a backlog drains: counting them anew from the falling lag would
// stretch T to nearly 4 T.
type latch struct {
	level int
	since time.Time
	// spread is when more than what hot partitions hold was last waiting: only that is drained by more pods.
	spread time.Time
}

// decision is a replica count, with the words for it.
type decision struct {
	replicas              int
	draining, rebalancing bool
	why                   string
}

// holds are reasons not to ask for more pods although the backlog would.
type holds struct {
	// saturated says why more pods do not help; empty if they do.
	saturated string
	pause     pause
	// follows says that the level is the leader's, which is left only for a need that is clearly above it.
	follows bool
}

// decide is the replica count at a time.
func (h *latch) decide(now time.Time, l Load, p Policy, holds holds) decision {
	need := Need(l, p)
	level := l.level(need, p)
	d := decision{draining: l.backlog(l.Lag, p), why: formula(need, level, l, p)}
	if !l.Share {
		h.level = min(h.level, l.Partitions)
	}
	held := h.level
	switch {
	case h.drains(now, l, p):
		h.level = max(h.level, level)
	case level < h.level:
		h.level = min(h.level, max(level, l.level(need*fallMargin, p)))
	case !holds.follows || h.level == 0 || l.level(need/fallMargin, p) > h.level:
		h.level = level
	}
	paused, rebalancing := holds.pause.holds(now, l, p, held, h.level)
	switch {
	case paused != "":
		h.level, d.rebalancing = held, rebalancing
		d.why += fmt.Sprintf("; held at %d: %s", held, paused)
	case holds.saturated != "" && d.draining && held > 0 && h.level > held:
		h.level = held
		d.why += fmt.Sprintf("; held at %d: %s", held, holds.saturated)
	case h.level > level && !h.since.IsZero():
		d.why += fmt.Sprintf("; held at %d while the backlog drains, since %s", h.level, clock(h.since))
	}
	d.replicas = h.level
	return d
}

// drains says whether the level must not fall, as a backlog is left that its pods share. What hot partitions alone hold for
// longer than T is drained by one pod each, and keeps no others.
func (h *latch) drains(now time.Time, l Load, p Policy) bool {
	if !l.backlog(l.Lag, p) {
		h.since, h.spread = time.Time{}, time.Time{}
		return false
	}
	if h.since.IsZero() {
		h.since = now
	}
	if h.spread.IsZero() || l.HotLag == 0 || l.backlog(l.Lag-l.HotLag, p) {
		h.spread = now
	}
	return now.Sub(h.spread) < p.DrainTarget
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05") }
