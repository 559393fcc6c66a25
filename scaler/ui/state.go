// Package ui shows people what the scaler does: a page and its state as JSON, for those whom the API server knows and allows.
package ui

import (
	"time"
)

// Bounds of a State: what is beyond them is counted, not listed.
const (
	MostPending  = 100
	MostProblems = 50
	MostBalloons = 50
	MostGroups   = 200
)

// State is what one plan left: a value that nobody changes. Times are the scaler's model time unless said otherwise, which is
// the machine's where its configuration has no clock. It is what /api/state.json answers.
type State struct {
	// At is when the plan was carried out and Tick its number in this run.
	At   time.Time `json:"at"`
	Tick int64     `json:"tick"`
	// Every is the longest time that is meant to pass between two plans, in seconds of model time.
	Every float64 `json:"everySeconds"`
	// Leader is the pod, or the host, that plans.
	Leader  string `json:"leader"`
	Version string `json:"version"`
	// Cluster is clusterName of the configuration; empty where it has none.
	Cluster string `json:"cluster,omitempty"`
	// Mode is Enforce or Observe, of the whole scaler; pools and balloons may observe on their own.
	Mode string `json:"mode"`
	// Clock is the speed of model time; 1 is the machine's.
	Clock    float64  `json:"clock"`
	Readings Readings `json:"readings"`
	Pods     Pods     `json:"pods"`
	Cost     Cost     `json:"cost"`
	// Zones count nodes by zone and market, sorted by zone.
	Zones    []Zone    `json:"zones"`
	Pools    []Pool    `json:"pools"`
	Groups   []Group   `json:"groups"`
	Balloons []Balloon `json:"balloons"`
	Pending  []Pending `json:"pending"`
	Launches []Launch  `json:"launches"`
	Problems []Problem `json:"problems"`
	// Suppressed are actions that a freeze, Observe or an old reading took out of the plan.
	Suppressed []Problem `json:"suppressed"`
	// More counts what is not listed, by the list's name.
	More map[string]int `json:"more,omitempty"`
}

// Readings say how old what was decided on is.
type Readings struct {
	// Cluster and AWS are when either was last known to be current; zero is never.
	Cluster time.Time `json:"cluster,omitzero"`
	AWS     time.Time `json:"aws,omitzero"`
	// MaxAge is how old a reading may be, in seconds, before nothing is returned for it.
	MaxAge float64 `json:"maxAgeSeconds"`
}

// Pods of the cluster, balloons and daemons not counted among them.
type Pods struct {
	Running int `json:"running"`
	// Starting have a node and do not run yet, Pending have none.
	Starting int `json:"starting"`
	Pending  int `json:"pending"`
	// Balloons have a node.
	Balloons int `json:"balloons"`
}

// Cost of the instances that run or boot, an hour.
type Cost struct {
	// Hourly is of those whose price is known; nil where none is.
	Hourly *float64 `json:"hourly"`
	// Unpriced instances are not in it.
	Unpriced int `json:"unpriced"`
}

// Zone counts one zone's instances.
type Zone struct {
	Zone string `json:"zone"`
	// Spot and OnDemand have a Node, Booting have none yet, Leaving are among the first two and are drained or interrupted.
	Spot     int `json:"spot"`
	OnDemand int `json:"onDemand"`
	Booting  int `json:"booting"`
	Leaving  int `json:"leaving"`
	// Pods run there, without balloons and daemons; Balloons have a node there.
	Pods     int `json:"pods"`
	Balloons int `json:"balloons"`
}

// Pool is a CapacityPool.
type Pool struct {
	Name string `json:"name"`
	// Mode is Enforce or Observe, ObserveWhy why it observes although it was not asked to.
	Mode       string  `json:"mode"`
	ObserveWhy string  `json:"observeWhy,omitempty"`
	Freeze     *Freeze `json:"freeze,omitempty"`
	Holds      []Hold  `json:"holds,omitempty"`
	// ReadAt is when its groups were last read.
	ReadAt time.Time `json:"readAt,omitzero"`
	// NoSale is why nothing is returned now.
	NoSale string `json:"noSale,omitempty"`
}

// Freeze is what must not be scaled until a time: ScaleIn or All.
type Freeze struct {
	What   string    `json:"what"`
	Until  time.Time `json:"until"`
	Reason string    `json:"reason,omitempty"`
}

// Hold is a number of nodes that a zone keeps until a time.
type Hold struct {
	Zone  string    `json:"zone"`
	Nodes int       `json:"nodes"`
	Until time.Time `json:"until"`
}

// Group is one Auto Scaling group, or its part in one zone.
type Group struct {
	Name    string `json:"name"`
	Pool    string `json:"pool"`
	Zone    string `json:"zone"`
	Market  string `json:"market"`
	Min     int    `json:"min"`
	Desired int    `json:"desired"`
	Max     int    `json:"max"`
	// Nodes have joined, Booting instances have not.
	Nodes   int `json:"nodes"`
	Booting int `json:"booting"`
	// Hourly is the price of one instance an hour; nil is unknown.
	Hourly *float64 `json:"hourly"`
	// UnavailableUntil is when it is asked for again after a refusal, Why what was refused; Why alone is that it cannot be used.
	UnavailableUntil *time.Time `json:"unavailableUntil,omitempty"`
	Why              string     `json:"why,omitempty"`
}

// Balloon is one Balloon with its decision. Numbers of pods are this cluster's share.
type Balloon struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Workload is kind/name.
	Workload string `json:"workload"`
	Mode     string `json:"mode"`
	Output   string `json:"output"`
	// Running are the workload's pods that have a node, Demand the pods that it needs now; nil is unknown.
	Running int      `json:"running"`
	Demand  *float64 `json:"demand"`
	// Lead is how far ahead room is ordered, in seconds; Quantile what share of outcomes is to find room.
	Lead     float64       `json:"leadSeconds"`
	Quantile float64       `json:"quantile"`
	Chunk    float64       `json:"chunk"`
	Zones    []BalloonZone `json:"zones"`
	// Why is the decision in words, with its numbers.
	Why string `json:"why"`
	// Forecast of the next two hours; NoForecast why there is none.
	Forecast   []Point `json:"forecast"`
	NoForecast string  `json:"noForecast,omitempty"`
	// Past is what was seen of late, oldest first, since this replica leads.
	Past []Past `json:"past"`
}

// BalloonZone counts the balloons of one zone: Wanted, and Held on nodes that are up.
type BalloonZone struct {
	Zone   string `json:"zone"`
	Wanted int    `json:"wanted"`
	Held   int    `json:"held"`
}

// Point of a forecast: the likely number of pods and the quantile.
type Point struct {
	At    time.Time `json:"at"`
	Point float64   `json:"point"`
	Upper float64   `json:"upper"`
}

// Past is the workload at a time: pods that had a node, and the demand; nil is unknown.
type Past struct {
	At      time.Time `json:"at"`
	Running int       `json:"running"`
	Demand  *float64  `json:"demand"`
}

// Pending is a pod, or several alike of one controller, without a node.
type Pending struct {
	Pod string `json:"pod"` // namespace/name of the oldest
	// Count of pods that have the same owner, reason and place.
	Count int `json:"count"`
	// Since the oldest was made.
	Since time.Time `json:"since"`
	// Why is what keeps it waiting.
	Why string `json:"why"`
	// For is where the plan has room for it: a node, an instance that boots, or a group that is launched in; empty is nowhere.
	For string `json:"for,omitempty"`
}

// Launch is what the last plan bought.
type Launch struct {
	Group  string `json:"group"`
	Zone   string `json:"zone"`
	Market string `json:"market"`
	Count  int    `json:"count"`
	Reason string `json:"reason"`
}

// Problem is what keeps a promise from being held, and the mend.
type Problem struct {
	Object string `json:"object"`
	What   string `json:"what"`
	Mend   string `json:"mend,omitempty"`
}

// Count adds what is not listed.
func (s *State) Count(list string, n int) {
	if s.More == nil {
		s.More = map[string]int{}
	}
	s.More[list] += n
}
