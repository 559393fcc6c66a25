package schedule

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Demand is what is known of a workload's demand, in pods, at a time; false where it is unknown. series.Series' At is one.
type Demand func(t time.Time) (pods float64, known bool)

const (
	// bucket is the step that a past stretch is replayed in.
	bucket = 5 * time.Minute
	// usualDays is how many days to either side are looked at for what is usual, and usualMost how many of them count.
	usualDays, usualMost = 28, 8
	// usualLeast is how many days must be known.
	usualLeast = 2
	// mostGrowth bounds demand over usual demand, where what is usual is next to nothing.
	mostGrowth = 100
)

// levels is the largest demand that an event's growth leads one to expect at any time from from to to, both included; NaN
// with a problem where the history does not say.
func (s *Schedule) levels(e *event, from, to time.Time, demand Demand) (float64, []Problem) {
	n := int((e.to.Sub(e.from) + bucket - 1) / bucket)
	problem := func(what string) (float64, []Problem) {
		mend := "give a time that the history covers, or minHeadroom for what is kept without it"
		if e.room.Pods > 0 || e.room.Share > 0 {
			what += ": its minHeadroom is kept instead"
			mend = "give a time that the history covers, or take growth out"
		}
		return math.NaN(), []Problem{{e.field + ".growth.like", fmt.Sprintf("event %s: %s", e.name, what), mend}}
	}
	if demand == nil {
		return problem("there is no history of demand")
	}
	known := 0
	for k := range n {
		if _, ok := meanOver(e.growth.like.Add(time.Duration(k)*bucket), demand); ok {
			known++
		}
	}
	if 2*known < n {
		return problem(fmt.Sprintf("demand from %s to %s is known for %d of %d five-minute steps", e.growth.like.In(s.loc).Format(time.RFC3339),
			e.growth.like.Add(e.to.Sub(e.from)).In(s.loc).Format(time.RFC3339), known, n))
	}
	first := max(int(from.Sub(e.from)/bucket), 0)
	last := min(int(to.Sub(e.from)/bucket), n-1)
	most := math.NaN()
	for k := first; k <= last; k++ {
		usual, ok := s.usual(e.from.Add(time.Duration(k)*bucket), demand)
		if !ok {
			return problem(fmt.Sprintf("what is usual at its own time of day is not known from %d days before", usualDays))
		}
		grown, ok := s.grownNear(e, k, n, demand)
		if !ok {
			return problem(fmt.Sprintf("what was usual then is not known from %d days to either side of %s", usualDays, e.growth.like.In(s.loc).Format(time.DateOnly)))
		}
		if v := usual * max(1+e.growth.factor*(grown-1), 0); !(v <= most) {
			most = v
		}
	}
	return most, nil
}

// grownNear is grown, or the larger of the nearest on either side where it is unknown.
func (s *Schedule) grownNear(e *event, k, n int, demand Demand) (float64, bool) {
	if v, ok := s.grown(e, k, demand); ok {
		return v, true
	}
	best, found := 0.0, false
	for _, by := range []int{-1, 1} {
		for i := k + by; i >= 0 && i < n; i += by {
			if v, ok := s.grown(e, i, demand); ok {
				best, found = max(best, v), true
				break
			}
		}
	}
	return best, found
}

// grown is demand over usual demand in the k-th step of the past stretch.
func (s *Schedule) grown(e *event, k int, demand Demand) (float64, bool) {
	t := e.growth.like.Add(time.Duration(k) * bucket)
	then, ok := meanOver(t, demand)
	if !ok {
		return 0, false
	}
	usual, ok := s.usual(t, demand)
	switch {
	case !ok:
		return 0, false
	case usual > 0:
		return min(then/usual, mostGrowth), true
	case then > 0:
		return mostGrowth, true
	}
	return 1, true
}

// Usual is the demand that is usual at t, by the days around it; false where too little is known. Where an event's growth is
// read from it, it is this that grows.
func (s *Schedule) Usual(t time.Time, demand Demand) (pods float64, known bool) {
	if demand == nil {
		return 0, false
	}
	return s.usual(t, demand)
}

// usual is the median demand at the same local time of the nearest days that count as the same day of the week, and where
// fewer than two of them are known, of those of the same kind: working days, Saturdays, Sundays. Times within an event, or
// within a stretch that one is like, are left out.
func (s *Schedule) usual(t time.Time, demand Demand) (float64, bool) {
	local := t.In(s.loc)
	minutes := local.Hour()*60 + local.Minute()
	day := func(by int) time.Time { return noon(local.Year(), local.Month(), local.Day()+by, s.loc) }
	as := s.off.weekday(day(0))
	same := func(d time.Weekday) bool { return d == as }
	alike := func(d time.Weekday) bool { return kindOf(d) == kindOf(as) }
	for _, fits := range []func(time.Weekday) bool{same, alike} {
		var seen []float64
		for by := 1; by <= usualDays && len(seen) < usualMost; by++ {
			for _, date := range []time.Time{day(-by), day(by)} {
				if !fits(s.off.weekday(date)) {
					continue
				}
				at := begins(date, minutes)
				if s.unusual(at) {
					continue
				}
				if v, ok := meanOver(at, demand); ok {
					seen = append(seen, v)
				}
			}
		}
		if len(seen) >= usualLeast {
			return median(seen), true
		}
	}
	return 0, false
}

func kindOf(d time.Weekday) int {
	switch d {
	case time.Saturday:
		return 1
	case time.Sunday:
		return 2
	}
	return 0
}

// unusual says that a time is within an event, or within a stretch that one is like.
func (s *Schedule) unusual(t time.Time) bool {
	within := func(from time.Time, length time.Duration) bool { return !t.Before(from) && t.Before(from.Add(length)) }
	for i := range s.events {
		e := &s.events[i]
		if within(e.from, e.to.Sub(e.from)) || e.growth != nil && within(e.growth.like, e.to.Sub(e.from)) {
			return true
		}
	}
	return false
}

// meanOver is the mean demand of a step's minutes, of which half at least must be known.
func meanOver(t time.Time, demand Demand) (float64, bool) {
	const n = int(bucket / time.Minute)
	sum, known := 0.0, 0
	for i := range n {
		if v, ok := demand(t.Add(time.Duration(i) * time.Minute)); ok && v >= 0 && !math.IsInf(v, 0) {
			sum += v
			known++
		}
	}
	if 2*known < n {
		return 0, false
	}
	return sum / float64(known), true
}

func median(v []float64) float64 {
	slices.Sort(v)
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}
