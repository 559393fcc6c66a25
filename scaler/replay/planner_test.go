package replay

import (
	"fmt"
	"math"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/nodegroups"
	"swell/scaler/plan"
)

// planned is a cluster that the product's own planner buys for: one zone, one group, pods that are all alike.
type planned struct {
	group plan.Snapshot
	ready []int64 // when each instance serves

	on  []int // pods by node
	mem plan.Memory
}

const planZone = "1a"

func planPod(name string, with func(*corev1.Pod)) *corev1.Pod {
	yes := true
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "chat", Name: name, OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "web", Controller: &yes}}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}}}}}}
	with(p)
	return p
}

func newPlanned() *planned {
	g := nodegroups.Group{Name: "general", Pool: "general", Zone: planZone, Market: nodegroups.OnDemand, InstanceTypes: []string{"m6i.4xlarge"}, Max: 1000, HourlyPrice: 1,
		Template: nodegroups.Template{Labels: map[string]string{corev1.LabelTopologyZone: planZone},
			Allocatable: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("15"), corev1.ResourceMemory: resource.MustParse("60Gi"), corev1.ResourcePods: resource.MustParse("110")}}}
	return &planned{group: plan.Snapshot{Groups: []nodegroups.Group{g}}}
}

func (c *planned) launch(n int, launched, ready int64) {
	g := &c.group.Groups[0]
	for range n {
		id := fmt.Sprintf("i-%04d", len(g.Instances))
		g.Instances = append(g.Instances, nodegroups.Instance{ID: id, Zone: planZone, Lifecycle: nodegroups.Pending, LaunchedAt: time.Unix(launched, 0), ProviderID: nodegroups.ProviderID(planZone, id)})
		g.Desired++
		c.ready, c.on = append(c.ready, ready), append(c.on, 0)
	}
}

// snapshot at a time with as many pods as are desired, on the nodes that are up as far as they have room.
func (c *planned) snapshot(now int64, desired, balloons int) plan.Snapshot {
	s := c.group
	s.PodsAt, s.GroupsAt = time.Unix(now, 0), time.Unix(now, 0)
	left := desired
	for i, at := range c.ready {
		in := s.Groups[0].Instances[i]
		if at > now {
			continue
		}
		s.Nodes = append(s.Nodes, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: in.ID, Labels: map[string]string{corev1.LabelTopologyZone: planZone, corev1.LabelHostname: in.ID}},
			Spec:   corev1.NodeSpec{ProviderID: in.ProviderID},
			Status: corev1.NodeStatus{Allocatable: s.Groups[0].Template.Allocatable, Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}})
		for k := range min(left, 15) {
			s.Pods = append(s.Pods, planPod(fmt.Sprintf("web-%s-%02d", in.ID, k), func(p *corev1.Pod) { p.Spec.NodeName = in.ID }))
		}
		left -= min(left, 15)
	}
	for k := range left {
		s.Pods = append(s.Pods, planPod(fmt.Sprintf("web-pending-%03d", k), func(*corev1.Pod) {}))
	}
	low := int32(-10)
	s.Balloons = []plan.BalloonDemand{{Namespace: "chat", Name: "web", Zone: planZone, Want: balloons, Pod: planPod("web-balloon", func(p *corev1.Pod) {
		p.Labels = map[string]string{plan.BalloonLabel: "web"}
		p.Spec.Priority, p.Spec.NodeSelector = &low, map[string]string{corev1.LabelTopologyZone: planZone}
	})}}
	return s
}

// The number of nodes that stands in for the planner is what the planner has bought, on a morning's rise.
func TestThePlannerBuysWhatIsCounted(t *testing.T) {
	in := Input{Seed: 1}
	in.Scenario, _ = BuiltIn("office-morning")
	if err := in.localise(); err != nil {
		t.Fatal(err)
	}
	d, sp := ofOffice(in.Scenario, in)
	p, err := newSwell(in, Quantile)
	if err != nil {
		t.Fatal(err)
	}
	learn(in, p, d, sp)
	morning := time.Date(2026, 4, 14, 8, 20, 0, 0, in.Location).Unix()
	for now := sp.from; now < morning-60; now += 15 {
		p.observe(now-30, d.at(now-30))
	}
	policy := plan.Policy{Pools: []plan.Pool{{Name: "general", Fallback: true, ScaleInAfter: 10 * time.Minute, MaxUnavailable: 0.1}}, MaxAge: time.Minute}
	c := newPlanned()
	held := newMost(7200) // the planner returns nothing while it rises
	bought := 0
	for now := morning; now < morning+3600; now += 60 {
		for at := now - 60; at < now; at += 15 {
			p.observe(at-30, d.at(at-30))
		}
		want := p.want(now)
		out, memory := plan.Make(time.Unix(now, 0), c.snapshot(now, p.seen, int(want)-p.seen), policy, c.mem)
		c.mem = memory
		for _, l := range out.Launches {
			ready := now + 300
			if now == morning {
				ready = now
			}
			c.launch(l.Count, now, ready)
			bought += l.Count
		}
		if counted := held.add(now, int(math.Ceil(want/15))); len(c.ready) != counted || len(out.Unplaced) > 0 || len(out.Terminations) > 0 {
			t.Fatalf("%s: the planner has %d nodes, counted are %d for %g pods; problems %v, unplaced %v, returned %v",
				time.Unix(now, 0).In(in.Location).Format(time.TimeOnly), len(c.ready), counted, want, out.Problems, out.Unplaced, out.Terminations)
		}
	}
	if bought < 40 {
		t.Fatalf("only %d nodes were bought: nothing was compared", bought)
	}
}
