package sim

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/v1alpha1"
)

// store is what the API server holds. Objects in it are never changed, only replaced.
type store struct {
	mu      sync.Mutex
	version int
	uid     int
	nodes   map[string]*corev1.Node
	pods    map[string]*corev1.Pod // by name; there is one namespace
	maps    map[string]*corev1.ConfigMap
	budgets map[string]*policyv1.PodDisruptionBudget // by the app that they guard
	pool    v1alpha1.CapacityPool
}

const namespace = "shop"

func newStore() *store {
	return &store{nodes: map[string]*corev1.Node{}, pods: map[string]*corev1.Pod{}, maps: map[string]*corev1.ConfigMap{}, budgets: map[string]*policyv1.PodDisruptionBudget{}}
}

func (s *store) next() string {
	s.version++
	return strconv.Itoa(s.version)
}

// putPod replaces a pod, or adds it. The lock is held, as in all that follow.
func (s *store) putPod(p *corev1.Pod) *corev1.Pod {
	if p.UID == "" {
		s.uid++
		p.UID = types.UID(fmt.Sprintf("pod-%d", s.uid))
	}
	p.ResourceVersion = s.next()
	s.pods[p.Name] = p
	return p
}

func (s *store) changePod(name string, change func(*corev1.Pod)) {
	p := s.pods[name].DeepCopy()
	change(p)
	s.putPod(p)
}

func (s *store) putNode(n *corev1.Node) *corev1.Node {
	n.ResourceVersion = s.next()
	s.nodes[n.Name] = n
	return n
}

func (s *store) changeNode(name string, change func(*corev1.Node)) {
	n := s.nodes[name].DeepCopy()
	change(n)
	s.putNode(n)
}

// holder of the fence; empty is nobody.
func (s *store) holder() string {
	if m := s.maps[intentsName]; m != nil {
		return m.Data["holder"]
	}
	return ""
}

func (s *store) sortedPods() []*corev1.Pod {
	return slices.SortedFunc(maps.Values(s.pods), func(a, b *corev1.Pod) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
}

func (s *store) sortedNodes() []*corev1.Node {
	return slices.SortedFunc(maps.Values(s.nodes), func(a, b *corev1.Node) int { return cmp.Compare(a.Name, b.Name) })
}

func (s *store) on(node string) []*corev1.Pod {
	var out []*corev1.Pod
	for _, p := range s.sortedPods() {
		if p.Spec.NodeName == node {
			out = append(out, p)
		}
	}
	return out
}

// view is a cache of the store as it was at one time. What it does not know it has none of.
type view struct {
	client.Client
	nodes   []*corev1.Node
	pods    []*corev1.Pod
	budgets []*policyv1.PodDisruptionBudget
	pool    v1alpha1.CapacityPool
}

func (s *store) view() *view {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := &view{nodes: s.sortedNodes(), pods: s.sortedPods(), pool: s.pool}
	for _, app := range slices.Sorted(maps.Keys(s.budgets)) {
		v.budgets = append(v.budgets, s.budgets[app])
	}
	return v
}

// List implements client.Reader.
func (v *view) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	switch l := list.(type) {
	case *corev1.NodeList:
		for _, n := range v.nodes {
			l.Items = append(l.Items, *n)
		}
	case *corev1.PodList:
		for _, p := range v.pods {
			l.Items = append(l.Items, *p)
		}
	case *policyv1.PodDisruptionBudgetList:
		for _, b := range v.budgets {
			l.Items = append(l.Items, *b)
		}
	case *v1alpha1.CapacityPoolList:
		l.Items = append(l.Items, v.pool)
	}
	return nil
}
