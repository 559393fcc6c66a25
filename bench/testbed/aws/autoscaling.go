package aws

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

var autoscalingService service

func init() {
	autoscalingService = service{
		name: "autoscaling",
		actions: map[string]func(*Emulator, *request) (any, *apiError){
			"DescribeAutoScalingGroups":           (*Emulator).describeGroups,
			"DescribeAutoScalingInstances":        (*Emulator).describeGroupInstances,
			"DescribeTags":                        (*Emulator).describeTags,
			"CreateOrUpdateTags":                  (*Emulator).createTags,
			"DeleteTags":                          (*Emulator).deleteTags,
			"DescribeScalingActivities":           (*Emulator).describeActivities,
			"SetDesiredCapacity":                  (*Emulator).setDesiredCapacity,
			"TerminateInstanceInAutoScalingGroup": (*Emulator).terminateInGroup,
			"UpdateAutoScalingGroup":              (*Emulator).updateGroup,
			"LaunchInstances":                     (*Emulator).launchInstances,
			"SetInstanceProtection":               (*Emulator).setProtection,
			"SuspendProcesses":                    (*Emulator).suspendProcesses,
			"ResumeProcesses":                     (*Emulator).resumeProcesses,
			"PutLifecycleHook":                    (*Emulator).putHook,
			"DeleteLifecycleHook":                 (*Emulator).deleteHook,
			"DescribeLifecycleHooks":              (*Emulator).describeHooks,
			"CompleteLifecycleAction":             (*Emulator).completeAction,
			"RecordLifecycleActionHeartbeat":      (*Emulator).recordHeartbeat,
			"PutWarmPool":                         (*Emulator).putWarmPool,
			"DescribeWarmPool":                    (*Emulator).describeWarmPool,
			"DeleteWarmPool":                      (*Emulator).deleteWarmPool,
			"DescribeAccountLimits":               (*Emulator).describeAccountLimits,
			"DescribePolicies":                    (*Emulator).describePolicies,
			"DescribeScheduledActions":            (*Emulator).describeScheduledActions,
			"DescribeInstanceRefreshes":           (*Emulator).describeRefreshes,
		},
		throttle: apiError{Status: http.StatusBadRequest, Code: "Throttling", Message: "Rate exceeded"},
		denied:   apiError{Status: http.StatusForbidden, Code: "AccessDenied"},
		write:    queryWriter("http://autoscaling.amazonaws.com/doc/2011-01-01/"),
		fail:     queryFailer("http://autoscaling.amazonaws.com/doc/2011-01-01/"),
	}
}

// find returns a group, or the refusal of a name that is not known. The lock is held.
func (e *Emulator) find(name string) (*group, *apiError) {
	if name == "" {
		return nil, invalid("1 validation error detected: Value null at 'autoScalingGroupName' failed to satisfy constraint: Member must not be null")
	}
	g := e.state.groups[name]
	if g == nil {
		return nil, invalid("AutoScalingGroup name not found - AutoScalingGroup '%s' not found", name)
	}
	return g, nil
}

func (e *Emulator) describeGroups(r *request) (any, *apiError) {
	names := r.list("AutoScalingGroupNames.member.")
	filters := r.filters("Filters.member.", ".Values.member.")
	size, bad := r.number("MaxRecords", 50, 1, 100)
	if bad != nil {
		return nil, bad
	}
	if len(names) > max(size, 50) {
		return nil, invalid("1 validation error detected: Value at 'autoScalingGroupNames' failed to satisfy constraint: Member must have length less than or equal to %d", max(size, 50))
	}
	for _, f := range filters {
		if f.Name != "tag-key" && f.Name != "tag-value" && !strings.HasPrefix(f.Name, "tag:") {
			return nil, invalid("Filter type %s is not correct. Allowed Filter types are: [tag-key, tag-value, tag:<key>]", f.Name)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var found []*group
	for _, g := range e.state.groups {
		if (len(names) == 0 || slices.Contains(names, g.Name)) && meets(e.fleet.allTags(g.Group), filters) {
			found = append(found, g)
		}
	}
	slices.SortFunc(found, func(a, b *group) int { return strings.Compare(a.Name, b.Name) })
	found, next, bad := page(found, func(g *group) string { return g.Name }, "DescribeAutoScalingGroups", r.form.Get("NextToken"), size)
	if bad != nil {
		return nil, bad
	}
	out := groupsXML{NextToken: next}
	for _, g := range found {
		out.Groups = append(out.Groups, e.groupXML(g, r.form.Get("IncludeInstances") != "false"))
	}
	return out, nil
}

func meets(tags map[string]string, filters []filter) bool {
	for _, f := range filters {
		ok := false
		for k, v := range tags {
			switch {
			case f.Name == "tag-key":
				ok = ok || slices.Contains(f.Values, k)
			case f.Name == "tag-value":
				ok = ok || slices.Contains(f.Values, v)
			case f.Name == "tag:"+k:
				ok = ok || slices.Contains(f.Values, v)
			}
		}
		if !ok {
			return false
		}
	}
	return true
}

func (e *Emulator) describeGroupInstances(r *request) (any, *apiError) {
	ids := r.list("InstanceIds.member.")
	size, bad := r.number("MaxRecords", 50, 1, 50)
	if bad != nil {
		return nil, bad
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var found []*instance
	for _, id := range e.state.order {
		if i := e.state.instances[id]; i.State != stateTerminated && (len(ids) == 0 || slices.Contains(ids, id)) {
			found = append(found, i)
		}
	}
	slices.SortFunc(found, func(a, b *instance) int { return strings.Compare(a.ID, b.ID) })
	found, next, bad := page(found, func(i *instance) string { return i.ID }, "DescribeAutoScalingInstances", r.form.Get("NextToken"), size)
	if bad != nil {
		return nil, bad
	}
	out := groupInstancesXML{NextToken: next}
	for _, i := range found {
		out.Instances = append(out.Instances, e.memberXML(i, true))
	}
	return out, nil
}

func (e *Emulator) describeTags(r *request) (any, *apiError) {
	size, bad := r.number("MaxRecords", 50, 1, 100)
	if bad != nil {
		return nil, bad
	}
	filters := r.filters("Filters.member.", ".Values.member.")
	var found []tagXML
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, g := range e.state.groups {
		for _, t := range e.tagsXML(g.Group) {
			if tagMeets(t, filters) {
				found = append(found, t)
			}
		}
	}
	key := func(t tagXML) string { return t.ResourceID + "\x00" + t.Key }
	slices.SortFunc(found, func(a, b tagXML) int { return strings.Compare(key(a), key(b)) })
	found, next, bad := page(found, key, "DescribeTags", r.form.Get("NextToken"), size)
	return tagsXML{Tags: found, NextToken: next}, bad
}

func tagMeets(t tagXML, filters []filter) bool {
	for _, f := range filters {
		v := map[string]string{"auto-scaling-group": t.ResourceID, "key": t.Key, "value": t.Value, "propagate-at-launch": "true"}[f.Name]
		if !slices.Contains(f.Values, v) {
			return false
		}
	}
	return true
}

func (e *Emulator) describeActivities(r *request) (any, *apiError) {
	size, bad := r.number("MaxRecords", 100, 1, 100)
	if bad != nil {
		return nil, bad
	}
	name, ids := r.form.Get("AutoScalingGroupName"), r.list("ActivityIds.member.")
	e.mu.Lock()
	defer e.mu.Unlock()
	if name != "" {
		if _, bad := e.find(name); bad != nil {
			return nil, bad
		}
	}
	type numbered struct {
		*activity
		key string
	}
	var found []numbered
	for n := len(e.state.activities) - 1; n >= 0; n-- {
		a := e.state.activities[n]
		if (name == "" || a.Group == name) && (len(ids) == 0 || slices.Contains(ids, a.ID)) {
			// newest first: the key counts down
			found = append(found, numbered{a, sortable(1<<40 - n)})
		}
	}
	found, next, bad := page(found, func(a numbered) string { return a.key }, "DescribeScalingActivities", r.form.Get("NextToken"), size)
	if bad != nil {
		return nil, bad
	}
	out := activitiesXML{NextToken: next}
	for _, a := range found {
		out.Activities = append(out.Activities, e.activityOf(a.activity))
	}
	return out, nil
}

// cooldown of every group.
const cooldown = 5 * time.Minute

func (e *Emulator) setDesiredCapacity(r *request) (any, *apiError) {
	n, bad := r.number("DesiredCapacity", -1, 0, 1<<30)
	if bad != nil {
		return nil, bad
	}
	r.call.Group, r.call.Count = r.form.Get("AutoScalingGroupName"), n
	if n < 0 {
		return nil, invalid("1 validation error detected: Value null at 'desiredCapacity' failed to satisfy constraint: Member must not be null")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	g, bad := e.find(r.call.Group)
	if bad != nil {
		return nil, bad
	}
	if n > g.Max {
		return nil, invalid("New SetDesiredCapacity value %d is above max value %d for the AutoScalingGroup.", n, g.Max)
	}
	if n < g.Min {
		return nil, invalid("New SetDesiredCapacity value %d is below min value %d for the AutoScalingGroup.", n, g.Min)
	}
	if r.form.Get("HonorCooldown") == "true" && r.now.Before(g.cooldownUntil) {
		return nil, refuse(http.StatusBadRequest, "ScalingActivityInProgress", "Scaling activity is in progress and blocks this action: the group cools down.")
	}
	g.cooldownUntil = r.now.Add(e.fleet.shorten(cooldown))
	g.repairAt, g.repairCause = r.now, "set-desired-capacity"
	c := e.change(r.now)
	c.do(record{Op: opDesired, Group: g.Name, Number: n})
	c.commit()
	return nil, nil
}

func (e *Emulator) terminateInGroup(r *request) (any, *apiError) {
	id, decrement := r.form.Get("InstanceId"), r.form.Get("ShouldDecrementDesiredCapacity")
	r.call.Count, r.call.Instances = 1, []string{id}
	if decrement != "true" && decrement != "false" {
		return nil, invalid("1 validation error detected: Value null at 'shouldDecrementDesiredCapacity' failed to satisfy constraint: Member must not be null")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	i := e.state.instances[id]
	if i == nil || i.State == stateTerminated {
		return nil, invalid("Instance Id not found - No managed instance found for instance ID: %s", id)
	}
	r.call.Group = i.Group
	g, bad := e.find(i.Group)
	if bad != nil {
		return nil, bad
	}
	c := e.change(r.now)
	unmissed := e.unmissed(g, i)
	if (i.alive() || unmissed) && decrement == "true" {
		if g.desired <= g.Min {
			return nil, invalid("Currently, desiredSize equals minSize (%d). Terminating instance without replacement will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.", g.Min)
		}
		c.do(record{Op: opDesired, Group: g.Name, Number: g.desired - 1})
	}
	switch {
	case i.alive():
		e.terminate(c, i, "terminate-call")
	case unmissed:
		c.do(record{Op: opTerminating, ID: i.ID, Cause: "terminate-call", Until: i.GoneAt})
	}
	c.commit()
	for n := len(e.state.activities) - 1; n >= 0; n-- {
		if a := e.state.activities[n]; a.ID == "terminate-"+id {
			x := e.activityOf(a)
			return activityResultXML{Activity: &x}, nil
		}
	}
	return activityResultXML{}, nil
}

// unmissed is whether EC2 ended an instance that its group still counts, since it has not looked since.
func (e *Emulator) unmissed(g *group, i *instance) bool {
	return i.State == stateShuttingDown && (i.Ended == "interruption" || i.Ended == "ec2-terminate") && g.desired > g.units(e.state.alive(g.Name))
}

func (e *Emulator) setProtection(r *request) (any, *apiError) {
	ids, yes := r.list("InstanceIds.member."), r.form.Get("ProtectedFromScaleIn")
	r.call.Group, r.call.Count, r.call.Instances = r.form.Get("AutoScalingGroupName"), len(ids), append([]string{}, ids...)
	if len(ids) == 0 || len(ids) > 50 {
		return nil, invalid("1 validation error detected: Value at 'instanceIds' failed to satisfy constraint: Member must have length between 1 and 50")
	}
	if yes != "true" && yes != "false" {
		return nil, invalid("1 validation error detected: Value null at 'protectedFromScaleIn' failed to satisfy constraint: Member must not be null")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	g, bad := e.find(r.call.Group)
	if bad != nil {
		return nil, bad
	}
	c := e.change(r.now)
	for _, id := range ids {
		i := e.state.instances[id]
		if i == nil || i.Group != g.Name || i.State == stateTerminated {
			return nil, invalid("The instance %s is not part of Auto Scaling group %s.", id, g.Name)
		}
		if i.State != stateRunning {
			return nil, invalid("The instance %s is not in InService or EnteringStandby or Standby.", id)
		}
	}
	for _, id := range ids {
		c.do(record{Op: opProtect, ID: id, Yes: yes == "true"})
	}
	c.commit()
	return struct{}{}, nil
}

// processes that the real service has.
var processes = []string{"AddToLoadBalancer", "AlarmNotification", "AZRebalance", "HealthCheck", "InstanceRefresh", "Launch", "ReplaceUnhealthy", "ScheduledActions", "Terminate"}

func (e *Emulator) suspendProcesses(r *request) (any, *apiError) {
	return e.setProcesses(r, func(now, named []string) []string { return append(slices.Clone(now), named...) })
}

func (e *Emulator) resumeProcesses(r *request) (any, *apiError) {
	return e.setProcesses(r, func(now, named []string) []string {
		return slices.DeleteFunc(slices.Clone(now), func(p string) bool { return slices.Contains(named, p) })
	})
}

func (e *Emulator) setProcesses(r *request, merge func(now, named []string) []string) (any, *apiError) {
	named := r.list("ScalingProcesses.member.")
	r.call.Group = r.form.Get("AutoScalingGroupName")
	if len(named) == 0 {
		named = processes
	}
	for _, p := range named {
		if !slices.Contains(processes, p) {
			return nil, invalid("'%s' is not a valid scaling process.", p)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	g, bad := e.find(r.call.Group)
	if bad != nil {
		return nil, bad
	}
	merged := merge(g.suspended, named)
	slices.Sort(merged)
	c := e.change(r.now)
	c.do(record{Op: opSuspend, Group: g.Name, Processes: slices.Compact(merged)})
	c.commit()
	return nil, nil
}
