package measure

import (
	"errors"
	"fmt"
	"time"

	"swell/api/config"
)

// Options say what a run is measured from.
type Options struct {
	Policy string
	// AuditLogs of the API server, oldest first; Instances and Calls are the emulator's logs.
	AuditLogs        []string
	Instances, Calls string
	Clock            config.Clock
	// From and To bound the played window, machine time.
	From, To time.Time
	// Namespace of the workloads. Default "shop".
	Namespace string
	// Demand in pods of a workload, over model time; workloads without one do not count as unserved.
	Demand map[string]func(model time.Time) float64
	// NodeCPU is what a node can allocate, in cores. Default 15.5.
	NodeCPU float64
	// PodsPerNode is how many waiting pods one launched instance answers. Default 15.
	PodsPerNode int
	// GroupMax is the most instances of each group; groups without one are not checked.
	GroupMax map[string]int
	// Step of the time line, model time. Default 15s.
	Step time.Duration
	// Load as it was sampled during the run, sorted by time.
	Load []LoadPoint
	// What the load itself counted; nil is unknown.
	LateMessages, MessagesProduced, MessagesLost, MessagesTwice *int64
	LagSecondsMax                                               *float64
	Faults                                                      []Fault
}

// LoadPoint is the load at an instant.
type LoadPoint struct {
	At         time.Time // machine time
	Rate       float64   // messages a model second that are due
	Lag        float64   // messages
	LagSeconds float64   // model seconds, age of the oldest unread message
	WebDemand  float64   // in whole requests of a pod
}

func (o *Options) defaults() {
	if o.Namespace == "" {
		o.Namespace = "shop"
	}
	if o.NodeCPU == 0 {
		o.NodeCPU = 15.5
	}
	if o.PodsPerNode == 0 {
		o.PodsPerNode = 15
	}
	if o.Step == 0 {
		o.Step = 15 * time.Second
	}
}

// Validate reports options that cannot be used.
func (o Options) Validate() error {
	if o.Policy == "" {
		return errors.New("measuring a run: no policy: name what was played")
	}
	if len(o.AuditLogs) == 0 || o.Instances == "" || o.Calls == "" {
		return errors.New("measuring a run: a log is missing: give the audit log, instances.jsonl and calls.jsonl")
	}
	if !o.To.After(o.From) {
		return fmt.Errorf("measuring a run: the window ends at %s and begins at %s: give an end after the beginning", o.To.Format(time.RFC3339), o.From.Format(time.RFC3339))
	}
	if o.Step < 0 || o.NodeCPU < 0 || o.PodsPerNode < 0 {
		return errors.New("measuring a run: step, node cpu or pods a node is negative: give numbers above zero")
	}
	return o.Clock.Validate()
}
