package sim

import (
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"swell/api/v1alpha1"
	emulator "swell/bench/testbed/aws"
)

const v1BalloonLabel = v1alpha1.BalloonLabel

// worldEvery is how often what is around the scaler moves; virtual time.
const worldEvery = 5 * time.Second

// world is everything around the scalers: the API server with its controllers and scheduler, kubelets, and AWS.
type world struct {
	seed   uint64
	bare   bool      // no room is held for more than there is, so that floors alone keep nodes
	floor  int       // of nodes per zone
	heldAt time.Time // when the fence's holder last changed
	start  time.Time
	dice   *rand.Rand // of the world's own steps only: requests roll by their content
	store  *store
	aws    *emulator.Emulator
	calm   bool // no faults any more

	mu        sync.Mutex
	timeline  []string
	faults    map[string]int
	found     []string
	rolls     map[string]uint64
	readings  map[string]rolled
	answers   map[string]*canned // last answer by request, for stale ones
	broken    time.Time          // a pod's node may be told late: caches stand still until then
	frozen    *view
	launched  map[string]bool   // instances that a scaler's launch calls gave
	effected  map[string]int    // instances by group that launch calls gave
	planned   map[string]int    // instances by group that plans asked for
	answered  map[string]string // by client token, the scaler that has had the answer
	cordoned  map[string]string // by node, the scaler that began to drain it
	left      map[string]int    // by what somebody else began, for how many turns the scaler that acts has let it be
	noticed   map[string]bool   // instances with a notice of their end
	leaving   map[string]bool   // instances that a call ends; a hook may hold them up
	byHand    map[string]time.Time
	replicas  map[string]int
	born      int
	unready   map[string]time.Time // nodes that are not Ready, until when
	neverJoin map[string]bool
	learned   map[string][]byte // what scalers learned, as its ConfigMap holds it
}

// Shape of the cluster.
var zones = []string{"ap-northeast-1a", "ap-northeast-1c"}

const (
	maxNodes = 8
	peak     = 12 // web pods that room is held for
)

// least are the groups' minima.
var least = map[string]int{"ap-northeast-1a-spot": 1}

var cpuOf = map[string]string{"web": "1", "api": "500m"}

func fleet(seed uint64) emulator.Fleet {
	f := emulator.Fleet{
		Region:        "ap-northeast-1",
		InstanceTypes: map[string]emulator.InstanceType{"m6i.xlarge": {VCPU: 4, MemoryMiB: 16 << 10, Allocatable: allocatable}},
		Prices:        map[string]emulator.Price{"m6i.xlarge": {OnDemand: 1, Spot: 0.35}},
	}
	for _, z := range zones {
		for _, market := range []string{"spot", "on-demand"} {
			f.Groups = append(f.Groups, emulator.Group{Name: z + "-" + market, Zone: z, Market: market, Min: least[z+"-"+market], Max: 6, Desired: 1, InstanceTypes: []string{"m6i.xlarge"},
				Tags: map[string]string{"pool": "general"}})
		}
	}
	if seed%3 == 0 {
		for i := range f.Groups {
			f.Groups[i].Hooks = []emulator.Hook{{Name: "swell-drain", Transition: "terminating", Heartbeat: time.Minute, Result: "CONTINUE"}}
		}
	}
	return f
}

var allocatable = map[string]string{"cpu": "3920m", "memory": "14Gi", "pods": "58"}

func newWorld(seed uint64) (*world, error) {
	w := &world{seed: seed, bare: seed%4 == 1, floor: 1 + int(seed%4)%2, start: time.Now(), dice: rand.New(rand.NewPCG(seed, 1)), store: newStore(),
		faults: map[string]int{}, rolls: map[string]uint64{}, readings: map[string]rolled{}, answers: map[string]*canned{}, launched: map[string]bool{}, effected: map[string]int{}, planned: map[string]int{},
		answered: map[string]string{}, cordoned: map[string]string{}, left: map[string]int{}, noticed: map[string]bool{}, leaving: map[string]bool{}, byHand: map[string]time.Time{}, unready: map[string]time.Time{}, neverJoin: map[string]bool{},
		replicas: map[string]int{"web": 4 + int(seed%5), "api": 6}}
	var err error
	w.aws, err = emulator.New(emulator.Options{Fleet: fleet(seed), Seed: seed, Manual: true, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	least := intstr.FromInt32(int32(4 + seed%2))
	w.store.budgets["api"] = &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "api"},
		Spec: policyv1.PodDisruptionBudgetSpec{MinAvailable: &least, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "api"}}}}
	pool := &w.store.pool
	pool.Name = "general"
	pool.Spec.Groups.Tags = map[string]string{"pool": "general"}
	pool.Spec.Limits = v1alpha1.PoolLimits{MinNodesPerZone: int32(w.floor), MaxNodes: maxNodes}
	pool.Spec.Purchase = v1alpha1.PoolPurchase{OnDemandBase: 2, SpotMax: "100%"}
	pool.Spec.ScaleIn = v1alpha1.PoolScaleIn{After: metav1.Duration{Duration: 3 * time.Minute}, Below: "0.6", DrainTimeout: metav1.Duration{Duration: 3 * time.Minute}, MaxUnavailablePerZone: "50%"}
	return w, nil
}

func (w *world) now() time.Time { return time.Now() }

// say adds a line to the timeline.
func (w *world) say(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timeline = append(w.timeline, w.now().UTC().Format("15:04:05.000")+" "+fmt.Sprintf(format, args...))
}

// violate notes a broken promise.
func (w *world) violate(format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	w.say("BROKEN %s", what)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.found = append(w.found, what)
}

func (w *world) fire(fault string) {
	w.mu.Lock()
	w.faults[fault]++
	w.mu.Unlock()
	w.say("fault %s", fault)
}

// roll is a number that depends on the seed, what it is for and how often it was asked for, not on what ran meanwhile.
func (w *world) roll(key string) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rolled(key)
}

func (w *world) rolled(key string) uint64 {
	w.rolls[key]++
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s %d", w.seed, key, w.rolls[key])
	return rand.New(rand.NewPCG(h.Sum64(), w.seed)).Uint64()
}

// reading rolls for a request that changes nothing: the same one, made by two goroutines at one instant, meets the same fate,
// since which of them is first is not the seed's to say.
func (w *world) reading(key string) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if last, again := w.readings[key]; again && last.at.Equal(w.now()) {
		return last.roll
	}
	now := rolled{w.now(), w.rolled(key)}
	w.readings[key] = now
	return now.roll
}

type rolled struct {
	at   time.Time
	roll uint64
}

// run moves the world until it is told to stop.
func (w *world) run(stop <-chan struct{}) {
	for {
		w.step()
		select {
		case <-stop:
			return
		case <-time.After(worldEvery):
		}
	}
}

func (w *world) step() {
	for next := w.aws.Step(); !next.IsZero() && !next.After(w.now()); next = w.aws.Step() {
	}
	w.kubelets()
	w.store.mu.Lock()
	w.controllers()
	w.schedule()
	w.store.mu.Unlock()
	if !w.calm {
		w.strike()
	}
	w.load()
}

// kubelets follow the instances.
func (w *world) kubelets() {
	alive := map[string]bool{}
	status := w.aws.Status()
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	for _, i := range status.Instances {
		if i.State != "pending" && i.State != "running" {
			continue
		}
		alive[i.Node] = true
		if !i.Joined || w.store.nodes[i.Node] != nil || w.neverJoin[i.ID] {
			continue
		}
		if !w.calm && w.launched[i.ID] && w.roll("join "+i.ID)%25 == 0 {
			w.neverJoin[i.ID] = true
			w.fire("instance never joins")
			continue
		}
		w.store.putNode(node(i, w.now()))
		w.say("node %s joins in %s (%s)", i.Node, i.Zone, i.ID)
	}
	for _, n := range w.store.sortedNodes() {
		if !alive[n.Name] {
			delete(w.store.nodes, n.Name)
			for _, p := range w.store.on(n.Name) {
				delete(w.store.pods, p.Name)
			}
			w.say("node %s is gone", n.Name)
			continue
		}
		if until := w.unready[n.Name]; !until.IsZero() && !w.now().Before(until) {
			delete(w.unready, n.Name)
			w.store.changeNode(n.Name, func(n *corev1.Node) { setReady(n, corev1.ConditionTrue, w.now()) })
		}
	}
}

func node(i emulator.InstanceStatus, now time.Time) *corev1.Node {
	n := &corev1.Node{TypeMeta: metav1.TypeMeta{Kind: "Node", APIVersion: "v1"}, ObjectMeta: metav1.ObjectMeta{Name: i.Node, CreationTimestamp: metav1.NewTime(now),
		Labels: map[string]string{corev1.LabelTopologyZone: i.Zone, corev1.LabelHostname: i.Node, corev1.LabelInstanceTypeStable: "m6i.xlarge"}},
		Spec: corev1.NodeSpec{ProviderID: "aws:///" + i.Zone + "/" + i.ID}}
	n.Status.Allocatable = corev1.ResourceList{}
	for name, q := range allocatable {
		n.Status.Allocatable[corev1.ResourceName(name)] = resource.MustParse(q)
	}
	n.Status.Capacity = n.Status.Allocatable
	setReady(n, corev1.ConditionTrue, now)
	return n
}

func setReady(n *corev1.Node, to corev1.ConditionStatus, now time.Time) {
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: to, LastTransitionTime: metav1.NewTime(now)}}
}

func isReady(n *corev1.Node) bool {
	return len(n.Status.Conditions) > 0 && n.Status.Conditions[0].Status == corev1.ConditionTrue
}
