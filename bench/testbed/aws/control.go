package aws

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Order is the body of a POST to /_control/capacity, throttle, deny, slow, timeout, interrupt, rebalance, maintenance, template and reset.
type Order struct {
	Fault
	// For is how long the fault lasts, in the services' time; absent and without until, it lasts until a reset.
	For string `json:"for,omitempty"`
	// Count or Instances say whom an interruption or a rebalance recommendation is for.
	Count     int      `json:"count,omitempty"`
	Instances []string `json:"instances,omitempty"`
	// Event of a maintenance order: instance-retirement, the default, instance-stop, instance-reboot, system-reboot or
	// system-maintenance; In is how long until it begins, in the services' time; default 14 days.
	Event string `json:"event,omitempty"`
	In    string `json:"in,omitempty"`
	// Template and Image of a template order: the launch template gets a new version with the image.
	Template string `json:"template,omitempty"`
	Image    string `json:"image,omitempty"`
}

// control answers what is under /_control/.
func (e *Emulator) control(w http.ResponseWriter, r *http.Request) {
	what := strings.TrimPrefix(r.URL.Path, "/_control/")
	if what == "state" && r.Method == http.MethodGet {
		writeJSON(w, http.StatusOK, "application/json", e.Status())
		return
	}
	if r.Method != http.MethodPost {
		writeJSON(w, http.StatusMethodNotAllowed, "application/json", map[string]string{"error": "orders are given by POST; only state is read by GET"})
		return
	}
	var o Order
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&o); err != nil {
		writeJSON(w, http.StatusBadRequest, "application/json", map[string]string{"error": fmt.Sprintf("reading the order: %v; see Order for its fields", err)})
		return
	}
	ids, err := e.Control(what, o)
	if err != nil {
		writeJSON(w, http.StatusBadRequest, "application/json", map[string]string{"error": err.Error()})
		return
	}
	writeJSON(w, http.StatusOK, "application/json", map[string][]string{"instances": ids})
}

// Control carries out an order and returns the instances that it met.
func (e *Emulator) Control(what string, o Order) ([]string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	if o.For != "" {
		d, err := time.ParseDuration(o.For)
		if err != nil {
			return nil, fmt.Errorf("reading the order's for: %w; write a duration such as 10m", err)
		}
		o.Until = now.Add(e.fleet.shorten(d))
	}
	c := e.change(now)
	defer c.commit()
	switch kind := FaultKind(what); kind {
	case FaultCapacity, FaultDeny, FaultThrottle, FaultSlow, FaultTimeout:
		if kind == FaultThrottle && (o.Share <= 0 || o.Share > 1) {
			return nil, fmt.Errorf("throttling a share of %g: give share above 0 and up to 1", o.Share)
		}
		if kind == FaultSlow && o.Factor <= 0 {
			return nil, fmt.Errorf("slowing boots by a factor of %g: give factor above 0", o.Factor)
		}
		o.Kind = kind
		c.do(record{Op: opFault, Fault: &o.Fault})
		return []string{}, nil
	}
	switch what {
	case "interrupt", "rebalance":
		chosen, err := e.choose(o)
		if err != nil {
			return nil, err
		}
		ids := []string{}
		for _, i := range chosen {
			ids = append(ids, i.ID)
			if what == "interrupt" {
				e.interrupt(c, i)
			} else {
				e.announce(c, i, "EC2 Instance Rebalance Recommendation", map[string]string{"instance-id": i.ID})
			}
		}
		return ids, nil
	case "maintenance":
		return e.maintenance(c, o)
	case "template":
		t := e.state.templates[o.Template]
		if t == nil || o.Image == "" {
			return nil, fmt.Errorf("changing the launch template %q: give template, the name of one that a group uses, and image", o.Template)
		}
		next := t.with(t.resolve("$Latest"), o.Image, now)
		c.do(record{Op: opTemplate, Template: &next})
		return []string{}, nil
	case "reset":
		c.do(record{Op: opReset})
		return []string{}, nil
	}
	return nil, fmt.Errorf("the order %q is not known: give capacity, throttle, deny, slow, timeout, interrupt, rebalance, maintenance, template or reset", what)
}

// maintenance schedules an event for the named instances. The lock is held.
func (e *Emulator) maintenance(c *change, o Order) ([]string, error) {
	if o.Event == "" {
		o.Event = "instance-retirement"
	}
	if healthCodes[o.Event] == "" {
		return nil, fmt.Errorf("scheduling the event %q: give instance-retirement, instance-stop, instance-reboot, system-reboot or system-maintenance", o.Event)
	}
	in := 14 * 24 * time.Hour
	if o.In != "" {
		d, err := time.ParseDuration(o.In)
		if err != nil {
			return nil, fmt.Errorf("reading the order's in: %w; write a duration such as 48h", err)
		}
		in = d
	}
	for _, id := range o.Instances {
		if i := e.state.instances[id]; i == nil || !i.running() {
			return nil, fmt.Errorf("scheduling maintenance of %s: it does not run; GET /_control/state lists what does", id)
		}
	}
	for _, id := range o.Instances {
		e.schedule(c, e.state.instances[id], o.Event, c.t.At.Add(e.fleet.shorten(in)))
	}
	return append([]string{}, o.Instances...), nil
}

// choose the spot instances that an order is for: the named ones, or the oldest whose Nodes have joined and that are not
// yet interrupted.
func (e *Emulator) choose(o Order) ([]*instance, error) {
	var out []*instance
	if len(o.Instances) > 0 {
		for _, id := range o.Instances {
			i := e.state.instances[id]
			if i == nil || !i.alive() || i.Market != "spot" {
				return nil, fmt.Errorf("interrupting %s: it is no living spot instance; GET /_control/state lists them", id)
			}
			out = append(out, i)
		}
		return out, nil
	}
	if o.Count < 1 {
		return nil, errors.New("interrupting instances: give count or instances")
	}
	for _, id := range e.state.order {
		i := e.state.instances[id]
		if len(out) < o.Count && i.alive() && i.Joined && i.Market == "spot" && i.LostAt.IsZero() && matches(o.Zone, i.Zone) && matches(o.Type, i.Type) {
			out = append(out, i)
		}
	}
	if len(out) < o.Count {
		return nil, fmt.Errorf("interrupting %d instances: only %d running spot instances with a Node match; give a smaller count", o.Count, len(out))
	}
	return out, nil
}

// Status is the answer of GET /_control/state.
type Status struct {
	Groups    []GroupStatus    `json:"groups"`
	Instances []InstanceStatus `json:"instances"`
	Faults    []Fault          `json:"faults"`
	Messages  int              `json:"messages"`
}

// GroupStatus is one group as it is now.
type GroupStatus struct {
	Name    string `json:"name"`
	Desired int    `json:"desired"`
	Alive   int    `json:"alive"`
}

// InstanceStatus is one instance that is not terminated.
type InstanceStatus struct {
	ID     string `json:"id"`
	Group  string `json:"group"`
	Zone   string `json:"zone"`
	Market string `json:"market"`
	State  string `json:"state"` // EC2's
	// Joined is whether its Node was posted.
	Joined     bool      `json:"joined"`
	Node       string    `json:"node"`
	LaunchedAt time.Time `json:"launched_at"`
	LostAt     time.Time `json:"lost_at,omitzero"`
}

// Status returns the state as it is now.
func (e *Emulator) Status() Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := Status{Groups: []GroupStatus{}, Instances: []InstanceStatus{}, Faults: []Fault{}, Messages: len(e.state.messages)}
	for _, g := range e.state.groups {
		out.Groups = append(out.Groups, GroupStatus{Name: g.Name, Desired: g.desired, Alive: len(e.state.alive(g.Name))})
	}
	slices.SortFunc(out.Groups, func(a, b GroupStatus) int { return strings.Compare(a.Name, b.Name) })
	for _, id := range e.state.order {
		if i := e.state.instances[id]; i.State != stateTerminated {
			out.Instances = append(out.Instances, InstanceStatus{ID: i.ID, Group: i.Group, Zone: i.Zone, Market: i.Market, State: i.State, Joined: i.Joined,
				Node: e.dnsName(i), LaunchedAt: i.LaunchedAt, LostAt: i.LostAt})
		}
	}
	for _, f := range e.state.faults {
		if f.in(e.now()) {
			out.Faults = append(out.Faults, *f)
		}
	}
	return out
}
