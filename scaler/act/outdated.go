package act

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"swell/nodegroups"
)

// A desired capacity is set to an absolute number that follows from a reading of its group. AWS's answer to that may be older than
// what was done to the group just now: a number that follows from it would lower the desired capacity, which ends instances that
// nobody drained, or ask for what was returned a second time. What was done within nodegroups.ListedWithin is therefore looked for
// in the reading, and nothing is asked for while it is not there. A predecessor's launches and raises stand in the fence; its
// returns do not, and may cost that many instances too many.

// changes are what this scaler did to a group's desired capacity; machine times.
type changes struct {
	// raisedTo is the number that it was raised to last, and raisedAt when.
	raisedTo int
	raisedAt time.Time
	// returned are instances by which it was lowered.
	returned map[string]time.Time
}

func (a *Actor) noteRaise(group string, to int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.changed[group]
	c.raisedTo, c.raisedAt = to, time.Now()
	a.changed[group] = c
}

func (a *Actor) noteReturn(group, instanceID string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.changed[group]
	c.returned = maps.Clone(c.returned)
	if c.returned == nil {
		c.returned = map[string]time.Time{}
	}
	c.returned[instanceID] = time.Now()
	maps.DeleteFunc(c.returned, func(_ string, at time.Time) bool { return time.Since(at) > nodegroups.ListedWithin })
	a.changed[group] = c
}

func (a *Actor) changesOf(group string) changes {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.changed[group]
}

// outdated is the first change of a group that the reading which a raise rests on does not show, in words; empty is none.
func (a *Actor) outdated(group string, got nodegroups.Launched) string {
	returned := a.changesOf(group).returned
	for _, in := range a.intents.answered() {
		if in.Group != group {
			continue
		}
		for _, i := range in.Instances {
			if _, gone := returned[i.ID]; !gone && !slices.Contains(got.RaiseSees, i.ID) {
				return fmt.Sprintf("it launched %s at %s", i.ID, in.AnsweredAt.Format(time.RFC3339))
			}
		}
		least := in.Target
		for _, at := range returned {
			if at.After(in.AnsweredAt) {
				least--
			}
		}
		if in.Target > 0 && got.RaiseFrom < least {
			return fmt.Sprintf("it was raised to %d at %s", in.Target, in.AnsweredAt.Format(time.RFC3339))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(returned)) {
		if time.Since(returned[id]) <= nodegroups.ListedWithin && slices.Contains(got.RaiseSees, id) {
			return fmt.Sprintf("instance %s was returned at %s", id, returned[id].Format(time.RFC3339))
		}
	}
	return ""
}

// passed says that a raise of later has reached the number of an intent that was not answered, on top of which it came. To ask for
// that again would undo the later one, where AWS's answer to the reading before it is old.
func (a *Actor) passed(in *Intent) bool {
	if c := a.changesOf(in.Group); c.raisedTo >= in.Target && c.raisedAt.After(cmp.Or(in.aimedAt, in.At)) {
		return true
	}
	return slices.ContainsFunc(a.intents.answered(), func(late Intent) bool {
		return late.Group == in.Group && late.Target >= in.Target && late.At.After(in.At)
	})
}
