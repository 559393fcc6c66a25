package observe

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"swell/nodegroups"
	"swell/scaler/plan"
)

// Cloud is what observe needs of AWS.
type Cloud interface {
	// Groups are the Auto Scaling groups that carry all the tags, and what is wrong with some.
	Groups(ctx context.Context, tags map[string]string, pool string) ([]nodegroups.Group, []string, error)
}

// launchSeenWithin is how long, in model time, a launched instance may be missing from AWS's own lists.
const launchSeenWithin = 2 * time.Minute

// Groups holds the last reading of all pools' groups, and what is known beyond it.
type Groups struct {
	cloud Cloud

	mu          sync.Mutex
	groups      []nodegroups.Group
	problems    []plan.Problem
	readAt      time.Time
	launched    map[string][]nodegroups.Instance // by group; not in a reading yet
	asked       map[string]int                   // by group; launches without an answer yet
	unavailable []nodegroups.Unavailable
	interrupted []nodegroups.Interruption
}

// NewGroups has read nothing yet.
func NewGroups(cloud Cloud) *Groups {
	return &Groups{cloud: cloud, launched: map[string][]nodegroups.Instance{}}
}

// Read reads the groups of the pools, given by name with their tags. When any of them cannot be read the last reading
// stays, with its age.
func (g *Groups) Read(ctx context.Context, now time.Time, pools map[string]map[string]string) error {
	var groups []nodegroups.Group
	var problems []plan.Problem
	owner := map[string]string{}
	for _, pool := range sortedKeys(pools) {
		found, wrong, err := g.cloud.Groups(ctx, pools[pool], pool)
		if err != nil {
			return fmt.Errorf("reading the groups of CapacityPool %s: %w", pool, err)
		}
		for _, w := range wrong {
			problems = append(problems, plan.Problem{Object: "CapacityPool " + pool, What: w, Mend: "correct the group or its tags"})
		}
		for _, f := range found {
			if first, taken := owner[f.Name]; taken {
				problems = append(problems, plan.Problem{
					Object: "CapacityPool " + pool, What: fmt.Sprintf("group %s belongs to pool %s already", f.Name, first),
					Mend: "give spec.groups.tags that no two pools share",
				})
				continue
			}
			owner[f.Name] = pool
			groups = append(groups, f)
		}
	}
	nodegroups.Sort(groups)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.groups, g.problems, g.readAt = groups, problems, now
	g.forgetSeen(now)
	return nil
}

// forgetSeen drops what the reading shows by now, and what it will never show.
func (g *Groups) forgetSeen(now time.Time) {
	for name, list := range g.launched {
		i := slices.IndexFunc(g.groups, func(x nodegroups.Group) bool { return x.Name == name })
		g.launched[name] = slices.DeleteFunc(list, func(in nodegroups.Instance) bool {
			return now.Sub(in.LaunchedAt) > launchSeenWithin || i >= 0 && has(g.groups[i], in.ID)
		})
	}
	g.unavailable = slices.DeleteFunc(g.unavailable, func(u nodegroups.Unavailable) bool { return !now.Before(u.Until) })
	g.interrupted = slices.DeleteFunc(g.interrupted, func(n nodegroups.Interruption) bool {
		alive := slices.ContainsFunc(g.groups, func(x nodegroups.Group) bool { return has(x, n.InstanceID) })
		return !alive && now.Sub(n.At) > launchSeenWithin
	})
}

func has(g nodegroups.Group, id string) bool {
	return slices.ContainsFunc(g.Instances, func(i nodegroups.Instance) bool { return i.ID == id })
}

// Launched notes instances before AWS's lists show them.
func (g *Groups) Launched(now time.Time, byGroup map[string][]nodegroups.Instance) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for name, list := range byGroup {
		for _, in := range list {
			in.LaunchedAt = now
			g.launched[name] = append(g.launched[name], in)
		}
	}
}

// Asked notes how many instances of each group were asked for without an answer yet.
func (g *Groups) Asked(byGroup map[string]int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked = byGroup
}

// Unavailable notes groups that could not launch; a newer word on a group replaces an older.
func (g *Groups) Unavailable(list []nodegroups.Unavailable) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, u := range list {
		g.unavailable = slices.DeleteFunc(g.unavailable, func(o nodegroups.Unavailable) bool { return o.Group == u.Group })
		g.unavailable = append(g.unavailable, u)
	}
}

// Interrupted notes an instance that is about to be lost and says whether that is news.
func (g *Groups) Interrupted(n nodegroups.Interruption) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, o := range g.interrupted {
		if o.InstanceID == n.InstanceID {
			if o.Deadline.IsZero() {
				g.interrupted[i] = n
			}
			return o.Kind != n.Kind
		}
	}
	g.interrupted = append(g.interrupted, n)
	return true
}

// into fills the snapshot's part on groups: the last reading with the launches that it does not show yet. A desired
// capacity above the instances counts as instances that boot, so that nobody buys them twice.
func (g *Groups) into(s *plan.Snapshot) []plan.Problem {
	g.mu.Lock()
	defer g.mu.Unlock()
	s.GroupsAt = g.readAt
	s.Unavailable = slices.Clone(g.unavailable)
	s.Interrupted = slices.Clone(g.interrupted)
	for _, group := range g.groups {
		group.Instances = slices.Clone(group.Instances)
		for _, in := range g.launched[group.Name] {
			if !has(group, in.ID) {
				group.Instances = append(group.Instances, in)
			}
		}
		alive := group.Alive()
		for i := alive; i < max(alive+g.asked[group.Name], group.Desired); i++ {
			id := fmt.Sprintf("coming-%s-%d", group.Name, i)
			group.Instances = append(group.Instances, nodegroups.Instance{
				ID: id, Zone: group.Zone, Lifecycle: nodegroups.Pending, LaunchedAt: g.readAt, ProviderID: nodegroups.ProviderID(group.Zone, id),
			})
		}
		group.Desired = max(group.Desired, group.Alive())
		s.Groups = append(s.Groups, group)
	}
	nodegroups.Sort(s.Groups)
	return slices.Clone(g.problems)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
