package forecast

import "math"

// recentRows keeps the newest rows as they are.
type recentRows struct {
	values []float32 // a ring, by row number mod its size
	next   int64     // number of the first row that is not there yet
}

func newRecent(size int64) recentRows {
	r := recentRows{values: make([]float32, size)}
	for i := range r.values {
		r.values[i] = float32(math.NaN())
	}
	return r
}

func (r *recentRows) add(row int64, v float64) {
	r.values[floorMod(row, int64(len(r.values)))] = float32(v)
	r.next = row + 1
}

// mean of the known rows in [from, to); NaN where less than half of them are known.
func (r *recentRows) mean(from, to int64) float64 {
	var m meanOf
	for i := max(from, r.next-int64(len(r.values))); i < min(to, r.next); i++ {
		m.add(float64(r.values[floorMod(i, int64(len(r.values)))]))
	}
	if 2*m.n < float64(to-from) {
		return math.NaN()
	}
	return m.value()
}

// forget makes the rows in [from, to) unknown.
func (r *recentRows) forget(from, to int64) {
	for i := max(from, r.next-int64(len(r.values))); i < min(to, r.next); i++ {
		r.values[floorMod(i, int64(len(r.values)))] = float32(math.NaN())
	}
}

// largest of the rows in [from, to); NaN where one of them is unknown.
func (r *recentRows) largest(from, to int64) float64 {
	if from < r.next-int64(len(r.values)) || to > r.next {
		return math.NaN()
	}
	top := math.Inf(-1)
	for i := from; i < to; i++ {
		x := float64(r.values[floorMod(i, int64(len(r.values)))])
		if math.IsNaN(x) {
			return x
		}
		top = max(top, x)
	}
	return top
}

// meanOf adds up what is known.
type meanOf struct{ sum, n float64 }

func (m *meanOf) add(v float64) {
	if !math.IsNaN(v) {
		m.sum, m.n = m.sum+v, m.n+1
	}
}

func (m *meanOf) value() float64 {
	if m.n == 0 {
		return math.NaN()
	}
	return m.sum / m.n
}

// decayed is an exponentially weighted mean.
type decayed struct{ sum, n float32 }

// add takes a value after the earlier ones lost the share 1 − keep of their weight.
func (d *decayed) add(v, keep float64) {
	d.sum, d.n = d.sum*float32(keep)+float32(v), d.n*float32(keep)+1
}

// value is the mean; 0 where nothing was added.
func (d *decayed) value() float64 {
	if d.n == 0 {
		return 0
	}
	return float64(d.sum / d.n)
}

// keepOf is the weight that is left after some seconds of a half-life.
func keepOf(seconds, halfLife float64) float64 { return math.Exp2(-seconds / halfLife) }
