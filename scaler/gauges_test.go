package scaler

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/v1alpha1"
	"swell/balloon"
	"swell/nodegroups"
	"swell/scaler/plan"
)

// samples are an exposition's, as name{label values} value, sorted.
func samples(t *testing.T, e *exposition) []string {
	t.Helper()
	var all []string
	for _, m := range e.list {
		var out dto.Metric
		if err := m.Write(&out); err != nil {
			t.Fatal(err)
		}
		var labels []string
		for _, l := range out.GetLabel() {
			labels = append(labels, l.GetValue())
		}
		_, rest, _ := strings.Cut(m.Desc().String(), `fqName: "`)
		name, _, _ := strings.Cut(rest, `"`)
		all = append(all, fmt.Sprintf("%s{%s} %g", strings.TrimPrefix(name, "swell_"), strings.Join(labels, ","), out.GetGauge().GetValue()))
	}
	slices.Sort(all)
	return all
}

func newExposition() *exposition {
	return &exposition{seen: map[string]bool{}, real: func(t time.Time) time.Time { return t.Add(time.Hour) }}
}

func TestWhatIsExposedOfGroupsAndPools(t *testing.T) {
	now := time.Unix(10_000, 0)
	instance := func(id string, l nodegroups.Lifecycle) nodegroups.Instance {
		return nodegroups.Instance{ID: id, Lifecycle: l, ProviderID: "aws:///" + id}
	}
	node := func(id string, ready corev1.ConditionStatus) *corev1.Node {
		return &corev1.Node{Spec: corev1.NodeSpec{ProviderID: "aws:///" + id}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}}}}
	}
	s := plan.Snapshot{
		Nodes: []*corev1.Node{node("a", corev1.ConditionTrue), node("b", corev1.ConditionFalse)},
		Groups: []nodegroups.Group{
			{Name: "g", Pool: "p", Zone: "z", Market: nodegroups.Spot, Max: 9, HourlyPrice: 0.5, Instances: []nodegroups.Instance{
				instance("a", nodegroups.InService), instance("b", nodegroups.InService), instance("c", nodegroups.Pending), instance("d", nodegroups.Terminating)}},
			{Name: "h", Pool: "p", Zone: "z", Market: nodegroups.OnDemand, Max: 2},
			{Name: "i", Pool: "q", Zone: "z", Market: nodegroups.OnDemand, Max: 2, Instances: []nodegroups.Instance{instance("e", nodegroups.InService)}},
		},
		Unavailable: []nodegroups.Unavailable{{Group: "g", Until: now}, {Group: "h", Until: now.Add(time.Second)}},
		GroupsAt:    time.Unix(9000, 0), PoolsAt: map[string]time.Time{"q": time.Unix(8000, 0)},
	}
	e := newExposition()
	e.groups(now, s)
	e.pool(plan.Pool{Name: "p", MaxHourlyCost: 4}, s)
	e.pool(plan.Pool{Name: "q"}, s) // its price is not known
	want := []string{
		"group_available{g,spot,p,z} 1", "group_available{h,on-demand,p,z} 0", "group_available{i,on-demand,q,z} 1",
		"group_instances{g,spot,p,booting,z} 2", "group_instances{g,spot,p,ending,z} 1", "group_instances{g,spot,p,ready,z} 1",
		"group_instances{h,on-demand,p,booting,z} 0", "group_instances{h,on-demand,p,ending,z} 0", "group_instances{h,on-demand,p,ready,z} 0",
		"group_instances{i,on-demand,q,booting,z} 1", "group_instances{i,on-demand,q,ending,z} 0", "group_instances{i,on-demand,q,ready,z} 0",
		"group_max_instances{g,spot,p,z} 9", "group_max_instances{h,on-demand,p,z} 2", "group_max_instances{i,on-demand,q,z} 2",
		"groups_read_timestamp_seconds{p} 12600", "groups_read_timestamp_seconds{q} 11600",
		"pool_hourly_cost_limit{p} 4", "pool_hourly_cost{p} 1.5",
	}
	slices.Sort(want)
	if got := samples(t, e); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestWhatIsExposedOfPodsAndBalloons(t *testing.T) {
	pod := func(name, node, of string, phase corev1.PodPhase, made int64) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: map[string]string{plan.BalloonLabel: of}, CreationTimestamp: metav1.Unix(made, 0)},
			Spec: corev1.PodSpec{NodeName: node}, Status: corev1.PodStatus{Phase: phase}}
	}
	pods := []*corev1.Pod{
		pod("old", "n", "", corev1.PodRunning, 100), pod("waits", "", "", corev1.PodPending, 300), pod("waits longer", "", "", corev1.PodPending, 200),
		pod("balloon", "n", "web", corev1.PodRunning, 50), pod("no place", "", "web", corev1.PodPending, 60), pod("gated", "", "", corev1.PodPending, 10),
	}
	pods[len(pods)-1].Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "queue"}}
	b := &v1alpha1.Balloon{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}
	observed := b.DeepCopy()
	observed.Name, observed.Spec.Mode = "observed", v1alpha1.Observe
	decided := balloon.Decision{Zones: []balloon.ZoneBalloons{{Zone: "a", Balloons: 2}, {Zone: "b", Balloons: 1}}}
	e := newExposition()
	e.pods(pods)
	e.balloon(size{balloon: b, tau: 0.95, decision: decided, virtual: map[string]int{"a": 1}}, pods)
	e.balloon(size{balloon: observed, decision: decided}, pods)
	e.conditions("Balloon", "shop", "web", []metav1.Condition{{Type: "Held", Status: metav1.ConditionFalse, Reason: "Refused"},
		{Type: "DemandKnown", Status: metav1.ConditionUnknown, Reason: "NotSampled"}, {Type: "Ready", Status: metav1.ConditionTrue, Reason: "Forecast"}})
	e.conditions("Balloon", "shop", "web", []metav1.Condition{{Type: "Ready", Status: metav1.ConditionTrue, Reason: "Forecast"}}) // twice: one sample
	want := []string{
		"balloons_running{web,shop} 2", "balloons_wanted{observed,shop} 3", "balloons_wanted{web,shop} 3",
		"condition{Balloon,web,shop,Forecast,Ready} 1", "condition{Balloon,web,shop,Refused,Held} 0",
		"forecast_quantile{web,shop} 0.95", "oldest_pending_pod_timestamp_seconds{} 200", "pending_pods{} 2",
	}
	if got := samples(t, e); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(gaugeCollector{})
	exposed.Store(e)
	defer exposed.Store(nil)
	if families, err := registry.Gather(); err != nil || len(families) != 6 {
		t.Errorf("%d metrics, %v", len(families), err)
	}
}

func TestHPAsThatAskSwellAreKnown(t *testing.T) {
	asks := func(name string) *autoscalingv2.HorizontalPodAutoscaler {
		return &autoscalingv2.HorizontalPodAutoscaler{Spec: autoscalingv2.HorizontalPodAutoscalerSpec{Metrics: []autoscalingv2.MetricSpec{
			{Resource: &autoscalingv2.ResourceMetricSource{Name: "cpu"}}, {External: &autoscalingv2.ExternalMetricSource{Metric: autoscalingv2.MetricIdentifier{Name: name}}}}}}
	}
	for name, want := range map[string]bool{"kafka_consumergroup_lag": true, "swell_predicted_replicas": true, "requests": false} {
		if got := asksSwell(asks(name)); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
