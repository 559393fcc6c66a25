package guardrail

import (
	"fmt"
	"time"
)

// Reading is what is seen of an object's pods and nodes at one time.
type Reading struct {
	// Pods that run or want to, balloons and daemons not counted, and the cores that they ask for.
	Pods  int
	Cores float64
	// Pending are the times at which those of them that have no node were made, at the latest.
	Pending []time.Time
	// Hourly cost of what is held for them; Unpriced is why it is not known, and empty where it is.
	Hourly   float64
	Unpriced string
}

// Sum is what was seen in some time.
type Sum struct {
	// Seconds that are known.
	Seconds float64 `json:"s,omitempty"`
	// Pods and Missed are pod-seconds.
	Pods   float64 `json:"p,omitempty"`
	Missed float64 `json:"m,omitempty"`
	// Cost, and the core-seconds asked for, of the seconds that the cost is known of.
	Priced float64 `json:"c,omitempty"`
	Cost   float64 `json:"$,omitempty"`
	Cores  float64 `json:"d,omitempty"`
}

// longestStep is how long a reading stands at most: what was between two that are further apart is not known.
const longestStep = 2 * time.Minute

// add takes a reading that stood for a time. A pod is missed while it is pending beyond a bound; those made before a time are
// no matter of what is watched since then.
func (s *Sum) add(now time.Time, stood time.Duration, r Reading, beyond time.Duration, since time.Time) {
	if stood <= 0 || stood > longestStep {
		return
	}
	dt := stood.Seconds()
	s.Seconds += dt
	s.Pods += float64(r.Pods) * dt
	for _, made := range r.Pending {
		if !made.Before(since) && now.Sub(made) > beyond {
			s.Missed += dt
		}
	}
	if r.Unpriced == "" {
		s.Priced += dt
		s.Cost += r.Hourly * dt / 3600
		s.Cores += r.Cores * dt
	}
}

func (s Sum) plus(o Sum) Sum {
	return Sum{s.Seconds + o.Seconds, s.Pods + o.Pods, s.Missed + o.Missed, s.Priced + o.Priced, s.Cost + o.Cost, s.Cores + o.Cores}
}

func (s Sum) times(f float64) Sum {
	return Sum{s.Seconds * f, s.Pods * f, s.Missed * f, s.Priced * f, s.Cost * f, s.Cores * f}
}

// share of pod-seconds that were missed; false where there were none.
func (s Sum) share() (float64, bool) { return s.Missed / s.Pods, s.Pods > 0 }

// rate is the cost an hour.
func (s Sum) rate() float64 { return s.Cost / s.Priced * 3600 }

// Past is what was seen under specs that were good.
type Past struct {
	// Hours of the week, 0 being Sunday from 00:00 UTC, each half forgotten with every week.
	Hours map[int]Hour `json:"hours,omitempty"`
	// Recent are the last two hours by quarters.
	Recent []Quarter `json:"recent,omitempty"`
}

// Hour is one of the week's.
type Hour struct {
	Sum
	Week int64 `json:"w"`
}

// Quarter of an hour.
type Quarter struct {
	Sum
	At time.Time `json:"at"`
}

const (
	quarter = 15 * time.Minute
	recent  = 2 * time.Hour
	week    = 7 * 24 * time.Hour
	// enoughOfHour and enoughBefore are how much must be known of an hour, and of the time before a change.
	enoughOfHour = 15 * 60
	enoughBefore = 5 * 60
)

func hourOf(t time.Time) int { return int(t.UTC().Weekday())*24 + t.UTC().Hour() }

func weekOf(t time.Time) int64 { return t.Unix() / int64(week/time.Second) }

// add takes what was seen until now.
func (p *Past) add(now time.Time, s Sum) {
	at := now.Truncate(quarter)
	if n := len(p.Recent); n == 0 || !p.Recent[n-1].At.Equal(at) {
		p.Recent = append(p.Recent, Quarter{At: at})
	}
	for now.Sub(p.Recent[0].At) > recent+quarter {
		p.Recent = p.Recent[1:]
	}
	last := &p.Recent[len(p.Recent)-1]
	last.Sum = last.plus(s)
	p.addHour(now, s)
}

func (p *Past) addHour(now time.Time, s Sum) {
	if p.Hours == nil {
		p.Hours = map[int]Hour{}
	}
	h := p.Hours[hourOf(now)]
	if w := weekOf(now); h.Week != w {
		h.Sum, h.Week = h.times(0.5), w
	}
	h.Sum = h.plus(s)
	p.Hours[hourOf(now)] = h
}

// baseline is what a stretch of time is compared with, and in words which time that is; whole says that it is of the same time of
// day, so that less demand may be expected to cost less.
func (p Past) baseline(from, to time.Time) (s Sum, of string, whole bool) {
	if s, ok := p.hours(from, to, func(h int) []int { return []int{h} }); ok {
		return s, "in the same hours of past weeks", true
	}
	if s, ok := p.hours(from, to, func(h int) []int {
		return []int{h % 24, h%24 + 24, h%24 + 48, h%24 + 72, h%24 + 96, h%24 + 120, h%24 + 144}
	}); ok {
		return s, "in the same hours of other days", true
	}
	for _, q := range p.Recent {
		if from.Sub(q.At) <= recent+quarter {
			s = s.plus(q.Sum)
		}
	}
	if s.Seconds < enoughBefore {
		return Sum{}, "", false
	}
	return s, fmt.Sprintf("in %s before the change", time.Duration(s.Seconds*float64(time.Second)).Round(time.Minute)), false
}

// hours sums those that stand for each hour of a stretch; false where one of them is not known.
func (p Past) hours(from, to time.Time, like func(int) []int) (Sum, bool) {
	var all Sum
	for at := from.Truncate(time.Hour); !at.After(to) && at.Sub(from) < week; at = at.Add(time.Hour) {
		var s Sum
		for _, h := range like(hourOf(at)) {
			s = s.plus(p.Hours[h].Sum)
		}
		if s.Seconds < enoughOfHour {
			return Sum{}, false
		}
		all = all.plus(s.times(3600 / s.Seconds)) // each hour counts the same
	}
	return all, true
}
