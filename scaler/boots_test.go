package scaler

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/nodegroups"
	"swell/nodegroups/learn"
	"swell/scaler/handover"
	"swell/scaler/learned"
	"swell/scaler/observe"
)

// learning is a loop that keeps what it learns.
func learning(t *testing.T) noticed {
	t.Helper()
	n := newNoticed(t, v1alpha1.Enforce)
	var err error
	if n.leads, err = newLeads(config.Lead{PodStart: metav1.Duration{Duration: 10 * time.Second}}, n.clock, n.known); err != nil {
		t.Fatal(err)
	}
	return n
}

// booted is a world whose instance i-1 became a Ready node after 40 s, with pods that were Ready at times after its launch.
func (n noticed) booted(at time.Time, pods map[string]time.Duration) observe.World {
	w := n.world()
	w.Snapshot.Groups[0].Instances[0].LaunchedAt = at
	node := w.Snapshot.Nodes[0]
	node.CreationTimestamp = metav1.NewTime(at.Add(30 * time.Second))
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(at.Add(40 * time.Second))}}
	for name, after := range pods {
		w.Snapshot.Pods = append(w.Snapshot.Pods, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Spec: corev1.PodSpec{NodeName: onlyNode},
			Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(at.Add(after))}}}})
	}
	return w
}

var onlyKey = learn.BootKey{Zone: "a", Type: "m7g.large", Image: "ami-1", Market: nodegroups.Spot}

// A boot is learned until its first pod runs, which may be after the plan that saw its node Ready. A pod that comes much later
// is not what the boot was for.
func TestABootIsLearnedUntilItsFirstPod(t *testing.T) {
	for name, c := range map[string]struct {
		pods map[string]time.Duration
		want int
	}{"two pods": {map[string]time.Duration{"late": 90 * time.Second, "first": 55 * time.Second}, 1}, "none": {nil, 0}, "an hour later": {map[string]time.Duration{"x": time.Hour}, 0}} {
		t.Run(name, func(t *testing.T) {
			n := learning(t)
			at := n.now.Add(-2 * time.Hour)
			for _, pods := range []map[string]time.Duration{nil, c.pods} {
				w := n.booted(at, pods)
				n.learnBoots(t.Context(), n.now, &w)
			}
			if got := n.known.Boots.Count(onlyKey, learn.Ready); got != 1 {
				t.Errorf("%d boots to Ready: want 1", got)
			}
			if got := n.known.Boots.Count(onlyKey, learn.FirstPod); got != c.want {
				t.Fatalf("%d boots to a first pod: want %d", got, c.want)
			}
			data, err := n.known.Boots.MarshalJSON()
			if want := `"y":400,"f":550`; err != nil || c.want > 0 && !strings.Contains(string(data), want) {
				t.Errorf("learned %s, %v: want the first pod after 55 s", data, err)
			}
		})
	}
}

// What a plan learns of boots is kept where a successor reads it, by the plan itself.
func TestWhatAPlanLearnsOfBootsIsKeptForASuccessor(t *testing.T) {
	n := learning(t)
	n.jobs = newJobs()
	n.options.Config.History.Checkpoints = "swell-system"
	w := n.booted(n.now.Add(-time.Hour), nil)
	n.learnBoots(t.Context(), n.now, &w)
	for deadline := time.Now().Add(time.Minute); n.boots.saving; time.Sleep(time.Millisecond) {
		if n.collect(); time.Now().After(deadline) {
			t.Fatal("it is still being saved")
		}
	}
	next := learning(t)
	next.kube = n.kube
	next.options.Config.History.Checkpoints = "swell-system"
	next.loadBoots(t.Context(), n.now)
	if got := next.known.Boots.Count(onlyKey, learn.Ready); got != 1 {
		t.Errorf("a successor knows %d boots: want 1", got)
	}
}

// Boots that Nodes show are learned, kept in a ConfigMap that a hand-over finds, read by a successor, and an image that boots
// slower than the former is a condition of its pool and a problem.
func TestBootsAreLearnedKeptAndASlowerImageIsTold(t *testing.T) {
	n := learning(t)
	w := n.world()
	g := &w.Snapshot.Groups[0]
	g.Instances, g.Image, w.Snapshot.Nodes = nil, "ami-2", nil
	for i := range 14 {
		image, took := "ami-1", 40*time.Second
		if i >= 7 {
			image, took = "ami-2", 200*time.Second
		}
		id := fmt.Sprintf("i-%02d", i)
		at := n.now.Add(time.Duration(i-100) * time.Minute)
		g.Instances = append(g.Instances, nodegroups.Instance{ID: id, ProviderID: "aws:///a/" + id, Type: "m7g.large", Image: image, Zone: "a", LaunchedAt: at})
		w.Snapshot.Nodes = append(w.Snapshot.Nodes, &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: id, CreationTimestamp: metav1.NewTime(at.Add(took - 5*time.Second))}, Spec: corev1.NodeSpec{ProviderID: "aws:///a/" + id},
			Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(at.Add(took))}}}})
	}
	n.learnBoots(t.Context(), n.now, &w)
	if !n.boots.dirty || len(w.Problems) != 1 || !strings.Contains(w.Problems[0].What, "ami-2") {
		t.Fatalf("to be saved %t, problems %+v: want the slower image", n.boots.dirty, w.Problems)
	}
	var raw [2][]byte
	for i, x := range []json.Marshaler{n.known.Boots, n.known.Capacity} {
		var err error
		if raw[i], err = x.MarshalJSON(); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // made, then merged
		if _, err := n.writeBoots(t.Context(), n.now, "swell-system", raw[0], raw[1], ""); err != nil {
			t.Fatal(err)
		}
	}
	m, err := n.kube.CoreV1().ConfigMaps("swell-system").Get(t.Context(), learned.ConfigMap, metav1.GetOptions{})
	if err != nil || m.Labels[learned.Label] != "true" {
		t.Fatalf("%v, labels %v: a hand-over does not find it", err, m.Labels)
	}
	next := learning(t)
	next.kube = n.kube
	next.options.Config.History.Checkpoints = "swell-system"
	next.loadBoots(t.Context(), n.now)
	key := onlyKey
	if got, want := next.known.Boots.Quantile(key, learn.Ready, 0.5), n.known.Boots.Quantile(key, learn.Ready, 0.5); next.known.Boots.Count(key, learn.Ready) != 7 || got != want {
		t.Errorf("a successor knows %d boots with a median of %v: want 7 and %v", next.known.Boots.Count(key, learn.Ready), got, want)
	}
	var status v1alpha1.CapacityPoolStatus
	next.bootStatus(&status, &n.pool, w.Snapshot.Groups, n.now)
	if len(status.LearnedBoot) != 1 || status.LearnedBoot[0].Image != "ami-2" || status.LearnedBoot[0].Count != 7 || len(status.Conditions) != 1 ||
		status.Conditions[0].Type != "BootSlower" || status.Conditions[0].Status != metav1.ConditionTrue {
		t.Errorf("the status has %+v", status)
	}
	g.Image = "ami-1" // back to the former
	status = v1alpha1.CapacityPoolStatus{}
	next.bootStatus(&status, &n.pool, w.Snapshot.Groups, n.now)
	if status.Conditions[0].Status != metav1.ConditionFalse {
		t.Errorf("a pool that launches the former image has %+v", status.Conditions)
	}
}

// What a hand-over brings while a scaler runs is in its memory after its next look, and its next save takes none of it away.
func TestARunningScalerTakesOverImportedBoots(t *testing.T) {
	at := time.Now().Truncate(time.Second)
	boots, err := learn.NewBoots(learn.BootOptions{})
	if err != nil {
		t.Fatal(err)
	}
	key := learn.BootKey{Zone: "a", Type: "m7g.large", Image: "ami-1", Market: nodegroups.Spot}
	boots.Observe(key, learn.Boot{ID: "i-old", Launched: at.Add(-time.Hour), Ready: 100 * time.Second})
	capacity := learn.NewCapacity()
	capacity.Failed(at, nodegroups.Unavailable{Group: "spot-a", Zone: "a", Types: []string{"m7g.large"}, Market: nodegroups.Spot, Class: nodegroups.NoCapacity})
	var raw [2][]byte
	for i, x := range []json.Marshaler{boots, capacity} {
		if raw[i], err = x.MarshalJSON(); err != nil {
			t.Fatal(err)
		}
	}
	f := handover.File{Learned: []handover.Learned{{Name: learned.ConfigMap, BinaryData: learned.Data(raw[0], raw[1])}}}
	for _, dirty := range []bool{false, true} {
		n := learning(t)
		n.jobs = newJobs()
		n.options.Config.History.Checkpoints = "swell-system"
		n.boots.dirty = dirty
		if _, err := handover.Import(t.Context(), n.kube, f, handover.Options{Namespace: "swell-system", Now: n.now}); err != nil {
			t.Fatal(err)
		}
		n.saveBoots(t.Context(), n.now)
		for n.boots.saving && t.Context().Err() == nil {
			runtime.Gosched()
			n.collect()
		}
		g := nodegroups.Group{Name: "spot-a", Zone: "a", InstanceTypes: []string{"m7g.large"}, Market: nodegroups.Spot}
		if !n.known.Boots.Has(key, "i-old") || len(n.known.Capacity.Unavailable(n.now, []nodegroups.Group{g})) != 1 {
			t.Errorf("to be saved %t: the boot is known %t, unavailable are %+v", dirty, n.known.Boots.Has(key, "i-old"), n.known.Capacity.Unavailable(n.now, []nodegroups.Group{g}))
		}
		m, err := n.kube.CoreV1().ConfigMaps("swell-system").Get(t.Context(), learned.ConfigMap, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		kept := learn.NewCapacity()
		if err := learned.Read(m.BinaryData, n.now, boots, kept); err != nil || len(kept.Unavailable(n.now, []nodegroups.Group{g})) != 1 {
			t.Errorf("to be saved %t: %v, the mark is not kept", dirty, err)
		}
	}
}

// fullOfOld gives the group of the world so many Ready nodes that were launched a day ago, more than boots are kept of.
func (n noticed) fullOfOld(w *observe.World, nodes int) {
	g := &w.Snapshot.Groups[0]
	for i := range nodes {
		id, at := fmt.Sprintf("i-old-%02d", i), n.now.Add(-24*time.Hour+time.Duration(i)*time.Second)
		g.Instances = append(g.Instances, nodegroups.Instance{ID: id, ProviderID: "aws:///a/" + id, Type: "m7g.large", Image: "ami-1", Zone: "a", Lifecycle: nodegroups.InService, LaunchedAt: at})
		w.Snapshot.Nodes = append(w.Snapshot.Nodes, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: id, CreationTimestamp: metav1.NewTime(at.Add(30 * time.Second))},
			Spec:   corev1.NodeSpec{ProviderID: "aws:///a/" + id, Unschedulable: true},
			Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(at.Add(40 * time.Second))}}}})
	}
	g.Desired += nodes
}

// Of 60 nodes that are up ten boots are no longer kept: they are no news, and say nothing of what was launched since.
func TestOldNodesOpenNoGroupWhoseNewInstancesDoNotJoin(t *testing.T) {
	n := learning(t)
	w := n.world()
	w.Snapshot.Groups[0].Instances, w.Snapshot.Nodes = nil, nil
	n.fullOfOld(&w, 60)
	n.learnBoots(t.Context(), n.now, &w)
	n.boots.dirty = false
	for range 3 {
		n.known.Capacity.NeverJoined(n.now, n.now.Add(-time.Hour), "spot-a", "ami-1")
		n.learnBoots(t.Context(), n.now, &w)
	}
	if n.boots.dirty || len(w.Snapshot.Unavailable) != 1 {
		t.Errorf("to be saved %t, unavailable %+v: want nothing new, and the group closed", n.boots.dirty, w.Snapshot.Unavailable)
	}
}

// The plan that gives up the third instance in a row buys no fourth in its group: it is made again with what it learned.
func TestAPlanThatClosesAGroupBuysNothingInIt(t *testing.T) {
	for overdue, want := range map[int]int{2: 1, 3: 0} {
		n := learning(t)
		w := n.world()
		g := &w.Snapshot.Groups[0]
		g.Max, g.Instances, w.Snapshot.Nodes = 100, nil, nil
		g.Template.Allocatable = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("16Gi"), corev1.ResourcePods: resource.MustParse("50")}
		for i := range overdue {
			id := fmt.Sprintf("i-%d", i)
			g.Instances = append(g.Instances, nodegroups.Instance{ID: id, ProviderID: "aws:///a/" + id, Type: "m7g.large", Image: "ami-1", Zone: "a",
				Lifecycle: nodegroups.Pending, LaunchedAt: n.now.Add(-time.Hour)})
		}
		g.Desired = overdue
		w.Snapshot.Pods = []*corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web",
			Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")}}}}}}}
		w.Snapshot.PodsAt, w.Snapshot.GroupsAt = n.now, n.now
		policy, _ := w.Policy(0)
		p := n.makePlan(n.now, &w, policy)
		bought := 0
		for _, l := range p.Launches {
			bought += l.Count
		}
		if len(p.Lost) != overdue || bought != want {
			t.Errorf("%d overdue: %d are given up and %d bought, want %d; %+v", overdue, len(p.Lost), bought, want, p.Unplaced)
		}
	}
}
