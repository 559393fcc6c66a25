package scaler

import (
	"fmt"
	"math"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"swell/api/v1alpha1"
	"swell/balloon"
	"swell/balloon/apply"
	"swell/nodegroups"
	"swell/scaler/observe"
)

// threeZones are a spot group in each of three zones, and an on-demand group of another sort in the first.
func threeZones() *observe.World {
	w := &observe.World{}
	group := func(zone string, market nodegroups.Market, price float64, labels map[string]string, taints ...corev1.Taint) {
		w.Snapshot.Groups = append(w.Snapshot.Groups, nodegroups.Group{Name: zone + string(market), Pool: "general", Zone: zone, Market: market, HourlyPrice: price,
			Template: nodegroups.Template{Labels: labels, Taints: taints, Allocatable: corev1.ResourceList{"cpu": resource.MustParse("10"), "memory": resource.MustParse("40Gi")}}})
	}
	group("a", nodegroups.Spot, 0.3, map[string]string{"pool": "general"})
	group("a", nodegroups.OnDemand, 1.2, map[string]string{"pool": "general"})
	group("c", nodegroups.Spot, 0.6, map[string]string{"pool": "general"})
	group("d", nodegroups.Spot, 0.01, map[string]string{"pool": "batch"}, corev1.Taint{Key: "batch", Effect: corev1.TaintEffectNoSchedule})
	return w
}

func target(change func(*corev1.PodSpec)) apply.Target {
	t := apply.Target{Selector: labels.SelectorFromSet(labels.Set{"app": "web"})}
	if change != nil {
		change(&t.Template.Spec)
	}
	return t
}

func names(zones []balloon.Zone) string {
	out := ""
	for _, z := range zones {
		out += z.Name
	}
	return out
}

func zonalVolume(key string, zones ...string) corev1.PersistentVolume {
	return corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: key, Operator: corev1.NodeSelectorOpIn, Values: zones}}}}}}}}
}

// A zone that the workload's pods cannot be in has no balloons.
func TestOnlyZonesThatTakeThePodsCount(t *testing.T) {
	zone := func(op corev1.NodeSelectorOperator, values ...string) func(*corev1.PodSpec) {
		return func(s *corev1.PodSpec) {
			s.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelTopologyZone, Operator: op, Values: values}}}}}}}
		}
	}
	tolerant := func(s *corev1.PodSpec) { s.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}} }
	volume := func(v corev1.PersistentVolume) apply.Target {
		x := target(nil)
		x.Volumes = []corev1.PersistentVolume{v}
		return x
	}
	for name, c := range map[string]struct {
		target apply.Target
		want   string
	}{
		"a taint":                    {target(nil), "ac"},
		"tolerated":                  {target(tolerant), "acd"},
		"a node selector":            {target(func(s *corev1.PodSpec) { tolerant(s); s.NodeSelector = map[string]string{"pool": "batch"} }), "d"},
		"affinity to a zone":         {target(zone(corev1.NodeSelectorOpIn, "c", "d")), "c"},
		"affinity to no zone of two": {target(zone(corev1.NodeSelectorOpNotIn, "a")), "c"},
		"a volume":                   {volume(zonalVolume(corev1.LabelTopologyZone, "c")), "c"},
		"a driver's own zone label":  {volume(zonalVolume("topology.ebs.csi.aws.com/zone", "a")), "a"},
		"a volume of old":            {volume(corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{corev1.LabelTopologyZone: "a__c"}}}), "ac"},
		"a volume elsewhere":         {volume(zonalVolume(corev1.LabelTopologyZone, "e")), ""},
	} {
		if got := names(zonesOf(threeZones(), c.target, nil, nil)); got != c.want {
			t.Errorf("%s: zones %q, want %q", name, got, c.want)
		}
	}
}

// Where another scaler owns the nodes there are no groups, and the nodes tell the zones.
func TestWithoutGroupsTheNodesTellTheZones(t *testing.T) {
	w := &observe.World{}
	for name, zone := range map[string]string{"n1": "a", "n2": "c", "n3": ""} {
		w.Snapshot.Nodes = append(w.Snapshot.Nodes, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelTopologyZone: zone}}})
	}
	w.Snapshot.Nodes[0].Spec.Taints = []corev1.Taint{{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule}} // cordoned for a while
	running := []*corev1.Pod{{Spec: corev1.PodSpec{NodeName: "n1"}}, {Spec: corev1.PodSpec{NodeName: "n1"}}, {Spec: corev1.PodSpec{NodeName: "n2"}}}
	got := zonesOf(w, target(nil), running, map[string]int{"c": 3})
	if fmt.Sprint(got) != "[{a 2 0} {c 1 3}]" {
		t.Errorf("%+v: want two pods in a, and one and three balloons in c", got)
	}
}

// Room costs what the next node would: spot where there is some, the cheapest that takes the pods, the mean of the zones.
func TestRoomCostsWhatWouldBeBought(t *testing.T) {
	requests := corev1.ResourceList{"cpu": resource.MustParse("1"), "memory": resource.MustParse("8Gi")} // a fifth of a node, by memory
	w := threeZones()
	got, err := roomCost(requests, target(nil), w)
	if want := 0.2 * (0.3 + 0.6) / 2 / 60; err != nil || math.Abs(got-want) > 1e-12 {
		t.Errorf("%g, %v: want %g, a fifth of the mean of a's and c's spot price a minute", got, err, want)
	}
	w.Pools = []v1alpha1.CapacityPool{{ObjectMeta: metav1.ObjectMeta{Name: "general"}}}
	w.Pools[0].Spec.Purchase.SpotMax = "0%"
	got, err = roomCost(requests, target(nil), w)
	if want := 0.2 * 1.2 / 60; err != nil || math.Abs(got-want) > 1e-12 {
		t.Errorf("%g, %v: want %g, of the only on-demand group", got, err, want)
	}
	if _, err := roomCost(requests, target(func(s *corev1.PodSpec) { s.NodeSelector = map[string]string{"pool": "gone"} }), w); err == nil {
		t.Error("a price for pods that no group takes")
	}
}

// While pods go, their places are not held a second time, and what is held stays.
func TestPlacesOfPodsThatGoAreNotHeldTwice(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	same := func(at time.Time) time.Time { return at }
	w := &observe.World{}
	add := func(n int, node string, deleted time.Time) {
		for range n {
			p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Labels: map[string]string{"app": "web"}}, Spec: corev1.PodSpec{NodeName: node}}
			if !deleted.IsZero() {
				p.DeletionTimestamp = &metav1.Time{Time: deleted}
			}
			w.Snapshot.Pods = append(w.Snapshot.Pods, p)
		}
	}
	add(10, "n1", time.Time{})
	add(20, "n1", now.Add(30*time.Second)) // their grace
	add(5, "", time.Time{})                // pending
	add(3, "gone", now.Add(-time.Hour))    // their node has gone
	n := occupied(w, "shop", target(nil).Selector, now, same)
	if n != 30 {
		t.Fatalf("%d places are taken: want 10 and 20", n)
	}
	for have, want := range map[int]int{0: 4, 3: 4, 7: 7, 16: 12} {
		in := balloon.Input{Now: now, Chunk: 2.5, Max: 100, Share: 1, Demand: 10, Upper: 40, Running: 10, Zones: []balloon.Zone{{Name: "a", Pods: 10, Balloons: have}}}
		d := balloon.Size(in)
		in.Running = n
		if got := notYet(d, in, n-10); got.Total != want || got.Zones[0].Balloons != want {
			t.Errorf("with %d balloons of %d: %+v, want %d", have, d.Total, got, want)
		}
	}
}
