package replay

import (
	"errors"
	"fmt"
	"math"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/balloon"
	"swell/scaler/schedule"
)

// Fleet is workloads on the nodes of one pool, whose demand was recorded.
type Fleet struct {
	// History is when the record begins, From and To are what is played.
	History, From, To time.Time
	// Zones with equal shares of the pods, at least one.
	Zones int
	// Boot is how long nodes take from launch to Ready, and PodStart what pods take on them.
	Boot     Boot
	PodStart time.Duration
	HPADelay time.Duration
	// Scan is how often is decided; a divisor of a minute.
	Scan         time.Duration
	ScaleInAfter time.Duration
	// MinNodes and MaxNodes of a zone.
	MinNodes, MaxNodes int
	// OnDemandBase nodes of all zones are on demand; of those above it SpotShare may be spot.
	OnDemandBase int
	SpotShare    float64
	// ReclaimedPerHour is the probability that a spot node is reclaimed within an hour.
	ReclaimedPerHour float64
	// OnDemand and Spot are prices of a node an hour.
	OnDemand, Spot float64
	// Short are times without capacity.
	Short []Short
	// Others is how many nodes the pods take that are not among Workloads; nil is none.
	Others    func(t time.Time) float64
	Workloads []Guarded
	Seed      int64
	// Progress is told how much is done, as a share; may be nil.
	Progress func(done float64)
}

// Short is a time in which a market of a zone has no capacity.
type Short struct {
	Zone     int // from 0
	Market   string
	From, To time.Time
}

// Guarded is a workload with its Balloon.
type Guarded struct {
	Name string
	// Demand of all clusters at a time in pods, and Served, the share of it that came to this cluster.
	Demand func(t time.Time) float64
	Served float64
	// Size of a pod, as a share of a node.
	Size float64
	// Balloon says what is held; nil is no Balloon that acts.
	Balloon *Sizing
	// Location of the local wall clock, and Holiday of its days off; nil is UTC and none.
	Location *time.Location
	Holiday  func(date time.Time) bool
}

// Sizing is a Balloon's policy.
type Sizing struct {
	Quantile, Chunk, Share float64
	Min, Max               int
	SurviveZone            bool
	Schedules              []*schedule.Schedule
	// Recorded is the forecast that the scaler made at a time, at a quantile, in pods of all clusters. It is used for as long as the
	// record is too short to forecast from; nil is none.
	Recorded func(t time.Time, quantile float64) (upper float64, ok bool)
}

// FleetResult is what a fleet reached; costs are in the currency of the prices.
type FleetResult struct {
	Total     GuardedResult
	Workloads []GuardedResult
	Markets   map[string]Market
	// AtMaxNodes says that a zone was to have more nodes than it may.
	AtMaxNodes bool
	// Recorded is the share of the time for which recorded forecasts stood in for the replay's own, over all Balloons; NoForecast
	// that in which there was neither.
	Recorded, NoForecast float64
}

// GuardedResult is one workload's, or all of them.
type GuardedResult struct {
	Name     string
	Unserved float64 // share of the pod-seconds that were demanded
	WaitP50S float64
	WaitP99S float64
	// PodHours were demanded; Waits are pods by the seconds that they waited.
	PodHours float64
	Waits    map[int64]int
	// RoomHours are node-hours of the room that was held.
	RoomHours float64
}

// PlayFleet plays the record of a fleet.
func PlayFleet(f Fleet) (FleetResult, error) {
	fail := func(what string) (FleetResult, error) {
		return FleetResult{}, fmt.Errorf("replaying a fleet: %s", what)
	}
	switch {
	case !f.From.Before(f.To) || f.History.After(f.From):
		return fail("nothing is played between its times; give a longer record")
	case f.Zones < 1 || f.MaxNodes < 1:
		return fail("it has no zone, or no node in any")
	case f.Scan < time.Second || time.Minute%f.Scan != 0:
		return fail("scan does not divide a minute")
	}
	p := &fleetPlay{Fleet: f, in: f.input()}
	p.cluster = newCluster(p.in, nil, f.outages())
	p.cluster.foresees, p.cluster.base = true, f.OnDemandBase
	for _, w := range f.Workloads {
		g, err := newGuarded(p.in, w, f)
		if err != nil {
			return FleetResult{}, fmt.Errorf("replaying %s: %w", w.Name, err)
		}
		p.workloads = append(p.workloads, g)
	}
	p.play()
	return p.result(), nil
}

func (f Fleet) input() Input {
	span := func(d time.Duration) metav1.Duration { return metav1.Duration{Duration: d} }
	podStart := span(f.PodStart)
	s := Scenario{Name: "fleet", Zones: f.Zones, MaxNodes: f.MaxNodes, Boot: f.Boot, PodStart: &podStart, HPADelay: span(f.HPADelay), Scan: span(f.Scan), ScaleInAfter: span(f.ScaleInAfter),
		Spot: Spot{Price: 1, Share: f.SpotShare, ReclaimedPerHour: f.ReclaimedPerHour}}.WithDefaults()
	s.ScaleInAfter = span(f.ScaleInAfter) // which may be none
	return Input{Scenario: s, Seed: f.Seed, Location: time.UTC}
}

func (f Fleet) outages() []outage {
	var out []outage
	for _, s := range f.Short {
		out = append(out, outage{s.Zone, s.Market, s.From.Unix(), s.To.Unix()})
	}
	return out
}

// guarded decides for one workload by the product's forecaster and balloon arithmetic.
type guarded struct {
	Guarded
	*swell
	work      []pods // by zone
	balloons  int
	room      float64 // node-seconds
	asked     float64 // decisions, and of these
	recorded  float64 // by a recorded forecast
	blind     float64 // without any
	wanted    []float64
	replicas  int
	headroom  schedule.Headroom
	headroomT int64
}

func newGuarded(in Input, w Guarded, f Fleet) (*guarded, error) {
	if !(w.Size > 0) || w.Demand == nil {
		return nil, errors.New("the size of its pods or its demand is not known")
	}
	if w.Location == nil {
		w.Location = time.UTC
	}
	in.Location, in.Holiday = w.Location, w.Holiday
	q := Quantile
	if w.Balloon != nil {
		q = w.Balloon.Quantile
	}
	s, err := newSwell(in, q)
	if err != nil {
		return nil, err
	}
	g := &guarded{Guarded: w, swell: s, work: make([]pods, f.Zones), wanted: make([]float64, f.Zones), headroomT: -1}
	if w.Balloon != nil {
		for t := f.History.Unix(); t < f.From.Add(-f.HPADelay).Unix(); t += minuteSeconds {
			g.see(t)
		}
	}
	return g, nil
}

// see shows the forecaster the demand of a time, where it is known.
func (g *guarded) see(t int64) {
	if d := g.Demand(time.Unix(t, 0)); !math.IsNaN(d) {
		g.observe(t, int(math.Round(d)))
	}
}

// pods of this cluster at a time; what is not known is as it was.
func (g *guarded) podsAt(t int64) int {
	if d := g.Demand(time.Unix(t, 0)); !math.IsNaN(d) {
		g.replicas = int(math.Ceil(g.Served*d - 1e-9))
	}
	return g.replicas
}

// decide sets what is wanted in each zone, in pods.
func (g *guarded) decide(now int64, replicas int) {
	zones := len(g.wanted)
	for i := range zones {
		g.zones[i].Pods = part(replicas, i, zones)
		g.wanted[i] = float64(g.zones[i].Pods)
	}
	b := g.Balloon
	if b == nil {
		return
	}
	in := balloon.Input{Now: time.Unix(now, 0), Chunk: b.Chunk, Min: b.Min, Max: b.Max, Share: b.Share, Demand: float64(g.seen), Running: replicas,
		Zones: g.zones, State: g.state, SurviveZone: b.SurviveZone}
	in.Upper, in.NotReady = g.upper(now)
	if len(b.Schedules) > 0 && b.Share > 0 {
		in.Headroom = b.Share * g.scheduled(now).For(float64(g.seen))
	}
	d := balloon.Size(in)
	g.state, g.balloons = d.State, d.Total
	byName := map[string]int{}
	for _, z := range d.Zones {
		byName[z.Zone] = z.Balloons
	}
	for i := range g.zones {
		g.zones[i].Balloons = byName[g.zones[i].Name]
		g.wanted[i] += float64(g.zones[i].Balloons) * b.Chunk
	}
}

// upper is the forecast: the replay's own, or the recorded one while there is too little to make it from.
func (g *guarded) upper(now int64) (upper float64, notReady string) {
	g.asked++
	if g.minute >= 0 {
		if a := g.ask(); a.Ready {
			return a.Upper, ""
		}
	}
	if g.Balloon.Recorded != nil {
		if v, ok := g.Balloon.Recorded(time.Unix(now, 0), g.Balloon.Quantile); ok {
			g.recorded++
			return v, ""
		}
	}
	g.blind++
	return math.NaN(), "the record is too short"
}

// scheduled is what schedules ask for within the lead; it is looked up once a minute.
func (g *guarded) scheduled(now int64) schedule.Headroom {
	minute := floorDiv(now, minuteSeconds)
	if minute == g.headroomT {
		return g.headroom
	}
	g.headroomT, g.headroom = minute, schedule.Headroom{}
	at := time.Unix(now, 0)
	for _, s := range g.Balloon.Schedules {
		asked, _ := s.Over(at, at.Add(g.lead), func(t time.Time) (float64, bool) {
			d := g.Demand(t)
			return d, !math.IsNaN(d)
		})
		g.headroom = g.headroom.Max(asked)
	}
	return g.headroom
}

// fleetPlay is a fleet that is being played.
type fleetPlay struct {
	Fleet
	in        Input
	cluster   *cluster
	workloads []*guarded
}

func (p *fleetPlay) play() {
	step, delay := int64(p.Scan/time.Second), int64(p.HPADelay/time.Second)
	from, to := p.From.Unix(), p.To.Unix()
	for t := from; t < to; t += step {
		others := 0.0
		if p.Others != nil {
			others = max(p.Others(time.Unix(t, 0)), 0)
		}
		for _, w := range p.workloads {
			w.see(t - delay)
			w.decide(t, w.podsAt(t-delay))
			if w.Balloon != nil {
				w.room += float64(w.balloons) * w.Balloon.Chunk * w.Size * float64(step)
			}
		}
		p.step(t, step, others/float64(p.Zones), t == from)
		if every := max((to-from)/100/step, 1) * step; p.Progress != nil && (t-from)%every == 0 {
			p.Progress(float64(t-from) / float64(to-from))
		}
	}
}

// step buys and returns in each zone, and places the pods.
func (p *fleetPlay) step(t, step int64, others float64, first bool) {
	c := p.cluster
	for i := range c.zones {
		z := &c.zones[i]
		need := others
		for _, w := range p.workloads {
			need += w.wanted[i] * w.Size
		}
		c.lose(z, t)
		nodes := max(math.Ceil(need-1e-9), float64(p.MinNodes))
		c.limited = c.limited || nodes > float64(p.MaxNodes)
		c.follow(z, t, int(min(nodes, float64(p.MaxNodes))), first)
		room := -others
		for _, n := range z.nodes {
			c.hours[n.market] += float64(step) / 3600
			if n.readyAt <= t {
				room++
			}
		}
		p.place(t, step, i, room)
	}
}

// place gives the pods of a zone its room, in nodes: those that run keep theirs, and what is left goes to those that wait, in
// proportion to what they ask for.
func (p *fleetPlay) place(t, step int64, zone int, room float64) {
	running, waiting := 0.0, 0.0
	demands := make([]int, len(p.workloads))
	for k, w := range p.workloads {
		demands[k] = part(w.podsAt(t), zone, p.Zones)
		stay := min(w.work[zone].running, demands[k])
		running += float64(stay) * w.Size
		waiting += float64(demands[k]-stay) * w.Size
	}
	share := 1.0
	if waiting > 0 {
		share = min(max((room-running)/waiting, 0), 1)
	}
	keep := 1.0
	if running > 0 {
		keep = min(max(room/running, 0), 1)
	}
	capacity := make([]int, len(p.workloads))
	for k, w := range p.workloads {
		stay := min(w.work[zone].running, demands[k])
		capacity[k] = int(math.Floor(float64(stay)*keep+1e-9)) + int(math.Floor(float64(demands[k]-stay)*share+1e-9))
		room -= float64(capacity[k]) * w.Size
	}
	for k, w := range p.workloads {
		for capacity[k] < demands[k] && w.Size <= room+1e-9 { // what rounding left
			capacity[k]++
			room -= w.Size
		}
		w.work[zone].step(t, demands[k], capacity[k], step)
	}
}

func (p *fleetPlay) result() FleetResult {
	r := FleetResult{AtMaxNodes: p.cluster.limited, Markets: map[string]Market{
		onDemandMarket: {p.cluster.hours[onDemandMarket], p.cluster.hours[onDemandMarket] * p.OnDemand},
		spotMarket:     {p.cluster.hours[spotMarket], p.cluster.hours[spotMarket] * p.Spot}}}
	var all pods
	var asked, recorded, blind float64
	for _, w := range p.workloads {
		var own pods
		for i := range w.work {
			own.join(&w.work[i])
		}
		all.join(&own)
		r.Workloads = append(r.Workloads, resultOf(w.Name, &own, w.room/3600))
		r.Total.RoomHours += w.room / 3600
		asked, recorded, blind = asked+w.asked, recorded+w.recorded, blind+w.blind
	}
	r.Total = resultOf("", &all, r.Total.RoomHours)
	if asked > 0 {
		r.Recorded, r.NoForecast = recorded/asked, blind/asked
	}
	return r
}

func resultOf(name string, work *pods, room float64) GuardedResult {
	out := GuardedResult{Name: name, PodHours: work.demanded / 3600, Waits: work.waits, WaitP50S: work.quantile(0.5), WaitP99S: work.quantile(0.99), RoomHours: room}
	if work.demanded > 0 {
		out.Unserved = work.unserved / work.demanded
	}
	return out
}

// Join adds up results of several fleets.
func Join(all ...GuardedResult) GuardedResult {
	var work pods
	room := 0.0
	for _, r := range all {
		work.join(&pods{demanded: 3600 * r.PodHours, unserved: 3600 * r.PodHours * r.Unserved, waits: r.Waits})
		room += r.RoomHours
	}
	return resultOf("", &work, room)
}
