package aws

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// ScheduledAction is a size that a group is given by the clock. It is told, not done.
type ScheduledAction struct {
	Name string `yaml:"name"`
	// Recurrence is a cron expression of five fields; empty is once.
	Recurrence string `yaml:"recurrence,omitempty"`
	TimeZone   string `yaml:"timeZone,omitempty"`
	// Min, Max and Desired that it sets; what is left out it leaves.
	Min     *int `yaml:"min,omitempty"`
	Max     *int `yaml:"max,omitempty"`
	Desired *int `yaml:"desired,omitempty"`
}

func (a ScheduledAction) validate() error {
	switch {
	case a.Name == "":
		return fmt.Errorf("scheduledActions has one without a name: name it")
	case a.Recurrence != "" && len(strings.Fields(a.Recurrence)) != 5:
		return fmt.Errorf("scheduledActions.%s.recurrence is %q: give the five fields of cron, such as 0 18 * * *", a.Name, a.Recurrence)
	case a.Min == nil && a.Max == nil && a.Desired == nil:
		return fmt.Errorf("scheduledActions.%s changes nothing: give min, max or desired", a.Name)
	}
	return nil
}

// refreshStatuses that an instance refresh can have.
var refreshStatuses = []string{"Pending", "InProgress", "Successful", "Failed", "Cancelling", "Cancelled", "RollbackInProgress", "RollbackFailed", "RollbackSuccessful", "Baking"}

// validateSettings checks what a group tells of itself and does not do.
func (g Group) validateSettings() error {
	for _, a := range g.ScheduledActions {
		if err := a.validate(); err != nil {
			return fmt.Errorf("%w (group %s)", err, g.Name)
		}
	}
	for _, status := range g.Refreshes {
		if !slices.Contains(refreshStatuses, status) {
			return fmt.Errorf("refreshes of %s has %q: give one of %s", g.Name, status, strings.Join(refreshStatuses, ", "))
		}
	}
	return nil
}

type scheduledActionXML struct {
	Group      string `xml:"AutoScalingGroupName"`
	Name       string `xml:"ScheduledActionName"`
	ARN        string `xml:"ScheduledActionARN"`
	Start      string `xml:"StartTime"`
	Recurrence string `xml:"Recurrence,omitempty"`
	TimeZone   string `xml:"TimeZone,omitempty"`
	Min        *int   `xml:"MinSize"`
	Max        *int   `xml:"MaxSize"`
	Desired    *int   `xml:"DesiredCapacity"`
}

func (e *Emulator) describeScheduledActions(r *request) (any, *apiError) {
	size, bad := r.number("MaxRecords", 50, 1, 100)
	if bad != nil {
		return nil, bad
	}
	group, names := r.form.Get("AutoScalingGroupName"), r.list("ScheduledActionNames.member.")
	var found []scheduledActionXML
	for _, g := range e.fleet.Groups {
		for _, a := range g.ScheduledActions {
			if !matches(group, g.Name) || len(names) > 0 && !slices.Contains(names, a.Name) {
				continue
			}
			found = append(found, scheduledActionXML{Group: g.Name, Name: a.Name, Recurrence: a.Recurrence, TimeZone: a.TimeZone, Min: a.Min, Max: a.Max, Desired: a.Desired,
				Start: timestamp(e.started.Add(e.fleet.shorten(24 * time.Hour))),
				ARN: fmt.Sprintf("arn:aws:autoscaling:%s:%s:scheduledUpdateGroupAction:00000000-0000-0000-0000-000000000000:autoScalingGroupName/%s:scheduledActionName/%s",
					e.fleet.Region, account, g.Name, a.Name)})
		}
	}
	key := func(a scheduledActionXML) string { return a.Group + "\x00" + a.Name }
	slices.SortFunc(found, func(a, b scheduledActionXML) int { return strings.Compare(key(a), key(b)) })
	found, next, bad := page(found, key, "DescribeScheduledActions", r.form.Get("NextToken"), size)
	return struct {
		Actions   []scheduledActionXML `xml:"ScheduledUpdateGroupActions>member"`
		NextToken string               `xml:"NextToken,omitempty"`
	}{found, next}, bad
}

type refreshXML struct {
	ID       string `xml:"InstanceRefreshId"`
	Group    string `xml:"AutoScalingGroupName"`
	Status   string `xml:"Status"`
	Start    string `xml:"StartTime"`
	Complete int    `xml:"PercentageComplete"`
}

func (e *Emulator) describeRefreshes(r *request) (any, *apiError) {
	size, bad := r.number("MaxRecords", 50, 1, 100)
	if bad != nil {
		return nil, bad
	}
	ids := r.list("InstanceRefreshIds.member.")
	e.mu.Lock()
	defer e.mu.Unlock()
	g, bad := e.find(r.form.Get("AutoScalingGroupName"))
	if bad != nil {
		return nil, bad
	}
	var found []refreshXML
	for n, status := range g.Refreshes {
		x := refreshXML{ID: e.uuid("refresh "+g.Name, n), Group: g.Name, Status: status, Start: timestamp(e.started.Add(-e.fleet.shorten(time.Duration(n) * time.Hour)))}
		if status == "Successful" {
			x.Complete = 100
		}
		if len(ids) == 0 || slices.Contains(ids, x.ID) {
			found = append(found, x)
		}
	}
	// newest first, as the fleet lists them
	found, next, bad := page(found, func(x refreshXML) string { return sortable(slices.Index(found, x)) }, "DescribeInstanceRefreshes", r.form.Get("NextToken"), size)
	return struct {
		Refreshes []refreshXML `xml:"InstanceRefreshes>member"`
		NextToken string       `xml:"NextToken,omitempty"`
	}{found, next}, bad
}

// bounds of a group's size.
type bounds struct {
	Min int `json:"min"`
	Max int `json:"max"`
}

// updateGroup changes a group's size, and refuses whatever else it is asked to change, lest that be taken for done.
func (e *Emulator) updateGroup(r *request) (any, *apiError) {
	r.call.Group = r.form.Get("AutoScalingGroupName")
	for name := range r.form {
		if !slices.Contains([]string{"Action", "Version", "AutoScalingGroupName", "MinSize", "MaxSize", "DesiredCapacity"}, name) {
			return nil, invalid("%s is not emulated", name)
		}
	}
	const none = -1
	var sizes [3]int
	for i, name := range []string{"MinSize", "MaxSize", "DesiredCapacity"} {
		n, bad := r.number(name, none, 0, 1<<30)
		if bad != nil {
			return nil, bad
		}
		sizes[i] = n
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	g, bad := e.find(r.call.Group)
	if bad != nil {
		return nil, bad
	}
	b, desired := bounds{g.Min, g.Max}, g.desired
	if sizes[0] != none {
		b.Min = sizes[0]
	}
	if sizes[1] != none {
		b.Max = sizes[1]
	}
	if b.Max < b.Min {
		return nil, invalid("Max bound, %d, must be greater than or equal to min bound, %d", b.Max, b.Min)
	}
	if sizes[2] == none {
		// bounds that are given alone take the desired capacity with them
		desired = min(max(desired, b.Min), b.Max)
	} else if desired = sizes[2]; desired < b.Min || desired > b.Max {
		return nil, invalid("Desired capacity:%d must be between the specified min size:%d and max size:%d", desired, b.Min, b.Max)
	}
	c := e.change(r.now)
	c.do(record{Op: opBounds, Group: g.Name, Bounds: &b})
	if desired != g.desired {
		r.call.Count = desired
		g.repairAt, g.repairCause = r.now, "update-group"
		c.do(record{Op: opDesired, Group: g.Name, Number: desired})
	}
	c.commit()
	return nil, nil
}
