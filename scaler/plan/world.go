package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"

	"swell/nodegroups"
	"swell/scaler/pack"
)

// defaultJoinWithin is how long an instance is waited for where the policy does not say.
const defaultJoinWithin = 15 * time.Minute

// world is the snapshot as the planner reads it. The two packers hold the same nodes at the same indexes; the
// real one holds no balloons.
type world struct {
	now        time.Time
	policy     Policy
	stale      string // why the snapshot is too old for anything but launches for pending pods; empty is fresh
	joinWithin time.Duration

	real, full         *pack.Packer
	realBase, fullBase pack.Mark
	nodes              []*node // by index in the packers
	baseNodes          int
	registered         int   // nodes that have an API object; those made from templates stand after them
	joins              []int // those of them that are not up yet

	byProvider map[string]owned

	pools     []*pool
	groups    []*group
	daemons   []*corev1.Pod
	selfLost  string // why the planner's own node is not known
	budgets   []*policyv1.PodDisruptionBudget
	needs     []*need // real pods without a place, in the order in which they are placed
	pending   []*balloon
	demands   []*demand
	ballooned []*pack.Node           // once asked
	balloons  map[*pack.Pod]*balloon // on nodes, where they stay or not
	leaving   []leave
	lost      []Termination     // what has not joined in time
	observed  map[string]string // balloon pods that nobody may change, with their Balloon, by namespace/name
	problems  []Problem

	takersOf  map[string]int // by class of pods
	unspreads map[*need]*pack.Pod
	limits    map[string]*storagev1.CSINode // volume limits that nodes to come are taken to have, by group and by instance type
	template  corev1.NodeStatus             // what booting nodes take over from nodes that are up
}

// kind is what a node is to the planner.
type kind int

const (
	closed  kind = iota // takes nothing
	ready               // is up
	booting             // an instance that is on its way
	bought              // a launch of this plan
)

// node is what the planner knows of a node beside its pods.
type node struct {
	name, zone string
	kind       kind
	group      *group // nil for nodes of no pool
	instance   *nodegroups.Instance
	cordoned   bool  // by another hand
	order      int64 // among those not up yet: by group, then as they came
}

// shown says whether the node is bought where nothing is launched in the end.
func (n *node) shown() bool { return n.kind == bought && n.group.pool.observes != "" }

// leave is a node about to go, with the pods that need another place.
type leave struct {
	name   string
	group  *group
	inst   *nodegroups.Instance
	notice *nodegroups.Interruption
	needs  []*need
	ends   []*pack.Pod // go with the node: nothing makes them again
	begun  bool        // it is being drained
}

// world reads the snapshot. The packers are the planner's; what is done to them is taken back after the plan.
func (p *Planner) world(now time.Time, s Snapshot, policy Policy) (*world, error) {
	w := &world{now: now, policy: policy, joinWithin: cmp.Or(policy.JoinWithin, defaultJoinWithin), balloons: map[*pack.Pod]*balloon{},
		observed: map[string]string{}, takersOf: map[string]int{}, unspreads: map[*need]*pack.Pod{}}
	w.stale = staleness(now, s, policy)
	w.daemons, w.budgets = sortedPods(s.DaemonPods), s.Budgets
	w.readGroups(s)
	w.readAges(s)
	all, err := p.read(s, w.readNodes(s))
	if err != nil {
		return nil, err
	}
	w.real, w.full = p.real, p.full
	w.registered = len(w.nodes)
	w.readLimits(s)
	pods := w.readPods(s, all)
	w.freeNominated(pods)
	w.readBalloons(s, pods.balloons)
	w.addDaemons(pods.pendingDaemons)
	w.readOwner()
	w.addBooting(s)
	w.lost = w.findLost(s)
	w.findSelf(all)
	w.realBase, w.fullBase, w.baseNodes = w.real.Checkpoint(), w.full.Checkpoint(), len(w.nodes)
	for _, g := range w.groups {
		g.base = g.templates
	}
	return w, nil
}

func staleness(now time.Time, s Snapshot, p Policy) string {
	if p.MaxAge <= 0 {
		return ""
	}
	if age := now.Sub(s.PodsAt); age > p.MaxAge {
		return fmt.Sprintf("the API server was last current %s ago, more than %s", age.Round(time.Second), p.MaxAge)
	}
	if age := now.Sub(s.GroupsAt); age > p.MaxAge && len(p.Pools) > 0 { // without pools nobody reads groups
		return fmt.Sprintf("the groups were last current %s ago, more than %s", age.Round(time.Second), p.MaxAge)
	}
	return ""
}

// readAges keeps the pools whose groups are not current from returning nodes, if others' are.
func (w *world) readAges(s Snapshot) {
	if w.stale != "" || w.policy.MaxAge <= 0 {
		return
	}
	for _, p := range w.pools {
		at, known := s.PoolsAt[p.Name]
		if !known || w.now.Sub(at) <= w.policy.MaxAge || len(p.groups) == 0 {
			continue
		}
		why := fmt.Sprintf("the groups of pool %s were last current at %s", p.Name, at.UTC().Format("15:04:05"))
		p.NoSale = cmp.Or(p.NoSale, why)
		w.problem("pool "+p.Name, why, "look at what keeps them from being read; until then it returns nothing")
	}
}

// readNodes says what each Node is, and gives those that the packers start with, in the order of w.nodes.
func (w *world) readNodes(s Snapshot) []*corev1.Node {
	draining := map[string]bool{}
	for _, name := range s.Draining {
		draining[name] = true
	}
	notices := w.notices(s)
	sorted := slices.Clone(s.Nodes)
	slices.SortFunc(sorted, func(a, b *corev1.Node) int { return strings.Compare(a.Name, b.Name) })
	w.template = templateStatus(sorted)
	var out []*corev1.Node
	for _, n := range sorted {
		st := &node{name: n.Name, zone: n.Labels[corev1.LabelTopologyZone]}
		if g, i := w.instanceOf(n.Spec.ProviderID); g != nil {
			st.group, st.instance, i.joined = g, &i.Instance, true
			st.zone = cmp.Or(st.zone, g.Zone)
		}
		notice := noticeFor(notices, st.instance)
		begun := draining[n.Name] || n.Annotations[DrainingAnnotation] != ""
		switch {
		case notice != nil || begun || n.DeletionTimestamp != nil || st.instance != nil && st.instance.Lifecycle == nodegroups.Terminating:
			w.leaving = append(w.leaving, leave{name: n.Name, group: st.group, inst: st.instance, notice: notice, begun: begun})
			w.markLeaving(st)
		case n.Spec.Unschedulable:
			st.cordoned = true
		case st.instance != nil && st.instance.Lifecycle == nodegroups.Standby:
		case isReady(n) && st.group != nil && w.mayJoin(st.group, *st.instance) && st.group.starting(n, st.instance):
			st.kind = booting
			n = w.joining(n, st.group, st.instance)
		case isReady(n):
			st.kind = ready
			n = withoutTaints(n, corev1.TaintNodeNotReady)
		case st.group != nil && w.mayJoin(st.group, *st.instance):
			st.kind = booting
			n = w.joining(n, st.group, st.instance)
		case st.group != nil:
			w.problem("node "+n.Name, "is not Ready, "+w.since(*st.instance)+" after its launch", "look at the kubelet's log; the node takes no pods until it is Ready")
		}
		if st.kind == booting {
			w.joins = append(w.joins, len(w.nodes))
		}
		w.nodes = append(w.nodes, st)
		out = append(out, n)
	}
	return out
}

func (w *world) markLeaving(st *node) {
	if st.group != nil && st.instance.Lifecycle.Counts() {
		st.group.leaving++
	}
}

// notices are the interruptions by instance, the first to end winning.
func (w *world) notices(s Snapshot) map[string]*nodegroups.Interruption {
	out := map[string]*nodegroups.Interruption{}
	for _, i := range s.Interrupted {
		if have := out[i.InstanceID]; have == nil || before(i, *have) {
			out[i.InstanceID] = &i
		}
	}
	return out
}

func before(a, b nodegroups.Interruption) bool {
	if a.Deadline.IsZero() != b.Deadline.IsZero() {
		return !a.Deadline.IsZero()
	}
	if c := a.Deadline.Compare(b.Deadline); c != 0 {
		return c < 0
	}
	if c := a.At.Compare(b.At); c != 0 {
		return c < 0
	}
	return a.Kind < b.Kind
}

func noticeFor(notices map[string]*nodegroups.Interruption, i *nodegroups.Instance) *nodegroups.Interruption {
	if i == nil {
		return nil
	}
	return notices[i.ID]
}

// addBooting adds a node for every instance without one, and for those that a group was asked for and has not started yet.
func (w *world) addBooting(s Snapshot) {
	notices := w.notices(s)
	for _, g := range w.groups {
		for _, i := range g.instances {
			switch {
			case i.joined || !i.Lifecycle.Counts():
			case notices[i.ID] != nil:
				g.leaving++
				w.leaving = append(w.leaving, leave{group: g, inst: &i.Instance, notice: notices[i.ID]})
			case w.mayJoin(g, i.Instance):
				w.addTemplate(g, booting, BootingName+i.ID, &i.Instance)
			default:
				g.leaving++
				w.sayNotJoined(g, i)
			}
		}
		if w.readShortfall(g); g.missing > 0 || g.unavailable != "" {
			continue
		}
		for k := range g.size - g.alive {
			w.addTemplate(g, booting, fmt.Sprintf("asked-%s-%d", g.Name, k+1), nil)
		}
	}
}

func (w *world) since(i nodegroups.Instance) string {
	return w.now.Sub(i.LaunchedAt).Round(time.Second).String()
}

func (w *world) problem(object, what, mend string) {
	w.problems = append(w.problems, Problem{object, what, mend})
}

// findSelf says so where the planner's own pod is not among the pods.
func (w *world) findSelf(all []*known) {
	self := w.policy.Self
	if self == "" || slices.ContainsFunc(all, func(k *known) bool { return k.api.Namespace+"/"+k.api.Name == self }) {
		return
	}
	w.selfLost = fmt.Sprintf("the scaler's own pod %s is not among the pods, so that its node is not known", self)
	w.problem("scaler", w.selfLost, "give it POD_NAMESPACE and POD_NAME by the downward API; until then no node is returned")
}

// reset takes back everything since the snapshot was read.
func (w *world) reset() {
	w.real.Rollback(w.realBase)
	w.full.Rollback(w.fullBase)
	w.dropBought()
}

func (w *world) dropBought() {
	w.nodes = w.nodes[:w.baseNodes]
	for _, g := range w.groups {
		g.bought, g.sold, g.templates = 0, 0, g.base
	}
}

// assume sets a real pod on a node of both packers.
func (w *world) assume(pod *pack.Pod, index int) {
	w.real.Assume(pod, w.real.Nodes()[index])
	w.full.Assume(pod, w.full.Nodes()[index])
}

func isReady(n *corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func withoutTaints(n *corev1.Node, key string) *corev1.Node {
	if !slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == key }) {
		return n
	}
	m := *n
	m.Spec.Taints = slices.DeleteFunc(slices.Clone(n.Spec.Taints), func(t corev1.Taint) bool { return t.Key == key })
	return &m
}

// templateStatus is what every kubelet of the cluster is taken to declare.
func templateStatus(nodes []*corev1.Node) corev1.NodeStatus {
	for _, n := range nodes {
		if isReady(n) {
			return corev1.NodeStatus{DeclaredFeatures: n.Status.DeclaredFeatures}
		}
	}
	return corev1.NodeStatus{}
}

func merged(a, b map[string]string) map[string]string {
	out := maps.Clone(a)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, b)
	return out
}
