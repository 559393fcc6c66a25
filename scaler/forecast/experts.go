package forecast

import "math"

const (
	blendBases   = 5 // all but the eight weeks
	blendSpans   = 3 // 15 min, 1 h, 3 h
	expertLast   = blendBases * blendSpans
	expertRecent = expertLast + 1
	expertTrend  = expertLast + 2
	numExperts   = expertLast + 4
)

var expertNames = [numExperts]string{
	"yesterday/15m", "yesterday/1h", "yesterday/3h",
	"last-week/15m", "last-week/1h", "last-week/3h",
	"four-weeks/15m", "four-weeks/1h", "four-weeks/3h",
	"seven-days/15m", "seven-days/1h", "seven-days/3h",
	"same-kind/15m", "same-kind/1h", "same-kind/3h",
	"last", "mean-15m", "trend-20m", "trend-1h",
}

// experts are what each says of one target; NaN where it has nothing to say.
type experts [numExperts]float64

func (f *Forecaster) expertsOf(v *view, a *ahead, h int64) experts {
	var out experts
	for b := range blendBases {
		for s := range blendSpans {
			out[b*blendSpans+s] = finite(a.bases[b] * math.Exp(v.ratio[b][span15m+s]))
		}
	}
	out[expertLast], out[expertRecent] = v.last, v.level[span15m]
	for i, span := range [...]int64{1200, 3600} {
		n := float64(max(f.rows(span), 2))
		// The slope's sum over h rows as it fades.
		faded := n / math.Ln2 * (1 - math.Exp2(-float64(h)/n))
		out[expertTrend+i] = finite(v.last * math.Exp(min(max(v.slope[i]*faded, -2), 2)))
	}
	return out
}

// blend weighs the experts of one horizon by their recent error.
type blend [numExperts]decayed // |error|

const (
	blendHalfLife = 2 * 3600 // seconds
	blendPower    = 4
)

// learn takes the outcome v of what the experts said.
func (b *blend) learn(said *experts, v, keep float64) {
	for k, x := range said {
		if !math.IsNaN(x) {
			b[k].add(math.Abs(v-x), keep)
		}
	}
}

// weights are the experts' shares of the blend; all are zero where nothing was learned yet.
func (b *blend) weights(said *experts) (w [numExperts]float64) {
	best := math.Inf(1)
	for k, x := range said {
		if !math.IsNaN(x) && b[k].n > 1 {
			best = min(best, b[k].value())
		}
	}
	sum := 0.0
	for k, x := range said {
		if math.IsNaN(x) || b[k].n <= 1 {
			continue
		}
		w[k] = 1
		if mine := b[k].value(); mine > best {
			w[k] = math.Pow(best/mine, blendPower)
		}
		sum += w[k]
	}
	for k := range w {
		w[k] /= max(sum, math.SmallestNonzeroFloat64)
	}
	return w
}

// point blends what the experts say, and spread is the weighted mean of how far each is from it, as a logarithm of
// loads with small added.
func (b *blend) point(said *experts, small float64) (point, spread float64) {
	w := b.weights(said)
	middle := weightedMedian(said, &w)
	if math.IsNaN(middle) {
		return said[expertLast], 0
	}
	most, least := (middle+small)*straggle-small, (middle+small)/straggle-small
	for k, x := range said {
		if w[k] > 0 {
			point += w[k] * min(max(x, least), most)
		}
	}
	for k, x := range said {
		if w[k] > 0 {
			spread += w[k] * math.Abs(math.Log((x+small)/(point+small)))
		}
	}
	return point, spread
}

// straggle is the factor from the weighted median beyond which an expert is taken to say no more: yesterday's jump would
// otherwise be the blend's, by however little weight.
const straggle = 2.0

// weightedMedian of what the experts say; NaN where none has a weight.
func weightedMedian(said *experts, w *[numExperts]float64) float64 {
	var order [numExperts]int
	n := 0
	for k := range said {
		if w[k] <= 0 {
			continue
		}
		i := n
		for ; i > 0 && said[order[i-1]] > said[k]; i-- {
			order[i] = order[i-1]
		}
		order[i] = k
		n++
	}
	sum := 0.0
	for _, k := range order[:n] {
		if sum += w[k]; sum >= 0.5 {
			return said[k]
		}
	}
	return math.NaN()
}
