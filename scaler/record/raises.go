package record

import (
	"slices"
	"time"

	"swell/nodegroups"
	"swell/scaler/plan"
)

// raise is a launch of which only the number is known: its group's desired capacity was raised, and Auto Scaling picks the instances.
type raise struct {
	token string
	// left are those that have no instance yet; with none it stays for a while, so that it is not taken twice.
	left int
	at   time.Time // when it was answered; model time
}

// raises by group.
type raises map[string][]raise

// add takes a raise, unless it is known.
func (r raises) add(group string, x raise) {
	if !slices.ContainsFunc(r[group], func(y raise) bool { return y.token == x.token }) {
		r[group] = append(r[group], x)
	}
}

// came counts an instance that is known to be of a raise.
func (r raises) came(token string) {
	for _, list := range r {
		for i := range list {
			if list[i].token == token && list[i].left > 0 {
				list[i].left--
			}
		}
	}
}

// of is the token of the raise that an instance which nobody launched by token answers.
func (r raises) of(g nodegroups.Group, in nodegroups.Instance) string {
	for _, name := range []string{g.Name, g.ASG} {
		list := r[name]
		for i := range list {
			if list[i].left > 0 && !in.LaunchedAt.Before(list[i].at.Add(-nodegroups.ListedWithin)) {
				list[i].left--
				return list[i].token
			}
		}
	}
	return ""
}

// settle forgets what has come, or never will: of raises that a reading must show, no more are left than their group lacks by it. Those of
// a group that is in no reading are forgotten by their age.
func (r raises) settle(now time.Time, s *plan.Snapshot) {
	for name, list := range r {
		lacks, at := lacking(s, name)
		for i := len(list) - 1; i >= 0; i-- { // an older one that the group does not want any more was taken back first
			x := &list[i]
			if at.Sub(x.at) > nodegroups.ListedWithin {
				x.left = min(x.left, lacks)
			}
			lacks = max(0, lacks-x.left)
		}
		list = slices.DeleteFunc(list, func(x raise) bool {
			return x.left == 0 && at.Sub(x.at) > nodegroups.ListedWithin || at.IsZero() && now.Sub(x.at) > Again
		})
		if r[name] = list; len(list) == 0 {
			delete(r, name)
		}
	}
}

// lacking is how many instances a group, or all zones of an Auto Scaling group, has fewer than it wants, and when it was read; zero is
// in no reading.
func lacking(s *plan.Snapshot, name string) (n int, at time.Time) {
	for _, g := range s.Groups {
		if g.Name != name && g.ASG != name {
			continue
		}
		at = readAt(s, g.Pool)
		n += g.Desired
		for _, in := range g.Instances {
			if in.Lifecycle.Counts() {
				n--
			}
		}
	}
	return max(0, n), at
}
