package replay

import (
	"fmt"
	"math"
	"time"

	"swell/scaler/schedule"
	"swell/scaler/series"
)

// Input of Run.
type Input struct {
	Scenario Scenario
	// Trace that is played, where the scenario plays one.
	Trace series.Series
	// Location of the local wall clock. Default: the scenario's.
	Location *time.Location
	// Holiday says whether a local date counts as a Sunday. Default: the scenario's.
	Holiday func(date time.Time) bool
	// Seed of what is random in the scenario; what is not does not depend on it.
	Seed int64
	// Progress is told how much of a policy's run is done, as a share, about a hundred times; may be nil.
	Progress func(policy string, done float64)

	policy  string
	decided func(now int64, want float64) // for tests; may be nil
}

// Market is what was bought in one.
type Market struct {
	NodeHours float64 `json:"node_hours"`
	Cost      float64 `json:"cost"`
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
	// AtMaxNodes says that a zone was to have more nodes than it may. Clairvoyant knows no such limit.
	AtMaxNodes bool `json:"at_max_nodes,omitempty"`
	// Markets by name, where the scenario has more than one.
	Markets map[string]Market `json:"markets,omitempty"`
}

func (r *Result) fill(work *pods) {
	r.Unserved, r.WaitP50S, r.WaitP99S = work.unserved/work.demanded, work.quantile(0.5), work.quantile(0.99)
}

// Run plays a scenario once for each policy.
func Run(in Input, policies []string) ([]Result, error) {
	fail := func(err error) ([]Result, error) {
		return nil, fmt.Errorf("replaying %s: %w", in.Scenario.Name, err)
	}
	for _, w := range in.Scenario.Validate() {
		return fail(fmt.Errorf("%s %s", w.Field, w.What))
	}
	in.Scenario = in.Scenario.WithDefaults()
	if err := in.localise(); err != nil {
		return fail(err)
	}
	d, sp, err := in.demand()
	if err != nil {
		return fail(err)
	}
	least := clairvoyant(in.Scenario, d, sp)
	least.Policy, least.CostOverClairvoyant = clairvoyantName, 1
	outages := outagesOf(in, d, sp)
	out := []Result{}
	for _, text := range policies {
		m, v, err := parsePolicy(text)
		if err != nil {
			return fail(err)
		}
		if m.make == nil {
			out = append(out, least)
			continue
		}
		p, err := m.make(in, v)
		if err != nil {
			return fail(err)
		}
		in.policy = text
		var r Result
		if in.Scenario.Zones > 0 {
			r = zonal(in, p, d, sp, outages)
		} else {
			r = fluid(in, p, d, sp)
		}
		r.Policy, r.CostOverClairvoyant = text, r.Cost/least.Cost
		out = append(out, r)
	}
	return out, nil
}

// localise takes the scenario's time zone and holidays where none are given.
func (in *Input) localise() (err error) {
	if in.Location == nil {
		if in.Location, err = time.LoadLocation(in.Scenario.TimeZone); err != nil {
			return fmt.Errorf("timeZone: %w", err)
		}
	}
	if in.Holiday == nil && in.Scenario.Holidays != "" {
		if in.Holiday, err = schedule.Holidays(in.Scenario.Holidays); err != nil {
			return fmt.Errorf("holidays: %w", err)
		}
	}
	return nil
}

// ShortHistory is what the policies that learn need before the play to show what they can do.
const ShortHistory = 14 * day

// History is how much there is for the policies to learn from before the play.
func (in Input) History() time.Duration {
	d := in.Scenario.WithDefaults().Demand
	if d.Kind == OfficeDemand {
		return d.History.Duration
	}
	n := in.Trace.Len()
	return min(d.History.Duration, time.Duration(n-n/3)*in.Trace.Step)
}

func (in Input) demand() (demand, span, error) {
	if in.Scenario.Demand.Kind == OfficeDemand {
		d, sp := ofOffice(in.Scenario, in)
		return d, sp, nil
	}
	return ofTrace(in.Trace, in.Scenario.Demand, seconds(in.Scenario.Scan))
}

func (in Input) decide(p policy, now int64) float64 {
	want := p.want(now)
	if in.decided != nil {
		in.decided(now, want)
	}
	return want
}

func (in Input) progress(t int64, sp span) {
	step := seconds(in.Scenario.Scan)
	if every := max((sp.to-sp.from)/100/step, 1) * step; in.Progress != nil && (t-sp.from)%every == 0 {
		in.Progress(in.policy, float64(t-sp.from)/float64(sp.to-sp.from))
	}
}

// clairvoyant is the least that can be paid when all is served: at each time the nodes that are needed at any time of the
// next lead, as many of them spot as may be.
func clairvoyant(s Scenario, d demand, sp span) Result {
	step := seconds(s.Scan)
	lead := (int64(s.lead()/time.Second) + step - 1) / step * step
	zones := max(s.Zones, 1)
	most := make([]*window, zones)
	add := func(t int64) {
		n := d.at(t)
		for z := range most {
			most[z].add(t, ceilDiv(part(n, z, zones), s.NodePods))
		}
	}
	for z := range most {
		most[z] = newMost(lead)
	}
	for t := sp.from; t < min(sp.from+lead, sp.to); t += step {
		add(t)
	}
	hours := map[string]float64{}
	for t := sp.from; t < sp.to; t += step {
		if t+lead < sp.to {
			add(t + lead)
		}
		for z := range most {
			nodes := most[z].since(t)
			spot := int(s.Spot.Share*float64(nodes) + 1e-9)
			hours[spotMarket] += float64(spot) * float64(step) / 3600
			hours[onDemandMarket] += float64(nodes-spot) * float64(step) / 3600
		}
	}
	var r Result
	r.pay(s, hours)
	return r
}

// pay sets the costs of node-hours by market.
func (r *Result) pay(s Scenario, hours map[string]float64) {
	r.NodeHours, r.Cost = hours[onDemandMarket]+hours[spotMarket], hours[onDemandMarket]+hours[spotMarket]*s.Spot.Price
	if s.Zones > 0 {
		r.Markets = map[string]Market{
			spotMarket:     {hours[spotMarket], hours[spotMarket] * s.Spot.Price},
			onDemandMarket: {hours[onDemandMarket], hours[onDemandMarket]},
		}
	}
}

// learn feeds a policy the history.
func learn(in Input, p policy, d demand, sp span) {
	step := seconds(in.Scenario.Scan)
	for t := sp.history; t < sp.from-seconds(in.Scenario.HPADelay); t += step {
		p.observe(t, d.at(t))
	}
}

// fluid plays a policy on a cluster in which a pod fits wherever there is room.
func fluid(in Input, p policy, d demand, sp span) Result {
	s := in.Scenario
	step, delay := seconds(s.Scan), seconds(s.HPADelay)
	learn(in, p, d, sp)
	after, budget := seconds(s.ScaleInAfter), 1.0
	if r, ok := p.(remover); ok {
		after, budget = r.scaleIn()
	}
	held, ready := newMost(after), newLeast(seconds(s.Lead))
	var work pods
	var r Result
	paid := 0
	for t := sp.from; t < sp.to; t += step {
		p.observe(t-delay, d.at(t-delay))
		want := in.decide(p, t)
		wanted := int(math.Ceil(want/float64(s.NodePods) - 1e-9))
		paid = max(held.add(t, wanted), paid-int(math.Ceil(budget*float64(paid))))
		serving := ready.add(t, paid)
		r.NodeHours += float64(paid) * float64(step) / 3600
		work.step(t, d.at(t), serving*s.NodePods, step)
		in.progress(t, sp)
	}
	r.Cost = r.NodeHours
	r.fill(&work)
	return r
}
