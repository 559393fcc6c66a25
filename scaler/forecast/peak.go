package forecast

import "math"

// peak forecasts the largest of the next lead rows as the largest of some of their points.
type peak struct {
	f       *Forecaster
	lead    int64
	stride  int64
	pending []pendingPeak // by the lead's last row / stride mod their count
	tail    tail
}

type pendingPeak struct {
	row                 int64 // the last row of the lead
	point, small, scale float32
	ok                  bool
}

// parts are the horizons whose points stand for a lead.
func (p *peak) parts() [4]int64 { return [...]int64{1, (p.lead + 3) / 4, (p.lead + 1) / 2, p.lead} }

func newPeak(lead int64, f *Forecaster) *peak {
	p := &peak{f: f, lead: lead, stride: f.strideOf(lead)}
	p.pending = make([]pendingPeak, (lead+p.stride-1)/p.stride+1)
	return p
}

// resolve learns from a lead that ended with a row, if a forecast of it is awaited.
func (p *peak) resolve(row int64, coarse bool) {
	if row%p.stride != 0 {
		return
	}
	m := p.pending[floorMod(row/p.stride, int64(len(p.pending)))]
	if m.row != row || !m.ok || m.scale == 0 {
		return
	}
	top := p.f.recent.largest(row+1-p.lead, row+1)
	r := math.Log((top + float64(m.small)) / float64(m.point+m.small))
	if isNumber(r) {
		p.tail.add(r/float64(m.scale), keepOf(float64(p.stride*p.f.step), tailHalfLife), coarse)
	}
}

// make forecasts from a view.
func (p *peak) make(v *view) made {
	best := made{point: math.Inf(-1), small: v.small}
	for _, h := range p.parts() {
		if m := p.f.at(h); m.point > best.point {
			best = m
		}
	}
	if best.ok = best.ok && isNumber(best.point); !best.ok {
		best.point = math.NaN()
	}
	if row := v.row + p.lead; row%p.stride == 0 {
		p.pending[floorMod(row/p.stride, int64(len(p.pending)))] = pendingPeak{
			row: row, point: float32(best.point), small: float32(best.small), scale: float32(best.scale), ok: best.ok,
		}
	}
	return best
}

// highest is the horizon whose point is the maximum's.
func (p *peak) highest() int64 {
	best, top := p.lead, math.Inf(-1)
	for _, h := range p.parts() {
		if m := p.f.at(h); m.point > top {
			best, top = h, m.point
		}
	}
	return best
}
