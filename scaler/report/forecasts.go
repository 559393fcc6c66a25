package report

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"
)

// Accuracy is of forecasts whose time has come; null where none has.
type Accuracy struct {
	// WAPE is the sum of |demand − point| over the sum of demand, both when the forecast's time came; a share.
	WAPE *float64 `json:"wape"`
	// Coverage is the share of the time in which demand was at most the upper forecast that was made for it.
	Coverage *float64 `json:"coverage"`
	// Promised is the quantile that coverage is to be compared with, the mean over the time.
	Promised *float64 `json:"promised"`
	// Hours are those of the forecasts that were judged.
	Hours float64 `json:"hoursJudged"`
}

// Misses are pod-hours of demand that found no place, by a replay of the recorded demand.
type Misses struct {
	With    float64 `json:"withBalloonsPodHours"`
	Without float64 `json:"withoutBalloonsPodHours"`
	// Demand is what both are a part of, Hours the time that was played.
	Demand float64 `json:"demandPodHours"`
	Hours  float64 `json:"hoursPlayed"`
}

// Avoided pod-hours of waiting.
func (m Misses) Avoided() float64 { return m.Without - m.With }

// BalloonRow is one Balloon's headroom: what was foreseen, held and paid, and what that avoided.
type BalloonRow struct {
	Balloon  string   `json:"balloon"`
	Workload string   `json:"workload"`
	Accuracy Accuracy `json:"forecast"`
	Misses   Misses   `json:"misses"`
	// HeldPodHours are pods' places that its balloons held.
	HeldPodHours float64 `json:"heldPodHours"`
	// Cost of that headroom; null is unknown.
	Cost *Money `json:"headroomCost"`
	// LowerBound says that Cost is less than what was paid, by an unknown sum.
	LowerBound bool `json:"lowerBound"`
	// MissCost is what the Balloon says that a pod without a place costs a minute; null where it does not say.
	MissCost *float64 `json:"missCostPerPodMinute"`
	// AvoidedCost is the avoided misses at that cost.
	AvoidedCost *Money `json:"avoidedCost"`
	// Quantiles are what others would have held and missed, by the same replay with the period's own errors.
	Quantiles []Quantile `json:"quantiles,omitempty"`
}

// Quantile is what one would have held and missed.
type Quantile struct {
	Quantile     float64 `json:"quantile"`
	Current      bool    `json:"current,omitempty"`
	HeldPodHours float64 `json:"heldPodHours"`
	MissPodHours float64 `json:"missPodHours"`
	// Cost of the headroom at the period's price of a held pod-hour; null is unknown.
	Cost *Money `json:"headroomCost"`
}

// scanEvery is the step of the replay, and reach how long capacity stays that is no longer wanted: scaleIn.after's default.
const (
	scanEvery = time.Minute
	reach     = 10 * time.Minute
)

// otherQuantiles are those that a replay tries.
var otherQuantiles = []float64{0.8, 0.9, 0.95, 0.98, 0.99, 0.995}

// accuracy adds up judged forecasts.
type accuracy struct{ missed, demand, covered, promised, judged, judgedUpper float64 }

func (a *accuracy) add(o accuracy) {
	a.missed, a.demand, a.covered = a.missed+o.missed, a.demand+o.demand, a.covered+o.covered
	a.promised, a.judged, a.judgedUpper = a.promised+o.promised, a.judged+o.judged, a.judgedUpper+o.judgedUpper
}

func (a accuracy) known() Accuracy {
	out := Accuracy{Hours: a.judgedUpper / 3600}
	if a.demand > 0 {
		v := a.missed / a.demand
		out.WAPE = &v
	}
	if a.judgedUpper > 0 {
		covered, promised := a.covered/a.judgedUpper, a.promised/a.judgedUpper
		out.Coverage, out.Promised = &covered, &promised
	}
	return out
}

// history is one Balloon's entries, and when knowledge ends: what is said of later is not judged.
type history struct {
	entries []sizing
	known   time.Time
}

// standing is the entry in force at a time; nil where none is, or its own time is too long ago.
func (h history) standing(t time.Time) *sizing {
	n, found := slices.BinarySearchFunc(h.entries, t, func(s sizing, t time.Time) int { return s.at.Compare(t) })
	if !found {
		n--
	}
	if n < 0 || t.Sub(h.entries[n].at) > mostGap {
		return nil
	}
	return &h.entries[n]
}

// cameTo is the demand when the time of an entry's forecast came; nil where it has not, or nobody looked.
func (h history) cameTo(s *sizing) *float64 {
	at := s.at.Add(lead(s))
	if at.After(h.known) {
		return nil
	}
	if then := h.standing(at); then != nil {
		return then.Demand
	}
	return nil
}

// weight is how many seconds the nth entry stands within a period.
func (h history) weight(n int, from, to time.Time) float64 {
	until := h.entries[n].at.Add(mostGap)
	if n+1 < len(h.entries) {
		until = earlier(until, h.entries[n+1].at)
	}
	until = earlier(until, to)
	begin := h.entries[n].at
	if begin.Before(from) {
		begin = from
	}
	return max(0, until.Sub(begin).Seconds())
}

// judge compares each forecast of a period with the demand at its time.
func (h history) judge(from, to time.Time, loc *time.Location, byDay map[string]*accuracy) accuracy {
	var sum accuracy
	for n := range h.entries {
		s := &h.entries[n]
		seconds := h.weight(n, from, to)
		if seconds == 0 || s.Point == nil && s.Upper == nil {
			continue
		}
		came := h.cameTo(s)
		if came == nil {
			continue
		}
		var a accuracy
		demand := *came
		if s.Point != nil {
			a.missed, a.demand, a.judged = abs(demand-*s.Point)*seconds, demand*seconds, seconds
		}
		if s.Upper != nil {
			a.promised, a.judgedUpper = s.Tau*seconds, seconds
			if demand <= *s.Upper {
				a.covered = seconds
			}
		}
		sum.add(a)
		day := s.at.In(loc).Format(time.DateOnly)
		if byDay[day] == nil {
			byDay[day] = &accuracy{}
		}
		byDay[day].add(a)
	}
	return sum
}

func lead(s *sizing) time.Duration { return time.Duration(s.Lead * float64(time.Second)) }

func abs(v float64) float64 { return max(v, -v) }

// order says how many places an entry asks to have when its lead has passed; ok is whether that is known.
type order func(*sizing) (places float64, ok bool)

// demanded is the demand of this cluster, in pods.
func demanded(s *sizing) (float64, bool) {
	if s.Demand == nil {
		return 0, false
	}
	return *s.Demand * s.Share, true
}

func withBalloons(s *sizing) (float64, bool) {
	d, ok := demanded(s)
	return max(d, float64(s.Running)+s.holds()), ok
}

// holds is how many pods' places its balloons hold: none while the Balloon only observes.
func (s *sizing) holds() float64 {
	if s.Mode == "Observe" {
		return 0
	}
	return float64(s.Total) * s.Chunk
}

// atRatio are balloons for an upper forecast that is a multiple of the point.
func atRatio(ratio float64) order {
	return func(s *sizing) (float64, bool) {
		d, ok := demanded(s)
		if s.Point == nil {
			return d, ok
		}
		return max(d, *s.Point*ratio*s.Share), ok
	}
}

// played is what a replay gives.
type played struct{ missed, demand, held, seconds float64 }

// play asks for places as orders say, and has each from its lead on until reach after it is no longer asked for. What is demanded
// beyond the places misses one; held are the places beyond the running pods that were asked for.
func (h history) play(from, to time.Time, ask order) played {
	begin := from
	if first := h.entries; len(first) > 0 && first[0].at.After(begin.Add(-24*time.Hour)) {
		begin = first[0].at
	} else {
		begin = begin.Add(-24 * time.Hour)
	}
	steps := int(to.Sub(begin) / scanEvery)
	if steps <= 0 {
		return played{}
	}
	serves := make([]float64, steps) // by the scan that an order begins to serve in; -1 is none
	for i := range serves {
		serves[i] = -1
	}
	var out played
	kept := int(reach / scanEvery)
	var most []int // scans of the window whose orders fall
	step := scanEvery.Seconds()
	for i := range steps {
		t := begin.Add(time.Duration(i) * scanEvery)
		s := h.standing(t)
		if s != nil {
			if places, ok := ask(s); ok {
				if at := i + max(1, int(lead(s)/scanEvery)); at < steps {
					serves[at] = max(serves[at], places)
				}
				if !t.Before(from) {
					out.held += max(0, places-float64(s.Running)) * step
				}
			}
		}
		for len(most) > 0 && most[0] <= i-kept {
			most = most[1:]
		}
		if serves[i] >= 0 {
			for len(most) > 0 && serves[most[len(most)-1]] <= serves[i] {
				most = most[:len(most)-1]
			}
			most = append(most, i)
		}
		if s == nil || t.Before(from) || len(most) == 0 {
			continue
		}
		if d, ok := demanded(s); ok {
			out.missed += max(0, d-serves[most[0]]) * step
			out.demand += d * step
			out.seconds += step
		}
	}
	return out
}

// ratios are demand over the point that was forecast for it, sorted, in a period.
func (h history) ratios(from, to time.Time) []float64 {
	var out []float64
	for n := range h.entries {
		s := &h.entries[n]
		if h.weight(n, from, to) == 0 || s.Point == nil || *s.Point <= 0 {
			continue
		}
		if came := h.cameTo(s); came != nil {
			out = append(out, *came / *s.Point)
		}
	}
	slices.Sort(out)
	return out
}

// leastJudged is how many forecasts a quantile is taken of at least.
const leastJudged = 200

// others are what other quantiles would have held and missed.
func (h history) others(from, to time.Time, current float64, hourly *Money) []Quantile {
	ratios := h.ratios(from, to)
	if len(ratios) < leastJudged {
		return nil
	}
	all := slices.Clone(otherQuantiles)
	if !slices.Contains(all, current) && current > 0 && current < 1 {
		all = append(all, current)
		slices.Sort(all)
	}
	var out []Quantile
	for _, q := range all {
		ratio := ratios[min(len(ratios)-1, int(q*float64(len(ratios))))]
		got := h.play(from, to, atRatio(ratio))
		row := Quantile{Quantile: q, Current: q == current, HeldPodHours: got.held / 3600, MissPodHours: got.missed / 3600}
		if hourly != nil {
			cost := hourly.share(row.HeldPodHours)
			row.Cost = &cost
		}
		out = append(out, row)
	}
	return out
}

// balloons are all Balloons' rows by their name, with the sum and the days of their forecasts.
func (p *period) balloons(work []Row) (out []BalloonRow, sum accuracy, byDay map[string]*accuracy) {
	out, byDay = []BalloonRow{}, map[string]*accuracy{}
	for _, name := range slices.Sorted(maps.Keys(p.books.sizings)) {
		h := history{p.books.sizings[name], p.books.last}
		last := h.lastBefore(p.to)
		if last == nil || last.at.Before(p.from.Add(-mostGap)) {
			continue
		}
		row := BalloonRow{Balloon: name, Workload: last.Workload}
		judged := h.judge(p.from, p.to, p.loc, byDay)
		sum.add(judged)
		row.Accuracy = judged.known()
		with, without := h.play(p.from, p.to, withBalloons), h.play(p.from, p.to, demanded)
		row.Misses = Misses{With: with.missed / 3600, Without: without.missed / 3600, Demand: with.demand / 3600, Hours: with.seconds / 3600}
		for n := range h.entries {
			row.HeldPodHours += h.entries[n].holds() * h.weight(n, p.from, p.to) / 3600
		}
		row.price(p, work, last)
		var hourly *Money
		if row.Cost != nil && row.HeldPodHours > 0 && *row.Cost > 0 {
			m := Money(float64(*row.Cost) / row.HeldPodHours)
			hourly = &m
		}
		row.Quantiles = h.others(p.from, p.to, last.Tau, hourly)
		out = append(out, row)
	}
	return out, sum, byDay
}

func (h history) lastBefore(t time.Time) (out *sizing) {
	for n := range h.entries {
		if h.entries[n].at.Before(t) {
			out = &h.entries[n]
		}
	}
	return out
}

// price is what the balloons cost, and what the misses would have that they avoided.
func (r *BalloonRow) price(p *period, work []Row, last *sizing) {
	namespace := namespaceOf(r.Balloon)
	for _, w := range work {
		if last.Output != "" && last.Output != "Pods" {
			break // what holds the room is no pod, so that no sample has it
		}
		if w.Namespace == namespace && w.Workload == last.Workload && w.Cost.UnpricedNodeHours == 0 && !w.Cost.bare {
			r.Cost, r.LowerBound = w.Cost.Headroom, w.Cost.LowerBound
		}
	}
	var spec struct {
		Target struct {
			MissCost string `json:"missCostPerPodMinute"`
		} `json:"target"`
	}
	if json.Unmarshal(p.books.specOf("Balloon", r.Balloon, p.to), &spec) != nil || spec.Target.MissCost == "" {
		return
	}
	if miss, err := strconv.ParseFloat(spec.Target.MissCost, 64); err == nil && miss > 0 {
		avoided := Money(miss * 60 * max(0, r.Misses.Avoided()) * oneDollar)
		r.MissCost, r.AvoidedCost = &miss, &avoided
	}
}

func namespaceOf(name string) string {
	for i := range name {
		if name[i] == '/' {
			return name[:i]
		}
	}
	return ""
}
