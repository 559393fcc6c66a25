package aws

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"
)

// What an instance goes through, in EC2's words.
const (
	statePending      = "pending"
	stateRunning      = "running"
	stateShuttingDown = "shutting-down"
	stateTerminated   = "terminated"
	stateStopped      = "stopped"
)

// instance is one EC2 instance.
type instance struct {
	ID     string  `json:"id"`
	Group  string  `json:"group"`
	Zone   string  `json:"zone"`
	Market string  `json:"market"`
	Type   string  `json:"type"`
	Image  string  `json:"image"`
	Subnet string  `json:"subnet"`
	IP     string  `json:"ip"`
	Price  float64 `json:"price"`
	Token  string  `json:"token,omitempty"`
	Cause  string  `json:"cause"`
	State  string  `json:"state"`
	// Joined is whether its Node was posted; the services know nothing of it.
	Joined    bool `json:"joined,omitempty"`
	Protected bool `json:"protected,omitempty"`

	LaunchedAt time.Time `json:"launched_at"`
	BootsAt    time.Time `json:"boots_at"`
	// LostAt is when a spot interruption takes it, GoneAt when shutting down ends; zero while neither is under way.
	LostAt time.Time `json:"lost_at,omitzero"`
	GoneAt time.Time `json:"gone_at,omitzero"`
	// Ended is why it was terminated.
	Ended string `json:"ended,omitempty"`
	// Version of the launch template that it came from.
	Version int `json:"version,omitempty"`
	// Warm is in its group's warm pool; Ready is prepared there.
	Warm  bool `json:"warm,omitempty"`
	Ready bool `json:"ready,omitempty"`
	// Waits are the lifecycle actions that it waits for; Leaving says that they are those of its termination.
	Waits   []wait `json:"waits,omitempty"`
	Leaving bool   `json:"leaving,omitempty"`
	// Scheduled are the maintenance events that EC2 has planned for it.
	Scheduled []scheduled `json:"scheduled,omitempty"`
}

// running is whether it runs or soon will, whatever its group thinks of it.
func (i *instance) running() bool { return i.State == statePending || i.State == stateRunning }

// alive is whether it counts towards its group's capacity.
func (i *instance) alive() bool { return i.running() && !i.Leaving && !i.Warm }

// group is the changing part of an Auto Scaling group.
type group struct {
	Group
	desired   int
	suspended []string
	// repairAt is when the group acts on being above or below its desired capacity; zero while it is not.
	repairAt    time.Time
	repairCause string
	created     time.Time
	hooks       []Hook
	warm        *WarmPool // nil without one
	warmLeaving bool
	warmRetry   time.Time
	// balanceAt is when zones may next be balanced.
	balanceAt time.Time
	// cooldownUntil is when a call that honours the group's cooldown is taken again. It is not kept over a restart.
	cooldownUntil time.Time
}

// activity is one scaling activity.
type activity struct {
	ID       string    `json:"id"`
	Group    string    `json:"group"`
	Instance string    `json:"instance,omitempty"`
	What     string    `json:"what"`
	Cause    string    `json:"cause"`
	Status   string    `json:"status"`
	Message  string    `json:"message,omitempty"`
	Subnet   string    `json:"subnet,omitempty"`
	Start    time.Time `json:"start"`
	End      time.Time `json:"end,omitzero"`
}

// launchError is what kept instances from being launched, as LaunchInstances tells it.
type launchError struct {
	Type    string `json:"type"`
	Subnet  string `json:"subnet"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// launchReply is what a client token stands for.
type launchReply struct {
	Request   string        `json:"request"` // the parameters, to compare a second call's with
	Instances []string      `json:"instances,omitempty"`
	Errors    []launchError `json:"errors,omitempty"`
}

// message waits in the queue. Whether it was received is not kept: after a restart it is delivered again.
type message struct {
	ID   string    `json:"id"`
	Body string    `json:"body"`
	Sent time.Time `json:"sent"`

	received     int
	first        time.Time
	visibleAfter time.Time
	receipt      string
}

// record is one change of the state; which fields it has depends on Op.
type record struct {
	Op        string            `json:"op"`
	Instance  *instance         `json:"instance,omitempty"`
	ID        string            `json:"id,omitempty"`
	Group     string            `json:"group,omitempty"`
	Number    int               `json:"number,omitempty"`
	Yes       bool              `json:"yes,omitempty"`
	Until     time.Time         `json:"until,omitzero"`
	Cause     string            `json:"cause,omitempty"`
	Processes []string          `json:"processes,omitempty"`
	Tags      map[string]string `json:"tags,omitempty"`
	Token     string            `json:"token,omitempty"`
	Reply     *launchReply      `json:"reply,omitempty"`
	Fault     *Fault            `json:"fault,omitempty"`
	Activity  *activity         `json:"activity,omitempty"`
	Message   *message          `json:"message,omitempty"`
	Waits     []wait            `json:"waits,omitempty"`
	Hook      *Hook             `json:"hook,omitempty"`
	WarmPool  *WarmPool         `json:"warm_pool,omitempty"`
	Template  *template         `json:"template,omitempty"`
	Scheduled *scheduled        `json:"scheduled,omitempty"`
	Bounds    *bounds           `json:"bounds,omitempty"`
}

const (
	opLaunch      = "launch"
	opInService   = "in-service" // the services count it as running; no event
	opRunning     = "running"    // its Node joins
	opInterrupted = "interrupted"
	opTerminating = "terminating"
	opTerminated  = "terminated"
	opDesired     = "desired"
	opBounds      = "bounds"
	opProtect     = "protect"
	opSuspend     = "suspend"
	opTags        = "tags"
	opToken       = "token"
	opFault       = "fault"
	opReset       = "reset"
	opActivity    = "activity"
	opSend        = "send"
	opDelete      = "delete"
	opWait        = "wait"
	opHook        = "hook"
	opWarmPool    = "warm-pool"
	opWarmed      = "warmed"
	opUnwarm      = "unwarm"
	opTemplate    = "template"
	opScheduled   = "scheduled"
)

// transaction is one line of the state log: changes that happened together.
type transaction struct {
	At      time.Time `json:"at"`
	Records []record  `json:"records"`
}

// Event is one line of instances.jsonl.
type Event struct {
	At time.Time `json:"at"`
	// Event is launch, running, interrupted, terminating or terminated. Running is that the Node joins, some time after the
	// services count the instance as running.
	Event        string  `json:"event"`
	Instance     string  `json:"instance"`
	Group        string  `json:"group"`
	Zone         string  `json:"zone"`
	Market       string  `json:"market"`
	Type         string  `json:"type"`
	PricePerHour float64 `json:"price_per_hour"`
	Token        string  `json:"token"`
	Cause        string  `json:"cause"`
}

// state is everything that outlives the process.
type state struct {
	fleet      Fleet
	groups     map[string]*group
	instances  map[string]*instance
	order      []string // instance ids in the order of their launch
	perZone    map[string]int
	activities []*activity
	tokens     map[string]launchReply
	faults     []*Fault
	messages   []*message
	sent       int
	templates  map[string]*template // by name
	events     int                  // lines of instances.jsonl
}

func newState(f Fleet) *state {
	s := &state{fleet: f, groups: map[string]*group{}, instances: map[string]*instance{}, perZone: map[string]int{}, tokens: map[string]launchReply{}, templates: map[string]*template{}}
	for _, g := range f.Groups {
		s.groups[g.Name] = &group{Group: g, desired: g.Desired, repairCause: "initial", hooks: slices.Clone(g.Hooks), warm: g.WarmPool}
		if s.templates[g.LaunchTemplate] == nil {
			s.templates[g.LaunchTemplate] = firstTemplate(g)
		}
	}
	return s
}

// apply makes one change and returns the event it is told by, if any.
func (s *state) apply(at time.Time, r record) []Event {
	switch r.Op {
	case opDesired:
		if g := s.groups[r.Group]; g != nil {
			g.desired = r.Number
		}
	case opBounds:
		if g := s.groups[r.Group]; g != nil {
			g.Min, g.Max = r.Bounds.Min, r.Bounds.Max
		}
	case opInService:
		if i := s.instances[r.ID]; i != nil {
			i.State = stateRunning
			s.endActivity("launch-"+i.ID, at)
		}
	case opProtect:
		s.instances[r.ID].Protected = r.Yes
	case opSuspend:
		if g := s.groups[r.Group]; g != nil {
			g.suspended = r.Processes
		}
	case opTags:
		if g := s.groups[r.Group]; g != nil {
			g.Tags = r.Tags
		}
	case opToken:
		s.tokens[r.Token] = *r.Reply
	case opFault:
		f := *r.Fault
		s.faults = append(s.faults, &f)
	case opReset:
		s.faults = nil
	case opActivity:
		s.activities = append(s.activities, r.Activity)
	case opSend:
		m := *r.Message
		s.messages, s.sent = append(s.messages, &m), s.sent+1
	case opDelete:
		s.messages = slices.DeleteFunc(s.messages, func(m *message) bool { return m.ID == r.ID })
	case opHook, opWarmPool, opTemplate:
		s.applySetting(r)
	case opWait, opWarmed, opUnwarm, opScheduled:
		if i := s.instances[r.ID]; i != nil {
			s.applyStage(at, i, r)
		}
	default:
		return s.applyInstance(at, r)
	}
	return nil
}

// applyInstance makes the changes that instances.jsonl tells.
func (s *state) applyInstance(at time.Time, r record) []Event {
	cause := r.Cause
	var i *instance
	if r.Op == opLaunch {
		c := *r.Instance
		i, cause = &c, c.Cause
		s.instances[i.ID], s.order = i, append(s.order, i.ID)
		s.perZone[i.Zone]++
		s.useCapacity(i)
		s.activities = append(s.activities, &activity{ID: "launch-" + i.ID, Group: i.Group, Instance: i.ID, What: "Launching a new EC2 instance: " + i.ID,
			Cause: i.Cause, Status: "InProgress", Start: at})
	} else if i = s.instances[r.ID]; i == nil {
		return nil
	}
	switch r.Op {
	case opRunning:
		i.State, i.Joined = stateRunning, true // a log may have no opInService before it
		s.endActivity("launch-"+i.ID, at)
	case opInterrupted:
		i.LostAt = r.Until
	case opTerminating:
		i.State, i.GoneAt, i.Ended = stateShuttingDown, r.Until, r.Cause
		s.endActivity("launch-"+i.ID, at)
		i.Waits = nil
		s.beginTermination(i, at)
	case opTerminated:
		i.State, cause = stateTerminated, i.Ended
		s.endActivity("terminate-"+i.ID, at)
	}
	s.events++
	return []Event{{At: at, Event: r.Op, Instance: i.ID, Group: i.Group, Zone: i.Zone, Market: i.Market, Type: i.Type, PricePerHour: i.Price, Token: i.Token, Cause: cause}}
}

// beginTermination starts the scaling activity of an instance's end, unless it is under way.
func (s *state) beginTermination(i *instance, at time.Time) {
	if i.Leaving {
		return
	}
	i.Leaving = true
	s.activities = append(s.activities, &activity{ID: "terminate-" + i.ID, Group: i.Group, Instance: i.ID, What: "Terminating EC2 instance: " + i.ID,
		Cause: i.Ended, Status: "InProgress", Start: at})
}

// applySetting makes the changes of a group's settings.
func (s *state) applySetting(r record) {
	if r.Op == opTemplate {
		t := *r.Template
		s.templates[t.Name] = &t
		return
	}
	g := s.groups[r.Group]
	if g == nil {
		return
	}
	if r.Op == opWarmPool {
		g.warm, g.warmLeaving = r.WarmPool, r.Yes
		return
	}
	g.hooks = slices.DeleteFunc(slices.Clone(g.hooks), func(h Hook) bool { return h.Name == r.Hook.Name })
	if !r.Yes {
		g.hooks = append(g.hooks, *r.Hook)
		slices.SortFunc(g.hooks, func(a, b Hook) int { return cmp.Compare(a.Name, b.Name) })
	}
}

// applyStage moves an instance between waiting, the warm pool and service.
func (s *state) applyStage(at time.Time, i *instance, r record) {
	switch r.Op {
	case opWait:
		i.Waits = r.Waits
		if r.Yes && !i.Leaving {
			i.Ended = r.Cause
			s.endActivity("launch-"+i.ID, at)
			s.beginTermination(i, at)
		}
	case opWarmed:
		i.Ready, i.State = true, stateStopped
		if r.Cause == "Running" {
			i.State = stateRunning
		}
		s.endActivity("launch-"+i.ID, at)
	case opUnwarm:
		i.Warm, i.Ready, i.State, i.Cause, i.LaunchedAt, i.BootsAt = false, false, statePending, r.Cause, at, r.Until
		s.activities = append(s.activities, &activity{ID: "launch-" + i.ID, Group: i.Group, Instance: i.ID, What: "Launching a new EC2 instance from warm pool: " + i.ID,
			Cause: r.Cause, Status: "InProgress", Start: at})
	case opScheduled:
		i.Scheduled = slices.DeleteFunc(slices.Clone(i.Scheduled), func(e scheduled) bool { return e.ID == r.Scheduled.ID })
		i.Scheduled = append(i.Scheduled, *r.Scheduled)
	}
}

func (s *state) endActivity(id string, at time.Time) {
	for i := len(s.activities) - 1; i >= 0; i-- {
		if a := s.activities[i]; a.ID == id && a.Status == "InProgress" {
			a.Status, a.End = "Successful", at
			return
		}
	}
}

// alive instances of a group, oldest first.
func (s *state) alive(group string) []*instance {
	var out []*instance
	for _, id := range s.order {
		if i := s.instances[id]; i.Group == group && i.alive() {
			out = append(out, i)
		}
	}
	return out
}

// leaving instances of a group: those that wait for the lifecycle actions of their termination.
func (s *state) leaving(group string) []*instance {
	var out []*instance
	for _, id := range s.order {
		if i := s.instances[id]; i.Group == group && i.running() && i.Leaving {
			out = append(out, i)
		}
	}
	return out
}

// freeAddresses of a subnet.
func (s *state) freeAddresses(subnet string) int {
	n := s.fleet.Subnets[subnet].Addresses
	for _, i := range s.instances {
		if i.Subnet == subnet && i.State != stateTerminated {
			n--
		}
	}
	return n
}

func (s *state) replay(line []byte) ([]Event, error) {
	var t transaction
	if err := json.Unmarshal(line, &t); err != nil {
		return nil, err
	}
	var events []Event
	for _, r := range t.Records {
		events = append(events, s.apply(t.At, r)...)
	}
	return events, nil
}
