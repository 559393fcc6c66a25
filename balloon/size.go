// Package balloon says how many balloon pods a Balloon holds in each zone, and what one looks like.
package balloon

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Input of Size. All counts of pods are of the workload unless they say balloon.
type Input struct {
	Now time.Time
	// Chunk is how many pods one balloon holds the place of, above zero.
	Chunk float64
	// Min and Max bound the balloons of all zones together.
	Min, Max int
	// Share of the demand that this cluster must be ready for, 0 to 1; it applies to Demand and Upper.
	Share float64
	// Demand now, in pods; NaN is unknown.
	Demand float64
	// Upper is the target quantile of the demand when what is ordered now serves; NaN is unknown.
	Upper float64
	// NotReady says why there is no forecast; Upper is then not used.
	NotReady string
	// Headroom above the demand that a schedule asks for, in pods, and its reasons.
	Headroom    float64
	HeadroomWhy []string
	// Running pods and those on their way: bound, pending or promised.
	Running int
	// Zones the workload may run in, with its pods in each.
	Zones []Zone
	// SurviveZone asks for room for the loss of any one zone.
	SurviveZone bool
	// Hold is how long less must have been wanted before room is given up. Default 1m; negative is none.
	Hold  time.Duration
	State State
}

// Zone is a zone's name, the number of the workload's pods there, and of its balloons.
type Zone struct {
	Name     string
	Pods     int
	Balloons int
}

// State is what one Size hands to the next; the zero value is a new start.
type State struct {
	// Targets seen within Hold that no later one exceeds, oldest first.
	Targets []Target
}

// Target is a capacity in pods that was wanted at a time.
type Target struct {
	At   time.Time
	Pods float64
}

// Problem is what keeps the promise from being held, and the mend.
type Problem struct {
	What, Mend string
}

// Decision is how many balloons are wanted.
type Decision struct {
	Zones []ZoneBalloons // by zone name
	Total int
	// Target is the capacity in pods that the workload and its balloons are to have.
	Target   float64
	Why      string
	Problems []Problem
	State    State
}

// ZoneBalloons is the number of balloons in one zone.
type ZoneBalloons struct {
	Zone     string
	Balloons int
}

// DefaultHold is how long room is kept after less was wanted: against flapping alone, since a node stays for its pool's
// scaleIn.after once its balloons have gone, and new ones find it there.
const DefaultHold = time.Minute

// Size decides. The target is the largest of the forecast and of the demand with the schedule's headroom, and what runs
// is taken off it, so pods that take a balloon's place are not replaced by another balloon. Balloons that exist stay for
// Hold after less was wanted; a target of the past makes no new ones, so that a workload that shrinks is not replaced by
// balloons.
func Size(in Input) Decision {
	d := Decision{}
	if !(in.Chunk > 0) || math.IsInf(in.Chunk, 0) || in.Min < 0 || in.Max < in.Min {
		d.Problems = append(d.Problems, Problem{fmt.Sprintf("chunk %g, min %d, max %d make no sense", in.Chunk, in.Min, in.Max),
			"give a chunk above zero and 0 ≤ min ≤ max"})
		d.Why = "nothing is held: " + d.Problems[0].What
		return d
	}
	target, why := in.target(&d)
	if in.SurviveZone {
		target, why = in.survive(target, why, &d)
	}
	held := in.hold(target, &d)
	want := in.balloons(target)
	kept := max(min(in.balloons(held), float64(in.existing())), 0)
	d.Target = max(target, min(held, float64(in.Running)+kept*in.Chunk))
	if kept > max(want, 0) {
		want = kept
		why += fmt.Sprintf(", held at %.4g", held)
	}
	d.Total = int(min(max(want, float64(in.Min)), float64(in.Max)))
	d.Why = fmt.Sprintf("%d balloons of %g: %s, %d pods running or on their way", d.Total, in.Chunk, why, in.Running)
	if want > float64(in.Max) {
		d.Problems = append(d.Problems, Problem{fmt.Sprintf("%.0f balloons are wanted and max is %d", want, in.Max), "raise spec.max"})
		d.Why += fmt.Sprintf(", max is %d", in.Max)
	} else if d.Total > 0 && want < float64(in.Min) {
		d.Why += fmt.Sprintf(", min is %d", in.Min)
	}
	if d.Total > 0 && len(in.Zones) == 0 {
		d.Problems = append(d.Problems, Problem{"no zone is known that the workload may run in", "check the pool's groups and the workload's node affinity"})
	}
	d.Zones = spread(d.Total, in.Zones)
	return d
}

// negligible is the part of a balloon that none is made for: forecasts are not exact, and a node may hang on it.
const negligible = 0.01

// balloons hold the room of a target beyond what runs; below zero where more runs.
func (in Input) balloons(target float64) float64 {
	return math.Ceil((target-float64(in.Running))/in.Chunk - negligible)
}

func (in Input) existing() int {
	n := 0
	for _, z := range in.Zones {
		n += max(z.Balloons, 0)
	}
	return n
}

func (in Input) target(d *Decision) (float64, string) {
	share := in.Share
	if !(share >= 0 && share <= 1) {
		d.Problems = append(d.Problems, Problem{fmt.Sprintf("share %g is not within 0 to 1", share), "give a share from 0% to 100%"})
		share = 1
	}
	headroom := max(in.Headroom, 0)
	floor, why := float64(in.Running), "demand unknown"
	if known(in.Demand) {
		floor, why = share*in.Demand, fmt.Sprintf("demand %.4g", share*in.Demand)
	}
	if headroom > 0 {
		floor += headroom
		why += fmt.Sprintf(" and %.4g by %s", headroom, strings.Join(in.HeadroomWhy, ", "))
	}
	notReady := in.NotReady
	if notReady == "" && !known(in.Upper) {
		notReady = "the forecast is not a number"
	}
	if notReady != "" {
		d.Problems = append(d.Problems, Problem{"no forecast: " + notReady, "wait, or give the forecaster more history"})
		return floor, why + ", no forecast"
	}
	upper := share * in.Upper
	if upper > floor {
		return upper, fmt.Sprintf("forecast %.4g", upper)
	}
	return floor, why + fmt.Sprintf(", forecast %.4g", upper)
}

func known(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) && v >= 0 }

// survive raises the target so that it is still there when the zone with the largest share is not.
func (in Input) survive(target float64, why string, d *Decision) (float64, string) {
	if len(in.Zones) < 2 {
		d.Problems = append(d.Problems, Problem{"the loss of a zone cannot be survived with fewer than two", "add a zone, or set survive: None"})
		return target, why
	}
	pods, top, fullest := 0, 0, ""
	for _, z := range in.Zones {
		pods += max(z.Pods, 0)
		if z.Pods > top {
			top, fullest = z.Pods, z.Name
		}
	}
	largest := 1 / float64(len(in.Zones))
	if pods > 0 {
		largest = float64(top) / float64(pods)
	}
	lost := "a zone"
	// Room for a zone that holds nearly all would be without bound; beyond a half the others get as much again.
	if largest > 0.5 {
		d.Problems = append(d.Problems, Problem{fmt.Sprintf("zone %s has %.0f %% of the pods, and when it is lost only a part of their room is held", fullest, math.Floor(100*largest)),
			"spread the workload over its zones by topologySpreadConstraints, so that none has more than a half, or set zones.survive: None"})
		largest, lost = 0.5, "a half, and zone "+fullest+" has more"
	}
	raised := target / (1 - largest)
	return raised, why + fmt.Sprintf(", raised to %.4g for the loss of %s", raised, lost)
}

// hold is the largest target of the last Hold, and remembers it.
func (in Input) hold(target float64, d *Decision) float64 {
	hold := in.Hold
	if hold == 0 {
		hold = DefaultHold
	}
	var kept []Target
	for _, t := range in.State.Targets {
		if in.Now.Sub(t.At) < hold && !t.At.After(in.Now) && t.Pods > target {
			kept = append(kept, t)
		}
	}
	d.State.Targets = append(kept, Target{in.Now, target})
	// A bound for those who size every second: the oldest and largest stay.
	if over := len(d.State.Targets) - 128; over > 0 {
		d.State.Targets = slices.Delete(d.State.Targets, 64, 64+over)
	}
	return d.State.Targets[0].Pods
}

// strayBy is how many balloons a zone may have beyond its exact part before one is moved: a move costs a pod and maybe a
// node, and the parts change with every pod.
const strayBy = 1.5

// spread shares total out in proportion to the zones' pods, evenly where none has any. It begins with what exists and
// changes as little as keeps every zone near its part.
func spread(total int, zones []Zone) []ZoneBalloons {
	out := make([]ZoneBalloons, len(zones))
	if len(zones) == 0 {
		return out
	}
	zones = slices.SortedFunc(slices.Values(zones), func(a, b Zone) int { return cmp.Compare(a.Name, b.Name) })
	pods, have := 0, 0
	for _, z := range zones {
		pods += max(z.Pods, 0)
	}
	over := make([]float64, len(zones)) // beyond the zone's part
	for i, z := range zones {
		part := float64(total) / float64(len(zones))
		if pods > 0 {
			part = float64(total) * float64(max(z.Pods, 0)) / float64(pods)
		}
		out[i] = ZoneBalloons{z.Name, max(z.Balloons, 0)}
		over[i] = float64(out[i].Balloons) - part
		have += out[i].Balloons
	}
	change := func(i, by int) {
		out[i].Balloons += by
		over[i] += float64(by)
	}
	for ; have < total; have++ {
		change(least(over), 1)
	}
	for ; have > total; have-- {
		change(most(over), -1)
	}
	for over[most(over)] > strayBy {
		from, to := most(over), least(over)
		change(from, -1)
		change(to, 1)
	}
	return out
}

// least and most are the places of the extremes, the first of equals; a hair's difference is none.
func least(v []float64) int {
	at := 0
	for i := range v {
		if v[i] < v[at]-1e-9 {
			at = i
		}
	}
	return at
}

func most(v []float64) int {
	at := 0
	for i := range v {
		if v[i] > v[at]+1e-9 {
			at = i
		}
	}
	return at
}

// Quantile is the τ at which one more pod's room costs as much as it is likely to save: under / (under + over), both in
// currency a pod a minute, kept within 0.5 and 0.999.
func Quantile(missCost, roomCost float64) (float64, error) {
	if !(missCost > 0) || !(roomCost > 0) || math.IsInf(missCost, 0) || math.IsInf(roomCost, 0) {
		return 0, fmt.Errorf("choosing the quantile by cost: a miss costs %g and room %g a pod a minute; both must be above zero", missCost, roomCost)
	}
	return min(max(missCost/(missCost+roomCost), 0.5), 0.999), nil
}
