package learned

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"swell/nodegroups"
	"swell/nodegroups/learn"
	"swell/scaler/plan"
)

const (
	// firstPodWithin is how long after its node is Ready a pod must run to be counted as what the boot was for.
	firstPodWithin = 5 * time.Minute
	// othersWeight is what all boots of other types, zones, images and markets count for at most, in boots.
	othersWeight = 20
)

// Instances is what a scaler knows of instances from one plan to the next: how long they take to become nodes, which did not,
// what could not be launched and where they were interrupted. It is not safe for concurrent use.
type Instances struct {
	// Boots and Capacity are for reading: what is learned comes by the methods below.
	Boots    *learn.Boots
	Capacity *learn.Capacity

	modelTime func(time.Time) time.Time
	trouble   learn.Trouble
	troubled  map[string]bool      // instances whose interruption was counted
	ownFailed map[string]time.Time // by group, the newest launch of its own that is known to have failed
	quantiles map[quantile]time.Duration
}

type quantile struct {
	key learn.BootKey
	tau float64
}

// New knows nothing yet. prior is that of launch to Ready, by default learn.BootPrior; modelTime is the model time of an instant
// of the machine's clock, which Nodes and Pods are stamped by.
func New(prior learn.Prior, modelTime func(time.Time) time.Time) (*Instances, error) {
	boots, err := learn.NewBoots(learn.BootOptions{Prior: prior, OthersWeight: othersWeight})
	if err != nil {
		return nil, err
	}
	return &Instances{Boots: boots, Capacity: learn.NewCapacity(), modelTime: modelTime, troubled: map[string]bool{}, ownFailed: map[string]time.Time{},
		quantiles: map[quantile]time.Duration{}}, nil
}

// Key is what the boots of a group's next instances of a type are known by.
func Key(g nodegroups.Group, instanceType string) learn.BootKey {
	return learn.BootKey{Zone: g.Zone, Type: instanceType, Image: g.Image, Market: g.Market}
}

// keyOf an instance, which may be of another image than its group launches now.
func keyOf(g nodegroups.Group, in nodegroups.Instance) learn.BootKey {
	key := Key(g, in.Type)
	key.Image = cmp.Or(in.Image, g.Image)
	return key
}

// Observe takes what the Nodes, pods and groups of a snapshot show, and fills in what a plan has to know of it: the instances
// that never were Ready, the groups that cannot launch, and the recent trouble of each. It says whether there is something new to
// be kept for a successor.
func (i *Instances) Observe(now time.Time, s *plan.Snapshot) (news bool) {
	nodes := map[string]*corev1.Node{}
	for _, n := range s.Nodes {
		nodes[n.Spec.ProviderID] = n
	}
	first := firstPods(s.Pods)
	for _, g := range s.Groups {
		for _, in := range g.Instances {
			node := nodes[in.ProviderID]
			if node == nil || in.LaunchedAt.IsZero() {
				continue
			}
			news = i.boot(g, in, node, first[node.Name]) || news
			key := keyOf(g, in)
			if at, ready := readySince(node); !ready && !i.Boots.Has(key, in.ID) && i.modelTime(at).Sub(in.LaunchedAt) <= i.Boots.JoinWithin(key) {
				s.NeverReady = append(s.NeverReady, in.ID)
			}
		}
	}
	news = i.ownLaunches(now, s.Groups) || news
	i.Capacity.Forget(now, s.Groups)
	s.Unavailable = i.Capacity.Unavailable(now, s.Groups)
	i.countTrouble(now, s)
	return news
}

// boot takes one by the stamps of its Node.
func (i *Instances) boot(g nodegroups.Group, in nodegroups.Instance, node *corev1.Node, firstPod time.Time) (news bool) {
	took := func(at time.Time) time.Duration {
		if d := i.modelTime(at).Sub(in.LaunchedAt); !at.IsZero() && d > 0 && d <= learn.JoinCap {
			return d
		}
		return 0
	}
	b := learn.Boot{ID: in.ID, Launched: in.LaunchedAt, Registered: took(node.CreationTimestamp.Time)}
	key := keyOf(g, in)
	known := i.Boots.Has(key, in.ID)
	at, ready := readySince(node)
	if ready && !known { // a later one is not of the boot
		if b.Ready = took(at); b.Ready > 0 {
			i.Capacity.Joined(in.LaunchedAt, g.Name, key.Image)
		}
	}
	if ready && !firstPod.IsZero() && i.modelTime(firstPod).Sub(i.modelTime(at)) <= firstPodWithin {
		b.FirstPod = took(firstPod)
	}
	return (b.Ready > 0 || known) && i.learn(key, b)
}

func (i *Instances) learn(key learn.BootKey, b learn.Boot) (news bool) {
	if news = i.Boots.Observe(key, b); news {
		clear(i.quantiles)
	}
	return news
}

// firstPods are when the first pod on each node, by name, was Ready, DaemonSets' and static ones left out; machine time.
func firstPods(pods []*corev1.Pod) map[string]time.Time {
	first := map[string]time.Time{}
	for _, p := range pods {
		if p.Spec.NodeName == "" || p.Annotations[corev1.MirrorPodAnnotationKey] != "" || len(p.OwnerReferences) > 0 && p.OwnerReferences[0].Kind == "DaemonSet" {
			continue
		}
		if at, ready := PodSince(p, corev1.PodReady); ready && (first[p.Spec.NodeName].IsZero() || at.Before(first[p.Spec.NodeName])) {
			first[p.Spec.NodeName] = at
		}
	}
	return first
}

// PodSince is since when a pod's condition is as it is, machine time, and whether it is true.
func PodSince(p *corev1.Pod, kind corev1.PodConditionType) (time.Time, bool) {
	for _, c := range p.Status.Conditions {
		if c.Type == kind {
			return c.LastTransitionTime.Time, c.Status == corev1.ConditionTrue
		}
	}
	return time.Time{}, false
}

// readySince is since when a Node is Ready, or is not.
func readySince(n *corev1.Node) (time.Time, bool) {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.LastTransitionTime.Time, c.Status == corev1.ConditionTrue
		}
	}
	return time.Time{}, false
}

// countTrouble makes launches that are spread go where little was interrupted or refused of late.
func (i *Instances) countTrouble(now time.Time, s *plan.Snapshot) {
	current := map[string]bool{}
	for _, n := range s.Interrupted {
		if n.Kind != nodegroups.SpotInterruption && n.Kind != nodegroups.RebalanceNotice {
			continue
		}
		current[n.InstanceID] = true
		if i.troubled[n.InstanceID] {
			continue
		}
		for _, g := range s.Groups {
			for _, in := range g.Instances {
				if in.ID == n.InstanceID {
					i.trouble.Interrupted(now, g.Zone, in.Type, g.Market)
				}
			}
		}
	}
	i.troubled = current
	i.trouble.Fill(now, s.Groups)
}

// ownLaunches takes the launches that groups failed of by themselves, each once: those of a raised desired capacity or of a
// replacement, of which no call told.
func (i *Instances) ownLaunches(now time.Time, groups []nodegroups.Group) (news bool) {
	for _, g := range groups {
		newest := i.ownFailed[g.Name]
		for _, f := range g.Failed {
			if !f.At.After(i.ownFailed[g.Name]) {
				continue
			}
			if f.At.After(newest) {
				newest = f.At
			}
			i.refused(now, g, nodegroups.Unavailable{Group: g.Name, Zone: f.Zone, Types: []string{f.Type}, Class: f.Class, Reason: strings.TrimPrefix(f.Code+": "+f.Message, ": ")}, nil)
			news = true
		}
		if !newest.IsZero() {
			i.ownFailed[g.Name] = newest
		}
	}
	return news
}

func (i *Instances) refused(now time.Time, g nodegroups.Group, u nodegroups.Unavailable, launched []nodegroups.Instance) {
	u = g.Refused(u, launched)
	i.Capacity.Failed(now, u)
	i.trouble.Failed(now, u)
}

// Launched takes what launches gave, by group, and what they were refused. It says whether there is something new to be kept for a
// successor.
func (i *Instances) Launched(now time.Time, list []nodegroups.Group, launched map[string][]nodegroups.Instance, refused []nodegroups.Unavailable) (news bool) {
	groups := map[string]nodegroups.Group{}
	for _, g := range list {
		groups[g.Name] = g
	}
	for name, instances := range launched {
		for _, in := range instances {
			news = i.Capacity.Succeeded(name, in.Zone, in.Type, groups[name].Market) || news
		}
	}
	for _, u := range refused {
		i.refused(now, groups[u.Group], u, launched[u.Group])
	}
	return news || len(refused) > 0
}

// Plan makes a plan, and makes it once more where it gives instances up, whose group may not be bought from for a while
// therefore. never are those that are given up for the first time.
func (i *Instances) Plan(now time.Time, planner *plan.Planner, s *plan.Snapshot, policy plan.Policy, m plan.Memory) (p plan.Plan, next plan.Memory, never []plan.Termination) {
	p, next = planner.Make(now, *s, policy, m)
	if never = i.lost(now, s.Groups, p.Lost); len(never) > 0 {
		s.Unavailable = i.Capacity.Unavailable(now, s.Groups)
		p, next = planner.Make(now, *s, policy, m)
	}
	return p, next, never
}

// lost takes instances that a plan gives up for boots that took at least so long, each once, and gives those that are news.
func (i *Instances) lost(now time.Time, groups []nodegroups.Group, list []plan.Termination) (never []plan.Termination) {
	for _, t := range list {
		for _, g := range groups {
			at := slices.IndexFunc(g.Instances, func(in nodegroups.Instance) bool { return in.ID == t.InstanceID })
			if g.Name != t.Group || at < 0 {
				continue
			}
			in := g.Instances[at]
			key := keyOf(g, in)
			if !i.Boots.Has(key, in.ID) && i.learn(key, learn.Boot{ID: in.ID, Launched: in.LaunchedAt, Never: now.Sub(in.LaunchedAt)}) {
				i.Capacity.NeverJoined(now, in.LaunchedAt, g.Name, key.Image)
				never = append(never, t)
			}
		}
	}
	return never
}

// JoinWithin is how long instances of each group, by name, are waited for: of its types, that which takes longest.
func (i *Instances) JoinWithin(groups []nodegroups.Group) map[string]time.Duration {
	out := map[string]time.Duration{}
	for _, g := range groups {
		for _, t := range g.InstanceTypes {
			out[g.Name] = max(out[g.Name], i.Boots.JoinWithin(Key(g, t)))
		}
	}
	return out
}

// Ready is the time from launch to Ready that a share tau of a key's next boots will not exceed, computed once until there is news.
func (i *Instances) Ready(key learn.BootKey, tau float64) time.Duration {
	q := quantile{key, tau}
	if _, known := i.quantiles[q]; !known {
		i.quantiles[q] = i.Boots.Quantile(key, learn.Ready, tau)
	}
	return i.quantiles[q]
}

// Take adds what a ConfigMap's binary data has to what is known; now is model time.
func (i *Instances) Take(now time.Time, data map[string][]byte) error {
	clear(i.quantiles)
	return Read(data, now, i.Boots, i.Capacity)
}

// JSON is what is to be kept for a successor, which Add takes.
func (i *Instances) JSON() (boots, capacity []byte, err error) {
	if boots, err = json.Marshal(i.Boots); err == nil {
		capacity, err = json.Marshal(i.Capacity)
	}
	return boots, capacity, err
}
