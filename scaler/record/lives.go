// Package record says what the ledger is to have of the world that the scaler sees: the lives of instances, what they held, and the
// policy that was in force. It does not write by itself.
package record

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"swell/nodegroups"
	"swell/scaler/ledger"
	"swell/scaler/plan"
)

const (
	// Again is how often what is known of each living instance and of each policy is written though nothing changed, so that no
	// span of the ledger is without it; model time.
	Again = ledger.InstanceEvery
	// askEvery is how long apart AWS is asked for the end of an instance, and askTimes how often at most; model time.
	askEvery = 10 * time.Second
	askTimes = 12
	// askFor is how long at most, where AWS does not answer; model time.
	askFor = time.Hour
)

// Ends of instances, as in ledger.Instance.End.
const (
	Returned    = "returned"
	Interrupted = "interrupted"
	Replaced    = "replaced"
	NeverJoined = "never-joined"
	Elsewhere   = "elsewhere"
)

// Interrupts says that a kind of notice, as in ledger.Notice.Kind, is why its instance ends. Of an instance that its group or somebody else
// ends, a notice tells only that it does.
func Interrupts(kind string) bool {
	return kind == "spot" || kind == "rebalance" || kind == "health" || kind == "node"
}

// Options of Lives.
type Options struct {
	// ModelTime of an instant of the machine's clock, which Nodes are stamped by.
	ModelTime func(time.Time) time.Time
	// OnDemand is the price an hour of a type on demand; 0 is unknown.
	OnDemand func(instanceType string) float64
}

// Lives follows instances from their launch to their end. Its methods may be called at once.
type Lives struct {
	options Options

	mu    sync.Mutex
	alive map[string]*life
	// tokens are of launches whose instances were not seen yet; raised are those of which only the number is known.
	tokens map[string]string
	raised raises
	// why an instance will have ended, by id.
	why map[string]map[string]bool
	// unseen is since when there are tokens or reasons of an instance that is not alive, by id.
	unseen map[string]time.Time
	// began is when this ledger began: what was launched before is not known to be anybody's.
	began time.Time
	// known says that there are entries of before this scaler started.
	known bool
}

type life struct {
	ledger.Instance
	asg     string
	written ledger.Instance
	wroteAt time.Time
	// seen is when it was last in a snapshot, and gone since when it is in none; zero is that it is in one.
	seen, gone time.Time
	askedAt    time.Time
	asked      int
	activities []string
}

// NewLives knows of no instance. began is when the ledger does, unless Take shows entries of before.
func NewLives(began time.Time, o Options) *Lives {
	return &Lives{options: o, began: began, alive: map[string]*life{}, tokens: map[string]string{}, raised: raises{}, why: map[string]map[string]bool{}, unseen: map[string]time.Time{}}
}

// Take takes what the ledger has from before, oldest first.
func (l *Lives) Take(e ledger.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case e.Instance != nil:
		i := *e.Instance
		if i.Token != "" && l.alive[i.ID] == nil && l.tokens[i.ID] == "" {
			l.raised.came(i.Token)
		}
		if i.GoneAt != nil {
			l.forget(i.ID)
			return
		}
		asg, _, _ := strings.Cut(i.Group, "@")
		l.known = true
		l.alive[i.ID] = &life{Instance: i, asg: asg, written: i, wroteAt: e.Model}
	case e.Action == "launch" && e.Token != "":
		for _, id := range e.Instances {
			l.token(id, e.Token)
		}
		if n := raisedBy(e); n > 0 {
			l.raised.add(e.Object, raise{e.Token, n, e.Model})
		}
	case e.Action == "terminate" && e.Phase == ledger.Done:
		l.because(e.Object, Returned)
	case e.Notice != nil && Interrupts(e.Notice.Kind):
		l.because(e.Notice.Instance, Interrupted)
	}
}

// Continues says that this is the ledger that has all until the entry at, so that what was launched after began is somebody's. Without
// it another scaler may have written meanwhile.
func (l *Lives) Continues(began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known && began.Before(l.began) {
		l.began = began
	}
}

func (l *Lives) forget(id string) {
	delete(l.alive, id)
	delete(l.tokens, id)
	delete(l.why, id)
}

// forgetOld drops tokens and reasons of instances that were not seen alive for long: of those that never were, and those of which word
// came after their end.
func (l *Lives) forgetOld(now time.Time) {
	old := func(id string) bool {
		if l.alive[id] != nil {
			delete(l.unseen, id)
			return false
		}
		since, known := l.unseen[id]
		if !known {
			l.unseen[id] = now
		}
		return known && now.Sub(since) > Again
	}
	for id := range l.tokens {
		if old(id) {
			delete(l.tokens, id)
		}
	}
	for id := range l.why {
		if old(id) {
			delete(l.why, id)
		}
	}
	for id := range l.unseen {
		if l.tokens[id] == "" && l.why[id] == nil {
			delete(l.unseen, id)
		}
	}
}

func (l *Lives) token(id, token string) {
	if i := l.alive[id]; i != nil {
		i.Token = token
		return
	}
	l.tokens[id] = token
}

func (l *Lives) because(id, why string) {
	if l.why[id] == nil {
		l.why[id] = map[string]bool{}
	}
	l.why[id][why] = true
}

// raisedBy is how many a launch left to its group. Entries of before it was recorded do not say: one that gave no instance and did not
// fail did that.
func raisedBy(e ledger.Entry) int {
	if e.Phase == ledger.Done && len(e.Instances) == 0 {
		return max(e.Raised, e.Count)
	}
	return e.Raised
}

// Launched takes what a launch gave, now or of late: instances, or only how many a group will launch by itself.
func (l *Lives) Launched(now time.Time, token, group string, ids []string, raised int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		l.token(id, token)
	}
	if raised > 0 {
		l.raised.add(group, raise{token, raised, now})
	}
}

// Ends notes why an instance is about to end.
func (l *Lives) Ends(id, why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.because(id, why)
}

// Expected says that an instance's end is known to be near: that it stops then is no news.
func (l *Lives) Expected(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.why[id]) > 0
}

// Observe takes a snapshot and gives what is new in it, sorted by instance. now is model time.
func (l *Lives) Observe(now time.Time, s *plan.Snapshot, policy plan.Policy) []ledger.Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	nodes := map[string]*corev1.Node{}
	for _, n := range s.Nodes {
		if n.Spec.ProviderID != "" {
			nodes[n.Spec.ProviderID] = n
		}
	}
	var out []ledger.Entry
	for _, g := range s.Groups {
		for _, in := range g.Instances {
			if i := l.see(now, g, in, s.Groups, policy); i != nil {
				l.node(i, nodes[in.ProviderID])
				out = append(out, i.news(now)...)
			}
		}
	}
	for _, i := range l.alive {
		if at := readAt(s, i.Pool); i.seen.Before(now) && i.gone.IsZero() && at.After(i.seen) {
			i.gone = now
		}
	}
	l.raised.settle(now, s)
	l.forgetOld(now)
	sortEntries(out)
	return out
}

// readAt is when the groups of a pool were read for a snapshot.
func readAt(s *plan.Snapshot, pool string) time.Time {
	if at, own := s.PoolsAt[pool]; own {
		return at
	}
	return s.GroupsAt
}

func sortEntries(list []ledger.Entry) {
	slices.SortFunc(list, func(a, b ledger.Entry) int { return cmp.Compare(a.Object, b.Object) })
}

// see takes an instance of a reading; nil is that nothing is known of it yet.
func (l *Lives) see(now time.Time, g nodegroups.Group, in nodegroups.Instance, groups []nodegroups.Group, policy plan.Policy) *life {
	if in.LaunchedAt.IsZero() {
		return nil
	}
	i := l.alive[in.ID]
	if i == nil {
		i = &life{Instance: ledger.Instance{ID: in.ID, Seen: in.LaunchedAt.Before(l.began)}}
		l.alive[in.ID] = i
		if i.Token = l.tokens[in.ID]; i.Token == "" {
			i.Token = l.raised.of(g, in)
		}
		delete(l.tokens, in.ID)
		if i.Token != "" {
			i.Seen = false
		}
	}
	i.seen, i.gone, i.asked = now, time.Time{}, 0
	i.Group, i.Pool, i.Zone, i.Market, i.asg = g.Name, g.Pool, cmp.Or(in.Zone, g.Zone), string(g.Market), cmp.Or(g.ASG, g.Name)
	i.Type, i.Image, i.LaunchedAt = in.Type, cmp.Or(in.Image, i.Image), in.LaunchedAt
	i.Hourly, i.OnDemandHourly = priceNow(i.Hourly, in.HourlyPrice), priceNow(i.OnDemandHourly, l.options.OnDemand(in.Type))
	if i.wroteAt.IsZero() {
		l.bought(i, g, groups, policy)
	}
	return i
}

// priceNow is what is known of a price; one that is not known any more stays.
func priceNow(before *float64, now float64) *float64 {
	if now <= 0 || before != nil && *before == now {
		return before
	}
	return &now
}

// bought says of a new on-demand instance what it was bought as.
func (l *Lives) bought(i *life, g nodegroups.Group, groups []nodegroups.Group, policy plan.Policy) {
	if g.Market != nodegroups.OnDemand {
		return
	}
	older := func(of nodegroups.Group) (n int) {
		for _, in := range of.Instances {
			if in.Lifecycle.Counts() && in.ID != i.ID && (in.LaunchedAt.Before(i.LaunchedAt) || in.LaunchedAt.Equal(i.LaunchedAt) && in.ID < i.ID) {
				n++
			}
		}
		return n
	}
	i.Prepaid = older(g) < g.Prepaid
	onDemand, spot, offered := 0, 0, false
	for _, other := range groups {
		switch {
		case other.Pool != g.Pool:
		case other.Market == nodegroups.OnDemand:
			onDemand += older(other)
		default:
			spot, offered = spot+older(other), true
		}
	}
	at := slices.IndexFunc(policy.Pools, func(p plan.Pool) bool { return p.Name == g.Pool })
	if at < 0 {
		return
	}
	p := policy.Pools[at]
	i.Base = onDemand < p.OnDemandBase
	// its place would have been within the share of spot
	i.Fallback = !i.Base && !i.Prepaid && offered && p.Fallback && i.Token != "" && float64(spot+1) <= p.SpotMax*float64(spot+onDemand+1-p.OnDemandBase)+1e-9
}

// node takes the Node of an instance, which may be nil.
func (l *Lives) node(i *life, n *corev1.Node) {
	if n == nil {
		return
	}
	i.Node = n.Name
	if i.RegisteredAt == nil {
		at := l.options.ModelTime(n.CreationTimestamp.Time)
		i.RegisteredAt = &at
	}
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue && i.ReadyAt == nil {
			at := l.options.ModelTime(c.LastTransitionTime.Time)
			if at.Before(*i.RegisteredAt) { // both are whole seconds, of two clocks
				at = *i.RegisteredAt
			}
			i.ReadyAt = &at
		}
	}
}

// news is the entry of an instance that is not as it was written.
func (i *life) news(now time.Time) []ledger.Entry {
	if same(i.written, i.Instance) && now.Sub(i.wroteAt) < Again {
		return nil
	}
	i.written, i.wroteAt = i.Instance, now
	written := i.Instance
	return []ledger.Entry{{Model: now, Phase: ledger.Note, Action: "instance", Object: i.ID, Pool: i.Pool, Zone: i.Zone, Market: i.Market, Group: i.Group,
		Node: i.Node, Token: i.Token, Activities: slices.Clone(i.activities), Instance: &written}}
}

func same(a, b ledger.Instance) bool {
	if a.LaunchedAt.Sub(b.LaunchedAt).Abs() < time.Second {
		a.LaunchedAt = b.LaunchedAt
	}
	known := func(x, y *time.Time) bool { return (x == nil) == (y == nil) }
	priced := func(x, y *float64) bool { return (x == nil) == (y == nil) && (x == nil || *x == *y) }
	if !known(a.RegisteredAt, b.RegisteredAt) || !known(a.ReadyAt, b.ReadyAt) || !known(a.GoneAt, b.GoneAt) || !priced(a.Hourly, b.Hourly) || !priced(a.OnDemandHourly, b.OnDemandHourly) {
		return false
	}
	a.RegisteredAt, a.ReadyAt, a.GoneAt, a.Hourly, a.OnDemandHourly = b.RegisteredAt, b.ReadyAt, b.GoneAt, b.Hourly, b.OnDemandHourly
	return a == b
}

// Missing are instances that are in no reading any more and whose end is not known yet, by their Auto Scaling groups: those that AWS is
// to be asked for now.
func (l *Lives) Missing(now time.Time) map[string][]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[string][]string{}
	for id, i := range l.alive {
		if !i.gone.IsZero() && now.Sub(i.askedAt) >= askEvery {
			i.askedAt, i.asked = now, i.asked+1
			out[i.asg] = append(out[i.asg], id)
		}
	}
	for _, ids := range out {
		slices.Sort(ids)
	}
	return out
}

// Unanswered takes back that AWS was asked for the ends of a group's instances just now: it did not answer.
func (l *Lives) Unanswered(asg string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, i := range l.alive {
		if i.asg == asg && !i.gone.IsZero() && i.asked > 0 {
			i.asked--
		}
	}
}

// Ended takes what AWS tells of instances that are missing, and gives the entries of their ends. One that it tells nothing of for long is
// taken to have ended when it was missed first.
func (l *Lives) Ended(now time.Time, told map[string]nodegroups.Ending) []ledger.Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []ledger.Entry
	for _, id := range slices.Sorted(maps.Keys(l.alive)) {
		i := l.alive[id]
		end, known := told[id]
		known = known && !end.At.IsZero()
		if i.gone.IsZero() || !known && i.asked < askTimes && now.Sub(i.gone) < askFor {
			continue
		}
		at, why := i.gone, l.whyOf(id)
		if known {
			at = end.At
			i.activities = append(i.activities, end.Activity)
		}
		i.GoneAt, i.End = &at, why
		entries := i.news(now)
		for k := range entries {
			if entries[k].Reason = end.Cause; !known {
				entries[k].Reason = "AWS tells no end of it; it was missed first then"
			}
		}
		out = append(out, entries...)
		l.forget(id)
	}
	return out
}

func (l *Lives) whyOf(id string) string {
	for _, why := range []string{NeverJoined, Interrupted, Replaced, Returned} {
		if l.why[id][why] {
			return why
		}
	}
	return Elsewhere
}
