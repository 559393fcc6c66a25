package forecast

import (
	"math"
	"slices"
)

// peak forecasts the largest of the next lead rows.
type peak struct {
	f       *Forecaster
	lead    int64
	parts   []int // of f.blends
	pending []pendingPeak
	recent  []float64 // the last lead rows, by row number mod lead
	res     residuals
}

type pendingPeak struct {
	row  int64 // the last row of the lead
	made made
}

// peakHorizons are the horizons whose points stand for a lead.
func peakHorizons(lead int64) []int64 {
	hs := []int64{1, (lead + 3) / 4, (lead + 1) / 2, lead}
	slices.Sort(hs)
	return slices.Compact(hs)
}

func newPeak(lead int64, f *Forecaster) *peak {
	p := &peak{f: f, lead: lead, pending: make([]pendingPeak, lead+1), recent: make([]float64, lead), res: newResiduals(f)}
	for i := range p.recent {
		p.recent[i] = math.NaN()
	}
	for _, h := range peakHorizons(lead) {
		i := slices.IndexFunc(f.blends, func(b *blend) bool { return b.h == h })
		p.parts = append(p.parts, i)
	}
	return p
}

func (p *peak) resolve(row int64, v float64, coarse bool) {
	p.recent[row%p.lead] = v
	m := p.pending[row%int64(len(p.pending))]
	if m.row != row {
		m.made = made{}
	}
	m.made.coarse = coarse
	top := math.Inf(-1)
	for _, x := range p.recent {
		if math.IsNaN(x) {
			top = math.NaN()
			break
		}
		top = max(top, x)
	}
	p.res.add(row, top, m.made)
}

func (p *peak) make(row int64, c float64) made {
	m := made{point: math.Inf(-1), c: c}
	for _, i := range p.parts {
		if x := p.f.curMade[i].point; !math.IsNaN(x) {
			m.point = max(m.point, x)
		}
	}
	m.ok = !math.IsInf(m.point, -1) && c > 0
	if !m.ok {
		m.point = math.NaN()
	}
	m.scale = p.res.scale(p.f.lagsAt(row+p.lead), row+p.lead)
	p.pending[(row+p.lead)%int64(len(p.pending))] = pendingPeak{row + p.lead, m}
	return m
}

// highest is the blend whose point is the maximum's.
func (p *peak) highest() int {
	best := p.parts[0]
	for _, i := range p.parts {
		if p.f.curMade[i].point > p.f.curMade[best].point {
			best = i
		}
	}
	return best
}
