package scaler

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kubefake "k8s.io/client-go/kubernetes/fake"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"swell/api/v1alpha1"
	"swell/nodegroups"
	"swell/nodegroups/learn"
	"swell/scaler/guard"
	"swell/scaler/learned"
	"swell/scaler/observe"
)

// oneGroup is a cloud with one group of two instances.
type oneGroup struct {
	Cloud
	group     nodegroups.Group
	completed atomic.Int32
}

func (c *oneGroup) Groups(context.Context, nodegroups.Selection) ([]nodegroups.Group, []string, error) {
	return []nodegroups.Group{c.group}, nil, nil
}

func (c *oneGroup) Heartbeat(context.Context, nodegroups.Interruption) error { return nil }

func (c *oneGroup) Complete(context.Context, nodegroups.Interruption) error {
	c.completed.Add(1)
	return nil
}

const onlyNode = "node-1"

// noticed is a loop over one pool with a group of i-1, which is node-1, and i-2, which has no Node.
type noticed struct {
	*Loop
	t     *testing.T
	cloud *oneGroup
	now   time.Time
	pool  v1alpha1.CapacityPool
}

func newNoticed(t *testing.T, mode v1alpha1.Mode, with ...func(*nodegroups.Group)) noticed {
	t.Helper()
	now := time.Now().Truncate(time.Second)
	pool := v1alpha1.CapacityPool{ObjectMeta: metav1.ObjectMeta{Name: "general"}, Spec: v1alpha1.CapacityPoolSpec{Mode: mode}}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: onlyNode}, Spec: corev1.NodeSpec{ProviderID: "aws:///a/i-1"}}
	cloud := &oneGroup{group: nodegroups.Group{Name: "spot-a", Pool: "general", Zone: "a", Market: nodegroups.Spot, Image: "ami-1", InstanceTypes: []string{"m7g.large"},
		Instances: []nodegroups.Instance{{ID: "i-1", ProviderID: "aws:///a/i-1", Type: "m7g.large", Zone: "a"}, {ID: "i-2", ProviderID: "aws:///a/i-2", Type: "m7g.large", Zone: "a"}}}}
	for _, f := range with {
		f(&cloud.group)
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	l := &Loop{client: fake.NewClientBuilder().WithScheme(scheme).WithObjects(node, &pool).Build(), kube: kubefake.NewClientset(node), cloud: cloud,
		groups: observe.NewGroups(cloud), kick: make(chan struct{}, 1)}
	l.options.Log = slog.New(slog.DiscardHandler)
	l.notices = l.newNotices()
	var err error
	if l.known, err = learned.New(learn.Prior{}, l.clock.At); err != nil {
		t.Fatal(err)
	}
	if err := l.groups.Read(t.Context(), now, map[string]nodegroups.Selection{"general": {}}); err != nil {
		t.Fatal(err)
	}
	return noticed{l, t, cloud, now, pool}
}

// node as the API server has it.
func (n noticed) node() *corev1.Node {
	n.t.Helper()
	node, err := n.kube.CoreV1().Nodes().Get(n.t.Context(), onlyNode, metav1.GetOptions{})
	if err != nil {
		n.t.Fatal(err)
	}
	return node
}

// world is what a tick reads.
func (n noticed) world() observe.World {
	w := observe.World{Pools: []v1alpha1.CapacityPool{n.pool}}
	w.Snapshot.Groups, w.Snapshot.Nodes = n.groups.List(), []*corev1.Node{n.node()}
	return w
}

// permit tells the loop what its policy allows, as a tick does.
func (n noticed) permit(w observe.World) {
	policy, _ := w.Policy(time.Minute)
	n.refuse(&policy, w)
	n.notices.Permit(policy)
}

func (n noticed) keep(x nodegroups.Interruption) bool {
	n.t.Helper()
	kept, err := n.notices.Keep(n.t.Context(), n.client, x)
	if err != nil {
		n.t.Fatal(err)
	}
	return kept
}

// A notice is acknowledged once it stands on its Node, from where a successor reads it; that of an instance without a Node
// comes again, and what is not ours is let go.
func TestANoticeIsKeptUntilItStandsOnTheNode(t *testing.T) {
	n := newNoticed(t, v1alpha1.Enforce)
	spot := nodegroups.Interruption{InstanceID: "i-1", Kind: nodegroups.SpotInterruption, At: n.now, Deadline: n.now.Add(2 * time.Minute)}
	if n.keep(spot) {
		t.Error("a notice was let go before it is known whether the pool may be changed")
	}
	n.permit(n.world())
	for name, c := range map[string]struct {
		x    nodegroups.Interruption
		want bool
	}{
		"of an instance without a Node": {nodegroups.Interruption{InstanceID: "i-2", Kind: nodegroups.SpotInterruption, At: n.now}, false},
		"of another's instance":         {nodegroups.Interruption{InstanceID: "i-9", Kind: nodegroups.SpotInterruption, At: n.now.Add(-time.Second)}, true},
		"of one too new to be read":     {nodegroups.Interruption{InstanceID: "i-9", Kind: nodegroups.SpotInterruption, At: n.now.Add(time.Second)}, false},
		"of ours":                       {spot, true},
	} {
		if got := n.keep(c.x); got != c.want {
			t.Errorf("a notice %s: let go %t, want %t", name, got, c.want)
		}
	}
	next := newNoticed(t, v1alpha1.Enforce) // a successor that was told nothing
	w := next.world()
	w.Snapshot.Nodes = []*corev1.Node{n.node()}
	next.permit(w)
	next.readNotices(t.Context(), n.now, &w)
	if got := w.Snapshot.Interrupted; len(got) != 1 || got[0].InstanceID != "i-1" || got[0].Kind != nodegroups.SpotInterruption || !got[0].Deadline.Equal(spot.Deadline) {
		t.Errorf("a successor reads %+v: want %+v", got, spot)
	}
	later := spot
	later.Deadline = spot.Deadline.Add(time.Hour)
	was := n.node().Annotations[nodegroups.InterruptionAnnotation]
	if n.keep(later); n.node().Annotations[nodegroups.InterruptionAnnotation] != was {
		t.Error("a later deadline took the place of a sooner one")
	}
}

// A spot instance goes at its deadline though its group waits for a lifecycle action, whichever notice comes first; the cache may not
// show the first yet.
func TestALifecycleActionKeepsTheDeadlineOfASpotNotice(t *testing.T) {
	for _, hookFirst := range []bool{false, true} {
		n := newNoticed(t, v1alpha1.Enforce)
		n.permit(n.world())
		spot := nodegroups.Interruption{InstanceID: "i-1", Kind: nodegroups.SpotInterruption, At: n.now, Deadline: n.now.Add(2 * time.Minute)}
		hook := nodegroups.Interruption{InstanceID: "i-1", Kind: nodegroups.TerminationHook, At: n.now, ASG: "spot-a", Hook: "drain", HookToken: "token"}
		first, second := spot, hook
		if hookFirst {
			first, second = hook, spot
		}
		if !n.keep(first) || !n.keep(second) {
			t.Error("a notice comes again")
		}
		want := hook
		want.Deadline = spot.Deadline
		if got, ok := n.notices.On(n.node()); !ok || got.Kind != want.Kind || got.HookToken != want.HookToken || !got.Deadline.Equal(want.Deadline) {
			t.Errorf("the hook first: %t: the Node has %+v, want %+v", hookFirst, got, want)
		}
	}
}

// A handler taints the Node while the notice of a lifecycle action stands there that the cache does not show yet.
func TestAHandlersTaintTakesNoNoticeFromItsNode(t *testing.T) {
	n := newNoticed(t, v1alpha1.Enforce)
	w := n.world()
	n.permit(w)
	n.keep(nodegroups.Interruption{InstanceID: "i-1", Kind: nodegroups.TerminationHook, At: n.now, ASG: "spot-a", Hook: "swell-drain", HookToken: "token"})
	w.Snapshot.Nodes[0].Spec.Taints = []corev1.Taint{{Key: "aws-node-termination-handler/spot-itn", Effect: corev1.TaintEffectNoSchedule}}
	n.readNotices(t.Context(), n.now, &w)
	if got, ok := n.notices.On(n.node()); !ok || got.HookToken != "token" || got.Deadline.IsZero() {
		t.Errorf("the Node has %+v: want the lifecycle action, with the handler's deadline", got)
	}
}

// A notice whose annotation was deleted, such as of a maintenance that was called off, is withdrawn from the scaler that was told too.
func TestANoticeThatWasTakenFromItsNodeIsWithdrawn(t *testing.T) {
	n := newNoticed(t, v1alpha1.Enforce)
	n.permit(n.world())
	told := func() []nodegroups.Interruption {
		t.Helper()
		w, err := observe.Read(t.Context(), n.client, n.groups, &observe.Owed{}, n.now)
		if err != nil {
			t.Fatal(err)
		}
		n.readNotices(t.Context(), n.now, &w)
		return w.Snapshot.Interrupted
	}
	n.keep(nodegroups.Interruption{InstanceID: "i-1", Kind: nodegroups.Maintenance, At: n.now, Deadline: n.now.Add(time.Hour)})
	if got := told(); len(got) != 1 {
		t.Errorf("the plan is told %+v while the cache does not show the annotation: want the notice", got)
	}
	n.pull()
	if got := told(); len(got) == 0 || got[0].Kind != nodegroups.Maintenance {
		t.Errorf("the plan is told %+v: want the notice", got)
	}
	node := n.node()
	delete(node.Annotations, nodegroups.InterruptionAnnotation)
	if _, err := n.kube.CoreV1().Nodes().Update(t.Context(), node, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	n.pull()
	if got := told(); len(got) != 0 {
		t.Errorf("the plan is told %+v: want nothing", got)
	}
}

// pull brings the cache to what the API server has.
func (n noticed) pull() {
	n.t.Helper()
	var have corev1.Node
	if err := n.client.Get(n.t.Context(), client.ObjectKey{Name: onlyNode}, &have); err != nil {
		n.t.Fatal(err)
	}
	have.Annotations = n.node().Annotations
	if err := n.client.Update(n.t.Context(), &have); err != nil {
		n.t.Fatal(err)
	}
}

// A notice that was left in the queue while its pool only observed is acted on as soon as the pool is enforced, and is no news each
// time that it comes.
func TestANoticeOfAnObservingPoolIsKeptForWhenItIsEnforced(t *testing.T) {
	n := newNoticed(t, v1alpha1.Enforce)
	w := n.world()
	policy, _ := w.Policy(time.Minute)
	policy.Pools[0].Observe = true
	n.notices.Permit(policy)
	spot := nodegroups.Interruption{InstanceID: "i-1", Kind: nodegroups.SpotInterruption, At: n.now, Deadline: n.now.Add(2 * time.Minute)}
	hint := nodegroups.Interruption{InstanceID: "i-1", Kind: nodegroups.RebalanceNotice, At: n.now}
	for range 3 {
		for _, x := range []nodegroups.Interruption{hint, spot} {
			if n.keep(x) {
				t.Fatal("it is taken from the queue")
			}
		}
	}
	if n.groups.Interrupted(hint) || n.groups.Interrupted(spot) {
		t.Error("it is news again")
	}
	n.permit(w)
	if !n.keep(spot) || n.node().Annotations[nodegroups.InterruptionAnnotation] == "" {
		t.Error("it is not written down when the pool is enforced")
	}
}

// What swell has returned, or its group ends, stops running too: that is no interruption, and replaces nothing.
func TestAnInstanceThatSwellReturnedIsNotTakenForInterrupted(t *testing.T) {
	n := newNoticed(t, v1alpha1.Enforce)
	n.permit(n.world())
	n.groups.Returned("i-1")
	if !n.keep(nodegroups.Interruption{InstanceID: "i-1", Kind: nodegroups.InstanceTerminating, At: n.now, Deadline: n.now}) {
		t.Error("the notice comes again")
	}
	w := n.world()
	n.readNotices(t.Context(), n.now, &w)
	if a := n.node().Annotations[nodegroups.InterruptionAnnotation]; a != "" || len(w.Snapshot.Interrupted) != 0 || len(n.kick) != 0 {
		t.Errorf("annotated with %q, the plan is told %+v, %d plans are asked for", a, w.Snapshot.Interrupted, len(n.kick))
	}
}

// The lifecycle action of an instance that never had a Node waits for nothing.
func TestALifecycleActionWithoutANodeEndsAtOnce(t *testing.T) {
	n := newNoticed(t, v1alpha1.Enforce)
	n.permit(n.world())
	if !n.keep(nodegroups.Interruption{InstanceID: "i-2", Kind: nodegroups.TerminationHook, At: n.now, ASG: "spot-a", Hook: "drain"}) || n.cloud.completed.Load() != 1 {
		t.Errorf("%d actions were completed: want one", n.cloud.completed.Load())
	}
}

// Several hooks of an instance are kept, each once, whichever comes first; those of others wait for nobody here.
func TestEveryHookOfAnInstanceIsKept(t *testing.T) {
	n := newNoticed(t, v1alpha1.Enforce)
	n.permit(n.world())
	hook := func(id, name, token string) nodegroups.Interruption {
		return nodegroups.Interruption{InstanceID: id, Kind: nodegroups.TerminationHook, At: n.now, ASG: "spot-a", Hook: name, HookToken: token}
	}
	for _, x := range []nodegroups.Interruption{hook("i-1", "", ""), hook("i-1", "swell-a", "1"), hook("i-1", "", ""), hook("i-1", "swell-b", "2"), hook("i-1", "swell-a", "1")} {
		n.pull()
		if !n.keep(x) {
			t.Errorf("%+v comes again", x)
		}
	}
	got, ok := n.notices.On(n.node())
	if want := []nodegroups.LifecycleHook{{Name: "swell-a", Token: "1"}, {Name: "swell-b", Token: "2"}}; !ok || !slices.Equal(got.Hooks(), want) {
		t.Errorf("noted are %+v, want %+v", got.Hooks(), want)
	}
	if !n.keep(hook("i-2", "", "")) || n.cloud.completed.Load() != 0 {
		t.Errorf("another's hook was completed %d times, or comes again", n.cloud.completed.Load())
	}
}

// A group with Capacity Rebalancing launches the replacement itself.
func TestARebalanceRecommendationIsLeftToAGroupThatReplacesByItself(t *testing.T) {
	for _, by := range []bool{false, true} {
		n := newNoticed(t, v1alpha1.Enforce, func(g *nodegroups.Group) { g.Rebalances = by })
		n.permit(n.world())
		if !n.keep(nodegroups.Interruption{InstanceID: "i-1", Kind: nodegroups.RebalanceNotice, At: n.now}) {
			t.Error("the notice comes again")
		}
		if noted := n.node().Annotations[nodegroups.InterruptionAnnotation] != ""; noted == by {
			t.Errorf("the group replaces by itself: %v, noted on the node: %v", by, noted)
		}
		tainted := n.node().DeepCopy()
		tainted.Spec.Taints = []corev1.Taint{{Key: "aws-node-termination-handler/rebalance-recommendation"}}
		delete(tainted.Annotations, nodegroups.InterruptionAnnotation)
		w := n.world()
		w.Snapshot.Nodes, w.Snapshot.Interrupted = []*corev1.Node{tainted}, nil
		n.readNotices(t.Context(), n.now, &w)
		if told := len(w.Snapshot.Interrupted) > 0; told == by {
			t.Errorf("the group replaces by itself: %v, a handler's taint is a notice: %v", by, told)
		}
		if !n.keep(nodegroups.Interruption{InstanceID: "i-1", Kind: nodegroups.SpotInterruption, At: n.now, Deadline: n.now.Add(2 * time.Minute)}) || n.node().Annotations[nodegroups.InterruptionAnnotation] == "" {
			t.Error("a spot interruption is no recommendation")
		}
	}
}

// Whoever else reads the queue of a pool that only observes may do something about a recommendation.
func TestARecommendationOfAnObservingPoolStaysInTheQueue(t *testing.T) {
	n := newNoticed(t, v1alpha1.Observe, func(g *nodegroups.Group) { g.Rebalances = true })
	n.permit(n.world())
	if n.keep(nodegroups.Interruption{InstanceID: "i-1", Kind: nodegroups.RebalanceNotice, At: n.now}) {
		t.Error("it is taken from the queue")
	}
}

// Where a pool only observes, by its own mode or because another scaler acts on its groups, no Node is annotated and no
// lifecycle action is ended; what a handler's taint says is still reported to the plan.
func TestAnObservingPoolsNodesAreNotTouched(t *testing.T) {
	for name, mode := range map[string]v1alpha1.Mode{"by its mode": v1alpha1.Observe, "refused": v1alpha1.Enforce} {
		t.Run(name, func(t *testing.T) {
			n := newNoticed(t, mode)
			if name == "refused" {
				n.guard.statuses = []corev1.ConfigMap{{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: guard.StatusName,
					Annotations: map[string]string{"cluster-autoscaler.kubernetes.io/last-updated": time.Now().Format("2006-01-02 15:04:05.999999999 -0700 MST")}},
					Data: map[string]string{"status": "autoscalerStatus: Running\nnodeGroups:\n- name: spot-a\n"}}}
			}
			n.permit(n.world())
			for _, x := range []nodegroups.Interruption{{InstanceID: "i-1", Kind: nodegroups.SpotInterruption, At: n.now}, {InstanceID: "i-2", Kind: nodegroups.TerminationHook, At: n.now, ASG: "spot-a", Hook: "drain"}} {
				if n.keep(x) {
					t.Errorf("the %s is taken from the queue, where another may need it", x.Kind)
				}
			}
			w := n.world()
			w.Snapshot.Nodes[0].Spec.Taints = []corev1.Taint{{Key: "aws-node-termination-handler/spot-itn", Effect: corev1.TaintEffectNoSchedule}}
			n.readNotices(t.Context(), n.now, &w)
			if got := w.Snapshot.Interrupted; len(got) != 1 || got[0].Kind != nodegroups.NodeNotice || !got[0].Deadline.Equal(n.now.Add(2*time.Minute)) {
				t.Errorf("the plan is told %+v: want what the taint says", got)
			}
			w.Snapshot.Nodes[0].Annotations = map[string]string{nodegroups.InterruptionAnnotation: `{"kind":"` + string(nodegroups.TerminationHook) + `","at":"2026-03-02T09:00:00Z","autoScalingGroup":"spot-a","lifecycleHook":"drain"}`}
			n.readNotices(t.Context(), n.now, &w) // without an actor: a drain would end the test
			if a := n.node().Annotations; len(a) != 0 || n.cloud.completed.Load() != 0 || len(w.Snapshot.Draining) != 0 {
				t.Errorf("annotations %v, %d actions ended, draining %v", a, n.cloud.completed.Load(), w.Snapshot.Draining)
			}
		})
	}
}

// The taints that aws-node-termination-handler documents are notices, and are written down where the pool may be changed.
func TestAHandlersTaintIsANotice(t *testing.T) {
	for key, within := range map[string]time.Duration{"spot-itn": 2 * time.Minute, "rebalance-recommendation": 0, "scheduled-maintenance": 0, "asg-lifecycle-termination": 0} {
		n := newNoticed(t, v1alpha1.Enforce)
		w := n.world()
		n.permit(w)
		w.Snapshot.Nodes[0].Spec.Taints = []corev1.Taint{{Key: "other/taint"}, {Key: "aws-node-termination-handler/" + key, Value: "event", Effect: corev1.TaintEffectNoSchedule}}
		n.readNotices(t.Context(), n.now, &w)
		if got := w.Snapshot.Interrupted; len(got) != 1 || got[0].Deadline.IsZero() != (within == 0) {
			t.Errorf("%s: %+v", key, got)
		}
		if n.node().Annotations[nodegroups.InterruptionAnnotation] == "" {
			t.Errorf("%s: it is not written down", key)
		}
	}
}
