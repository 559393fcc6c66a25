package aws

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Hook is a lifecycle hook of a group.
type Hook struct {
	Name string `yaml:"name" json:"name"`
	// Transition is terminating or launching.
	Transition string `yaml:"transition" json:"transition"`
	// Heartbeat is how long an instance waits before Result is done; default 1h, from 30s to 2h.
	Heartbeat time.Duration `yaml:"heartbeat,omitempty" json:"heartbeat"`
	// Result is CONTINUE or ABANDON, the default.
	Result   string `yaml:"result,omitempty" json:"result"`
	Metadata string `yaml:"metadata,omitempty" json:"metadata,omitempty"`
}

const (
	hookLaunching   = "launching"
	hookTerminating = "terminating"
)

// globalTimeout is the longest that an instance may wait, whatever its heartbeats: 48 hours or 100 heartbeats.
func (h Hook) globalTimeout() time.Duration { return min(48*time.Hour, 100*h.Heartbeat) }

func (h *Hook) fill() {
	if h.Heartbeat == 0 {
		h.Heartbeat = time.Hour
	}
	if h.Result == "" {
		h.Result = "ABANDON"
	}
}

func (h Hook) validate() error {
	switch {
	case h.Name == "":
		return fmt.Errorf("hooks has one without a name: name it")
	case h.Transition != hookLaunching && h.Transition != hookTerminating:
		return fmt.Errorf("hooks.%s.transition is %q: give launching or terminating", h.Name, h.Transition)
	case h.Heartbeat < 30*time.Second || h.Heartbeat > 2*time.Hour:
		return fmt.Errorf("hooks.%s.heartbeat is %s: give 30s to 2h", h.Name, h.Heartbeat)
	case h.Result != "CONTINUE" && h.Result != "ABANDON":
		return fmt.Errorf("hooks.%s.result is %q: give CONTINUE or ABANDON", h.Name, h.Result)
	}
	return nil
}

// wait is a lifecycle action that an instance waits for.
type wait struct {
	Hook  string    `json:"hook"`
	Token string    `json:"token"`
	Until time.Time `json:"until"` // of the heartbeat
	Limit time.Time `json:"limit"` // of all heartbeats
}

// await makes an instance wait for the group's hooks of a transition; false is that there are none. The lock is held.
func (e *Emulator) await(c *change, i *instance, transition, cause string) bool {
	g := e.state.groups[i.Group]
	if g == nil {
		return false
	}
	var waits []wait
	for _, h := range g.hooks {
		if h.Transition != transition {
			continue
		}
		w := wait{Hook: h.Name, Token: e.uuid("action "+i.ID+h.Name, e.state.sent), Until: c.t.At.Add(e.fleet.shorten(h.Heartbeat)), Limit: c.t.At.Add(e.fleet.shorten(h.globalTimeout()))}
		waits = append(waits, w)
		e.announceHook(c, i, h, w.Token)
	}
	if len(waits) == 0 {
		return false
	}
	c.do(record{Op: opWait, ID: i.ID, Cause: cause, Waits: waits, Yes: transition == hookTerminating})
	return true
}

// announceHook sends the event that asks for a lifecycle action.
func (e *Emulator) announceHook(c *change, i *instance, h Hook, token string) {
	kind, transition, origin, destination := "EC2 Instance-launch Lifecycle Action", "autoscaling:EC2_INSTANCE_LAUNCHING", "EC2", "AutoScalingGroup"
	if h.Transition == hookTerminating {
		kind, transition, origin, destination = "EC2 Instance-terminate Lifecycle Action", "autoscaling:EC2_INSTANCE_TERMINATING", "AutoScalingGroup", "EC2"
	}
	detail := map[string]string{"LifecycleActionToken": token, "AutoScalingGroupName": i.Group, "LifecycleHookName": h.Name, "EC2InstanceId": i.ID,
		"LifecycleTransition": transition, "Origin": origin, "Destination": destination}
	if h.Metadata != "" {
		detail["NotificationMetadata"] = h.Metadata
	}
	e.publish(c, kind, "aws.autoscaling", []string{e.groupARN(i.Group)}, detail)
}

// waited ends what an instance waited for. The lock is held.
func (e *Emulator) waited(c *change, i *instance, hook, result string) {
	rest := slices.DeleteFunc(slices.Clone(i.Waits), func(w wait) bool { return w.Hook == hook })
	// abandoning ends the other actions too
	if result == "ABANDON" {
		rest = nil
	}
	c.do(record{Op: opWait, ID: i.ID, Cause: i.Ended, Waits: rest, Yes: i.Leaving})
	switch {
	case len(rest) > 0:
	case i.Leaving:
		e.end(c, i, i.Ended)
	case result == "ABANDON":
		e.terminate(c, i, "abandoned")
	}
}

// expire ends the waits whose time is over. The lock is held.
func (e *Emulator) expire(c *change, i *instance, due func(time.Time) bool) {
	for _, w := range slices.Clone(i.Waits) {
		at := w.Until
		if w.Limit.Before(at) {
			at = w.Limit
		}
		if !due(at) || !slices.Contains(i.Waits, w) {
			continue
		}
		result := "ABANDON"
		if g := e.state.groups[i.Group]; g != nil {
			if n := slices.IndexFunc(g.hooks, func(h Hook) bool { return h.Name == w.Hook }); n >= 0 {
				result = g.hooks[n].Result
			}
		}
		e.waited(c, i, w.Hook, result)
	}
}

var hookNamePattern = regexp.MustCompile(`^[A-Za-z0-9\-_/]{1,255}$`)

func (e *Emulator) putHook(r *request) (any, *apiError) {
	name, transition, result := r.form.Get("LifecycleHookName"), r.form.Get("LifecycleTransition"), r.form.Get("DefaultResult")
	r.call.Group = r.form.Get("AutoScalingGroupName")
	if !hookNamePattern.MatchString(name) {
		return nil, invalid(`1 validation error detected: Value '%s' at 'lifecycleHookName' failed to satisfy constraint: Member must satisfy regular expression pattern: [A-Za-z0-9\-_\/]+`, name)
	}
	seconds, bad := r.number("HeartbeatTimeout", 0, 0, 1<<30)
	if bad != nil {
		return nil, bad
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	g, bad := e.find(r.call.Group)
	if bad != nil {
		return nil, bad
	}
	h := Hook{Name: name}
	n := slices.IndexFunc(g.hooks, func(h Hook) bool { return h.Name == name })
	if n >= 0 {
		h = g.hooks[n]
	}
	switch transition {
	case "autoscaling:EC2_INSTANCE_LAUNCHING", "autoscaling:EC2_INSTANCE_TERMINATING":
		h.Transition = strings.ToLower(strings.TrimPrefix(transition, "autoscaling:EC2_INSTANCE_"))
	case "":
		if n < 0 {
			return nil, invalid("LifecycleTransition is required when creating a lifecycle hook.")
		}
	default:
		return nil, invalid("Invalid Lifecycle Transition: %s. Valid transitions are: [autoscaling:EC2_INSTANCE_LAUNCHING, autoscaling:EC2_INSTANCE_TERMINATING]", transition)
	}
	if seconds > 0 {
		h.Heartbeat = time.Duration(seconds) * time.Second
	}
	if result != "" {
		h.Result = result
	}
	if m := r.form.Get("NotificationMetadata"); m != "" {
		h.Metadata = m
	}
	h.fill()
	if h.Result != "CONTINUE" && h.Result != "ABANDON" {
		return nil, invalid("Invalid Lifecycle Action Result: %s. Valid values are: [CONTINUE, ABANDON]", h.Result)
	}
	if h.Heartbeat < 30*time.Second || h.Heartbeat > 2*time.Hour {
		return nil, invalid("HeartbeatTimeout must be between 30 and 7200 seconds.")
	}
	if n < 0 && len(g.hooks) >= 50 {
		return nil, refuse(400, "LimitExceeded", "You have already reached a limit for your Amazon EC2 Auto Scaling resources (50 lifecycle hooks).")
	}
	c := e.change(r.now)
	c.do(record{Op: opHook, Group: g.Name, Hook: &h})
	c.commit()
	return struct{}{}, nil
}

func (e *Emulator) deleteHook(r *request) (any, *apiError) {
	name := r.form.Get("LifecycleHookName")
	r.call.Group = r.form.Get("AutoScalingGroupName")
	e.mu.Lock()
	defer e.mu.Unlock()
	g, bad := e.find(r.call.Group)
	if bad != nil {
		return nil, bad
	}
	n := slices.IndexFunc(g.hooks, func(h Hook) bool { return h.Name == name })
	if n < 0 {
		return nil, invalid("No Lifecycle Hook found with name: %s", name)
	}
	h := g.hooks[n]
	c := e.change(r.now)
	c.do(record{Op: opHook, Group: g.Name, Hook: &h, Yes: true})
	// outstanding actions are completed: ABANDON for launches, CONTINUE for terminations
	for _, i := range e.state.alive(g.Name) {
		if slices.ContainsFunc(i.Waits, func(w wait) bool { return w.Hook == name }) {
			e.waited(c, i, name, "ABANDON")
		}
	}
	for _, i := range e.state.leaving(g.Name) {
		if slices.ContainsFunc(i.Waits, func(w wait) bool { return w.Hook == name }) {
			e.waited(c, i, name, "CONTINUE")
		}
	}
	c.commit()
	return struct{}{}, nil
}

type hooksXML struct {
	Hooks []hookXML `xml:"LifecycleHooks>member"`
}

type hookXML struct {
	Group      string `xml:"AutoScalingGroupName"`
	Name       string `xml:"LifecycleHookName"`
	Transition string `xml:"LifecycleTransition"`
	Result     string `xml:"DefaultResult"`
	Heartbeat  int    `xml:"HeartbeatTimeout"`
	Global     int    `xml:"GlobalTimeout"`
	Metadata   string `xml:"NotificationMetadata,omitempty"`
}

func (e *Emulator) describeHooks(r *request) (any, *apiError) {
	names := r.list("LifecycleHookNames.member.")
	if len(names) > 50 {
		return nil, invalid("1 validation error detected: Value at 'lifecycleHookNames' failed to satisfy constraint: Member must have length less than or equal to 50")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	g, bad := e.find(r.form.Get("AutoScalingGroupName"))
	if bad != nil {
		return nil, bad
	}
	out := hooksXML{}
	for _, h := range g.hooks {
		if len(names) == 0 || slices.Contains(names, h.Name) {
			out.Hooks = append(out.Hooks, hookXML{Group: g.Name, Name: h.Name, Transition: "autoscaling:EC2_INSTANCE_" + strings.ToUpper(h.Transition), Result: h.Result,
				Heartbeat: int(h.Heartbeat / time.Second), Global: int(h.globalTimeout() / time.Second), Metadata: h.Metadata})
		}
	}
	return out, nil
}

// action finds the instance and the wait that a call about a lifecycle action means. The lock is held.
func (e *Emulator) action(r *request) (*instance, wait, *apiError) {
	name, id, token := r.form.Get("LifecycleHookName"), r.form.Get("InstanceId"), r.form.Get("LifecycleActionToken")
	r.call.Group, r.call.Token = r.form.Get("AutoScalingGroupName"), token
	g, bad := e.find(r.call.Group)
	if bad != nil {
		return nil, wait{}, bad
	}
	if id == "" && token == "" {
		return nil, wait{}, invalid("Either InstanceId or LifecycleActionToken must be specified.")
	}
	for _, instanceID := range e.state.order {
		i := e.state.instances[instanceID]
		if i.Group != g.Name || id != "" && i.ID != id || !i.running() {
			continue
		}
		for _, w := range i.Waits {
			if w.Hook == name && (token == "" || w.Token == token) {
				r.call.Instances = []string{i.ID}
				return i, w, nil
			}
		}
	}
	if id != "" {
		return nil, wait{}, invalid("No active Lifecycle Action found with instance ID %s", id)
	}
	return nil, wait{}, invalid("No active Lifecycle Action found with token %s", token)
}

func (e *Emulator) completeAction(r *request) (any, *apiError) {
	result := r.form.Get("LifecycleActionResult")
	if result != "CONTINUE" && result != "ABANDON" {
		return nil, invalid("Invalid Lifecycle Action Result: %s. Valid values are: [CONTINUE, ABANDON]", result)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	i, w, bad := e.action(r)
	if bad != nil {
		return nil, bad
	}
	c := e.change(r.now)
	e.waited(c, i, w.Hook, result)
	c.commit()
	return struct{}{}, nil
}

func (e *Emulator) recordHeartbeat(r *request) (any, *apiError) {
	e.mu.Lock()
	defer e.mu.Unlock()
	i, w, bad := e.action(r)
	if bad != nil {
		return nil, bad
	}
	waits := slices.Clone(i.Waits)
	for n := range waits {
		if waits[n].Token == w.Token {
			for _, h := range e.state.groups[i.Group].hooks {
				if h.Name == w.Hook {
					waits[n].Until = r.now.Add(e.fleet.shorten(h.Heartbeat))
				}
			}
		}
	}
	c := e.change(r.now)
	c.do(record{Op: opWait, ID: i.ID, Cause: i.Ended, Waits: waits, Yes: i.Leaving})
	c.commit()
	return struct{}{}, nil
}

// publish sends an event as EventBridge's rules do. The lock is held.
func (e *Emulator) publish(c *change, kind, source string, resources []string, detail any) {
	body, _ := json.Marshal(struct {
		Version    string   `json:"version"`
		ID         string   `json:"id"`
		DetailType string   `json:"detail-type"`
		Source     string   `json:"source"`
		Account    string   `json:"account"`
		Time       string   `json:"time"`
		Region     string   `json:"region"`
		Resources  []string `json:"resources"`
		Detail     any      `json:"detail"`
	}{"0", e.uuid("event", e.state.sent), kind, source, account, c.t.At.UTC().Format(time.RFC3339), e.fleet.Region, resources, detail})
	e.send(c, string(body))
}
