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

// local is one forecast's scale, and its logarithm before the regression; 0 while nothing is known.
type local struct{ scale, base float32 }

// known is what past errors say of a forecast's scale: those of the same slot and the recent ones, as logarithms of their
// ratio to the overall one, and their mix.
type known struct{ overall, slot, recent, base float64 }

// log of an error to the overall one, bounded.
func (k *known) log(x float64) float64 {
	return math.Log(min(max(math.Abs(x)/k.overall, 0.02), 50))
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

// features of a horizon's scale.
func (c *circumstances) features(k *known) (x [numScale]float32) {
	sin, cos := math.Sincos(2 * math.Pi * float64(c.slot) / daySeconds)
	off := 0.0
	if c.off {
		off = 1
	}
	p := filler{out: x[:]}
	for _, v := range [numScale]float64{1, k.slot, k.recent, k.log(c.spread), k.log(c.differ), c.size, k.log(c.jump), sin, cos, off} {
		p.put(v)
	}
	return x
}

// learn takes the residual r of a forecast whose scale was made of the features x.
func (s *scale) learn(r float64, l local, x []float32, slot int64) {
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
	s.reg.learn(x, math.Log(abs+floor)-float64(l.base), weight, keepOf(s.seconds, scaleHalfLife))
	s.learned++
	if s.learned%max(int64(solveSeconds/s.seconds), 1) == 0 {
		s.reg.solve()
	}
}

// known of a slot; false while nothing is.
func (s *scale) known(slot int64) (k known, ok bool) {
	if s.overall.n == 0 {
		return k, false
	}
	k.overall = max(s.overall.value(), smallestError)
	ratio := func(x float64) float64 {
		return math.Log(min(max(x, k.overall/scaleBound), k.overall*scaleBound) / k.overall)
	}
	around := s.around(slot)
	if around == 0 {
		around = k.overall
	}
	k.slot, k.recent = ratio(around), ratio(s.recent.value())
	k.base = math.Log(k.overall) + slotShare*k.slot + recentShare*k.recent
	return k, true
}

// of a forecast with the features x.
func (s *scale) of(k known, x []float32) local {
	learned := 0.0
	if float64(s.learned)*s.seconds > scaleReady {
		learned = bounded(s.reg.predict(x), learnedBound)
	}
	return local{base: float32(k.base), scale: float32(math.Exp(k.base + learned))}
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
