package history

import (
	"math"
	"time"
)

// profile is the last week's demand by half hours of the local week: what stands in for a demand that this cluster cannot
// see. It costs under 2 KiB and never expires.
type profile struct {
	location *time.Location
	slots    [7 * 48]code // 0 is unknown
	slot     int
	sum, n   float64
	level    float64 // logarithm of the demand to the profile, a mean that decays
	levelAt  time.Time
	newest   time.Time // row that was known
}

const (
	// levelHalfLife is over what the profile's level follows the demand, and levelMost how far, as a factor.
	levelHalfLife = 6 * time.Hour
	levelMost     = 3.0
)

func (p *profile) slotOf(t time.Time) (slot int, part float64) {
	l := t.In(p.location)
	s := (int(l.Weekday())*24+l.Hour())*2 + l.Minute()/30
	return s, (float64(l.Minute()%30) + float64(l.Second())/60) / 30
}

// add takes a known row.
func (p *profile) add(t time.Time, pods float64) {
	p.newest = t
	if e := p.raw(t); e > 0 && pods > 0 {
		keep := 0.0
		if !p.levelAt.IsZero() {
			keep = math.Exp2(-float64(t.Sub(p.levelAt)) / float64(levelHalfLife))
		}
		x := min(max(math.Log(pods/e), -math.Log(levelMost)), math.Log(levelMost))
		p.level, p.levelAt = p.level*keep+x*(1-keep), t
	}
	s, _ := p.slotOf(t)
	if s != p.slot {
		p.close()
		p.slot = s
	}
	p.sum, p.n = p.sum+pods, p.n+1
}

func (p *profile) close() {
	if p.n > 0 {
		p.slots[p.slot] = codeOf(p.sum / p.n)
	}
	p.sum, p.n = 0, 0
}

// raw is the last week's demand at the same local time, on the line between the middles of half hours.
func (p *profile) raw(t time.Time) float64 {
	s, part := p.slotOf(t)
	other, w := s+1, part-0.5
	if w < 0 {
		other, w = s-1, -w
	}
	n := len(p.slots)
	a, b := p.slots[s], p.slots[(other+n)%n]
	switch {
	case !a.known() && !b.known():
		return math.NaN()
	case !a.known():
		return b.value()
	case !b.known():
		return a.value()
	}
	return a.value()*(1-w) + b.value()*w
}

// at is the demand that the profile stands in with; NaN where it has none. A day that was not seen yet looks like the one
// before.
func (p *profile) at(t time.Time) float64 {
	v := p.raw(t)
	for back := 1; math.IsNaN(v) && back < 7; back++ {
		v = p.raw(t.AddDate(0, 0, -back))
	}
	return v * math.Exp(p.level)
}
