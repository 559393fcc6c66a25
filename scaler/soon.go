package scaler

import (
	"math"
	"time"

	"swell/balloon"
	"swell/scaler/observe"
	"swell/scaler/schedule"
)

const (
	// soonEvery is how often the forecast is looked through for what is wanted soon, in model time.
	soonEvery = time.Minute
	// soonStep is how far apart the times are that it is looked at; what is wanted more briefly than that is no reason to
	// keep a node.
	soonStep = 5 * time.Minute
)

// soon is the most that is wanted from now until a node that is returned now could be back and worth its boot.
type soon struct {
	at              time.Time
	upper, headroom float64
	headroomWhy     []string
}

// wantedSoon are the balloons by zone that will be wanted within a boot and a hold from now: the decision on the highest
// demand until then. A node that they need is not returned, however long nobody has needed it. Without a forecast it is what
// schedules ask for.
func (w *workload) wantedSoon(now time.Time, world *observe.World, s *size, in balloon.Input, tau float64, past schedule.Demand) map[string]int {
	if age := now.Sub(w.soon.at); w.soon.at.IsZero() || age < 0 || age >= soonEvery {
		w.soon = soon{at: now, headroom: in.Headroom, headroomWhy: in.HeadroomWhy}
		until := min(s.lead.Total()+hold(world), mostLead)
		if w.history != nil && in.NotReady == "" {
			for lead := s.lead.Total() + soonStep; lead < until+soonStep; lead += soonStep {
				if a := w.history.AtLead(now, min(lead, until), tau); a.Ready && !math.IsNaN(a.Upper) {
					w.soon.upper = max(w.soon.upper, a.Upper)
				}
			}
		}
		w.soon.raise(now, until, world, s, in, past)
	}
	in.State = balloon.State{}
	if !(in.Upper >= w.soon.upper) { // or it is not known
		in.Upper = w.soon.upper
	}
	in.Headroom, in.HeadroomWhy = max(in.Headroom, w.soon.headroom), w.soon.headroomWhy
	out := map[string]int{}
	for _, z := range balloon.Size(in).Zones {
		out[z.Zone] = z.Balloons
	}
	return out
}

// raise counts what schedules ask for until then; what is wrong with them is said elsewhere.
func (o *soon) raise(now time.Time, until time.Duration, world *observe.World, s *size, in balloon.Input, past schedule.Demand) {
	demand := in.Demand
	if math.IsNaN(demand) {
		demand = float64(in.Running) / max(in.Share, 0.01)
	}
	for _, name := range s.balloon.Spec.Schedules {
		d, ok := world.Schedules[s.balloon.Namespace+"/"+name]
		if !ok {
			continue
		}
		if compiled, _ := schedule.Compile(d.Spec); compiled != nil {
			asked, _ := compiled.Over(now, now.Add(until), past)
			if room := in.Share * asked.For(demand); room > o.headroom {
				o.headroom, o.headroomWhy = room, asked.Why
			}
		}
	}
}

// hold is the longest that a pool keeps a node that nobody needs: one that is wanted again sooner is not worth its return.
func hold(world *observe.World) time.Duration {
	longest := time.Duration(0)
	for i := range world.Pools {
		longest = max(longest, world.Pools[i].Spec.ScaleIn.After.Duration)
	}
	return longest + balloon.DefaultHold
}
