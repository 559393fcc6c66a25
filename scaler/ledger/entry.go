package ledger

import "time"

// Phase says whether an entry stands before or after its action.
type Phase string

const (
	// Intent is written before the action; one without an outcome is an action that was cut short.
	Intent Phase = "intent"
	// Done and Failed are written after it.
	Done   Phase = "done"
	Failed Phase = "failed"
	// Note records what needs no action.
	Note Phase = "note"
)

// Entry is one line.
type Entry struct {
	// At is machine time, Model the time that was decided in.
	At    time.Time `json:"at"`
	Model time.Time `json:"model"`
	// Tick numbers the plan within one run of the scaler.
	Tick  int64 `json:"tick"`
	Phase Phase `json:"phase"`
	// Action is launch, pop, create-balloons, delete-balloon, drain, terminate, problem, awaited, placed or start; would-launch, would-return,
	// node-came and shadow of pools that only observe; guard and roll-back of policies that are watched; instance, sample, size, policy, shortfall and notice, which have a part of
	// their own below; gap, in place of entries that could not be written.
	Action string `json:"action"`
	// Object is the group, pod or node that it is done to.
	Object string `json:"object"`
	Count  int    `json:"count,omitempty"`
	// Token ties an intent to its outcome and to the call.
	Token string `json:"token,omitempty"`
	// Instances that a launch gave, or the one that a node is; action placed.
	Instances []string `json:"instances,omitempty"`
	// Raised is how many a launch left to its group, whose desired capacity was raised: their ids come later.
	Raised   int      `json:"raised,omitempty"`
	Reason   string   `json:"reason,omitempty"`
	Rejected []string `json:"rejected,omitempty"`
	Error    string   `json:"error,omitempty"`
	// Pool, Zone, Market and Hourly, the price of one instance an hour, 0 for unknown, are of launches, of instances, of what a pool
	// that only observes would have done, and of nodes that came meanwhile.
	Pool   string  `json:"pool,omitempty"`
	Zone   string  `json:"zone,omitempty"`
	Market string  `json:"market,omitempty"`
	Hourly float64 `json:"hourly,omitempty"`
	// Group and Node are of an instance, also of one that would have been returned.
	Group string `json:"group,omitempty"`
	Node  string `json:"node,omitempty"`
	// Nodes are counted once a minute while a pool only observes.
	Nodes []NodeCount `json:"nodes,omitempty"`
	// Waits are the seconds that pods had waited for a place which found one in that minute, by upper bound; the last is more.
	Waits map[string]int `json:"waits,omitempty"`

	// Pods, by namespace/name, are who wait for Object, an instance that boots; action awaited. At most MostPods.
	Pods []string `json:"pods,omitempty"`
	// Placed are pods that had waited for nodes and found a place on Object, a node; action placed. At most MostPods, Count has all.
	Placed []PodWait `json:"placed,omitempty"`
	// Inputs are what a launch is for.
	Inputs *Inputs `json:"inputs,omitempty"`
	// Activities are AWS's ids of what was done: scaling activities, and request ids where a call makes none.
	Activities []string `json:"activities,omitempty"`
	// One of these, by Action.
	Instance  *Instance  `json:"instance,omitempty"`  // action instance
	Sample    *Sample    `json:"sample,omitempty"`    // action sample
	Sizing    *Sizing    `json:"sizing,omitempty"`    // action size
	Policy    *Policy    `json:"policy,omitempty"`    // action policy
	Shortfall *Shortfall `json:"shortfall,omitempty"` // action shortfall
	Notice    *Notice    `json:"notice,omitempty"`    // action notice
	Book      *Book      `json:"book,omitempty"`      // action gap

	// Seq is the line's number in its chain, filled in by reading; 0 is of a line from before there was one.
	Seq int64 `json:"seq,omitempty"`
	// Ledger is the folder or file that the line was read from, filled in by a Reading: Seq counts within it.
	Ledger string `json:"-"`
}

// Inputs are the pods and balloons that a launch is for.
type Inputs struct {
	Pods     int `json:"pods"`
	Balloons int `json:"balloons"`
	// Names are a few of the pods, as namespace/name.
	Names []string `json:"names,omitempty"`
}

// NodeCount is one group's, at one time.
type NodeCount struct {
	Group string `json:"group"`
	Real  int    `json:"real"`
	// Wanted are imagined on top, Unneeded would have been returned.
	Wanted   int     `json:"wanted,omitempty"`
	Unneeded int     `json:"unneeded,omitempty"`
	Pool     string  `json:"pool"`
	Zone     string  `json:"zone"`
	Market   string  `json:"market"`
	Hourly   float64 `json:"hourly,omitempty"`
}
