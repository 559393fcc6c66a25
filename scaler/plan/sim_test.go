package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/nodegroups"
)

var start = time.Date(2026, 11, 23, 8, 41, 30, 0, time.UTC)

// cluster is a cluster small enough to reason about, which carries plans out at once.
type cluster struct {
	now    time.Time
	s      Snapshot
	policy Policy
	memory Memory
	born   int
}

func newCluster(pools ...Pool) *cluster {
	return &cluster{now: start, policy: Policy{Pools: pools, MaxAge: time.Minute}}
}

func testPool() Pool {
	return Pool{Name: "general", SpotMax: 1, Fallback: true, ScaleInAfter: 10 * time.Minute, ScaleInBelow: 0.5, MaxUnavailable: 0.1}
}

// group adds a group of 16-core nodes named like general-1a-spot.
func (c *cluster) group(zone string, market nodegroups.Market, price float64, with ...func(*nodegroups.Group)) *cluster {
	g := nodegroups.Group{Name: "general-" + zone + "-" + string(market), Pool: "general", Zone: zone, Market: market,
		InstanceTypes: []string{"m6i.4xlarge"}, Image: "ami-1", Max: 20, HourlyPrice: price,
		Template: nodegroups.Template{Labels: map[string]string{corev1.LabelTopologyZone: zone, "market": string(market)},
			Allocatable: corev1.ResourceList{"cpu": resource.MustParse("15500m"), "memory": resource.MustParse("60Gi"), "pods": resource.MustParse("110")}}}
	for _, w := range with {
		w(&g)
	}
	c.s.Groups = append(c.s.Groups, g)
	return c
}

func (c *cluster) byName(group string) *nodegroups.Group {
	for i := range c.s.Groups {
		if c.s.Groups[i].Name == group {
			return &c.s.Groups[i]
		}
	}
	return nil
}

// launch adds booting instances.
func (c *cluster) launch(group string, n int) {
	g := c.byName(group)
	for range n {
		c.born++
		id := fmt.Sprintf("i-%04d", c.born)
		g.Instances = append(g.Instances, nodegroups.Instance{ID: id, Zone: g.Zone, Lifecycle: nodegroups.Pending, LaunchedAt: c.now, ProviderID: nodegroups.ProviderID(g.Zone, id)})
		g.Desired++
	}
}

// boot makes Ready nodes of all booting instances; their names are their ids.
func (c *cluster) boot() *cluster {
	have := map[string]bool{}
	for _, n := range c.s.Nodes {
		have[n.Spec.ProviderID] = true
	}
	for gi := range c.s.Groups {
		g := &c.s.Groups[gi]
		for ii := range g.Instances {
			i := &g.Instances[ii]
			if have[i.ProviderID] || i.Lifecycle == nodegroups.Terminating {
				continue
			}
			i.Lifecycle = nodegroups.InService
			labels := merged(g.Template.Labels, map[string]string{corev1.LabelHostname: i.ID})
			c.s.Nodes = append(c.s.Nodes, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: i.ID, Labels: labels}, Spec: corev1.NodeSpec{ProviderID: i.ProviderID, Taints: g.Template.Taints},
				Status: corev1.NodeStatus{Allocatable: g.Template.Allocatable, Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}})
		}
	}
	return c
}

// up launches and boots.
func (c *cluster) up(group string, n int) *cluster {
	c.launch(group, n)
	return c.boot()
}

// pods adds n pods of an app with a controller, bound to node or pending where it is empty.
func (c *cluster) pods(app string, n int, cpu, node string, with ...func(*corev1.Pod)) *cluster {
	for range n {
		c.born++
		p := podOf(app, cpu, with...)
		p.Name = fmt.Sprintf("%s-%04d", app, c.born)
		p.CreationTimestamp = metav1.NewTime(c.now.Add(time.Duration(c.born) * time.Millisecond))
		p.Spec.NodeName = node
		c.s.Pods = append(c.s.Pods, p)
	}
	return c
}

func podOf(app, cpu string, with ...func(*corev1.Pod)) *corev1.Pod {
	yes := true
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: app, Labels: map[string]string{"app": app},
		OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: app, Controller: &yes}}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
			"cpu": resource.MustParse(cpu), "memory": resource.MustParse("256Mi")}}}}}}
	for _, w := range with {
		w(p)
	}
	return p
}

func balloonPod(name, zone, cpu string) *corev1.Pod {
	low := int32(-10)
	return podOf(name+"-balloon", cpu, func(p *corev1.Pod) {
		p.Labels = map[string]string{BalloonLabel: name}
		p.OwnerReferences[0].Kind = "Balloon"
		p.Spec.Priority, p.Spec.NodeSelector = &low, map[string]string{corev1.LabelTopologyZone: zone}
	})
}

// want sets a balloon demand; balloons adds existing balloon pods.
func (c *cluster) want(name, zone string, n int, cpu string) *cluster {
	c.s.Balloons = slices.DeleteFunc(c.s.Balloons, func(d BalloonDemand) bool { return d.Name == name && d.Zone == zone })
	c.s.Balloons = append(c.s.Balloons, BalloonDemand{Namespace: "shop", Name: name, Zone: zone, Pod: balloonPod(name, zone, cpu), Want: n})
	return c
}

func (c *cluster) balloons(name, zone string, n int, cpu, node string) *cluster {
	for range n {
		c.born++
		p := balloonPod(name, zone, cpu)
		p.Name = fmt.Sprintf("%s-%04d", p.Name, c.born)
		p.Spec.NodeName = node
		c.s.Pods = append(c.s.Pods, p)
	}
	return c
}

func (c *cluster) promise(app string, n int, cpu string) *cluster {
	c.s.Promised = []Promised{{Pod: podOf(app, cpu), Count: n}}
	return c
}

func (c *cluster) plan() Plan {
	c.s.PodsAt, c.s.GroupsAt = c.now, c.now
	p, m := Make(c.now, c.s, c.policy, c.memory)
	c.memory = m
	return p
}

// carry does what a plan says; new instances are booting, nodes are returned at once and their pods are pending.
func (c *cluster) carry(p Plan) {
	for _, l := range p.Launches {
		c.launch(l.Group, l.Count)
	}
	for _, b := range append(slices.Clone(p.Pops), p.Deletes...) {
		c.s.Pods = slices.DeleteFunc(c.s.Pods, func(q *corev1.Pod) bool { return q.Namespace == b.Namespace && q.Name == b.Name })
	}
	for _, b := range p.Creates {
		c.balloons(b.Name, b.Zone, b.Count, b.Pod.Spec.Containers[0].Resources.Requests.Cpu().String(), "")
	}
	for _, t := range p.Terminations {
		c.lose(t.Node, t.InstanceID, t.Group)
	}
}

func (c *cluster) lose(node, instance, group string) {
	c.s.Nodes = slices.DeleteFunc(c.s.Nodes, func(n *corev1.Node) bool { return n.Name == node })
	g := c.byName(group)
	g.Instances = slices.DeleteFunc(g.Instances, func(i nodegroups.Instance) bool { return i.ID == instance })
	g.Desired--
	c.s.Pods = slices.DeleteFunc(c.s.Pods, func(p *corev1.Pod) bool { return p.Spec.NodeName == node && p.Labels[BalloonLabel] != "" })
	for i, p := range c.s.Pods {
		if p.Spec.NodeName == node {
			q := p.DeepCopy()
			q.Spec.NodeName = ""
			c.s.Pods[i] = q
		}
	}
}

// bind schedules by CPU and zone alone, high priorities first, onto the first node with room.
func (c *cluster) bind() {
	order := make([]int, len(c.s.Pods))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(priority(c.s.Pods[b]), priority(c.s.Pods[a])) })
	for _, i := range order {
		p := c.s.Pods[i]
		if p.Spec.NodeName != "" {
			continue
		}
		for _, n := range c.s.Nodes {
			if zone := p.Spec.NodeSelector[corev1.LabelTopologyZone]; zone != "" && zone != n.Labels[corev1.LabelTopologyZone] {
				continue
			}
			if !n.Spec.Unschedulable && c.free(n)-p.Spec.Containers[0].Resources.Requests.Cpu().MilliValue() >= 0 {
				q := p.DeepCopy()
				q.Spec.NodeName = n.Name
				c.s.Pods[i] = q
				break
			}
		}
	}
}

func (c *cluster) free(n *corev1.Node) int64 {
	free := n.Status.Allocatable.Cpu().MilliValue()
	for _, p := range c.s.Pods {
		if p.Spec.NodeName == n.Name {
			free -= p.Spec.Containers[0].Resources.Requests.Cpu().MilliValue()
		}
	}
	return free
}

// text is a plan as a reader of a timeline wants it.
func text(p Plan) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, "  "+format+"\n", args...) }
	for _, x := range p.Pops {
		line("pop        %s on %s: %s", x.Name, x.Node, x.Reason)
	}
	for _, x := range p.Launches {
		line("launch     %d × %s: %s", x.Count, x.Group, x.Reason)
		for _, a := range x.Rejected {
			line("             not %s: %s", a.Group, a.Reason)
		}
	}
	for _, x := range p.Creates {
		line("create     %d × balloon %s in %s", x.Count, x.Name, x.Zone)
	}
	for _, x := range p.Deletes {
		line("delete     %s on %q: %s", x.Name, x.Node, x.Reason)
	}
	for _, x := range p.Replacements {
		line("replace    %s: %s, placed %v, gone at %s", x.Node, x.Reason, x.Placed, x.Deadline.Format("15:04:05"))
	}
	for _, x := range p.Terminations {
		line("return     %s to %s: %s", x.Node, x.Group, x.Reason)
	}
	for _, x := range p.Unplaced {
		line("unplaced   %s: %s", x.Pod, Listed(x.Reasons))
	}
	for _, x := range p.Problems {
		line("problem    %s %s (%s)", x.Object, x.What, x.Mend)
	}
	for _, x := range p.Suppressed {
		line("suppressed %s: %s", x.Action, x.Reason)
	}
	if b.Len() == 0 {
		line("nothing")
	}
	return b.String()
}
