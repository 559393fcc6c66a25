package scaler

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/config"
	"swell/nodegroups"
	"swell/scaler/observe"
	"swell/scaler/plan"
	"swell/scaler/ui"
)

var publishedAt = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// waitingPod is a pod of a ReplicaSet without a node.
func waitingPod(name, owner string, since time.Time) *corev1.Pod {
	controls := true
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, CreationTimestamp: metav1.NewTime(since),
		OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: owner, UID: "uid-of-web", Controller: &controls}}},
		Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: "0/3 nodes are available"}}}}
}

func TestPendingPodsSayWhatIsForThem(t *testing.T) {
	var world observe.World
	for i := range 5 {
		world.Snapshot.Pods = append(world.Snapshot.Pods, waitingPod(fmt.Sprint("web-", i), "web", publishedAt.Add(-time.Duration(i)*time.Second)))
	}
	balloon := waitingPod("web-balloon", "", publishedAt)
	balloon.Labels = map[string]string{plan.BalloonLabel: "web"}
	world.Snapshot.Pods = append(world.Snapshot.Pods, balloon)
	p := plan.Plan{Placed: map[string]string{"shop/web-0": "new-spot-a-2", "shop/web-1": "new-spot-a-3", "shop/web-2": "booting-i-0a", "shop/web-3": "ip-10-0-0-1"},
		Unplaced: []plan.Unplaced{{Pod: "shop/web-4", Reasons: []plan.Alternative{{Group: "spot-a", Reason: "is full"}, {Group: "od-a", Reason: "costs too much"}, {Group: "spot-c", Reason: "is full"}}}}}
	var s ui.State
	showPending(&s, world, p, config.Clock{})
	got := map[string]ui.Pending{}
	for _, x := range s.Pending {
		got[x.For] = x
	}
	for place, want := range map[string]struct {
		pod, why string
		n        int
	}{
		"a launch in spot-a":         {"shop/web-1", "0/3 nodes are available", 2},
		"instance i-0a, which boots": {"shop/web-2", "0/3 nodes are available", 1},
		"node ip-10-0-0-1":           {"shop/web-3", "0/3 nodes are available", 1},
		"":                           {"shop/web-4", "can take it: spot-a, spot-c: is full; od-a: costs too much", 1},
	} {
		if x := got[place]; x.Pod != want.pod || x.Count != want.n || !strings.Contains(x.Why, want.why) {
			t.Errorf("for %q: %+v, want %d of %s, since %s", place, x, want.n, want.pod, want.why)
		}
	}
	if len(s.Pending) != 4 || s.Pending[0].Pod != "shop/web-4" {
		t.Errorf("%d lines, the first of %s: want 4, and the longest waiting first", len(s.Pending), s.Pending[0].Pod)
	}
}

func TestNodesAreCountedOnceAndUnknownPricesNamed(t *testing.T) {
	node := func(id string) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-" + id, Labels: map[string]string{corev1.LabelTopologyZone: "a"}}, Spec: corev1.NodeSpec{ProviderID: id}}
	}
	instance := func(id string, l nodegroups.Lifecycle) nodegroups.Instance {
		return nodegroups.Instance{ID: id, ProviderID: id, Lifecycle: l}
	}
	var world observe.World
	world.Snapshot.Nodes = []*corev1.Node{node("1"), node("2"), node("3")}
	world.Snapshot.Groups = []nodegroups.Group{
		{Name: "spot-a", Zone: "a", Market: nodegroups.Spot, HourlyPrice: 0.5, Instances: []nodegroups.Instance{instance("1", nodegroups.InService), instance("2", nodegroups.InService),
			instance("new", nodegroups.Pending), instance("old", nodegroups.Terminating)}},
		{Name: "od-a", Zone: "a", Market: nodegroups.OnDemand, Instances: []nodegroups.Instance{instance("3", nodegroups.InService)}},
	}
	world.Snapshot.Unavailable = []nodegroups.Unavailable{{Group: "spot-a", Until: publishedAt.Add(time.Minute), Reason: "no capacity"}, {Group: "od-a", Until: publishedAt.Add(-time.Minute), Reason: "over"}}
	s := ui.State{At: publishedAt}
	showNodes(&s, world, plan.Plan{Terminations: []plan.Termination{{Node: "node-2"}}})
	if want := (ui.Zone{Zone: "a", Spot: 2, OnDemand: 1, Booting: 1, Leaving: 1}); len(s.Zones) != 1 || s.Zones[0] != want {
		t.Errorf("the zones are %+v, want %+v", s.Zones, want)
	}
	if s.Cost.Hourly == nil || *s.Cost.Hourly != 1.5 || s.Cost.Unpriced != 1 {
		t.Errorf("the cost is %+v: want 1.5 an hour, and one instance whose price is unknown", s.Cost)
	}
	if g := s.Groups[0]; g.UnavailableUntil == nil || g.Why != "no capacity" || g.Nodes != 2 || g.Booting != 1 {
		t.Errorf("spot-a is %+v", g)
	}
	if g := s.Groups[1]; g.UnavailableUntil != nil || g.Hourly != nil {
		t.Errorf("od-a is %+v: its refusal is over and its price unknown", g)
	}
	world.Snapshot.Groups = world.Snapshot.Groups[1:]
	s = ui.State{At: publishedAt}
	if showNodes(&s, world, plan.Plan{}); s.Cost.Hourly != nil {
		t.Errorf("the cost is %v although no price is known", *s.Cost.Hourly)
	}
}
