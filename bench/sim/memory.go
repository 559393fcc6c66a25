package sim

import (
	"cmp"
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"

	"swell/nodegroups"
	"swell/nodegroups/learn"
	"swell/scaler/act"
	"swell/scaler/observe"
	"swell/scaler/plan"
)

// learned is what a scaler learns of AWS. Boots and marks are handed on to its successors, trouble is not.
type learned struct {
	boots    *learn.Boots
	capacity *learn.Capacity
	trouble  learn.Trouble
	troubled map[string]bool
}

func (w *world) recall() (*learned, error) {
	boots, err := learn.NewBoots(learn.BootOptions{OthersWeight: 20})
	if err != nil {
		return nil, err
	}
	l := &learned{boots: boots, capacity: learn.NewCapacity(), troubled: map[string]bool{}}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.boots == nil {
		return l, nil
	}
	if err := l.boots.Merge(w.boots); err != nil {
		return nil, err
	}
	return l, l.capacity.Merge(w.now(), w.marks)
}

// keep hands on what was learned.
func (l *learned) keep(w *world) error {
	boots, err := l.boots.MarshalJSON()
	if err != nil {
		return err
	}
	marks, err := l.capacity.MarshalJSON()
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.boots, w.marks = boots, marks
	return nil
}

func bootKey(g nodegroups.Group, in nodegroups.Instance) learn.BootKey {
	return learn.BootKey{Zone: g.Zone, Type: in.Type, Image: cmp.Or(in.Image, g.Image), Market: g.Market}
}

// read takes what Nodes show of boots, and tells the snapshot what was learned.
func (l *learned) read(now time.Time, s *plan.Snapshot) {
	nodes := map[string]*corev1.Node{}
	for _, n := range s.Nodes {
		nodes[n.Spec.ProviderID] = n
	}
	for _, g := range s.Groups {
		for _, in := range g.Instances {
			n, key := nodes[in.ProviderID], bootKey(g, in)
			if n == nil || in.LaunchedAt.IsZero() || l.boots.Has(key, in.ID) {
				continue
			}
			since := n.Status.Conditions[0].LastTransitionTime.Sub(in.LaunchedAt)
			switch {
			case !isReady(n) && since <= l.boots.JoinWithin(key):
				s.NeverReady = append(s.NeverReady, in.ID)
			case isReady(n) && since > 0 && since <= learn.JoinCap:
				l.capacity.Joined(in.LaunchedAt, g.Name, key.Image)
				l.boots.Observe(key, learn.Boot{ID: in.ID, Launched: in.LaunchedAt, Registered: n.CreationTimestamp.Sub(in.LaunchedAt), Ready: since})
			}
		}
	}
	l.capacity.Forget(now, s.Groups)
	s.Unavailable = l.capacity.Unavailable(now, s.Groups)
	l.countTrouble(now, s)
}

func (l *learned) countTrouble(now time.Time, s *plan.Snapshot) {
	current := map[string]bool{}
	for _, n := range s.Interrupted {
		if n.Kind != nodegroups.SpotInterruption && n.Kind != nodegroups.RebalanceNotice {
			continue
		}
		current[n.InstanceID] = true
		for _, g := range s.Groups {
			for _, in := range g.Instances {
				if in.ID == n.InstanceID && !l.troubled[n.InstanceID] {
					l.trouble.Interrupted(now, g.Zone, in.Type, g.Market)
				}
			}
		}
	}
	l.troubled = current
	l.trouble.Fill(now, s.Groups)
}

// joinWithin is how long instances of each group are waited for.
func (l *learned) joinWithin(groups []nodegroups.Group) map[string]time.Duration {
	out := map[string]time.Duration{}
	for _, g := range groups {
		for _, t := range g.InstanceTypes {
			out[g.Name] = max(out[g.Name], l.boots.JoinWithin(bootKey(g, nodegroups.Instance{Type: t})))
		}
	}
	return out
}

// lost takes the instances that a plan gives up for boots that took at least so long, and says whether there are any.
func (l *learned) lost(now time.Time, groups []nodegroups.Group, p plan.Plan) (news bool) {
	for _, t := range p.Lost {
		for _, g := range groups {
			for _, in := range g.Instances {
				if key := bootKey(g, in); g.Name == t.Group && in.ID == t.InstanceID && !l.boots.Has(key, in.ID) &&
					l.boots.Observe(key, learn.Boot{ID: in.ID, Launched: in.LaunchedAt, Never: now.Sub(in.LaunchedAt)}) {
					l.capacity.NeverJoined(now, in.LaunchedAt, g.Name, key.Image)
					news = true
				}
			}
		}
	}
	return news
}

// note takes what launches gave and what they failed of.
func (l *learned) note(now time.Time, list []nodegroups.Group, out act.Outcome) {
	groups := map[string]nodegroups.Group{}
	for _, g := range list {
		groups[g.Name] = g
	}
	for name, got := range out.Launched {
		for _, in := range got {
			l.capacity.Succeeded(name, in.Zone, in.Type, groups[name].Market)
		}
	}
	for _, u := range out.Unavailable {
		u = groups[u.Group].Refused(u, out.Launched[u.Group])
		l.capacity.Failed(now, u)
		l.trouble.Failed(now, u)
	}
}

// noSale is why nothing may be returned: budgets are not known, or nothing was read since this scaler took over.
func (s *scaler) noSale(ctx context.Context, v *view, world *observe.World, fresh bool) string {
	unread := world.Budgets(ctx, v)
	if s.tookOver.IsZero() {
		return unread
	}
	why := s.groups.ReadSince(s.tookOver, []string{"general"})
	if !fresh {
		why = "the API server was not asked"
	}
	if why == "" {
		s.tookOver = time.Time{}
	}
	return cmp.Or(why, unread)
}
