package scaler

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"swell/nodegroups"
	"swell/scaler/act"
	"swell/scaler/ledger"
	"swell/scaler/observe"
	"swell/scaler/plan"
	"swell/scaler/record"
)

// recorder writes to the ledger what the world shows, beside what is done to it. It is made when the scaler takes over.
type recorder struct {
	lives    *record.Lives
	policies record.Policies
	// ready says that what the ledger has from before was read.
	ready  atomic.Bool
	asking atomic.Bool // for the ends of instances
	began  time.Time   // model time

	sizes     map[string]writtenSize
	sampledAt time.Time
	sampling  atomic.Bool
	// noUsage says that metrics.k8s.io could not be read, which was said.
	noUsage atomic.Bool
	// failed is the newest launch of its own that each group is recorded to have failed.
	failed map[string]time.Time

	mu      sync.Mutex
	notices []nodegroups.Interruption // that came since the last plan
	// noticed is when each notice was last seen that is recorded; model time.
	noticed map[noticeKey]time.Time
}

// mostNotices are those that wait for a plan to record them; of more the oldest go. What is about its own groups each plan is told anyway.
const mostNotices = 10_000

type noticeKey struct {
	instance string
	kind     string
}

// newRecorder knows nothing of before; now is model time.
func (l *Loop) newRecorder(now time.Time) *recorder {
	return &recorder{began: now, sizes: map[string]writtenSize{}, failed: map[string]time.Time{}, noticed: map[noticeKey]time.Time{},
		lives: record.NewLives(now, record.Options{ModelTime: l.clock.At, OnDemand: l.onDemandPrice})}
}

// both has the end of an instance noted, and tells who else is to know of it.
func (r *recorder) both(why string, tell func(string)) func(string) {
	return func(id string) {
		r.lives.Ends(id, why)
		tell(id)
	}
}

// readRecords takes over what this ledger has from before; continues says that no other scaler wrote meanwhile.
func (l *Loop) readRecords(continues bool) {
	r := l.recorder
	var first time.Time
	take := func(e ledger.Entry) error {
		if first.IsZero() {
			first = e.Model
		}
		r.lives.Take(e)
		r.policies.Take(e)
		if n := e.Notice; n != nil {
			r.mu.Lock()
			r.noticed[noticeKey{n.Instance, n.Kind}] = e.Model
			r.mu.Unlock()
		}
		return nil
	}
	if err := walkPast(l.options.Config.LedgerDir, r.began, take); err != nil {
		l.options.Log.Warn("reading the ledger from before; what runs is recorded as seen", "error", err)
	}
	if continues && !first.IsZero() {
		r.lives.Continues(first)
	}
	r.ready.Store(true)
	l.Kick()
}

// walkPast gives the entries of a ledger that tell what ran when its newest entry before began was written: each instance is written
// again at least once in record.Again.
func walkPast(dir string, began time.Time, take func(ledger.Entry) error) error {
	newest, err := ledger.Newest(dir, began)
	if err != nil {
		return err
	}
	var from time.Time
	if !newest.IsZero() {
		from = newest.Add(-2 * record.Again)
	}
	return ledger.Walk(dir, from, time.Time{}, take)
}

// recordWorld writes what is new in the world.
func (l *Loop) recordWorld(ctx context.Context, now time.Time, world observe.World, policy plan.Policy, sizes []size) {
	r := l.recorder
	if r == nil || !r.ready.Load() {
		return
	}
	l.recordNotices(now, &world)
	l.recordFailures(now, world.Snapshot.Groups)
	l.writeAll(r.lives.Observe(now, &world.Snapshot, policy))
	l.recordEnds(ctx, now)
	l.recordPolicies(now, world)
	l.recordSizes(now, sizes)
	if now.Sub(r.sampledAt) >= ledger.SampleEvery && !r.sampling.Swap(true) {
		r.sampledAt = now
		l.recordSample(ctx, world)
	}
}

func (l *Loop) writeAll(entries []ledger.Entry) {
	for _, e := range entries {
		e.Tick = l.tick
		l.write(e)
	}
}

// lister is a Cloud that knows on-demand prices, those of the configuration among them.
type lister interface {
	OnDemandPrice(instanceType string) float64
}

// onDemandPrice of a type an hour; zero is unknown.
func (l *Loop) onDemandPrice(instanceType string) float64 {
	if cloud, ok := l.cloud.(lister); ok {
		return cloud.OnDemandPrice(instanceType)
	}
	return l.options.Config.Prices[instanceType].OnDemand
}

// ender is a Cloud that knows when instances ended.
type ender interface {
	Ended(ctx context.Context, asg string, ids []string) (map[string]nodegroups.Ending, error)
}

// endsTimeout bounds the calls for the ends of instances; machine time.
const endsTimeout = 30 * time.Second

// recordEnds writes the ends of instances that are gone. AWS is asked beside the plans, and its answer is taken with a later one.
func (l *Loop) recordEnds(ctx context.Context, now time.Time) {
	r := l.recorder
	if r.asking.Load() {
		return
	}
	missing := r.lives.Missing(now)
	if len(missing) == 0 {
		return
	}
	cloud, able := l.cloud.(ender)
	if !able {
		l.writeAll(r.lives.Ended(now, nil))
		return
	}
	r.asking.Store(true)
	tick := l.tick
	go func() {
		defer r.asking.Store(false)
		call, cancel := context.WithTimeout(ctx, endsTimeout)
		defer cancel()
		told := map[string]nodegroups.Ending{}
		for group, ids := range missing {
			ends, err := cloud.Ended(call, group, ids)
			if err != nil {
				r.lives.Unanswered(group)
				if ctx.Err() == nil {
					l.options.Log.Warn("asking for the ends of instances", "group", group, "error", err)
				}
			}
			for id, end := range ends {
				told[id] = end
			}
		}
		for _, e := range r.lives.Ended(l.clock.Now(), told) {
			e.Tick = tick
			l.write(e)
		}
	}()
}

// late takes what a launch of late gave, a predecessor's with another ledger as well.
func (r *recorder) late(x act.Late) {
	var ids []string
	for _, in := range x.Launched[x.Group] {
		ids = append(ids, in.ID)
	}
	raised := 0
	for _, to := range x.Raised[x.Group] {
		raised += to.By
	}
	r.lives.Launched(x.At, x.Token, x.Group, ids, raised)
}

// recordAnswers takes what launches gave, and writes what AWS did not have.
func (l *Loop) recordAnswers(now time.Time, out act.Outcome) {
	r := l.recorder
	if r == nil {
		return
	}
	for _, a := range out.Answers {
		r.lives.Launched(now, a.Token, a.Group, a.Instances, a.Raised)
	}
	groups := l.groups.List()
	for _, u := range out.Unavailable {
		code, _, _ := strings.Cut(u.Reason, ": ")
		l.recordShortfall(groups, ledger.Shortfall{Group: u.Group, Zone: u.Zone, Type: strings.Join(u.Types, ","), Code: code, Until: u.Until}, u.Reason)
	}
}

// recordFailures writes the launches that groups failed of by themselves, each once.
func (l *Loop) recordFailures(now time.Time, groups []nodegroups.Group) {
	r := l.recorder
	for _, g := range groups {
		newest := r.failed[g.Name]
		for _, f := range g.Failed {
			if !f.At.After(r.failed[g.Name]) || !f.At.After(r.began) {
				continue
			}
			if f.At.After(newest) {
				newest = f.At
			}
			s := ledger.Shortfall{Group: g.Name, Zone: cmp.Or(f.Zone, g.Zone), Type: f.Type, Code: f.Code, Until: now}
			for _, u := range l.known.Capacity.Unavailable(now, []nodegroups.Group{g}) {
				s.Until = u.Until
			}
			l.recordShortfall(groups, s, strings.TrimPrefix(f.Code+": "+f.Message, ": "))
		}
		if !newest.IsZero() {
			r.failed[g.Name] = newest
		}
	}
}

func (l *Loop) recordShortfall(groups []nodegroups.Group, s ledger.Shortfall, reason string) {
	if at := slices.IndexFunc(groups, func(g nodegroups.Group) bool { return g.Name == s.Group }); at >= 0 {
		g := groups[at]
		s.Pool, s.Zone, s.Market, s.Type = g.Pool, cmp.Or(s.Zone, g.Zone), string(g.Market), cmp.Or(s.Type, strings.Join(g.InstanceTypes, ","))
	}
	l.write(ledger.Entry{Tick: l.tick, Phase: ledger.Note, Action: "shortfall", Object: s.Group, Group: s.Group, Pool: s.Pool, Zone: s.Zone, Market: s.Market, Reason: reason, Shortfall: &s})
}

// noticeKinds are the words of the ledger for kinds of notices.
var noticeKinds = map[nodegroups.InterruptionKind]string{
	nodegroups.SpotInterruption: "spot", nodegroups.RebalanceNotice: "rebalance", nodegroups.InstanceTerminating: "state",
	nodegroups.Maintenance: "health", nodegroups.TerminationHook: "lifecycle", nodegroups.NodeNotice: "node",
}

// told keeps a notice until the next plan records it. It may be called from any goroutine.
func (r *recorder) told(n nodegroups.Interruption) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notices = append(r.notices, n)
	r.notices = r.notices[max(0, len(r.notices)-mostNotices):]
}

// recordNotices writes the notices that came, each once. One that is not seen for long is forgotten.
func (l *Loop) recordNotices(now time.Time, world *observe.World) {
	r := l.recorder
	r.mu.Lock()
	defer r.mu.Unlock()
	list := slices.Concat(r.notices, world.Snapshot.Interrupted)
	r.notices = nil
	for _, n := range list {
		key := noticeKey{n.InstanceID, noticeKinds[n.Kind]}
		_, known := r.noticed[key]
		if known {
			r.noticed[key] = now
		}
		if known || n.Kind == nodegroups.InstanceTerminating && r.lives.Expected(n.InstanceID) {
			continue
		}
		r.noticed[key] = now
		x := noticeOf(n, key.kind, world)
		l.write(ledger.Entry{Tick: l.tick, Phase: ledger.Note, Action: "notice", Object: n.InstanceID, Group: x.Group, Pool: x.Pool, Zone: x.Zone, Market: x.Market, Node: x.Node,
			Reason: string(n.Kind), Notice: &x})
		if record.Interrupts(key.kind) {
			r.lives.Ends(n.InstanceID, record.Interrupted)
		}
	}
	maps.DeleteFunc(r.noticed, func(_ noticeKey, seen time.Time) bool { return now.Sub(seen) > record.Again })
}

// noticeOf is a notice with where its instance is.
func noticeOf(n nodegroups.Interruption, kind string, world *observe.World) ledger.Notice {
	x := ledger.Notice{Kind: kind, Instance: n.InstanceID}
	if !n.Deadline.IsZero() {
		deadline := n.Deadline
		x.GoneBy = &deadline
	}
	for _, g := range world.Snapshot.Groups {
		for _, in := range g.Instances {
			if in.ID != n.InstanceID {
				continue
			}
			x.Group, x.Pool, x.Zone, x.Market = g.Name, g.Pool, cmp.Or(in.Zone, g.Zone), string(g.Market)
			for _, node := range world.Snapshot.Nodes {
				if node.Spec.ProviderID == in.ProviderID {
					x.Node = node.Name
				}
			}
		}
	}
	return x
}

// recordPolicies writes the specs that decisions are made by.
func (l *Loop) recordPolicies(now time.Time, world observe.World) {
	var objects []record.Object
	for _, p := range world.Pools {
		objects = append(objects, record.Object{Kind: "CapacityPool", Name: p.Name, Generation: p.Generation, Spec: p.Spec})
	}
	for _, b := range world.Balloons {
		objects = append(objects, record.Object{Kind: "Balloon", Name: b.Namespace + "/" + b.Name, Generation: b.Generation, Spec: b.Spec})
	}
	for name, s := range world.Schedules {
		objects = append(objects, record.Object{Kind: "DiurnalSchedule", Name: name, Generation: s.Generation, Spec: s.Spec})
	}
	slices.SortFunc(objects, func(a, b record.Object) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name)) })
	entries, err := l.recorder.policies.Observe(now, objects)
	if err != nil {
		l.options.Log.Error("ledger", "error", err)
	}
	l.writeAll(entries)
}
