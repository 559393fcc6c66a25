package guardrail

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// verdict on a watch so far.
type verdict struct {
	breach []string // what is out of bounds, in words
	within []string // what is in bounds
	// unknown is what cannot be judged, and why.
	unknown []string
	// asBefore says that it is out of bounds, and was no better before the change.
	asBefore bool
}

// settleShare of a watch passes before its cost is judged.
const settleShare = 0.1

// judge compares a watch with its bounds. What the bounds allow is a budget of the whole watch: one that is spent before the watch
// ends cannot be earned back, and one that is left has been kept to.
func (w Watch) judge(now time.Time, past Past) verdict {
	var v verdict
	base, of, whole := past.baseline(w.Since, now)
	left := math.Max(1, w.Bounds.For.Seconds()/math.Max(w.Sum.Seconds, 1))
	if w.Bounds.Misses != nil {
		v.misses(w, base, of, left)
	}
	if w.Bounds.Cost != nil {
		v.cost(w, base, of, whole)
	}
	return v
}

func (v *verdict) misses(w Watch, base Sum, of string, left float64) {
	share, any := w.Sum.share()
	if !any {
		v.within = append(v.within, "no pod wanted a place")
		return
	}
	bound := *w.Bounds.Misses
	text := fmt.Sprintf("%s of pod-seconds were spent pending beyond %s (bound %s)", percent(share), w.Bounds.Beyond, percent(bound))
	before, known := base.share()
	if known {
		text += fmt.Sprintf(", %s %s", percent(before), of)
	}
	if w.Sum.Missed <= bound*w.Sum.Pods*left {
		v.within = append(v.within, text)
		return
	}
	v.breach = append(v.breach, text)
	v.asBefore = known && before >= share
}

func (v *verdict) cost(w Watch, base Sum, of string, whole bool) {
	demand, before := w.Sum.Cores/w.Sum.Priced, base.Cores/base.Priced
	switch {
	case w.Sum.Priced < w.Sum.Seconds/2:
		v.unknown = append(v.unknown, "the cost: "+w.unpriced())
		return
	case base.Priced <= 0 || base.Priced < base.Seconds/2:
		v.unknown = append(v.unknown, "the cost: what it was before the change is not known")
		return
	case !(before > 0):
		v.unknown = append(v.unknown, "the cost: nothing was asked for before the change, so that demand cannot be compared")
		return
	case !(demand > 0): // and what stays a while costs something
		v.unknown = append(v.unknown, "the cost: nothing was asked for since the change, so that demand cannot be compared")
		return
	}
	factor := demand / before
	if !whole { // at another time of day a part of the cost does not follow demand down
		factor = math.Max(1, factor)
	}
	expected := base.rate() * factor
	spent := w.Sum.Cost - expected*w.Sum.Priced/3600
	allowed := *w.Bounds.Cost * expected * w.Bounds.For.Hours()
	text := fmt.Sprintf("%.2f an hour against %.2f expected (%.2f %s, demand ×%.2f): %+.0f%%, bound +%s", w.Sum.rate(), expected, base.rate(), of, factor,
		100*(w.Sum.rate()/expected-1), percent(*w.Bounds.Cost))
	if spent <= allowed || w.Sum.Seconds < settleShare*w.Bounds.For.Seconds() {
		v.within = append(v.within, text)
		return
	}
	v.breach, v.asBefore = append(v.breach, text), false
}

func (w Watch) unpriced() string {
	if w.Unpriced != "" {
		return w.Unpriced
	}
	return "prices are not known for most of the time"
}

// percent is a share in words, with as many digits as tell small ones apart.
func percent(share float64) string {
	text := fmt.Sprintf("%.2f", 100*share)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text + "%"
}
