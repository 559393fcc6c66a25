package ui

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Shown is what one replica knows at one moment.
type Shown struct {
	// State of the last plan; nil before the first, and on a replica that does not lead.
	State *State
	// Leads says that this replica leads; Leader is who does otherwise, empty is unknown.
	Leads  bool
	Leader string
	// Replica is this one.
	Replica string
	// Decisions, oldest first.
	Decisions []Decision
}

// View is what the templates show: words and numbers that are ready to be read.
type View struct {
	*State
	// Standby says that this replica does not lead, Waiting that it leads and has made no plan yet.
	Standby, Waiting bool
	// Unknown is either.
	Unknown         bool
	Leader, Replica string
	// Stale says what is too old; empty is nothing.
	Stale string
	// Age of the plan and of the readings, in words.
	Age, ClusterAge, AWSAge string
	// Nodes, Booting and Hourly may be unknown; Without says which pools' are not in them.
	Nodes, Booting, Hourly  string
	Without                 string
	Spot, OnDemand, Leaving int
	Unpriced                string
	// ForPending says whether there is something on its way for pods that wait.
	ForPending    string
	Bands         []BandView
	Recent        []Decision // newest first
	Freezes, Held int
}

// BandView is a Balloon with its plot.
type BandView struct {
	Balloon
	*Band
	ID string
}

// lateAfter is how many times the usual time between two plans may pass before the page says that they stopped.
const lateAfter = 3

// NewView makes the view of what is shown at a moment of model time.
func NewView(now time.Time, s Shown) View {
	v := View{State: s.State, Leader: s.Leader, Replica: s.Replica}
	for i := len(s.Decisions) - 1; i >= 0; i-- {
		v.Recent = append(v.Recent, s.Decisions[i])
	}
	if s.State == nil {
		v.State = &State{}
		v.Standby, v.Waiting, v.Unknown = !s.Leads, s.Leads, true
		return v
	}
	v.Leader = s.State.Leader
	v.Age = age(now, s.State.At)
	v.ClusterAge, v.AWSAge = age(now, s.State.Readings.Cluster), age(now, s.State.Readings.AWS)
	v.Stale = stale(now, s.State)
	booting := 0
	for _, z := range s.State.Zones {
		v.Spot, v.OnDemand = v.Spot+z.Spot, v.OnDemand+z.OnDemand
		booting, v.Leaving = booting+z.Booting, v.Leaving+z.Leaving
	}
	v.Nodes, v.Booting, v.Hourly = strconv.Itoa(v.Spot+v.OnDemand), strconv.Itoa(booting), "unknown"
	if h := s.State.Cost.Hourly; h != nil {
		v.Hourly = money(*h)
	}
	if unread := neverRead(s.State); len(unread) > 0 {
		if v.Without = "without " + strings.Join(unread, ", ") + ", never read"; len(s.State.Groups) == 0 {
			v.Nodes, v.Booting, v.Hourly = "unknown", "unknown", "unknown"
		}
	}
	v.ForPending = forPending(s.State)
	if n := s.State.Cost.Unpriced; n > 0 && s.State.Cost.Hourly != nil {
		v.Unpriced = fmt.Sprintf("without %d whose price is unknown", n)
	}
	for i, b := range s.State.Balloons {
		v.Bands = append(v.Bands, BandView{b, drawBand(now, b), "b" + strconv.Itoa(i)})
	}
	for _, p := range s.State.Pools {
		if p.Freeze != nil {
			v.Freezes++
		}
		v.Held += len(p.Holds)
	}
	return v
}

// neverRead are the pools whose groups nobody knows.
func neverRead(s *State) (names []string) {
	for _, p := range s.Pools {
		if p.ReadAt.IsZero() {
			names = append(names, "pool "+p.Name)
		}
	}
	return names
}

// forPending says of the pods that wait how many have nothing on its way.
func forPending(s *State) string {
	nothing, more := 0, s.More["pending"] > 0
	for _, p := range s.Pending {
		if p.For == "" {
			nothing += p.Count
		}
	}
	switch {
	case s.Pods.Pending == 0:
		return "none waits"
	case nothing == 0 && more:
		return "of those listed room is on its way for all"
	case nothing == 0:
		return "room is on its way for all"
	case more:
		return fmt.Sprintf("nothing is on its way for %d or more", nothing)
	}
	return fmt.Sprintf("nothing is on its way for %d", nothing)
}

// stale says what of a state is too old to go by.
func stale(now time.Time, s *State) string {
	var parts []string
	every := time.Duration(s.Every * float64(time.Second))
	if limit := max(lateAfter*every, 5*time.Second); now.Sub(s.At) > limit {
		parts = append(parts, "the last plan was made "+age(now, s.At)+" and the next is late")
	}
	oldest := time.Duration(s.Readings.MaxAge * float64(time.Second))
	for _, r := range []struct {
		of string
		at time.Time
	}{{"Kubernetes", s.Readings.Cluster}, {"AWS", s.Readings.AWS}} {
		switch {
		case r.at.IsZero() && (r.of != "AWS" || len(s.Groups)+len(s.Pools) > 0):
			parts = append(parts, r.of+" was never read")
		case !r.at.IsZero() && oldest > 0 && now.Sub(r.at) > oldest:
			parts = append(parts, r.of+" was last read "+age(now, r.at))
		}
	}
	for _, p := range s.Pools {
		if p.ReadAt.IsZero() && !s.Readings.AWS.IsZero() {
			parts = append(parts, "the groups of pool "+p.Name+" were never read")
		}
		if oldest > 0 && !p.ReadAt.IsZero() && now.Sub(p.ReadAt) > oldest && p.ReadAt.Before(s.Readings.AWS) {
			parts = append(parts, "the groups of pool "+p.Name+" were last read "+age(now, p.ReadAt))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "Not current: " + strings.Join(parts, "; ") + "."
}

// age of something in words.
func age(now, at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return lasted(now.Sub(at)) + " ago"
}

// lasted is a duration in words, coarser the longer it is.
func lasted(d time.Duration) string {
	switch d = max(d, 0); {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// number is v with at most one decimal below a hundred.
func number(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "unknown"
	}
	if math.Abs(v) >= 100 {
		return strconv.FormatFloat(math.Round(v), 'f', -1, 64)
	}
	return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64)
}

// whole is v without decimals.
func whole(v float64) string { return number(math.Round(v)) }

// money is an amount of the prices' currency.
func money(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }

// maybe is a number that may be unknown.
func maybe(v *float64) string {
	if v == nil {
		return "unknown"
	}
	return number(*v)
}
