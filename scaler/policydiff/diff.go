package policydiff

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"swell/api/v1alpha1"
	"swell/balloon"
	"swell/scaler/explain"
	"swell/scaler/replay"
	"swell/scaler/schedule"
)

const (
	hpaDelay = 30 * time.Second
	scan     = 30 * time.Second
	// fewBoots are too few to learn boot times from; then those of scenarios count.
	fewBoots = 3
	// unlimited nodes of a zone, where no policy has a limit.
	unlimited = 1000
)

// Document is a changed policy; Spec has its defaults filled in.
type Document struct {
	Kind string
	// Name is namespace/name, or name of a CapacityPool.
	Name string
	Spec json.RawMessage
}

// Options of Compare.
type Options struct {
	// Since is how much of the ledger's end is played. Default seven days.
	Since   time.Duration
	Changes []Document
	// Location of the wall clock that the load lives by, and Holiday of its days off; nil is UTC and none.
	Location *time.Location
	Holiday  func(date time.Time) bool
	Seed     int64
	// Progress is told how much is done of a pool's old or new policies; may be nil.
	Progress func(what string, done float64)
}

// Compare plays what a ledger recorded, with the policies of then and with changed ones.
func Compare(k *Recording, o Options) (*Output, error) {
	if o.Since <= 0 {
		o.Since = 7 * 24 * time.Hour
	}
	r, err := spanOf(k, o.Since)
	if err != nil {
		return nil, err
	}
	out := &Output{From: r.from.UTC(), To: r.to.UTC(), Changes: []Change{}, Balloons: []BalloonDiff{}, Pools: []PoolDiff{}, Notes: r.notes, Limits: limits}
	changed := maps.Clone(r.policies)
	for _, d := range o.Changes {
		r.change(out, changed, d)
	}
	for _, key := range r.changed {
		out.Notes = append(out.Notes, fmt.Sprintf("%s changed within this time; its last policy stands for all of it", key))
	}
	for _, name := range slices.Sorted(maps.Keys(r.pools)) {
		p := &player{r: r, o: o, pool: name, out: out}
		if err := p.compare(changed); err != nil {
			return nil, err
		}
	}
	out.add()
	return out, nil
}

// change puts a document in the place of the recorded policy.
func (r *record) change(out *Output, policies map[string]json.RawMessage, d Document) {
	key := d.Kind + " " + d.Name
	c := Change{Object: key, Differences: []string{}}
	before, known := policies[key]
	switch {
	case !known && d.Kind == "Balloon" && r.balloons[d.Name] != nil:
		c.Differences = append(c.Differences, "the ledger has decisions of it and not its spec: what they show of it stands for the old one")
	case !known:
		c.New = true
		if d.Kind != "DiurnalSchedule" {
			out.Notes = append(out.Notes, key+" is not in the ledger: nothing is known to play it with")
		}
	default:
		c.Differences = append(c.Differences, explain.Differences(before, d.Spec)...)
	}
	out.Changes = append(out.Changes, c)
	policies[key] = d.Spec
}

// player plays one pool.
type player struct {
	r    *record
	o    Options
	pool string
	out  *Output
}

func (p *player) compare(changed map[string]json.RawMessage) error {
	play := func(word string, policies map[string]json.RawMessage) (replay.FleetResult, error) {
		f, err := p.fleet(policies)
		if err != nil {
			return replay.FleetResult{}, fmt.Errorf("the %s policies of pool %s: %w", word, p.pool, err)
		}
		if p.o.Progress != nil {
			f.Progress = func(done float64) { p.o.Progress(word+" policies, pool "+p.pool, done) }
		}
		return replay.PlayFleet(f)
	}
	before, err := play("old", p.r.policies)
	if err != nil {
		return err
	}
	after, err := play("new", changed)
	if err != nil {
		return err
	}
	p.out.take(p, before, after)
	return nil
}

// fleet is the pool's record under some policies.
func (p *player) fleet(policies map[string]json.RawMessage) (replay.Fleet, error) {
	pool := p.r.pools[p.pool]
	f := replay.Fleet{History: p.r.begin, From: p.r.from, To: p.r.to, Zones: max(len(pool.zones), 1), HPADelay: hpaDelay, Scan: scan, ScaleInAfter: 10 * time.Minute,
		MaxNodes: unlimited, SpotShare: 1, OnDemand: pool.onDemand, Spot: pool.spot, Short: pool.outages(), Others: pool.othersAt, Seed: p.o.Seed}
	if err := p.nodes(&f, pool, policies); err != nil {
		return f, err
	}
	p.boots(&f, pool)
	for _, name := range slices.Sorted(maps.Keys(p.r.balloons)) {
		g := p.r.balloons[name]
		if g.pool != p.pool {
			continue
		}
		w, err := p.guarded(name, g, policies, f)
		if err != nil {
			return f, fmt.Errorf("reading Balloon %s: %w", name, err)
		}
		f.Workloads = append(f.Workloads, w)
	}
	return f, nil
}

// nodes takes the CapacityPool's policy.
func (p *player) nodes(f *replay.Fleet, pool *poolRecord, policies map[string]json.RawMessage) error {
	raw, known := policies["CapacityPool "+p.pool]
	if !known || string(raw) == "null" {
		p.out.note("the ledger has no policy of CapacityPool %s: its nodes are played without limits, with as much spot as may be", p.pool)
	} else {
		var spec v1alpha1.CapacityPoolSpec
		if err := json.Unmarshal(raw, &spec); err != nil {
			return fmt.Errorf("CapacityPool %s: %w", p.pool, err)
		}
		f.MinNodes, f.OnDemandBase, f.ScaleInAfter = int(spec.Limits.MinNodesPerZone), int(spec.Purchase.OnDemandBase), spec.ScaleIn.After.Duration
		if n := int(spec.Limits.MaxNodes); n > 0 {
			f.MaxNodes = (n + f.Zones - 1) / f.Zones
		}
		if n := int(spec.Limits.MaxNodesPerZone); n > 0 {
			f.MaxNodes = min(f.MaxNodes, n)
		}
		share, err := shareOf(string(spec.Purchase.SpotMax))
		if err != nil {
			return fmt.Errorf("CapacityPool %s: spec.purchase.spotMax: %w", p.pool, err)
		}
		f.SpotShare = share
		if spec.Limits.MaxHourlyCost != nil {
			p.out.note("limits.maxHourlyCost of CapacityPool %s is not played", p.pool)
		}
		if spec.Mode == v1alpha1.Observe {
			p.out.note("CapacityPool %s only observes: it is played as if it acted", p.pool)
		}
	}
	if !pool.markets["spot"] {
		f.SpotShare = 0
	} else if !pool.markets["on-demand"] {
		f.SpotShare, f.OnDemandBase = 1, 0
	}
	if hours := pool.life.NodeHours["spot"]; hours > 0 {
		f.ReclaimedPerHour = min(float64(pool.lost)/hours, 0.5)
	}
	return nil
}

// boots takes the recorded boot times, and the pods' start from the lead that was counted with.
func (p *player) boots(f *replay.Fleet, pool *poolRecord) {
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	f.Boot.P50.Duration, f.Boot.P95.Duration = 50*time.Second, 2*time.Minute
	if n := len(pool.boots); n >= fewBoots {
		f.Boot.P50.Duration = seconds(max(pool.boots[(n-1)/2], 1))
		f.Boot.P95.Duration = max(seconds(pool.boots[int(math.Ceil(0.95*float64(n)))-1]), f.Boot.P50.Duration+time.Second)
	} else {
		p.out.note("pool %s: the ledger has %d boots, too few to learn from: a median of 50s and a 95th percentile of 2m are taken", p.pool, n)
	}
	var leads []float64
	for _, g := range p.r.balloons {
		if g.pool == p.pool {
			leads = append(leads, g.last.Lead)
		}
	}
	if slices.Sort(leads); len(leads) > 0 {
		f.PodStart = min(max(seconds(leads[len(leads)/2])-f.Boot.P95.Duration-hpaDelay, 0), 5*time.Minute).Round(time.Second)
	}
}

// guarded takes a Balloon's policy.
func (p *player) guarded(name string, g *guardedRecord, policies map[string]json.RawMessage, f replay.Fleet) (replay.Guarded, error) {
	last := g.last
	w := replay.Guarded{Name: name, Demand: g.demand, Served: last.Share, Size: p.r.pools[p.pool].size(last.Pod), Location: p.o.Location, Holiday: p.o.Holiday}
	if w.Size > 1 {
		return w, fmt.Errorf("one of its pods is larger than a node of pool %s by the ledger's samples; see which pool it runs in", p.pool)
	}
	raw, known := policies["Balloon "+name]
	if !known || string(raw) == "null" {
		p.out.note("the ledger has no policy of Balloon %s: what its last decision shows of it is played, without bounds and schedules", name)
		w.Balloon = &replay.Sizing{Quantile: last.Tau, Chunk: last.Chunk, Share: last.Share, Max: math.MaxInt32, Recorded: g.forecast}
		return w, nil
	}
	var spec v1alpha1.BalloonSpec
	if err := json.Unmarshal(raw, &spec); err != nil {
		return w, err
	}
	if spec.Mode == v1alpha1.Observe {
		return w, nil
	}
	s := &replay.Sizing{Min: int(spec.Min), Max: int(spec.Max), SurviveZone: spec.Zones.Survive == "Zone", Recorded: g.forecast}
	var err error
	if s.Chunk, err = decimal(spec.Chunk, 1); err != nil {
		return w, fmt.Errorf("spec.chunk: %w", err)
	}
	if s.Share, err = shareOf(string(spec.Share)); err != nil {
		return w, fmt.Errorf("spec.share: %w", err)
	}
	if s.Quantile, err = p.quantile(spec.Target, w.Size, f); err != nil {
		return w, fmt.Errorf("spec.target: %w", err)
	}
	if s.Share != last.Share {
		p.out.note("Balloon %s: its share differs from what it was: the demand that comes to this cluster is played as it was, and the room is for the other share", name)
	}
	s.Schedules = p.schedules(name, spec.Schedules, policies)
	w.Balloon = s
	return w, nil
}

func (p *player) quantile(t v1alpha1.BalloonTarget, size float64, f replay.Fleet) (float64, error) {
	if t.MissCostPerPodMinute == "" {
		return decimal(t.Quantile, 0.99)
	}
	miss, err := decimal(t.MissCostPerPodMinute, 0)
	if err != nil {
		return 0, err
	}
	price := f.OnDemand
	if f.Spot > 0 && f.SpotShare > 0 {
		price = min(f.Spot, cmpOr(f.OnDemand, f.Spot))
	}
	return balloon.Quantile(miss, size*price/60)
}

func (p *player) schedules(name string, named []string, policies map[string]json.RawMessage) []*schedule.Schedule {
	namespace, _, _ := cut(name)
	var out []*schedule.Schedule
	for _, n := range named {
		raw, known := policies["DiurnalSchedule "+namespace+"/"+n]
		var spec v1alpha1.DiurnalScheduleSpec
		if !known || string(raw) == "null" || json.Unmarshal(raw, &spec) != nil {
			p.out.note("Balloon %s: the ledger has no DiurnalSchedule %s/%s: it counts for nothing; give it in the file", name, namespace, n)
			continue
		}
		if s, _ := schedule.Compile(spec); s != nil {
			out = append(out, s)
		}
	}
	return out
}

func decimal(d v1alpha1.Decimal, absent float64) (float64, error) {
	if d == "" {
		return absent, nil
	}
	v, err := strconv.ParseFloat(string(d), 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no number", d)
	}
	return v, nil
}

// shareOf reads 70%; absent is all.
func shareOf(text string) (float64, error) {
	if text == "" {
		return 1, nil
	}
	v, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err != nil || !strings.HasSuffix(text, "%") {
		return 0, fmt.Errorf("%q is no percentage", text)
	}
	return v / 100, nil
}

func cmpOr(a, b float64) float64 {
	if a > 0 {
		return a
	}
	return b
}

// cut takes a name with a namespace apart.
func cut(name string) (namespace, rest string, ok bool) { return strings.Cut(name, "/") }

// hours is a span in words.
func hours(d time.Duration) string {
	if d >= 48*time.Hour {
		return fmt.Sprintf("%.1f days", d.Hours()/24)
	}
	return fmt.Sprintf("%.1f hours", d.Hours())
}
