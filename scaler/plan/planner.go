package plan

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"swell/scaler/pack"
)

// Planner makes plans one after the other and keeps what it read for the next, so that a plan costs what changed and not
// what there is. Its plans are those that Make gives. The zero value is ready; it is not safe for use by several goroutines.
type Planner struct {
	// real holds the bound pods that are no balloons, full the same; balloons and what a plan tries come and go within it.
	real, full *pack.Packer
	pods       map[podKey]*known
	tick       uint64
}

type podKey struct{ namespace, name, uid string }

// known is a pod as it was read once.
type known struct {
	api  *corev1.Pod // a copy of its outermost part where uid and version tell it apart: lists are not kept for one pod of theirs
	pod  *pack.Pod
	err  error
	seen uint64
}

// Make is the package's Make, from what the planner kept and what is different now.
func (p *Planner) Make(now time.Time, s Snapshot, policy Policy, m Memory) (Plan, Memory) {
	w, err := p.world(now, s, policy)
	if err != nil {
		p.forget()
		return Plan{Placed: map[string]string{}, Problems: []Problem{{Object: "snapshot", What: err.Error(),
			Mend: "report this as a bug with the ledger's entry; nothing is planned meanwhile"}}}, Memory{UnneededSince: map[string]time.Time{}}
	}
	defer p.takeBack()
	return w.make(m)
}

// takeBack leaves the packers as the snapshot was.
func (p *Planner) takeBack() {
	p.real.Rollback(0)
	p.full.Rollback(0)
}

// forget drops everything that was kept.
func (p *Planner) forget() {
	for _, packer := range []*pack.Packer{p.real, p.full} {
		if packer != nil {
			packer.Close()
		}
	}
	*p = Planner{}
}

// read brings the packers to the snapshot's nodes and bound pods, and gives the pods that are neither finished nor wrong.
func (p *Planner) read(s Snapshot, nodes []*corev1.Node) ([]*known, error) {
	volumes := s.Volumes
	if p.real == nil {
		return p.readFirst(s, nodes, volumes)
	}
	arrived := map[string]bool{}
	for _, packer := range []*pack.Packer{p.real, p.full} {
		if err := packer.SetNamespaces(s.Namespaces); err != nil {
			return nil, err
		}
		if err := packer.SetVolumes(volumes); err != nil {
			return nil, err
		}
		added, err := packer.SetNodes(nodes)
		if err != nil {
			return nil, err
		}
		for _, name := range added {
			arrived[name] = true
		}
	}
	all, fresh := p.readPods(s.Pods)
	if len(arrived) > 0 {
		for _, k := range all {
			if k.err == nil && arrived[k.pod.At] {
				fresh = append(fresh, k)
			}
		}
	}
	for _, k := range fresh {
		if !k.stays() || p.real.NodeOf(k.pod) != nil {
			continue
		}
		for _, packer := range []*pack.Packer{p.real, p.full} {
			if at := packer.Node(k.pod.At); at != nil {
				packer.Assume(k.pod, at)
			}
		}
	}
	p.real.Settle()
	p.full.Settle()
	return all, nil
}

func (p *Planner) readFirst(s Snapshot, nodes []*corev1.Node, volumes pack.Volumes) ([]*known, error) {
	p.pods = make(map[podKey]*known, len(s.Pods))
	all, _ := p.readPods(s.Pods)
	var bound []*pack.Pod
	for _, k := range all {
		if k.stays() {
			bound = append(bound, k.pod)
		}
	}
	var err error
	if p.real, err = pack.New(pack.Options{Namespaces: s.Namespaces, Volumes: volumes}, nodes, bound); err != nil {
		return nil, err
	}
	p.full, err = p.real.Clone()
	return all, err
}

// stays says whether the pod is one that both packers hold where it is bound.
func (k *known) stays() bool {
	return k.err == nil && k.pod.At != "" && k.pod.Labels[BalloonLabel] == ""
}

// readPods gives all pods, and those of them that are new or other than they were; what is gone is taken out.
func (p *Planner) readPods(pods []*corev1.Pod) (all, fresh []*known) {
	p.tick++
	all = make([]*known, 0, len(pods))
	for _, api := range pods {
		if api.Status.Phase == corev1.PodSucceeded || api.Status.Phase == corev1.PodFailed {
			continue
		}
		key := podKey{api.Namespace, api.Name, string(api.UID)}
		k := p.pods[key]
		if k == nil || !same(k.api, api) {
			p.drop(k)
			k = &known{api: own(api)}
			k.pod, k.err = pack.NewPod(k.api)
			p.pods[key] = k
			fresh = append(fresh, k)
		}
		if k.seen != p.tick {
			k.seen = p.tick
			all = append(all, k)
		}
	}
	if len(all) < len(p.pods) {
		for key, k := range p.pods {
			if k.seen != p.tick {
				p.drop(k)
				delete(p.pods, key)
			}
		}
	}
	return all, fresh
}

func (p *Planner) drop(k *known) {
	if k == nil || k.err != nil || p.real == nil {
		return
	}
	p.real.Remove(k.pod)
	p.full.Remove(k.pod)
}

// same says whether two objects of one name are one state of one pod.
func same(a, b *corev1.Pod) bool {
	return a == b || versioned(a) && a.UID == b.UID && a.ResourceVersion == b.ResourceVersion
}

func versioned(p *corev1.Pod) bool { return p.UID != "" && p.ResourceVersion != "" }

// own is a pod that does not keep the list alive that it was read in.
func own(p *corev1.Pod) *corev1.Pod {
	if !versioned(p) {
		return p
	}
	copied := *p
	return &copied
}

// byName sorts pods so that what follows does not depend on the order in which they were read.
func byName(pods []*pack.Pod) {
	slices.SortFunc(pods, func(a, b *pack.Pod) int { return comparePods(a.Pod, b.Pod) })
}
