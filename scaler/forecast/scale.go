package forecast

import "math"

const (
	numScale = 10 // features of the local scale
	// slotShare and recentShare are a and b of the package comment.
	slotShare   = 0.5
	recentShare = 0.4
	// scaleBound is how far the same slot's and the recent error may be from the overall one, as a factor.
	scaleBound = 5.0
	// learnedBound is the most that the regression may change a scale, as a logarithm.
	learnedBound = 1.5
	// errorBound is how far an error may exceed the overall one to count in full, as a factor.
	errorBound = 20.0
	// floorShare of the overall error is added to an error before its logarithm is taken.
	floorShare = 0.07
	// aboveWeight and belowWeight are how much an outcome counts that is above its forecast, or below.
	aboveWeight = 1.3
	belowWeight = 0.7

	overallHalfLife = 14 * daySeconds
	scaleHalfLife   = 14 * daySeconds
	recentHalfLife  = 3600
	slotHalfLife    = 5 // days
	scaleReady      = 3 * daySeconds
	smallestError   = 1e-4
	quarterHour     = 900
	halfHour        = 1800
)

// scale is how far a horizon's outcomes are from its forecasts, as a logarithm, where and when they are made.
type scale struct {
	seconds         float64 // between two outcomes
	recent, overall decayed // |r|
	bySlot          [daySeconds / quarterHour]float32
	reg             regression
	learned         int64
}

// local is one forecast's scale and what it was made of.
type local struct {
	scale float32
	base  float32 // the logarithm of the scale before the regression
	x     [numScale]float32
}

// circumstances of a forecast that its scale depends on, as logarithms but for slot and off.
type circumstances struct {
	slot   int64   // seconds since local midnight
	off    bool    // not a working day
	spread float64 // of the experts
	differ float64 // between the long regression and the blend
	size   float64 // the point to the usual load
	jump   float64 // the last minutes to the last hour
}

// learn takes the residual r of a forecast.
func (s *scale) learn(r float64, l *local, slot int64) {
	abs := math.Abs(r)
	if s.overall.n > 0 {
		abs = min(abs, errorBound*max(s.overall.value(), smallestError))
	}
	s.recent.add(abs, keepOf(s.seconds, recentHalfLife))
	s.overall.add(abs, keepOf(s.seconds, overallHalfLife))
	b := &s.bySlot[slot/quarterHour]
	if *b == 0 {
		*b = float32(abs)
	}
	*b += (float32(abs) - *b) * float32(1-keepOf(min(s.seconds/quarterHour, 1), slotHalfLife))
	if l.scale == 0 {
		return
	}
	weight := aboveWeight
	if r < 0 {
		weight = belowWeight
	}
	floor := floorShare * max(s.overall.value(), smallestError) // no error at all has no logarithm
	s.reg.learn(l.x[:], math.Log(abs+floor)-float64(l.base), weight, keepOf(s.seconds, scaleHalfLife))
	s.learned++
	if s.learned%max(int64(solveSeconds/s.seconds), 1) == 0 {
		s.reg.solve()
	}
}

// of a forecast; its scale is 0 while nothing is known.
func (s *scale) of(c circumstances) local {
	var l local
	if s.overall.n == 0 {
		return l
	}
	overall := max(s.overall.value(), smallestError)
	bound := func(x float64) float64 { return min(max(x, overall/scaleBound), overall*scaleBound) / overall }
	recent, slot := bound(s.recent.value()), s.around(c.slot)
	if slot == 0 {
		slot = overall
	}
	slot = bound(slot)
	base := math.Log(overall) + slotShare*math.Log(slot) + recentShare*math.Log(recent)
	log := func(x float64) float64 { return math.Log(min(max(math.Abs(x)/overall, 0.02), 50)) }
	sin, cos := math.Sincos(2 * math.Pi * float64(c.slot) / daySeconds)
	off := 0.0
	if c.off {
		off = 1
	}
	p := filler{out: l.x[:]}
	for _, x := range [numScale]float64{1, math.Log(slot), math.Log(recent), log(c.spread), log(c.differ), c.size, log(c.jump), sin, cos, off} {
		p.put(x)
	}
	learned := 0.0
	if float64(s.learned)*s.seconds > scaleReady {
		learned = min(max(s.reg.predict(l.x[:]), -learnedBound), learnedBound)
	}
	l.base, l.scale = float32(base), float32(math.Exp(base+learned))
	return l
}

// around a slot is the mean |r| of it and its neighbours; 0 where nothing is known.
func (s *scale) around(slot int64) float64 {
	n := int64(len(s.bySlot))
	k, m := slot/quarterHour, meanOf{}
	for i := k - 1; i <= k+1; i++ {
		if b := s.bySlot[floorMod(i, n)]; b > 0 {
			m.add(float64(b))
		}
	}
	if m.n == 0 {
		return 0
	}
	return m.value()
}
