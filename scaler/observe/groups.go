package observe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"swell/nodegroups"
	"swell/scaler/plan"
)

// Cloud is what observe needs of AWS.
type Cloud interface {
	// Groups are the Auto Scaling groups that a pool selects, and what is wrong with some.
	Groups(ctx context.Context, s nodegroups.Selection) ([]nodegroups.Group, []string, error)
	// Prepaid is what the account pays for whether or not it runs, with what it pays for instances of the types, and what
	// could not be read of it.
	Prepaid(ctx context.Context, types []string) (nodegroups.Prepaid, []string)
}

// Groups holds the last reading of every pool's groups, and what is known beyond it.
type Groups struct {
	cloud Cloud

	mu          sync.Mutex
	pools       map[string]reading
	members     map[string]member                // by instance id, of the pools' last readings
	launched    map[string][]nodegroups.Instance // by group; not in a reading yet
	asked       map[string]int                   // by group; launches without an answer yet
	raised      map[string][]raise               // by group; not in a reading yet
	returned    map[string]bool                  // by id; not gone from a reading yet
	replaced    map[string]bool                  // likewise; ended, and replaced by their groups
	interrupted []nodegroups.Interruption
	told        map[string]map[nodegroups.InterruptionKind]bool // by instance id: the notices that came
	short       map[string]shortfall                            // by group, of those that have less than they want
	seen        map[string]bool                                 // by instance id: whether it had run for long when it was first seen
	shown       *nodegroups.Shown                               // what nodes showed that are gone
	prepaid     nodegroups.Prepaid                              // of the whole account
	// prepaidProblems are what could not be read of it.
	prepaidProblems []plan.Problem
}

// raise is what a desired capacity was raised to, and when; a launch raises it too, with instances that are known.
type raise struct {
	nodegroups.Raise
	at        time.Time
	instances []string
}

// lacks is by how much of it a reading's desired capacity is too low.
func (r raise) lacks(g nodegroups.Group) int {
	by := r.By
	for _, id := range r.instances {
		if has(g, id) {
			by--
		}
	}
	return max(0, min(by, r.To-g.Desired))
}

// member is an instance as a reading showed it.
type member struct {
	group  string
	at     time.Time // when the reading that shows it began
	ending bool
}

// reading is one pool's groups as AWS last showed them.
type reading struct {
	groups    []nodegroups.Group
	problems  []plan.Problem
	at        time.Time
	mayChange bool // as it was selected
	prepaid   bool // likewise
}

// NewGroups has read nothing yet.
func NewGroups(cloud Cloud) *Groups {
	return &Groups{cloud: cloud, pools: map[string]reading{}, launched: map[string][]nodegroups.Instance{}, raised: map[string][]raise{},
		returned: map[string]bool{}, replaced: map[string]bool{}, told: map[string]map[nodegroups.InterruptionKind]bool{},
		shown: nodegroups.NewShown(), short: map[string]shortfall{}, seen: map[string]bool{}}
}

// Read reads the groups of the pools, given by name with what they select. A pool that cannot be read keeps its last reading,
// with its age, and gets a problem; the others are not held up.
func (g *Groups) Read(ctx context.Context, now time.Time, pools map[string]nodegroups.Selection) error {
	var errs []error
	fresh := map[string]reading{}
	for _, pool := range sortedKeys(pools) {
		found, wrong, err := g.cloud.Groups(ctx, pools[pool])
		object := "CapacityPool " + pool
		if err != nil {
			errs = append(errs, fmt.Errorf("reading the groups of %s: %w", object, err))
			fresh[pool] = reading{problems: []plan.Problem{{Object: object, What: "its groups cannot be read", Mend: err.Error()}}}
			continue
		}
		r := reading{groups: found, at: now, mayChange: pools[pool].MayChange, prepaid: pools[pool].Prepaid}
		for _, w := range wrong {
			r.problems = append(r.problems, plan.Problem{Object: object, What: w, Mend: "correct the group or its tags"})
		}
		fresh[pool] = r
	}
	g.keep(now, fresh)
	g.readPrepaid(ctx)
	return errors.Join(errs...)
}

// keep takes over readings that are not older than what is there.
func (g *Groups) keep(now time.Time, fresh map[string]reading) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for pool, r := range fresh {
		if old := g.pools[pool]; r.at.IsZero() || old.at.After(r.at) {
			r.groups, r.at, r.mayChange, r.prepaid = old.groups, old.at, old.mayChange, old.prepaid
			fresh[pool] = r
		}
	}
	g.pools = fresh
	g.index()
	g.readAges()
	g.forgetSeen(now)
}

// Taken says that a pool's groups were last read with the leave to change what their use needs.
func (g *Groups) Taken(pool string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pools[pool].mayChange
}

// shown is a group as one pool's reading shows it.
type shown struct {
	nodegroups.Group
	at      time.Time
	prepaid bool // the pool reads what is prepaid
}

// all are the groups of all pools, each group once.
func (g *Groups) all() (groups []shown, problems []plan.Problem) {
	owner := map[string]string{}
	for _, pool := range sortedKeys(g.pools) {
		r := g.pools[pool]
		problems = append(problems, r.problems...)
		for _, f := range r.groups {
			if first, taken := owner[f.Name]; taken {
				problems = append(problems, plan.Problem{
					Object: "CapacityPool " + pool, What: fmt.Sprintf("group %s belongs to pool %s already", f.Name, first),
					Mend: "give spec.groups.tags that no two pools share",
				})
				continue
			}
			owner[f.Name] = pool
			groups = append(groups, shown{f, r.at, r.prepaid})
		}
	}
	return groups, problems
}

// ages are when the oldest and the newest of the pools' readings began. Those without groups show nothing that ages, and count
// only where no pool has any.
func (g *Groups) ages() (oldest, newest time.Time) {
	empty := true
	for _, r := range g.pools {
		empty = empty && len(r.groups) == 0
	}
	for _, r := range g.pools {
		if r.at.IsZero() || len(r.groups) == 0 && !empty {
			continue
		}
		if oldest.IsZero() || r.at.Before(oldest) {
			oldest = r.at
		}
		if r.at.After(newest) {
			newest = r.at
		}
	}
	return oldest, newest
}

// byName is a group of a reading with when that began, which is the oldest of all for one that none shows.
func (g *Groups) byName(groups []shown, name string) (group nodegroups.Group, known bool, readAt time.Time) {
	if i := slices.IndexFunc(groups, func(x shown) bool { return x.Name == name }); i >= 0 {
		return groups[i].Group, true, groups[i].at
	}
	readAt, _ = g.ages()
	return nodegroups.Group{}, false, readAt
}

// forgetSeen drops what the reading shows by now, and what it will never show.
func (g *Groups) forgetSeen(now time.Time) {
	groups, _ := g.all()
	for name, list := range g.launched {
		group, known, readAt := g.byName(groups, name)
		g.launched[name] = slices.DeleteFunc(list, func(in nodegroups.Instance) bool {
			// only a reading that should have shown it tells that it is not there
			return readAt.Sub(in.LaunchedAt) > nodegroups.ListedWithin || known && has(group, in.ID)
		})
	}
	for name, list := range g.raised {
		group, known, readAt := g.byName(groups, name)
		g.raised[name] = slices.DeleteFunc(list, func(r raise) bool {
			return readAt.Sub(r.at) > nodegroups.ListedWithin || readAt.After(r.at) && known && r.lacks(group) == 0
		})
	}
	for _, ended := range []map[string]bool{g.returned, g.replaced} {
		maps.DeleteFunc(ended, func(id string, _ bool) bool {
			_, known, _ := g.of(id)
			return !known
		})
	}
	oldest, _ := g.ages()
	g.interrupted = slices.DeleteFunc(g.interrupted, func(n nodegroups.Interruption) bool {
		alive := slices.ContainsFunc(groups, func(x shown) bool { return has(x.Group, n.InstanceID) })
		return !alive && oldest.Sub(n.At) > nodegroups.ListedWithin
	})
	maps.DeleteFunc(g.told, func(id string, _ map[nodegroups.InterruptionKind]bool) bool {
		_, known, _ := g.of(id)
		return !known && !slices.ContainsFunc(g.interrupted, func(n nodegroups.Interruption) bool { return n.InstanceID == id })
	})
}

// index finds the instances of the readings by their ids.
func (g *Groups) index() {
	groups, _ := g.all()
	g.members = map[string]member{}
	for _, x := range groups {
		for _, i := range x.Instances {
			g.members[i.ID] = member{group: x.Name, at: x.at, ending: i.Lifecycle == nodegroups.Terminating}
		}
	}
}

func has(g nodegroups.Group, id string) bool {
	return slices.ContainsFunc(g.Instances, func(i nodegroups.Instance) bool { return i.ID == id })
}

// Launched notes instances before AWS's lists show them. They came on top of what their group wanted until then, as far as that
// is known.
func (g *Groups) Launched(now time.Time, byGroup map[string][]nodegroups.Instance) {
	g.mu.Lock()
	defer g.mu.Unlock()
	groups, _ := g.all()
	for name, list := range byGroup {
		r := raise{Raise: nodegroups.Raise{By: len(list), To: math.MaxInt}, at: now}
		if group, known, _ := g.byName(groups, name); known {
			r.To = g.believed(group).Desired + len(list)
		}
		for _, in := range list {
			in.LaunchedAt = now
			g.launched[name] = append(g.launched[name], in)
			r.instances = append(r.instances, in.ID)
		}
		g.note(name, r)
	}
}

// Raised notes to what the desired capacities of groups were raised, which counts until a reading shows it.
func (g *Groups) Raised(now time.Time, byGroup map[string][]nodegroups.Raise) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for name, list := range byGroup {
		for _, r := range list {
			g.note(name, raise{Raise: r, at: now})
		}
	}
}

func (g *Groups) note(name string, r raise) {
	g.raised[name] = append(g.raised[name], r)
	slices.SortStableFunc(g.raised[name], func(a, b raise) int { return cmp.Compare(a.To, b.To) })
}

// Asked notes how many instances of each group were asked for without an answer yet.
func (g *Groups) Asked(byGroup map[string]int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked = byGroup
}

// Returned notes an instance that was returned before AWS's lists show it. Its group's desired capacity went down with it,
// what that was raised to before included.
func (g *Groups) Returned(instanceID string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.returned[instanceID] = true
	name, _, _ := g.of(instanceID)
	for i := range g.raised[name] {
		g.raised[name][i].To--
	}
}

// Replaced notes an instance that was ended and that its group replaces by itself, before AWS's lists show it: what the group
// lacks of its desired capacity is on its way.
func (g *Groups) Replaced(instanceID string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.replaced[instanceID] = true
}

// Interrupted notes an instance that is about to be lost and says whether that is news. A notice may come many times, in turn with
// others of its instance.
func (g *Groups) Interrupted(n nodegroups.Interruption) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.told[n.InstanceID] == nil {
		g.told[n.InstanceID] = map[nodegroups.InterruptionKind]bool{}
	}
	news := !g.told[n.InstanceID][n.Kind]
	g.told[n.InstanceID][n.Kind] = true
	for i, o := range g.interrupted {
		if o.InstanceID == n.InstanceID {
			if o.Deadline.IsZero() {
				g.interrupted[i] = n
			}
			return news
		}
	}
	g.interrupted = append(g.interrupted, n)
	return news
}

// Noted forgets what a notice that stands on its Node by now tells as well: it is withdrawn there.
func (g *Groups) Noted(on nodegroups.Interruption) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.interrupted = slices.DeleteFunc(g.interrupted, func(n nodegroups.Interruption) bool {
		_, news := n.Beside(on)
		return n.InstanceID == on.InstanceID && (n.Kind == on.Kind || !news)
	})
}

// List is every group as it was last read.
func (g *Groups) List() []nodegroups.Group {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []nodegroups.Group
	groups, _ := g.all()
	for _, x := range groups {
		out = append(out, x.Group)
	}
	return out
}

// Of is the group that an instance which runs or will belongs to, and when that was last read; for one that belongs to none,
// when all were, which is zero while any was never read.
func (g *Groups) Of(instanceID string) (group string, known bool, readAt time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.of(instanceID)
}

// Ending says that an instance was ended by swell, or that its group is ending it by itself.
func (g *Groups) Ending(instanceID string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.returned[instanceID] || g.replaced[instanceID] || g.members[instanceID].ending
}

func (g *Groups) of(instanceID string) (group string, known bool, readAt time.Time) {
	if m, ok := g.members[instanceID]; ok {
		return m.group, true, m.at
	}
	for name, list := range g.launched {
		if slices.ContainsFunc(list, func(i nodegroups.Instance) bool { return i.ID == instanceID }) {
			groups, _ := g.all()
			_, _, readAt = g.byName(groups, name)
			return name, true, readAt
		}
	}
	for _, r := range g.pools {
		if r.at.IsZero() {
			return "", false, time.Time{}
		}
	}
	oldest, _ := g.ages()
	return "", false, oldest
}

// into fills the snapshot's part on groups: the last reading with the launches that it does not show yet, and a desired
// capacity that holds what was asked for, which the planner counts as on its way.
func (g *Groups) into(s *plan.Snapshot) []plan.Problem {
	g.mu.Lock()
	defer g.mu.Unlock()
	groups, problems := g.all()
	_, s.GroupsAt = g.ages()
	s.PoolsAt = map[string]time.Time{}
	for name, r := range g.pools {
		s.PoolsAt[name] = r.at
	}
	s.Interrupted = slices.Clone(g.interrupted)
	for i := range groups {
		group := g.believed(groups[i].Group)
		group.ShortSince = g.short[group.Name].since
		for k := range group.Instances {
			group.Instances[k].Found = g.seen[group.Instances[k].ID]
		}
		// what the reading shows may hold some of what was asked for: counted twice until the answer it buys nothing, counted
		// once with what the group is about to replace by itself it would buy above a maximum
		group.Desired = max(group.Desired, group.Alive()) + g.asked[group.Name]
		groups[i].Group = group
	}
	g.allocate(groups)
	for _, x := range groups {
		s.Groups = append(s.Groups, x.Group)
	}
	nodegroups.Sort(s.Groups)
	return append(problems, g.prepaidProblems...)
}

// correct is what the groups' templates are by the nodes that they have, or last had.
func (g *Groups) correct(groups []nodegroups.Group, nodes []*corev1.Node) ([]nodegroups.Group, []nodegroups.Correction) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shown.Correct(groups, nodes)
}

// believed is a group as it was read, with what was returned, raised and launched and the reading does not show.
func (g *Groups) believed(group nodegroups.Group) nodegroups.Group {
	read := group
	group.Instances = slices.Clone(group.Instances)
	for _, in := range g.launched[group.Name] {
		if !has(read, in.ID) {
			group.Instances = append(group.Instances, in)
		}
	}
	for i, in := range group.Instances {
		if g.returned[in.ID] && in.Lifecycle != nodegroups.Terminating {
			group.Instances[i].Lifecycle = nodegroups.Terminating
			group.Desired--
			group.Returning++
		} else if g.replaced[in.ID] {
			group.Instances[i].Lifecycle = nodegroups.Terminating
		}
	}
	read.Desired = group.Desired
	for _, r := range g.raised[group.Name] {
		read.Desired += r.lacks(read)
	}
	group.Desired = read.Desired
	return group
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
