package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"swell/api/v1alpha1"
	"swell/scaler/report/digits"
)

// Recommendation is a change of policy with its price. There is none whose price is not known.
type Recommendation struct {
	// Kind: quantile, on-demand-base, spot-share or survive-zone.
	Kind string `json:"kind"`
	// Of is the object, such as Balloon shop/web.
	Of string `json:"of"`
	// Change is what to do, Field what of the object's spec it is.
	Change string `json:"change"`
	Field  string `json:"field"`
	// Saves is what the period would have cost less; below zero is what it would have cost more. Monthly is that for 30 days.
	Saves   Money `json:"saves"`
	Monthly Money `json:"savesIn30Days"`
	// Arithmetic is how that follows.
	Arithmetic string `json:"arithmetic"`
	// Risk is what it would have meant for what is served.
	Risk string `json:"risk"`
}

// worthwhile is the least saving that is recommended, as a share of the period's cost.
const worthwhile = 0.001

// recommend lists what would have paid, the most first, and then what would have cost and helped.
func (r *Report) recommend(p *period) []Recommendation {
	out := []Recommendation{}
	least := Money(0)
	if r.Total.Cost.Total != nil {
		least = r.Total.Cost.Total.share(worthwhile)
	}
	for i := range r.Balloons {
		if one, ok := r.Balloons[i].advise(); ok && (one.Saves < 0 || one.Saves > least) {
			out = append(out, one)
		}
	}
	for _, one := range p.adviseBuying(r.Purchases) {
		if one.Saves > least {
			out = append(out, one)
		}
	}
	for _, z := range r.ZoneLoss {
		if one, ok := z.advise(); ok {
			out = append(out, one)
			break // the worst zone's nodes serve the others as well
		}
	}
	days := p.to.Sub(p.from).Hours() / 24
	for i := range out {
		out[i].Monthly = Money(float64(out[i].Saves) * 30 / days)
	}
	slices.SortStableFunc(out, func(a, b Recommendation) int { return cmp.Compare(b.Saves, a.Saves) })
	return out
}

// missed is the share of demand that may miss a place before it is worth a recommendation.
const missed = 0.0005

// advise a Balloon's quantile: the one of the least headroom and misses together where it says what a miss costs; else the lowest
// that misses no more than now, or a higher one where demand was above the upper forecast more often than promised.
func (b *BalloonRow) advise() (Recommendation, bool) {
	now := slices.IndexFunc(b.Quantiles, func(q Quantile) bool { return q.Current })
	if now < 0 || b.Quantiles[now].Cost == nil {
		return Recommendation{}, false
	}
	at, best := b.Quantiles[now], now
	for i, q := range b.Quantiles {
		switch {
		case b.MissCost != nil:
			if b.costOf(q) < b.costOf(b.Quantiles[best]) {
				best = i
			}
		case i < best && q.MissPodHours <= at.MissPodHours+missed*b.Misses.Demand && b.kept():
			best = i
		case i == now+1 && !b.kept() && at.MissPodHours > missed*b.Misses.Demand && q.MissPodHours < at.MissPodHours:
			best = i
		}
	}
	to := b.Quantiles[best]
	if best == now {
		return Recommendation{}, false
	}
	saves := *at.Cost - *to.Cost
	out := Recommendation{Kind: "quantile", Of: "Balloon " + b.Balloon, Field: "spec.target.quantile", Saves: saves,
		Change:     fmt.Sprintf("quantile %s instead of %s", short(to.Quantile), short(at.Quantile)),
		Arithmetic: fmt.Sprintf("Headroom %s instead of %s pod-hours at %s a pod-hour: %s instead of %s", digits.Number(to.HeldPodHours), digits.Number(at.HeldPodHours), perHour(at), to.Cost, at.Cost),
		Risk:       fmt.Sprintf("Pod-hours without a place by replay: %s instead of %s", digits.Number(to.MissPodHours), digits.Number(at.MissPodHours))}
	if b.MissCost != nil {
		more := Money((to.MissPodHours - at.MissPodHours) * 60 * *b.MissCost * oneDollar)
		out.Field = "spec.target"
		out.Risk += fmt.Sprintf(", at %s a minute %s in all", short(*b.MissCost), more)
	}
	return out, true
}

// kept says that the forecast covered what it promised, less what chance may do.
func (b *BalloonRow) kept() bool {
	a := b.Accuracy
	return a.Coverage != nil && a.Promised != nil && *a.Coverage >= *a.Promised-0.005
}

func (b *BalloonRow) costOf(q Quantile) float64 {
	return q.Cost.Dollars() + q.MissPodHours*60**b.MissCost
}

func perHour(q Quantile) string {
	if q.HeldPodHours <= 0 {
		return "–"
	}
	return "$" + strconv.FormatFloat(q.Cost.Dollars()/q.HeldPodHours, 'f', 4, 64)
}

func short(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

// adviseBuying says what fewer on-demand nodes would have saved, pool by pool, at the period's own mean prices of that pool.
func (p *period) adviseBuying(purchases []Purchase) (out []Recommendation) {
	by := map[string]map[string]Purchase{}
	for _, one := range purchases {
		if by[one.Pool] == nil {
			by[one.Pool] = map[string]Purchase{}
		}
		by[one.Pool][one.Market] = one
	}
	for _, one := range purchases {
		s, haveSpot := by[one.Pool][spot]
		// what is prepaid is paid for without running too: only the rest can be saved on
		if one.Market != onDemand || !haveSpot || one.payable == nil || s.Hourly == nil || *s.Hourly >= *one.payable || s.NodeHours < 24 {
			continue
		}
		var spec v1alpha1.CapacityPoolSpec
		if json.Unmarshal(p.books.specOf("CapacityPool", one.Pool, p.to), &spec) != nil {
			spec = v1alpha1.CapacityPoolSpec{}
		}
		apart := Money((rate(*one.payable) - rate(*s.Hourly)) * 3600)
		expected := func(hours float64) string {
			return fmt.Sprintf("AWS took %d spot nodes of the pool in %s node-hours: at that rate it would have taken about %s more", s.LostToAWS, digits.Number(s.NodeHours), digits.Number(hours*float64(s.LostToAWS)/s.NodeHours))
		}
		prices := fmt.Sprintf("($%.4f − $%.4f) an hour", *one.payable, *s.Hourly)
		if base, to, hours := one.lesserBase(int(spec.Purchase.OnDemandBase)); to < base && one.Base.Cost != nil {
			out = append(out, Recommendation{Kind: "on-demand-base", Of: "CapacityPool " + one.Pool, Field: "spec.purchase.onDemandBase", Saves: apart.share(hours),
				Change:     fmt.Sprintf("on-demand base %d instead of %d", to, base),
				Arithmetic: fmt.Sprintf("%s of the base's %s node-hours%s × %s", digits.Number(hours), digits.Number(one.Base.NodeHours-one.BasePrepaid.NodeHours), notPrepaid(one), prices), Risk: expected(hours)})
		}
		most, err := strconv.ParseFloat(strings.TrimSuffix(string(spec.Purchase.SpotMax), "%"), 64)
		above := one.NodeHours - one.Base.NodeHours - one.Fallback.NodeHours - (one.Prepaid.NodeHours - one.BasePrepaid.NodeHours)
		if err != nil || most >= 100 || above <= 0 {
			continue
		}
		to := min(100, math.Ceil(most/10+1)*10)
		hours := min(above, (above+s.NodeHours)*(to-most)/100)
		out = append(out, Recommendation{Kind: "spot-share", Of: "CapacityPool " + one.Pool, Field: "spec.purchase.spotMax", Saves: apart.share(hours),
			Change:     fmt.Sprintf("at most %.0f %% spot instead of %.0f %%", to, most),
			Arithmetic: fmt.Sprintf("%s of the %s node-hours on demand above the base × %s", digits.Number(hours), digits.Number(above), prices), Risk: expected(hours)})
	}
	return out
}

func notPrepaid(p Purchase) string {
	if p.BasePrepaid.NodeHours == 0 {
		return ""
	}
	return " that are not prepaid"
}

// lesserBase is half of the base, but not less than what of it is prepaid, and the node-hours that would not have been bought for it.
func (p Purchase) lesserBase(base int) (from, to int, hours float64) {
	all, free := p.Base.NodeHours, p.Base.NodeHours-p.BasePrepaid.NodeHours
	if base < 2 || all <= 0 {
		return base, base, 0
	}
	prepaid := int(math.Ceil(float64(base)*p.BasePrepaid.NodeHours/all - 1e-9))
	to = max(base/2, prepaid)
	return base, to, min(free, all*float64(base-to)/float64(base))
}

// advise room for a zone's loss.
func (z ZoneLoss) advise() (Recommendation, bool) {
	if z.Waiting == 0 || z.Cost == nil || z.Nodes == 0 {
		return Recommendation{}, false
	}
	wait := "an unknown time: no boot was seen in the other zones"
	if z.WaitSeconds != nil {
		wait = fmt.Sprintf("about %.0f s", *z.WaitSeconds)
	}
	var parts []string
	for _, b := range z.ByPool {
		if b.Nodes > 0 && b.Hourly != nil {
			parts = append(parts, fmt.Sprintf("%s of pool %s at $%.4f an hour", nodes(b.Nodes), b.Pool, *b.Hourly))
		}
	}
	return Recommendation{Kind: "survive-zone", Of: "zone " + z.Zone, Field: "spec.zones.survive of Balloons, or spec.holds of the pools", Saves: -*z.Cost,
		Change:     "hold " + nodes(z.Nodes) + " more in the other zones",
		Arithmetic: strings.Join(parts, " and ") + ", all of the period",
		Risk:       fmt.Sprintf("Without them, at %s %d of %d pods would have waited %s", z.At.UTC().Format("2006-01-02 15:04 UTC"), z.Waiting, z.Pods, wait)}, true
}

func nodes(n int) string {
	if n == 1 {
		return "1 node"
	}
	return fmt.Sprintf("%d nodes", n)
}
