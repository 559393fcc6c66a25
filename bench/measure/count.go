package measure

import (
	"slices"
	"sort"
	"time"
)

// count is a number of things that come and go.
type count struct{ up, down []time.Time }

// add a thing that is there from one instant to another; a zero from never comes, a zero to never goes.
func (c *count) add(from, to time.Time) {
	if from.IsZero() || !to.IsZero() && !to.After(from) {
		return
	}
	c.up = append(c.up, from)
	if !to.IsZero() {
		c.down = append(c.down, to)
	}
}

func (c *count) sort() {
	slices.SortFunc(c.up, time.Time.Compare)
	slices.SortFunc(c.down, time.Time.Compare)
}

// at is the number at an instant, after sort.
func (c *count) at(t time.Time) int { return before(c.up, t) - before(c.down, t) }

// before is how many instants are not after t.
func before(times []time.Time, t time.Time) int {
	return sort.Search(len(times), func(i int) bool { return times[i].After(t) })
}

// overlap is how much of [from, to] lies in the window; a zero from never comes, a zero to never ends.
func overlap(from, to, start, end time.Time) time.Duration {
	if from.IsZero() {
		return 0
	}
	if to.IsZero() || to.After(end) {
		to = end
	}
	if from.Before(start) {
		from = start
	}
	return max(0, to.Sub(from))
}
