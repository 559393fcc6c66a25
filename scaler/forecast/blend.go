package forecast

import "math"

// blend weighs the experts of one horizon by their recent error.
type blend struct {
	h     int64
	decay float64
	err   [numExperts]float64 // sums of |error|, decayed
	n     [numExperts]float64 // sums of ones, decayed alike
	// pending are the forecasts for rows that are not complete yet, by row number mod their count.
	pending []pendingBlend
	res     residuals
}

type pendingBlend struct {
	row     int64
	experts [numExperts]float64
	made    made
}

// made is a forecast whose outcome is awaited.
type made struct {
	ok              bool
	point, c, scale float64
	coarse          bool
}

func newBlend(h int64, f *Forecaster) *blend {
	return &blend{
		h: h, decay: math.Exp2(-float64(f.step) / (blendHalfLife * 3600)),
		pending: make([]pendingBlend, h+1), res: newResiduals(f),
	}
}

const blendHalfLife = 6 // hours

// resolve learns from the row that was completed.
func (b *blend) resolve(row int64, v float64, coarse bool) {
	p := &b.pending[row%int64(len(b.pending))]
	if p.row == row && !math.IsNaN(v) {
		for k, x := range p.experts {
			if !math.IsNaN(x) {
				b.err[k] = b.err[k]*b.decay + math.Abs(v-x)
				b.n[k] = b.n[k]*b.decay + 1
			}
		}
	}
	if p.row != row {
		b.res.add(row, math.NaN(), made{})
		return
	}
	p.made.coarse = coarse
	b.res.add(row, v, p.made)
}

// point blends what the experts say.
func (b *blend) point(experts *[numExperts]float64) float64 {
	var best float64 = math.Inf(1)
	var e [numExperts]float64
	for k, x := range experts {
		if math.IsNaN(x) || b.n[k] < 2 {
			e[k] = math.NaN()
			continue
		}
		e[k] = b.err[k] / b.n[k]
		best = min(best, e[k])
	}
	if math.IsInf(best, 1) {
		return experts[numBases*numWindows]
	}
	sum, weight := 0.0, 0.0
	for k, x := range experts {
		if math.IsNaN(e[k]) {
			continue
		}
		w := 1.0
		if e[k] > best {
			r := best / e[k]
			w = r * r * r * r
		}
		sum, weight = sum+w*x, weight+w
	}
	return sum / weight
}

// weights are the experts' shares of the blend, for those that have one.
func (b *blend) weights(experts *[numExperts]float64) []Expert {
	total, best := 0.0, math.Inf(1)
	for k, x := range experts {
		if !math.IsNaN(x) && b.n[k] >= 2 {
			best = min(best, b.err[k]/b.n[k])
		}
	}
	var out []Expert
	for k, x := range experts {
		if math.IsNaN(x) {
			continue
		}
		e := Expert{Name: expertNames[k], Forecast: x}
		if b.n[k] >= 2 {
			e.Weight = 1
			if mine := b.err[k] / b.n[k]; mine > best {
				e.Weight = math.Pow(best/mine, 4)
			}
		}
		total += e.Weight
		out = append(out, e)
	}
	for i := range out {
		if total > 0 {
			out[i].Weight /= total
		}
	}
	return out
}
