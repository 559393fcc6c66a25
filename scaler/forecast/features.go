package forecast

import "math"

const (
	numFeatures = 29
	featureClip = 3.0
	shapeClip   = 1.0 // of how a base's shape differs from the reference's
	slotClip    = 0.5 // of what one row adds to the mean of its slot
)

// features of one forecast; the first is always 1.
type features [numFeatures]float32

// filler writes features one after another; what is unknown is 0.
type filler struct {
	out []float32
	n   int
}

func (p *filler) put(v float64) {
	if !isNumber(v) {
		v = 0
	}
	p.out[p.n] = float32(min(max(v, -featureClip), featureClip))
	p.n++
}

// featuresOf a horizon's forecast; see the package comment for what they are.
func (z *horizon) featuresOf(v *view, a *ahead, blended float64) features {
	var x features
	p := filler{out: x[:]}
	c := v.small
	ref := math.Log(a.ref + c)
	four, yesterday := &v.ratio[baseFourWeeks], &v.ratio[baseYesterday]
	hour := four[span1h]
	level := hour / math.Sqrt(1+hour*hour) // a lasting shift of the level must not leave the range that was learned
	last := math.Log(v.last+c) - ref
	mix := math.Log(blended+c) - ref
	recent := z.errs[1].value()
	p.put(1)
	for _, b := range [...]int{baseYesterday, baseSameKind, baseEightWeeks} {
		p.put(bounded(math.Log(a.bases[b]+c)+v.ratio[b][span1h]-ref, shapeClip))
	}
	p.put(four[spanLast] - hour)
	p.put(four[span3h] - hour)
	p.put(v.day - hour)
	p.put(yesterday[spanLast] - yesterday[span1h])
	p.put(level)
	p.put(last)
	p.put(v.slope[0] * float64(z.h))
	p.put(mix)
	p.put(z.errs[0].value())
	p.put(recent)
	half := a.moment.local / halfHour
	p.put(float64(z.refBySlot[half]))
	p.put(float64(z.errBySlot[half]))
	sin, cos := math.Sincos(2 * math.Pi * float64(a.moment.local) / daySeconds)
	p.put(0.3 * sin)
	p.put(0.3 * cos)
	for _, y := range [...]float64{level, last, mix, recent} { // they weigh differently by day and by night
		p.put(y * sin)
		p.put(y * cos)
	}
	p.put(last * recent)
	sin2, cos2 := 2*sin*cos, cos*cos-sin*sin
	p.put(last * sin2)
	p.put(last * cos2)
	return x
}

// bounded is x within ±most.
func bounded(x, most float64) float64 { return min(max(x, -most), most) }
