package record_test

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/v1alpha1"
	"swell/nodegroups"
	"swell/scaler/ledger"
	"swell/scaler/plan"
	"swell/scaler/record"
)

func list(cpu, memory string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
}

func pod(name, node, cpu, memory string, owner *metav1.OwnerReference, labels map[string]string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: labels},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: list(cpu, memory)}}}}}
	if owner != nil {
		p.OwnerReferences = []metav1.OwnerReference{*owner}
	}
	return p
}

func controller(kind, name string) *metav1.OwnerReference {
	yes := true
	return &metav1.OwnerReference{Kind: kind, Name: name, Controller: &yes}
}

// One Ready node and one instance that boots; pods of a Deployment, of a DaemonSet and of nobody, one of them pending, and a balloon.
func cluster() record.Cluster {
	g := group("spot", nodegroups.Spot, instance("i-1", noon), instance("i-2", noon))
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{corev1.LabelTopologyZone: "a"}}, Spec: corev1.NodeSpec{ProviderID: "aws:///a/i-1"},
		Status: corev1.NodeStatus{Allocatable: list("15500m", "60Gi"), Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}}
	rs := controller("ReplicaSet", "web-1")
	return record.Cluster{
		Snapshot: &plan.Snapshot{Groups: []nodegroups.Group{g}, Nodes: []*corev1.Node{node}, Pods: []*corev1.Pod{
			pod("web-1-a", "n", "2", "4Gi", rs, nil), pod("web-1-b", "n", "2", "4Gi", rs, nil), pod("web-1-c", "", "2", "4Gi", rs, nil),
			pod("log", "n", "500m", "1Gi", controller("DaemonSet", "log"), nil), pod("once", "n", "250m", "1Gi", nil, nil),
			pod("web-x", "n", "5", "10Gi", nil, map[string]string{plan.BalloonLabel: "web"}), pod("web-y", "", "5", "10Gi", nil, map[string]string{plan.BalloonLabel: "web"}),
		}},
		Balloons: []v1alpha1.Balloon{{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}, Spec: v1alpha1.BalloonSpec{ScaleTargetRef: v1alpha1.ScaleTarget{Kind: "Deployment", Name: "web"}}}},
		Owner: func(_, name string) *metav1.OwnerReference {
			return map[string]*metav1.OwnerReference{"web-1": controller("Deployment", "web")}[name]
		},
	}
}

func TestASampleHasWhoHoldsWhat(t *testing.T) {
	s := record.Sample(cluster())
	if len(s.Groups) != 1 {
		t.Fatalf("%+v", s.Groups)
	}
	want := ledger.GroupUse{Group: "spot", Pool: "general", Zone: "a", Market: "spot", Nodes: 1, Booting: 1,
		Allocatable: ledger.Resources{Cores: 15.5, Memory: 60}, Asked: ledger.Resources{Cores: 4.75, Memory: 10}, Held: ledger.Resources{Cores: 5, Memory: 10}}
	if s.Groups[0] != want {
		t.Errorf("the group is %+v: want %+v", s.Groups[0], want)
	}
	got := map[string]ledger.WorkloadUse{}
	for _, w := range s.Workloads {
		got[w.Workload+" "+w.Zone] = w
	}
	if w := got["Deployment/web a"]; w.Pods != 2 || w.Asked.Cores != 4 || w.Held.Cores != 5 || w.Pool != "general" || w.Market != "spot" || w.Used != nil {
		t.Errorf("web is %+v", w)
	}
	if w := got["Deployment/web "]; w.Pending != 1 || w.Pods != 0 || w.Asked.Memory != 4 || w.Held.Cores != 0 {
		t.Errorf("what waits of web is %+v", w)
	}
	if got["DaemonSet/log a"].Pods != 1 || got["Pod/once a"].Asked.Cores != 0.25 || len(got) != 4 || s.Truncated != 0 {
		t.Errorf("%+v", got)
	}
}

// What is used is known of a group or workload only where it is known of all of it.
func TestUsageThatIsNotKnownIsNotZero(t *testing.T) {
	c := cluster()
	c.Usage = &record.Usage{Nodes: map[string]ledger.Resources{"n": {Cores: 3}}, Pods: map[string]ledger.Resources{"shop/web-1-a": {Cores: 1}, "shop/web-1-b": {Cores: 1.5}, "shop/log": {Cores: 0.1}}}
	s := record.Sample(c)
	if s.Groups[0].Used == nil || s.Groups[0].Used.Cores != 3 {
		t.Errorf("the group uses %v", s.Groups[0].Used)
	}
	for _, w := range s.Workloads {
		switch {
		case w.Workload == "Deployment/web" && w.Zone == "a" && (w.Used == nil || w.Used.Cores != 2.5):
			t.Errorf("web uses %v", w.Used)
		case w.Workload == "Pod/once" && w.Used != nil:
			t.Errorf("a pod that nothing is known of uses %v", w.Used)
		}
	}
	delete(c.Usage.Pods, "shop/web-1-b")
	delete(c.Usage.Nodes, "n")
	s = record.Sample(c)
	if s.Groups[0].Used != nil {
		t.Errorf("a group with an unknown node uses %v", s.Groups[0].Used)
	}
	for _, w := range s.Workloads {
		if w.Workload == "Deployment/web" && w.Used != nil {
			t.Errorf("a workload with an unknown pod uses %v", w.Used)
		}
	}
}

func TestTheSmallestWorkloadsAreSummed(t *testing.T) {
	c := cluster()
	c.Snapshot.Pods = nil
	for i := range record.MostWorkloads + 7 {
		c.Snapshot.Pods = append(c.Snapshot.Pods, pod(fmt.Sprintf("p-%03d", i), "n", fmt.Sprintf("%dm", 1000+i), "1Gi", nil, nil))
	}
	s := record.Sample(c)
	pods, cores := 0, 0.0
	for _, w := range s.Workloads {
		pods, cores = pods+w.Pods, cores+w.Asked.Cores
		if w.Workload == record.Others && w.Pods != 7 {
			t.Errorf("%d pods are summed: want 7", w.Pods)
		}
	}
	if s.Truncated != 7 || pods != record.MostWorkloads+7 || cores-s.Groups[0].Asked.Cores > 1e-6 || s.Groups[0].Asked.Cores-cores > 1e-6 {
		t.Errorf("%d are summed, %d pods ask for %g of %g cores", s.Truncated, pods, cores, s.Groups[0].Asked.Cores)
	}
}

func TestAPolicyIsWrittenWhenItChanges(t *testing.T) {
	var p record.Policies
	pool := func(generation int64) []record.Object {
		return []record.Object{{Kind: "CapacityPool", Name: "general", Generation: generation, Spec: map[string]int{"n": int(generation)}}}
	}
	p.Take(ledger.Entry{Policy: &ledger.Policy{Kind: "Balloon", Name: "shop/old", Spec: []byte(`{}`)}})
	for _, step := range []struct {
		after   time.Duration
		objects []record.Object
		want    string
	}{
		{0, pool(1), `CapacityPool general {"n":1};Balloon shop/old null;`}, // at start, and what went while nobody looked
		{time.Second, pool(1), ""},
		{2 * time.Second, pool(2), `CapacityPool general {"n":2};`},
		{record.Again + 2*time.Second, pool(2), `CapacityPool general {"n":2};`},
		{record.Again + 3*time.Second, nil, `CapacityPool general null;`},
		{record.Again + 4*time.Second, nil, ""},
	} {
		entries, err := p.Observe(noon.Add(step.after), step.objects)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, e := range entries {
			got += fmt.Sprintf("%s %s %s;", e.Policy.Kind, e.Policy.Name, e.Policy.Spec)
		}
		if got != step.want {
			t.Errorf("after %s: %s: want %s", step.after, got, step.want)
		}
	}
}

// A node that is not Ready gives room to nobody, and is paid for as one that boots.
func TestANodeThatIsNotReadyHoldsNoRoom(t *testing.T) {
	c := cluster()
	c.Snapshot.Nodes[0].Status.Conditions[0].Status = corev1.ConditionUnknown
	if g := record.Sample(c).Groups[0]; g.Nodes != 0 || g.Booting != 2 || g.Allocatable != (ledger.Resources{}) {
		t.Errorf("%+v: want no node, two booting and no room", g)
	}
}
