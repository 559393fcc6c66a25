package replay

import (
	"math"
	"slices"
	"time"
)

const (
	ruleEvery  = 900
	ruleWindow = 7200
	ruleDays   = 14
	// ruleBefore is how much of an earlier day's two hours lies before the same time.
	ruleBefore = 2700
	// ruleMargin beyond the lead: twice the age of what is seen and the wait for the next scan, with which the reference
	// values are met.
	ruleMargin = 90
	daySeconds = 86400
)

// rule holds a quantile of the relative rise over the lead, from the last two hours and the two hours around the same time
// of the last fourteen days, set anew every quarter of an hour.
type rule struct {
	tau         float64
	step, ahead int64
	values      []int32   // the last ahead seconds, a ring by time
	rises       []float32 // by the time they rose from, a ring
	top         *window
	first       int64
	newest      int64
	headroom    float64
	slot        int64
}

func newRule(s Scenario, tau float64) *rule {
	step := seconds(s.Scan)
	ahead := int64(s.lead()/time.Second) + ruleMargin
	return &rule{tau: tau, step: step, ahead: ahead, values: make([]int32, ahead/step+1),
		rises: make([]float32, (ruleDays*daySeconds+ruleWindow)/step), top: newMost(ahead - step)}
}

func (p *rule) observe(at int64, pods int) {
	if p.first == 0 {
		p.first = at
	}
	p.newest = at
	i := at / p.step
	p.values[i%int64(len(p.values))] = int32(pods)
	top := p.top.add(at, pods)
	if from := i - p.ahead/p.step; from*p.step >= p.first {
		p.rises[from%int64(len(p.rises))] = float32(top)/max(float32(p.values[from%int64(len(p.values))]), 1) - 1
	}
}

func (p *rule) want(now int64) float64 {
	if slot := now / ruleEvery; slot != p.slot {
		p.slot, p.headroom = slot, p.quantile()
	}
	return float64(p.values[p.newest/p.step%int64(len(p.values))]) * (1 + p.headroom)
}

func (p *rule) quantile() float64 {
	var rises []float32
	take := func(from, to int64) {
		for at := max(from, p.first); at < to && at+p.ahead <= p.newest; at += p.step {
			rises = append(rises, p.rises[at/p.step%int64(len(p.rises))])
		}
	}
	take(p.newest-ruleWindow, p.newest)
	for d := range int64(ruleDays) {
		same := p.newest - (d+1)*daySeconds
		take(same-ruleBefore, same+ruleWindow-ruleBefore)
	}
	if len(rises) == 0 {
		return 0
	}
	slices.Sort(rises)
	x := p.tau * float64(len(rises)-1)
	i := int(x)
	q := float64(rises[i])
	if i+1 < len(rises) {
		q += float64(rises[i+1]-rises[i]) * (x - math.Floor(x))
	}
	return max(q, 0)
}
