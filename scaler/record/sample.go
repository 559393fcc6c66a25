package record

import (
	"cmp"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	resourcehelper "k8s.io/component-helpers/resource"

	"swell/api/v1alpha1"
	"swell/nodegroups"
	"swell/scaler/ledger"
	"swell/scaler/plan"
)

// MostWorkloads are told apart in a sample; the smallest others are summed.
const MostWorkloads = 500

// Others is the name under which the workloads beyond MostWorkloads are summed.
const Others = "others"

// Cluster is what a sample is taken of.
type Cluster struct {
	Snapshot *plan.Snapshot
	Balloons []v1alpha1.Balloon
	// Owner is the controller of a ReplicaSet, by namespace and name; nil is that it has none, or is not known.
	Owner func(namespace, replicaSet string) *metav1.OwnerReference
	// Usage is what metrics.k8s.io says; nil is unknown.
	Usage *Usage
}

// Usage of nodes by name and of pods by namespace/name. One that is missing is not known.
type Usage struct {
	Nodes, Pods map[string]ledger.Resources
}

// place is a node's, for what runs on it.
type place struct {
	group              *ledger.GroupUse
	pool, zone, market string
}

type workloadKey struct{ namespace, workload, pool, zone, market string }

type sampler struct {
	Cluster
	places    map[string]place // by node
	groups    map[string]*ledger.GroupUse
	workloads map[workloadKey]*ledger.WorkloadUse
	unused    map[workloadKey]bool // those of a pod whose use is not known
	balloons  map[string]*v1alpha1.Balloon
}

// Sample is what the cluster holds.
func Sample(c Cluster) ledger.Sample {
	s := sampler{Cluster: c, places: map[string]place{}, groups: map[string]*ledger.GroupUse{}, workloads: map[workloadKey]*ledger.WorkloadUse{},
		unused: map[workloadKey]bool{}, balloons: map[string]*v1alpha1.Balloon{}}
	for i := range c.Balloons {
		s.balloons[c.Balloons[i].Namespace+"/"+c.Balloons[i].Name] = &c.Balloons[i]
	}
	s.takeNodes()
	for _, p := range c.Snapshot.Pods {
		s.takePod(p)
	}
	for key := range s.unused {
		s.workloads[key].Used = nil
	}
	out := ledger.Sample{}
	for _, name := range slices.Sorted(maps.Keys(s.groups)) {
		out.Groups = append(out.Groups, *s.groups[name])
	}
	out.Workloads, out.Truncated = s.largest()
	return out
}

// takeNodes puts the nodes into their groups.
func (s *sampler) takeNodes() {
	byProvider := map[string]*corev1.Node{}
	for _, n := range s.Snapshot.Nodes {
		byProvider[n.Spec.ProviderID] = n
		s.places[n.Name] = place{zone: n.Labels[corev1.LabelTopologyZone]}
	}
	for _, g := range s.Snapshot.Groups {
		use := &ledger.GroupUse{Group: g.Name, Pool: g.Pool, Zone: g.Zone, Market: string(g.Market)}
		s.groups[g.Name] = use
		unknown := s.Usage == nil
		if !unknown {
			use.Used = &ledger.Resources{}
		}
		for _, in := range g.Instances {
			n := byProvider[in.ProviderID]
			if n == nil || in.ProviderID == "" {
				if in.Lifecycle != nodegroups.Terminating {
					use.Booting++
				}
				continue
			}
			s.places[n.Name] = place{use, g.Pool, g.Zone, string(g.Market)}
			if !ready(n) { // it holds no room for anybody
				use.Booting++
				continue
			}
			use.Nodes++
			add(&use.Allocatable, Resources(n.Status.Allocatable))
			if s.Usage != nil {
				used, known := s.Usage.Nodes[n.Name]
				add(use.Used, used)
				unknown = unknown || !known
			}
		}
		if unknown {
			use.Used = nil
		}
	}
}

// takePod counts a pod where it runs, a balloon with the workload that it guards.
func (s *sampler) takePod(p *corev1.Pod) {
	asks := Resources(resourcehelper.PodRequests(p, resourcehelper.PodResourcesOptions{}))
	at := s.places[p.Spec.NodeName]
	key := workloadKey{p.Namespace, "", at.pool, at.zone, at.market}
	if name := p.Labels[plan.BalloonLabel]; name != "" {
		if p.Spec.NodeName == "" {
			return // it holds nothing
		}
		if at.group != nil {
			add(&at.group.Held, asks)
		}
		key.workload = "Balloon/" + name
		if b := s.balloons[p.Namespace+"/"+name]; b != nil {
			key.workload = b.Spec.ScaleTargetRef.Kind + "/" + b.Spec.ScaleTargetRef.Name
		}
		add(&s.workload(key).Held, asks)
		return
	}
	key.workload = s.topmost(p)
	w := s.workload(key)
	add(&w.Asked, asks)
	if p.Spec.NodeName == "" {
		w.Pending++
		return
	}
	w.Pods++
	if at.group != nil {
		add(&at.group.Asked, asks)
	}
	if s.Usage == nil {
		return
	}
	used, known := s.Usage.Pods[p.Namespace+"/"+p.Name]
	if !known {
		s.unused[key] = true
		return
	}
	if w.Used == nil {
		w.Used = &ledger.Resources{}
	}
	add(w.Used, used)
}

func (s *sampler) workload(key workloadKey) *ledger.WorkloadUse {
	w := s.workloads[key]
	if w == nil {
		w = &ledger.WorkloadUse{Namespace: key.namespace, Workload: key.workload, Pool: key.pool, Zone: key.zone, Market: key.market}
		s.workloads[key] = w
	}
	return w
}

// topmost is kind/name of a pod's topmost controller, or Pod/name.
func (s *sampler) topmost(p *corev1.Pod) string {
	owner := metav1.GetControllerOf(p)
	if owner == nil {
		return "Pod/" + p.Name
	}
	if owner.Kind == "ReplicaSet" && s.Owner != nil {
		if above := s.Owner(p.Namespace, owner.Name); above != nil {
			owner = above
		}
	}
	return owner.Kind + "/" + owner.Name
}

// largest are the workloads that ask for and hold most, sorted by name, and how many others were summed into one.
func (s *sampler) largest() (list []ledger.WorkloadUse, summed int) {
	cores := map[[2]string]float64{}
	for key, w := range s.workloads {
		cores[[2]string{key.namespace, key.workload}] += w.Asked.Cores + w.Held.Cores
	}
	names := slices.SortedFunc(maps.Keys(cores), func(a, b [2]string) int {
		return cmp.Or(cmp.Compare(cores[b], cores[a]), cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	})
	kept := map[[2]string]bool{}
	for i, name := range names {
		kept[name] = i < MostWorkloads
	}
	rest := map[workloadKey]*ledger.WorkloadUse{}
	for key, w := range s.workloads {
		if kept[[2]string{key.namespace, key.workload}] {
			list = append(list, *w)
			continue
		}
		at := workloadKey{workload: Others, pool: key.pool, zone: key.zone, market: key.market}
		if rest[at] == nil {
			rest[at] = &ledger.WorkloadUse{Workload: Others, Pool: key.pool, Zone: key.zone, Market: key.market}
		}
		o := rest[at]
		o.Pods, o.Pending = o.Pods+w.Pods, o.Pending+w.Pending
		add(&o.Asked, w.Asked)
		add(&o.Held, w.Held)
	}
	for _, o := range rest {
		list = append(list, *o)
	}
	slices.SortFunc(list, func(a, b ledger.WorkloadUse) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Workload, b.Workload), cmp.Compare(a.Pool, b.Pool), cmp.Compare(a.Zone, b.Zone), cmp.Compare(a.Market, b.Market))
	})
	return list, max(0, len(names)-MostWorkloads)
}

func ready(n *corev1.Node) bool {
	return slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

func add(to *ledger.Resources, more ledger.Resources) {
	to.Cores += more.Cores
	to.Memory += more.Memory
}

// Resources are the cores and the GiB of memory of a list.
func Resources(list corev1.ResourceList) ledger.Resources {
	return ledger.Resources{Cores: float64(list.Cpu().MilliValue()) / 1000, Memory: list.Memory().AsApproximateFloat64() / (1 << 30)}
}
