package forecast

import "slices"

// Clone is a copy of f that learns on its own, so that a benchmark need not bring thousands up one by one.
func (f *Forecaster) Clone() *Forecaster {
	c, err := New(f.opts)
	if err != nil {
		panic(err)
	}
	horizons, peaks, orders := c.horizons, c.peaks, c.orders
	*c = *f
	c.horizons, c.peaks, c.orders = horizons, peaks, orders
	c.store.near.codes = slices.Clone(f.store.near.codes)
	c.store.far.codes = slices.Clone(f.store.far.codes)
	c.recent.values = slices.Clone(f.recent.values)
	c.curMade, c.partMade = slices.Clone(f.curMade), slices.Clone(f.partMade)
	c.peakMade, c.orderMade = slices.Clone(f.peakMade), slices.Clone(f.orderMade)
	copyRegression := func(to, from *regression) {
		copy(to.a, from.a)
		copy(to.b, from.b)
		copy(to.w, from.w)
		to.n = from.n
	}
	for i, from := range f.horizons {
		to := c.horizons[i]
		regs, pending, reg := to.regs, to.pending, to.scale.reg
		*to = *from
		to.f, to.regs, to.pending, to.scale.reg = c, regs, pending, reg
		copy(to.pending, from.pending)
		copyRegression(&to.scale.reg, &from.scale.reg)
		for k := range from.regs {
			copyRegression(&to.regs[k], &from.regs[k])
		}
	}
	for i, from := range f.peaks {
		to := c.peaks[i]
		pending := to.pending
		*to = *from
		to.f, to.pending = c, pending
		copy(to.pending, from.pending)
	}
	for i, from := range f.orders {
		to := c.orders[i]
		pending, correct, next, reg := to.pending, to.correct, to.next, to.scale.reg
		*to = *from
		to.f, to.pending, to.correct, to.next, to.scale.reg = c, pending, correct, next, reg
		copy(to.pending, from.pending)
		copyRegression(&to.correct, &from.correct)
		copyRegression(&to.next, &from.next)
		copyRegression(&to.scale.reg, &from.scale.reg)
	}
	return c
}
