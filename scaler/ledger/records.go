package ledger

import (
	"encoding/json"
	"time"
)

// Instance is one instance as it was known when its state changed. The newest entry of an id is what is known of it; its hours
// are from LaunchedAt to GoneAt, and to the ledger's end while that is missing.
type Instance struct {
	ID     string `json:"id"`
	Group  string `json:"group"`
	Pool   string `json:"pool"`
	Zone   string `json:"zone"`
	Market string `json:"market"` // spot or on-demand
	Type   string `json:"type"`
	Image  string `json:"image,omitempty"`
	// Node is the name of its Node; empty before it joined.
	Node string `json:"node,omitempty"`
	// Token of the launch that asked for it; empty is an instance that no call of swell's named.
	Token string `json:"token,omitempty"`
	// LaunchedAt is AWS's own time of launch, RegisteredAt and ReadyAt are the Node's, GoneAt when it had ended; model time.
	LaunchedAt   time.Time  `json:"launchedAt"`
	RegisteredAt *time.Time `json:"registeredAt,omitempty"`
	ReadyAt      *time.Time `json:"readyAt,omitempty"`
	GoneAt       *time.Time `json:"goneAt,omitempty"`
	// Seen is true of an instance that was running already when this ledger began; LaunchedAt is before its first entry then.
	Seen bool `json:"seen,omitempty"`
	// End is why it went: returned (by swell), interrupted, replaced (its group at its minimum), never-joined or elsewhere.
	End string `json:"end,omitempty"`
	// Hourly is its price an hour and OnDemandHourly that of the same type on demand; nil is unknown.
	Hourly         *float64 `json:"hourly,omitempty"`
	OnDemandHourly *float64 `json:"onDemandHourly,omitempty"`
	// Base is true of an on-demand instance within purchase.onDemandBase, Fallback of one bought since spot could not be had.
	Base     bool `json:"base,omitempty"`
	Fallback bool `json:"fallback,omitempty"`
	// Prepaid is true of one that a reservation or savings plan pays for, whether or not it runs.
	Prepaid bool `json:"prepaid,omitempty"`
}

// After is what is known of an instance by the newer of two entries. A ledger that began while it ran does not know how it was
// bought: the older entry, of another chain, does.
func (i Instance) After(older Instance) Instance {
	if i.Seen && !older.Seen {
		i.Seen, i.Token, i.Base, i.Fallback, i.Prepaid = false, older.Token, older.Base, older.Fallback, older.Prepaid
	}
	return i
}

// Resources are cores and GiB of memory.
type Resources struct {
	Cores  float64 `json:"cores"`
	Memory float64 `json:"memoryGiB"`
}

// Sample is what the cluster held at one moment of model time; it stands until the next, SampleEvery later unless the scaler was away.
type Sample struct {
	Groups    []GroupUse    `json:"groups"`
	Workloads []WorkloadUse `json:"workloads"`
	// Truncated workloads were summed into one named "others".
	Truncated int `json:"truncated,omitempty"`
}

// SampleEvery is how often a sample is written, and InstanceEvery how often what is known of each instance that runs, though nothing
// changed; model time.
const (
	SampleEvery   = 5 * time.Minute
	InstanceEvery = 24 * time.Hour
)

// GroupUse is one group at the moment of a sample. Asked is requested by pods that have a node in it, daemons included; Held by
// balloons; idle is Allocatable less both.
type GroupUse struct {
	Group  string `json:"group"`
	Pool   string `json:"pool"`
	Zone   string `json:"zone"`
	Market string `json:"market"`
	// Nodes are Ready, Booting instances have none yet.
	Nodes       int       `json:"nodes"`
	Booting     int       `json:"booting,omitempty"`
	Allocatable Resources `json:"allocatable"`
	Asked       Resources `json:"asked"`
	Held        Resources `json:"held"`
	// Used is what metrics.k8s.io says of its nodes; nil is unknown.
	Used *Resources `json:"used,omitempty"`
}

// WorkloadUse is one workload's pods in one zone and market at the moment of a sample.
type WorkloadUse struct {
	Namespace string `json:"namespace"`
	// Workload is kind/name of the topmost controller, or Pod/name.
	Workload string `json:"workload"`
	// Pool, Zone and Market of the nodes; empty are pods without a node.
	Pool   string `json:"pool,omitempty"`
	Zone   string `json:"zone,omitempty"`
	Market string `json:"market,omitempty"`
	// Pods that have a node, Pending that have none.
	Pods    int       `json:"pods"`
	Pending int       `json:"pending,omitempty"`
	Asked   Resources `json:"asked"`
	// Held by the balloons that guard the workload.
	Held Resources `json:"held"`
	// Used is what metrics.k8s.io says of the pods; nil is unknown.
	Used *Resources `json:"used,omitempty"`
}

// Sizing is the decision on one Balloon, written when it changes, at most once a minute, and at least once every SampleEvery.
type Sizing struct {
	Balloon  string `json:"balloon"`  // namespace/name
	Workload string `json:"workload"` // kind/name
	// Demand now and Running replicas, in pods; nil is unknown.
	Demand  *float64 `json:"demand,omitempty"`
	Running int      `json:"running"`
	// Point and Upper are the forecast when what is ordered now begins to serve, Lead from now, at quantile Tau; nil is none yet.
	Point *float64 `json:"point,omitempty"`
	Upper *float64 `json:"upper,omitempty"`
	Lead  float64  `json:"leadSeconds"`
	Tau   float64  `json:"quantile"`
	// Horizons are the forecast of the next two hours, written once every SampleEvery.
	Horizons []Horizon `json:"horizons,omitempty"`
	// Headroom is what schedules ask for in pods, Share of all demand that this cluster serves.
	Headroom float64 `json:"headroom,omitempty"`
	Share    float64 `json:"share"`
	Chunk    float64 `json:"chunk"`
	// Pod is what one of the workload's pods asks for.
	Pod Resources `json:"pod"`
	// Zones are balloons wanted by zone.
	Zones  map[string]int `json:"zones"`
	Total  int            `json:"total"`
	Why    string         `json:"why"`
	Output string         `json:"output"`
	Mode   string         `json:"mode"`
}

// Horizon is one point of a forecast, in pods of all clusters.
type Horizon struct {
	Seconds float64 `json:"seconds"`
	Point   float64 `json:"point"`
	Upper   float64 `json:"upper"`
}

// Policy is one of the kinds as it was decided by, written at start and when its spec changes.
type Policy struct {
	Kind string `json:"kind"`
	// Name is namespace/name, or name of a cluster-scoped kind.
	Name       string `json:"name"`
	Generation int64  `json:"generation"`
	// Spec as the API server has it; null is that the object is gone.
	Spec json.RawMessage `json:"spec"`
}

// Shortfall is capacity that AWS did not have.
type Shortfall struct {
	Group  string `json:"group"`
	Pool   string `json:"pool"`
	Zone   string `json:"zone"`
	Market string `json:"market"`
	Type   string `json:"type,omitempty"`
	// Code is AWS's, such as InsufficientInstanceCapacity.
	Code  string    `json:"code"`
	Until time.Time `json:"until"` // it is not asked for again before
}

// Notice is that an instance is about to be lost.
type Notice struct {
	// Kind is spot, rebalance, state, health, lifecycle, or node for a taint that a notice handler put there.
	Kind     string     `json:"kind"`
	Instance string     `json:"instance"`
	Node     string     `json:"node,omitempty"`
	Group    string     `json:"group,omitempty"`
	Pool     string     `json:"pool,omitempty"`
	Zone     string     `json:"zone,omitempty"`
	Market   string     `json:"market,omitempty"`
	GoneBy   *time.Time `json:"goneBy,omitempty"`
}
