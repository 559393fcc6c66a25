package forecast

import "math"

// slots keeps the mean load of slots of equal length, two bytes a slot: its logarithm in steps of 0.08 %.
// Slots are numbered by unix time / length.
type slots struct {
	length int64    // seconds
	codes  []uint16 // a ring, by the slot's number mod its size; 0 is unknown
	next   int64    // number of the slot that is being filled
	count  int64    // slots that were added
	sum, n float64  // of the slot that is being filled
}

const (
	codeZero = 1     // the code of no load
	codeLow  = -12.0 // the logarithm of code 2
	codeStep = 1.0 / 1250
)

// decodeHigh and decodeLow are exp of a code's high and low byte.
var decodeHigh, decodeLow = decodeTables()

func decodeTables() (high, low [256]float64) {
	for i := range 256 {
		high[i] = math.Exp(codeLow + float64(i*256-2)*codeStep)
		low[i] = math.Exp(float64(i) * codeStep)
	}
	return high, low
}

// encode gives a load from e^-12, below which it is none, to e^40.4 its code.
func encode(v float64) uint16 {
	if math.IsNaN(v) {
		return 0
	}
	x := (math.Log(v) - codeLow) / codeStep
	if x < 0 {
		return codeZero
	}
	return uint16(min(math.Round(x)+2, math.MaxUint16))
}

// decode is the load of a code that is not 0.
func decode(c uint16) float64 {
	if c == codeZero {
		return 0
	}
	return decodeHigh[c>>8] * decodeLow[c&255]
}

// add takes a row that ends at a time; NaN is unknown.
func (s *slots) add(end int64, v float64) {
	if !math.IsNaN(v) {
		s.sum, s.n = s.sum+v, s.n+1
	}
	if end >= (s.next+1)*s.length {
		s.codes[floorMod(s.next, int64(len(s.codes)))] = encode(s.sum / s.n)
		s.next++
		s.count++
		s.sum, s.n = 0, 0
	}
}

// oldest is the number of the first slot that is kept.
func (s *slots) oldest() int64 { return s.next - min(int64(len(s.codes)), s.count) }

// mean of the known load in the seconds [from, to); NaN where less than half of it is known.
func (s *slots) mean(from, to float64) float64 {
	l := float64(s.length)
	first, last := int64(math.Floor(from/l)), int64(math.Ceil(to/l))-1
	sum, known := 0.0, 0.0
	for i := max(first, s.oldest()); i <= min(last, s.next-1); i++ {
		c := s.codes[floorMod(i, int64(len(s.codes)))]
		if c == 0 {
			continue
		}
		w := l
		if i == first {
			w -= from - float64(first)*l
		}
		if i == last {
			w -= float64(last+1)*l - to
		}
		sum, known = sum+w*decode(c), known+w
	}
	if known == 0 || 2*known < to-from {
		return math.NaN()
	}
	return sum / known
}

// at is the load at a time, on the straight line between the middles of slots; NaN where neither is known.
func (s *slots) at(t float64) float64 {
	x := t/float64(s.length) - 0.5
	i := int64(math.Floor(x))
	w := x - float64(i)
	before, after := s.value(i), s.value(i+1)
	switch {
	case math.IsNaN(before):
		return after
	case math.IsNaN(after):
		return before
	}
	return before*(1-w) + after*w
}

// value of a slot; NaN where it is unknown.
func (s *slots) value(i int64) float64 {
	if i < s.oldest() || i >= s.next {
		return math.NaN()
	}
	c := s.codes[floorMod(i, int64(len(s.codes)))]
	if c == 0 {
		return math.NaN()
	}
	return decode(c)
}

// forget makes every slot unknown that shares a second with [from, to).
func (s *slots) forget(from, to int64) {
	for i := max(floorDiv(from, s.length), s.oldest()); i*s.length < to && i < s.next; i++ {
		s.codes[floorMod(i, int64(len(s.codes)))] = 0
	}
	if to > s.next*s.length {
		s.sum, s.n = 0, 0
	}
}

// store keeps a week in short slots and eight weeks in long ones.
type store struct{ near, far slots }

const (
	nearSeconds = 300
	farSeconds  = 1800
	nearKept    = 7*daySeconds + 6*3600 // seconds
	farKept     = 57 * daySeconds
)

// newStore is for rows of a step in seconds; its first row begins at a time.
func newStore(step, unix int64) store {
	of := func(length, kept int64) slots {
		n := step * ((length + step - 1) / step)
		return slots{length: n, codes: make([]uint16, kept/n+1), next: floorDiv(unix, n)}
	}
	if step >= farSeconds {
		return store{near: of(step, farKept)}
	}
	return store{of(nearSeconds, nearKept), of(farSeconds, farKept)}
}

func (s *store) add(end int64, v float64) {
	s.near.add(end, v)
	if s.far.length > 0 {
		s.far.add(end, v)
	}
}

func (s *store) mean(from, to float64) float64 {
	if s.far.length == 0 || from >= float64(s.near.oldest()*s.near.length) {
		return s.near.mean(from, to)
	}
	if to-from < 2*float64(s.far.length) {
		return s.far.at((from + to) / 2)
	}
	return s.far.mean(from, to)
}

func (s *store) forget(from, to int64) {
	s.near.forget(from, to)
	if s.far.length > 0 {
		s.far.forget(from, to)
	}
}
