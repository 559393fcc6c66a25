package history

import (
	"fmt"
	"math"
	"slices"
	"time"
)

const (
	// markLongest is how long a rollout, replicas set by hand or a fallen metric are taken for passing; after it they are how
	// things are.
	markLongest = 30 * time.Minute
	// outageShare of the median of the last rows is almost nothing.
	outageShare = 0.1
	// outageExpected is how much more than that the forecast must expect.
	outageExpected = 3.0
	recentRows     = 15
	// jumpLeast is how much more or less than the time that passed a clock may gain.
	jumpLeast = 30 * time.Second
	// A clock that was set is believed after as long as it jumped, within these.
	jumpSettleLeast = 5 * time.Minute
	jumpSettleMost  = time.Hour
)

// Reading is all that is seen of a workload at one time.
type Reading struct {
	At time.Time
	// Elapsed since the reading before, by a clock that nobody sets; 0 for the first.
	Elapsed time.Duration
	Demand  Demand
	// Share of all clusters' demand that this one is to serve, 0 to 1. AllClusters says that Demand is of all of them already.
	Share       float64
	AllClusters bool
	// Replicas that the workload was given.
	Replicas int
	// Rollout and ByHand say in words that a rollout's pods run beside the old ones, and who set the replicas by hand; empty is
	// no. They are for demand that is measured on the pods.
	Rollout, ByHand string
}

// marks tell the readings that are no demand.
type marks struct {
	at         time.Time // of the reading before
	distrust   time.Time // the clock is believed again from here
	jumped     time.Duration
	rollout    time.Time // since when; zero is no
	byHand     time.Time
	outage     time.Time
	recent     [recentRows]float64 // known rows, served by this cluster
	recentNext int
}

// clock says whether a reading's time is to be believed.
func (m *marks) clock(r Reading) (Demand, bool) {
	before := m.at
	m.at = r.At
	if !before.IsZero() && r.Elapsed > 0 {
		gain := r.At.Sub(before) - r.Elapsed
		if abs := gain.Abs(); abs > jumpLeast+r.Elapsed/20 {
			m.jumped = gain
			m.distrust = r.At.Add(min(max(abs, jumpSettleLeast), jumpSettleMost))
		}
	}
	if r.At.Before(m.distrust) && m.distrust.Sub(r.At) <= jumpSettleMost {
		return Unknown(ClockJump, fmt.Sprintf("the clock was set by %s; it is believed again at %s", m.jumped.Round(time.Second), m.distrust.UTC().Format(time.RFC3339))), false
	}
	return Demand{}, true
}

// passing says whether a state that began at since, and holds now, is still taken for passing.
func passing(since *time.Time, now time.Time, holds bool) bool {
	if !holds {
		*since = time.Time{}
		return false
	}
	if since.IsZero() {
		*since = now
	}
	return now.Sub(*since) < markLongest
}

// of takes out what is no demand. Expected is what this cluster is expected to serve now; NaN is unknown.
func (m *marks) of(r Reading, expected float64) Demand {
	d := r.Demand
	rollout := passing(&m.rollout, r.At, r.Rollout != "")
	byHand := passing(&m.byHand, r.At, r.ByHand != "")
	if d.Class == Known && codeOf(d.Pods) == code(Invalid) {
		d = Unknown(Invalid, fmt.Sprintf("%g cannot be a number of pods", d.Pods))
	}
	switch {
	case d.Class != Known:
		return d
	case rollout:
		return Unknown(Rollout, r.Rollout)
	case byHand:
		return Unknown(ByHand, r.ByHand)
	}
	usual := m.median()
	low := d.Pods < outageShare*usual && usual >= 1 && float64(r.Replicas) >= usual/2 && !(outageExpected*d.Pods >= expected)
	if passing(&m.outage, r.At, low) {
		return Unknown(Outage, fmt.Sprintf("the metric fell from %.4g to %.4g pods while %d replicas stay", usual, d.Pods, r.Replicas))
	}
	return d
}

// seen takes a row that this cluster served.
func (m *marks) seen(pods float64) {
	m.recent[m.recentNext%recentRows] = pods
	m.recentNext++
}

func (m *marks) median() float64 {
	n := min(m.recentNext, recentRows)
	if n < 3 {
		return math.NaN()
	}
	all := slices.Clone(m.recent[:n])
	slices.Sort(all)
	return all[n/2]
}
