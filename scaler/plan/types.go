// Package plan decides which nodes to buy, which to return and which balloons to pop, from one snapshot of the cluster.
package plan

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"

	"swell/api/v1alpha1"
	"swell/nodegroups"
	"swell/scaler/pack"
)

// BalloonLabel marks a balloon pod; its value is the name of its Balloon in the same namespace.
const BalloonLabel = v1alpha1.BalloonLabel

// DrainingAnnotation on a Node, with any value, says the same as a place in Snapshot.Draining.
const DrainingAnnotation = "capacity.swell/draining"

// Snapshot is everything a plan is made from.
type Snapshot struct {
	// Nodes as the API server has them.
	Nodes []*corev1.Node
	// Pods that are not finished: bound and pending, balloons and daemons included.
	Pods []*corev1.Pod
	// DaemonPods are one pod template per DaemonSet, to be counted on every node that is not there yet.
	DaemonPods []*corev1.Pod
	// Promised are replicas that a workload was given and whose pods do not exist yet.
	Promised []Promised
	// Groups of all pools with their instances. An instance without a Node is still booting.
	Groups []nodegroups.Group
	// Unavailable groups, with when to try again.
	Unavailable []nodegroups.Unavailable
	// Interrupted instances: about to be lost, so no place for new pods; their pods need another.
	Interrupted []nodegroups.Interruption
	// Balloons that are wanted after the pods that exist and are promised.
	Balloons []BalloonDemand
	// NeverReady are the ids of instances that have a Node which, as far as is known, was never Ready.
	NeverReady []string
	// Draining are the names of nodes that are being emptied on an earlier plan's word. They take nothing, and
	// what they hold needs another place.
	Draining []string
	// Namespaces with their labels, for affinity terms that select by them; may be left out where none do.
	Namespaces []*corev1.Namespace
	// Volumes is what pods with claims are placed by.
	Volumes Volumes
	// Budgets are the cluster's PodDisruptionBudgets: a node whose pods may not be evicted is not emptied.
	Budgets []*policyv1.PodDisruptionBudget
	// PodsAt and GroupsAt are when the API server and AWS were last known to be current.
	PodsAt, GroupsAt time.Time
	// PoolsAt is the same for the groups of one pool, by its name, where it is not GroupsAt.
	PoolsAt map[string]time.Time
}

// Volumes are the storage objects that decide where a pod with claims may run.
type Volumes = pack.Volumes

// Promised is a number of pods, alike, that do not exist yet.
type Promised struct {
	Pod   *corev1.Pod
	Count int
}

// BalloonDemand is how many balloon pods of one Balloon are wanted in one zone. A zone that is left out of a
// Balloon that is listed wants none; a Balloon that is not listed at all is unknown, and its pods are left alone.
type BalloonDemand struct {
	Namespace, Name string
	Zone            string
	// Pod is one balloon pod, pinned to Zone, as it would be created. Without one none is created, and those that exist
	// are not compared with it.
	Pod  *corev1.Pod
	Want int
	// Soon is the most that will be wanted within a boot and a hold from now, at least Want: no node is returned that would
	// be bought again for it.
	Soon int
	// SoonPod is such a pod as Pod, for Soon alone, where Pod is left out.
	SoonPod *corev1.Pod
	// Virtual balloons are only counted: they hold their places in this plan and are never created.
	Virtual bool
	// Patient balloons buy no node: room for them is about to come free.
	Patient bool
	// Observe says that nothing of this Balloon may be changed; pops and deletions are suppressed.
	Observe bool
}

// Policy is what pools allow.
type Policy struct {
	Pools []Pool
	// MaxAge of the snapshot's parts; older, and the plan only launches for pods that are certainly pending. A pool whose groups
	// alone are older returns nothing.
	MaxAge time.Duration
	// JoinWithin is how long an instance may take from its launch to a Ready node and still be counted on; 0 is 15 minutes.
	JoinWithin time.Duration
	// JoinWithinOf a group, by its name, is learned and goes before JoinWithin.
	JoinWithinOf map[string]time.Duration
	// Schedulers are the names, in spec.schedulerName, whose pods are planned for; none is default-scheduler alone. Pods of others
	// count where they are bound.
	Schedulers []string
	// Self is the planner's own pod, as namespace/name, whose node is never returned; empty where it runs elsewhere. While no such
	// pod is there nothing is returned, since its node is not known.
	Self string
	// NoSale is why nothing may be returned in the whole cluster now, as after taking over; empty is that it may.
	NoSale string
}

// Pool is one CapacityPool, defaults filled in.
type Pool struct {
	Name            string
	MinNodesPerZone int
	MaxNodes        int     // 0 is no limit
	MaxNodesPerZone int     // 0 is no limit
	MaxHourlyCost   float64 // 0 is no limit
	OnDemandBase    int
	SpotMax         float64 // share of the nodes above the base, 0 to 1
	Fallback        bool    // buy on-demand where spot cannot be had
	ScaleInAfter    time.Duration
	ScaleInBelow    float64 // share of a node's requests, 0 to 1
	DrainTimeout    time.Duration
	MaxUnavailable  float64 // share of a zone's nodes that may drain at once, at least one; 0 is none
	Freeze          Freeze
	Holds           []Hold
	Observe         bool // plan and report, change nothing
	// ObserveWhy is why the pool only observes although it was not asked to, such as another scaler on its groups.
	ObserveWhy string
	// PriceCapacity spreads launches over the groups of a market that cost nearly the same, those with fewer failures and
	// interruptions first; otherwise the cheapest is bought.
	PriceCapacity bool
	// NoSale is why the pool returns nothing now, such as a window of its policy; empty is that it may.
	NoSale string
	// Consolidate says that nodes are emptied whatever share of them is in use, if their pods find another place.
	Consolidate bool
}

// Freeze stops scale-in, or everything, until a time.
type Freeze struct {
	Until  time.Time
	All    bool
	Reason string
}

// Hold is a number of nodes that a zone has at least, until a time.
type Hold struct {
	Zone  string
	Nodes int
	Until time.Time
}

// Memory is what one plan hands to the next.
type Memory struct {
	// UnneededSince is when a node, by name, was first seen to be unneeded without a break.
	UnneededSince map[string]time.Time
	// NodeSeen is when an instance, by its id, last had a Node.
	NodeSeen map[string]time.Time
}

// Plan is what to do, in the order of its fields, each list sorted.
type Plan struct {
	Pops         []Pop
	Launches     []Launch
	Creates      []BalloonChange // balloon pods to create
	Deletes      []Pop           // balloon pods that are no longer wanted
	Virtual      []VirtualRoom   // where virtual balloons have their places
	Replacements []Termination   // interrupted instances to drain and return; their replacement is among Launches
	Terminations []Termination   // nodes nobody needs: drain, then return
	Lost         []Termination   // instances that did not become Ready nodes in time: return, after a drain where there is a Node
	Kept         []Kept          // nodes with little on them that stay, each with its reason
	Unplaced     []Unplaced
	Problems     []Problem
	// Suppressed is what a filter (Observe, freeze, stale snapshot) took out, with the reason.
	Suppressed []Suppressed
	// Placed is where each pending or promised pod is expected, by namespace/name; for explanations. An instance that has no Node yet
	// is named by its id after BootingName.
	Placed map[string]string
}

// BootingName begins the name, in Plan.Placed, of an instance that has no Node yet.
const BootingName = "booting-"

// Pop deletes one balloon pod so that others find its place.
type Pop struct {
	Namespace, Name string
	Node            string
	Reason          string
}

// BalloonChange is a number of balloon pods of one Balloon in one zone.
type BalloonChange struct {
	Namespace, Name string
	Zone            string
	Count           int
	Pod             *corev1.Pod
}

// VirtualRoom counts the virtual balloons of one Balloon in one zone that have a place on nodes that are up.
type VirtualRoom struct {
	Namespace, Name string
	Zone            string
	Count           int
}

// Launch buys instances in one group.
type Launch struct {
	Group, Pool string
	Zone        string
	Market      nodegroups.Market
	Count       int
	Pods        int    // pods that need it, balloons not counted
	Balloons    int    // balloons that need it
	Reason      string // in words, with numbers
	Rejected    []Alternative
	// PodNames are a few of the pods, as namespace/name, sorted.
	PodNames []string
	// HourlyPrice of one instance; zero is unknown.
	HourlyPrice float64
}

// Alternative is a group that could have been used instead, and why it was not.
type Alternative struct {
	Group, Reason string
}

// Termination returns one instance.
type Termination struct {
	Node, InstanceID string
	Group, Pool      string
	Reason           string
	// DrainTimeout is how long evictions are tried; zero is the caller's own.
	DrainTimeout time.Duration
	// Deadline is when the instance goes by itself; zero is never.
	Deadline time.Time
	// Placed says that all it holds has a place on nodes that are up now, so that it may be drained at once.
	Placed bool
	// Found says that the instance had run for long when it was first seen, so that it is no launch that is known to have failed.
	Found bool
}

// Kept is a node that little enough is on to go, and why it stays. The reason carries no number that changes by itself.
type Kept struct {
	Node, Group, Pool, Reason string
}

// Unplaced is a pod that no node and no group can take.
type Unplaced struct {
	Pod     string // namespace/name
	Reasons []Alternative
}

// Problem is what keeps a promise from being held, and the mend.
type Problem struct {
	Object, What, Mend string
}

// Suppressed is an action that was planned and taken out.
type Suppressed struct {
	Action, Reason string
	// Launch or Termination is the action itself, where it was one.
	Launch      *Launch
	Termination *Termination
}
