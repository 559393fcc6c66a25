package replay

import (
	"fmt"
	"math"
	"time"

	"swell/scaler/series"
)

// Input of Run.
type Input struct {
	Scenario Scenario
	// Trace that is played, where the scenario plays one.
	Trace series.Series
	// Location of the local wall clock. Default UTC.
	Location *time.Location
	// Holiday says whether a local date counts as a Sunday. Default: none does.
	Holiday func(date time.Time) bool
	// Seed of what is random.
	Seed int64
	// Progress is told about the simulated time, if it is set.
	Progress func(policy string, done float64)
}

// Result is what a policy reached.
type Result struct {
	Policy string `json:"policy"`
	// Unserved share of the pod-seconds that were demanded.
	Unserved float64 `json:"unserved"`
	// Waits of pods, from when they were demanded until a node had room for them.
	WaitP50S float64 `json:"wait_p50_s"`
	WaitP99S float64 `json:"wait_p99_s"`
	// NodeHours that were paid for, and what they cost, in hours of an on-demand node.
	NodeHours float64 `json:"node_hours"`
	Cost      float64 `json:"cost"`
	// CostOverClairvoyant is the cost as a multiple of what a policy pays that knows the demand.
	CostOverClairvoyant float64 `json:"cost_over_clairvoyant"`
}

// Run plays a scenario once for each policy.
func Run(in Input, policies []string) ([]Result, error) {
	in.Scenario = in.Scenario.withDefaults()
	if in.Location == nil {
		in.Location = time.UTC
	}
	d, sp, err := ofTrace(in.Trace, in.Scenario.Demand)
	if err != nil {
		return nil, fmt.Errorf("replaying %s: %w", in.Scenario.Name, err)
	}
	least := clairvoyantHours(in.Scenario, d, sp)
	var out []Result
	for _, name := range policies {
		p, err := newPolicy(name, in)
		if err != nil {
			return nil, fmt.Errorf("replaying %s: %w", in.Scenario.Name, err)
		}
		r := fluid(in, p, d, sp)
		r.Policy = name
		r.CostOverClairvoyant = r.Cost / least
		out = append(out, r)
	}
	return out, nil
}

func clairvoyantHours(s Scenario, d demand, sp span) float64 {
	step, lead := seconds(s.Scan), seconds(s.Lead)
	most := newMost(lead)
	for t := sp.from; t < sp.from+lead && t < sp.to; t += step {
		most.add(t, ceilDiv(d.at(t), s.NodePods))
	}
	hours := 0.0
	nodes := 0
	for t := sp.from; t < sp.to; t += step {
		if t+lead < sp.to {
			nodes = most.add(t+lead, ceilDiv(d.at(t+lead), s.NodePods))
		}
		hours += float64(nodes) * float64(step) / 3600
	}
	return hours
}

// fluid plays a policy on a cluster in which a pod fits wherever there is room.
func fluid(in Input, p policy, d demand, sp span) Result {
	s := in.Scenario
	step, delay := seconds(s.Scan), seconds(s.HPADelay)
	for t := sp.history; t < sp.from-delay; t += step {
		p.observe(t, d.at(t))
	}
	held, ready := newMost(seconds(s.ScaleInAfter)), newLeast(seconds(s.Lead))
	var work pods
	hours := 0.0
	for t := sp.from; t < sp.to; t += step {
		p.observe(t-delay, d.at(t-delay))
		wanted := int(math.Ceil(p.want(t)/float64(s.NodePods) - 1e-9))
		paid := held.add(t, wanted)
		serving := ready.add(t, paid)
		hours += float64(paid) * float64(step) / 3600
		work.step(t, d.at(t), serving*s.NodePods, step)
	}
	return Result{Unserved: work.unserved / work.demanded, WaitP50S: work.quantile(0.5), WaitP99S: work.quantile(0.99), NodeHours: hours, Cost: hours}
}
