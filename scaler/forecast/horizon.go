package forecast

import "math"

const (
	numHalfLives = 2
	memberBlend  = numHalfLives // its index among the members
	numMembers   = numHalfLives + 1

	// logClip bounds the logarithm of load to reference that a regression learns and says.
	logClip = 1.5
	// errorClip bounds by how much an outcome may exceed the reference when errors are compared, as a logarithm.
	errorClip = 2.0
	// robust is from how many local scales on an outcome counts less, and sizePower how much more a large load counts.
	robust    = 1.5
	sizePower = 0.7
	sizeMost  = 10.0
	// Members are weighed by their error of the last hours; the blend's weight is a little less.
	memberHalfLife = daySeconds / 2
	memberPower    = 10
	blendShare     = 0.6
	// errSlotHalfLife of the mean residual at a slot, in days.
	errSlotHalfLife = 3
	// regressions are learned for horizons in this range, in seconds.
	shortestRegression = 300
	longestRegression  = 3 * 3600
	regressionReady    = daySeconds
)

// halfLives of the regressions and of the recent residuals, in seconds. The short regression has the first features only.
var (
	halfLives    = [numHalfLives]float64{2 * daySeconds, 12 * daySeconds}
	errHalfLives = [2]float64{600, 3 * 3600}
	regFeatures  = [numHalfLives]int{22, numFeatures}
	memberNames  = [numHalfLives]string{"regression/2d", "regression/12d"}
)

// horizon forecasts the row h rows after the origin.
type horizon struct {
	f       *Forecaster
	h       int64
	stride  int64 // every so many rows a forecast is learned from
	blend   blend
	regs    []regression // none where the blend is alone
	members [numMembers]decayed
	learned int64
	errs    [2]decayed // residuals, by errHalfLives
	// Mean logarithm of load to reference, and mean residual, by half hour of the local day.
	refBySlot, errBySlot [daySeconds / halfHour]float32
	pending              []pending // by target row / stride mod their count
	scale                scale
	tail                 tail
}

// made is a forecast that was just made.
type made struct {
	ok                  bool
	point, small, scale float64
	ref                 float64
}

// pending is a forecast whose outcome is awaited.
type pending struct {
	row               int64
	ok                bool
	ref, small, point float32
	slot              int32 // seconds since local midnight
	said              [numExperts]int16
	x                 [numFeatures]int16
	members           [numMembers]float32 // logarithm of each to the reference
	local             local
	s                 [numScale]int16 // features of the scale
}

// Numbers of pending forecasts are kept as 16 bits, in these steps.
const (
	saidStep    = 1.0 / 4000
	featureStep = 1.0 / 10000
	noNumber    = math.MinInt16
)

func pack(v, step float64) int16 {
	if math.IsNaN(v) {
		return noNumber
	}
	return int16(math.Round(min(max(v/step, -math.MaxInt16), math.MaxInt16)))
}

func unpack(v int16, step float64) float64 {
	if v == noNumber {
		return math.NaN()
	}
	return float64(v) * step
}

// packAll and unpackAll turn features to 16 bits and back.
func packAll(to []int16, from []float32) {
	for i, x := range from {
		to[i] = pack(float64(x), featureStep)
	}
}

func unpackAll(to []float32, from []int16) {
	for i, x := range from {
		to[i] = float32(unpack(x, featureStep))
	}
}

func newHorizon(h int64, f *Forecaster, pool []float32) (*horizon, []float32) {
	z := &horizon{f: f, h: h, stride: f.strideOf(h)}
	z.pending = make([]pending, (h+z.stride-1)/z.stride+1)
	z.scale.seconds = z.seconds()
	z.scale.reg, pool = newRegression(numScale, pool)
	if f.hasRegressions(h) {
		z.regs = make([]regression, numHalfLives)
		for i := range z.regs {
			z.regs[i], pool = newRegression(regFeatures[i], pool)
		}
	}
	return z, pool
}

// hasRegressions says whether forecasts h rows ahead have regressions beside the blend.
func (f *Forecaster) hasRegressions(h int64) bool {
	return h*f.step >= shortestRegression && h*f.step <= longestRegression
}

// strideOf is every how many rows forecasts h rows ahead are learned from.
func (f *Forecaster) strideOf(h int64) int64 { return f.rows(max(nearSeconds, h*f.step/12)) }

// seconds between two forecasts that are learned from.
func (z *horizon) seconds() float64 { return float64(z.stride * z.f.step) }

// resolve learns from the load v of a row, if a forecast of it is awaited.
func (z *horizon) resolve(row int64, v float64, coarse bool) {
	if row%z.stride != 0 || math.IsNaN(v) {
		return
	}
	p := &z.pending[floorMod(row/z.stride, int64(len(z.pending)))]
	if p.row != row {
		return
	}
	ref, c := float64(p.ref), float64(p.small)
	if !isNumber(ref) || !(c > 0) {
		return
	}
	atMost := min(v, (ref+c)*math.Exp(errorClip))
	var said experts
	for k, x := range p.said {
		said[k] = (ref+c)*math.Exp(unpack(x, saidStep)) - c
	}
	z.blend.learn(&said, atMost, keepOf(z.seconds(), blendHalfLife))
	if !p.ok {
		return
	}
	r := math.Log((v + c) / (float64(p.point) + c))
	if !isNumber(r) {
		return
	}
	for i := range z.members {
		z.members[i].add(math.Abs(atMost-((ref+c)*math.Exp(float64(p.members[i]))-c)), keepOf(z.seconds(), memberHalfLife))
	}
	z.regress(p, v, r)
	if p.local.scale > 0 {
		z.tail.add(r/float64(p.local.scale), keepOf(z.seconds(), tailHalfLife), coarse)
	}
	var s [numScale]float32
	unpackAll(s[:], p.s[:])
	z.scale.learn(r, p.local, s[:], int64(p.slot))
}

// regress learns the load v of a row and its residual r.
func (z *horizon) regress(p *pending, v, r float64) {
	c := float64(p.small)
	y := bounded(math.Log((v+c)/(float64(p.ref)+c)), logClip)
	size := math.Pow(min((float64(p.point)+c)/(z.f.usual.value()+c), sizeMost), sizePower)
	if far := robust * max(float64(p.local.scale), smallestError); math.Abs(r) > far {
		size *= far / math.Abs(r)
	}
	z.learned++
	var x features
	unpackAll(x[:], p.x[:])
	for i := range z.regs {
		z.regs[i].learn(x[:regFeatures[i]], y, size, keepOf(z.seconds(), halfLives[i]))
		if z.learned%max(int64(solveSeconds/z.seconds()), 1) == 0 {
			z.regs[i].solve()
		}
	}
	for i := range z.errs {
		z.errs[i].add(bounded(r, logClip), keepOf(z.seconds(), errHalfLives[i]))
	}
	gain := float32(1 - keepOf(z.seconds()/halfHour, errSlotHalfLife))
	slot := p.slot / halfHour
	z.refBySlot[slot] += (float32(bounded(y, slotClip)) - z.refBySlot[slot]) * gain
	z.errBySlot[slot] += (float32(bounded(r, slotClip)) - z.errBySlot[slot]) * gain
}

// make forecasts from a view.
func (z *horizon) make(v *view) made {
	row := v.row + z.h
	a := z.f.aheadOf(v, row)
	c := v.small
	said := z.f.expertsOf(v, &a, z.h)
	blended, spread := z.blend.point(&said, c)
	x := z.featuresOf(v, &a, blended)
	p := pending{row: row, ref: float32(a.ref), small: float32(c), slot: int32(a.moment.local)}
	m := made{point: blended, small: c, ref: a.ref}
	p.members = z.say(&x, math.Log((blended+c)/(a.ref+c)))
	if len(z.regs) > 0 && float64(z.learned)*z.seconds() >= regressionReady {
		m.point = max((a.ref+c)*math.Exp(z.mix(&p.members))-c, 0)
	}
	m.ok = isNumber(m.point) && c > 0
	if k, ok := z.scale.known(a.moment.local); ok {
		around := circumstances{
			slot: a.moment.local, off: a.moment.kind != workingDay, spread: spread,
			differ: float64(p.members[numHalfLives-1] - p.members[memberBlend]), size: math.Log((m.point + c) / (v.usual + c)),
			jump: v.ratio[baseFourWeeks][spanLast] - v.ratio[baseFourWeeks][span1h],
		}
		s := around.features(&k)
		packAll(p.s[:], s[:])
		p.local = z.scale.of(k, s[:])
	}
	m.scale = float64(p.local.scale)
	if row%z.stride == 0 {
		p.ok, p.point = m.ok, float32(m.point)
		for k, s := range said {
			p.said[k] = pack(finite(math.Log((s+c)/(a.ref+c))), saidStep)
		}
		packAll(p.x[:], x[:])
		z.pending[floorMod(row/z.stride, int64(len(z.pending)))] = p
	}
	return m
}

// say is what each member says, as a logarithm to the reference; blended is the blend's.
func (z *horizon) say(x *features, blended float64) (said [numMembers]float32) {
	if !isNumber(blended) {
		blended = 0
	}
	said[memberBlend] = float32(blended)
	for i := range z.regs {
		said[i] = float32(bounded(z.regs[i].predict(x[:]), logClip))
	}
	return said
}

// shares of the members in the point.
func (z *horizon) shares() (w [numMembers]float64) {
	best := math.Inf(1)
	for i := range z.members {
		best = min(best, z.members[i].value())
	}
	sum := 0.0
	for i := range z.members {
		w[i] = math.Pow((best+math.SmallestNonzeroFloat32)/(z.members[i].value()+math.SmallestNonzeroFloat32), memberPower)
		if i == memberBlend {
			w[i] *= blendShare
		}
		sum += w[i]
	}
	for i := range w {
		w[i] /= sum
	}
	return w
}

// mix is the members' mean.
func (z *horizon) mix(said *[numMembers]float32) float64 {
	x := 0.0
	for i, w := range z.shares() {
		x += w * float64(said[i])
	}
	return x
}
