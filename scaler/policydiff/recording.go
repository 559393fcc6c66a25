package policydiff

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"

	"swell/scaler/ledger"
)

// Recording is what is kept of a ledger that is read an entry at a time: some numbers of each decision and each sample, and the last state
// of each instance.
type Recording struct {
	balloons  map[string]*decisions
	guards    map[string]string // Balloons by the namespace and workload that they guard
	policies  []policy
	samples   []sampled
	instances map[string]known
	short     []shortfall
}

// decisions on one Balloon.
type decisions struct {
	sizes  []decided
	last   *ledger.Sizing
	lastAt time.Time
}

// decided is one decision; NaN is unknown.
type decided struct {
	at                                        time.Time
	demand, running, point, upper, tau, share float64
}

// policy is one as it was read.
type policy struct {
	at         time.Time
	kind, name string
	spec       json.RawMessage
}

// sampled is one sample.
type sampled struct {
	at      time.Time
	pools   map[string]poolUse
	guarded []guardedUse
}

// poolUse is a pool's nodes; others is what the pods that no Balloon guards ask for, daemons included.
type poolUse struct {
	nodes                      float64
	asked, allocatable, others ledger.Resources
	zones, markets             []string
}

// guardedUse is a guarded workload's pods on a pool's nodes; of no pool are those without a node.
type guardedUse struct {
	balloon, pool string
	pods, pending float64
}

// known is an instance as it was known at a time.
type known struct {
	at time.Time
	*ledger.Instance
}

type shortfall struct {
	*ledger.Shortfall
	at time.Time
}

// Record is a Recording that takes entries in.
func Record() *Recording {
	return &Recording{balloons: map[string]*decisions{}, guards: map[string]string{}, instances: map[string]known{}}
}

// Add takes one entry in. They may come in any order, but a sample knows the Balloons alone that were decided on before it.
func (k *Recording) Add(e ledger.Entry) {
	switch {
	case e.Sizing != nil:
		k.size(e.Model, e.Sizing)
	case e.Policy != nil:
		k.policies = append(k.policies, policy{e.Model, e.Policy.Kind, e.Policy.Name, e.Policy.Spec})
	case e.Sample != nil:
		k.sample(e.Model, e.Sample)
	case e.Instance != nil:
		k.instance(e.Model, e.Instance)
	case e.Shortfall != nil:
		k.short = append(k.short, shortfall{e.Shortfall, e.Model})
	}
}

// Wanted says whether Add has a use for entries of an action.
func Wanted(action string) bool {
	return slices.Contains([]string{"size", "policy", "sample", "instance", "shortfall"}, action)
}

// Names are the policies and Balloons that were recorded, as kind and namespace/name.
func (k *Recording) Names() [][2]string {
	var out [][2]string
	for _, p := range k.policies {
		out = append(out, [2]string{p.kind, p.name})
	}
	for name := range k.balloons {
		out = append(out, [2]string{"Balloon", name})
	}
	return out
}

func (k *Recording) size(at time.Time, z *ledger.Sizing) {
	d := k.balloons[z.Balloon]
	if d == nil {
		d = &decisions{}
		k.balloons[strings.Clone(z.Balloon)] = d
	}
	or := func(v *float64) float64 {
		if v == nil {
			return math.NaN()
		}
		return *v
	}
	d.sizes = append(d.sizes, decided{at, or(z.Demand), float64(z.Running), or(z.Point), or(z.Upper), z.Tau, z.Share})
	if d.last == nil || !at.Before(d.lastAt) {
		last := *z
		last.Horizons = nil
		d.last, d.lastAt = &last, at
		namespace, _, _ := cut(z.Balloon)
		k.guards[namespace+" "+z.Workload] = z.Balloon
	}
}

func (k *Recording) sample(at time.Time, s *ledger.Sample) {
	out := sampled{at: at, pools: map[string]poolUse{}}
	for _, g := range s.Groups {
		u := out.pools[g.Pool]
		u.nodes += float64(g.Nodes)
		u.asked = plus(plus(u.asked, g.Asked, 1), g.Held, 1)
		u.others = plus(u.others, g.Asked, 1)
		u.allocatable = plus(u.allocatable, g.Allocatable, 1)
		if !slices.Contains(u.zones, g.Zone) {
			u.zones = append(u.zones, g.Zone)
		}
		if !slices.Contains(u.markets, g.Market) {
			u.markets = append(u.markets, g.Market)
		}
		out.pools[g.Pool] = u
	}
	for _, w := range s.Workloads {
		b := k.guards[w.Namespace+" "+w.Workload]
		if b == "" {
			continue
		}
		if u, there := out.pools[w.Pool]; there {
			u.others = plus(u.others, w.Asked, -1)
			out.pools[w.Pool] = u
		}
		at := slices.IndexFunc(out.guarded, func(g guardedUse) bool { return g.balloon == b && g.pool == w.Pool })
		if at < 0 {
			at = len(out.guarded)
			out.guarded = append(out.guarded, guardedUse{balloon: b, pool: w.Pool})
		}
		out.guarded[at].pods += float64(w.Pods)
		out.guarded[at].pending += float64(w.Pending)
	}
	k.samples = append(k.samples, out)
}

func (k *Recording) instance(at time.Time, in *ledger.Instance) {
	before, there := k.instances[in.ID]
	switch {
	case !there:
	case at.Before(before.at):
		merged := before.After(*in)
		k.instances[in.ID] = known{before.at, &merged}
		return
	default:
		merged := in.After(*before.Instance)
		in = &merged
	}
	k.instances[in.ID] = known{at, in}
}

func plus(a, b ledger.Resources, sign float64) ledger.Resources {
	return ledger.Resources{Cores: a.Cores + sign*b.Cores, Memory: a.Memory + sign*b.Memory}
}
