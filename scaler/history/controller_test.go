package history_test

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/kubernetes/pkg/controller/podautoscaler"
	metricsclient "k8s.io/kubernetes/pkg/controller/podautoscaler/metrics"
	"pgregory.net/rapid"

	"swell/scaler/history"
)

// measured is what the real controller's calculator reads: usage of each ready pod, and one value of all.
type measured struct {
	metricsclient.MetricsClient
	pods  metricsclient.PodMetricsInfo
	value int64
	at    time.Time
}

func (m measured) GetResourceMetric(context.Context, corev1.ResourceName, string, labels.Selector, string) (metricsclient.PodMetricsInfo, time.Time, error) {
	out := metricsclient.PodMetricsInfo{} // it takes pods out of what it is given
	for k, v := range m.pods {
		out[k] = v
	}
	return out, m.at, nil
}

func (m measured) GetExternalMetric(string, string, labels.Selector) ([]int64, time.Time, error) {
	return []int64{m.value}, m.at, nil
}

// TestDemandRoundsUpToWhatTheControllerComputes holds the arithmetic against the HPA controller's own code.
func TestDemandRoundsUpToWhatTheControllerComputes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ready, starting := rapid.IntRange(1, 60).Draw(t, "ready"), rapid.IntRange(0, 40).Draw(t, "starting")
		now := time.Now()
		m := measured{pods: metricsclient.PodMetricsInfo{}, value: rapid.Int64Range(0, 1_000_000).Draw(t, "value"), at: now}
		pods := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
		for i := range ready + starting {
			p := pod(fmt.Sprintf("web-%d", i), i < ready, now)
			if err := pods.Add(p); err != nil {
				t.Fatal(err)
			}
			if i < ready {
				m.pods[p.Name] = metricsclient.PodMetric{Timestamp: now, Window: 15 * time.Second, Value: rapid.Int64Range(0, 2000).Draw(t, "usage")}
			}
		}
		calc := podautoscaler.NewReplicaCalculator(m, corelisters.NewPodLister(pods), 5*time.Minute, 30*time.Second)
		replicas, target := int32(ready+starting), rapid.Int32Range(50, 100).Draw(t, "target")
		where := history.Scaled{Replicas: ready + starting, Ready: ready}

		want, utilization, _, _, err := calc.GetResourceReplicas(t.Context(), replicas, target, corev1.ResourceCPU, podautoscaler.Tolerances{}, "shop", labels.Everything(), "")
		if err != nil {
			t.Fatal(err)
		}
		compare(t, "utilization", history.FromHPA(hpa(replicas, cpu(target, utilization)), where), want, replicas, ready)

		average := rapid.Int64Range(1, 100_000).Draw(t, "average")
		want, usage, _, err := calc.GetExternalPerPodMetricReplicas(replicas, average, "lag", podautoscaler.Tolerances{}, "shop", nil)
		if err != nil {
			t.Fatal(err)
		}
		perPod := external("lag", "1", "1", "", "")
		perPod.spec.External.Target.AverageValue, perPod.now.External.Current.AverageValue = milli(average), milli(usage)
		d := history.FromHPA(hpa(replicas, perPod), where)
		// the controller shows the average rounded up to a thousandth
		if slack := float64(replicas) / float64(average); d.Class != history.Known || d.Pods < float64(want)-1-1e-6 || d.Pods > float64(want)+slack+1e-6 {
			t.Fatalf("average value: %+v, and the controller asks for %d", d, want)
		}

		want, usage, _, err = calc.GetExternalMetricReplicas(replicas, average, "depth", podautoscaler.Tolerances{}, "shop", nil, labels.Everything())
		if err != nil {
			t.Fatal(err)
		}
		value := external("depth", "", "", "1", "1")
		value.spec.External.Target.Value, value.now.External.Current.Value = milli(average), milli(usage)
		compare(t, "value", history.FromHPA(hpa(replicas, value), where), want, replicas, ready)
	})
}

// compare allows for what the controller does with pods that are not ready: it counts them as using nothing when it scales up,
// in whole percents of all, and keeps the replicas where they would turn the direction.
func compare(t *rapid.T, what string, d history.Demand, want, replicas int32, ready int) {
	t.Helper()
	if d.Class != history.Known {
		t.Fatalf("%s: %+v", what, d)
	}
	exact := int32(math.Ceil(d.Pods-1e-6)) == want || int32(math.Ceil(d.Pods+1e-6)) == want
	starting := int(replicas) > ready
	switch {
	case exact:
	case math.Abs(d.Pods-float64(ready)) < 1e-9 && want == replicas: // at the target
	case what == "utilization" && starting && d.Pods > float64(ready) && math.Abs(max(d.Pods, float64(replicas))-float64(want)) <= 1+0.02*float64(replicas):
	default:
		t.Fatalf("%s: %+v on %d of %d pods, and the controller asks for %d", what, d, ready, replicas, want)
	}
}

func milli(v int64) *resource.Quantity { return resource.NewMilliQuantity(v, resource.DecimalSI) }

func pod(name string, ready bool, now time.Time) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}
	p.Spec.Containers = []corev1.Container{{Name: "app", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}}}}
	started := metav1.NewTime(now.Add(-time.Hour))
	p.Status.Phase, p.Status.StartTime = corev1.PodRunning, &started
	c := corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: started}
	if !ready {
		c.Status, p.Status.Phase = corev1.ConditionFalse, corev1.PodPending
	}
	p.Status.Conditions = []corev1.PodCondition{c}
	return p
}
