package server

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/v1alpha1"
	"swell/bench/testbed/controlplane"
)

const predictionPath = "/apis/" + external + "/namespaces/shop/swell_predicted_replicas?labelSelector=balloon%3Dorders"

// predict writes what swell-scaler would: so many pods, forecast so long ago.
func (r *rig) predict(pods string, age time.Duration, mode v1alpha1.Mode) {
	r.t.Helper()
	var b v1alpha1.Balloon
	if err := r.api.Get(r.t.Context(), client.ObjectKey{Namespace: namespace, Name: "orders"}, &b); err != nil {
		r.t.Fatal(err)
	}
	if b.Spec.Mode != mode {
		b.Spec.Mode = mode
		if err := r.api.Update(r.t.Context(), &b); err != nil {
			r.t.Fatal(err)
		}
	}
	d, stamp := v1alpha1.Decimal(pods), metav1.NewTime(time.Now().Add(-age))
	b.Status.StartPods, b.Status.ForecastAt = &d, &stamp
	if err := r.api.Status().Update(r.t.Context(), &b); err != nil {
		r.t.Fatal(err)
	}
}

func averageValue(name, value string, of map[string]string) autoscalingv2.MetricSpec {
	average := resource.MustParse(value)
	return autoscalingv2.MetricSpec{Type: autoscalingv2.ExternalMetricSourceType, External: &autoscalingv2.ExternalMetricSource{
		Metric: autoscalingv2.MetricIdentifier{Name: name, Selector: &metav1.LabelSelector{MatchLabels: of}},
		Target: autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: &average}}}
}

// scaleBy makes the HPA go by these metrics.
func (r *rig) scaleBy(specs ...autoscalingv2.MetricSpec) {
	r.t.Helper()
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error { // the controller writes its status meanwhile
		var h autoscalingv2.HorizontalPodAutoscaler
		if err := r.api.Get(r.t.Context(), client.ObjectKey{Namespace: namespace, Name: "orders"}, &h); err != nil {
			return err
		}
		h.Spec.Metrics = specs
		return r.api.Update(r.t.Context(), &h)
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) becomes(what string, want int32) {
	r.t.Helper()
	eventually(r.t, what, func() error {
		if got := r.replicas(); got != want {
			_, message := r.hpa()
			return fmt.Errorf("%d replicas, want %d; the HPA says %s", got, want, message)
		}
		return nil
	})
}

// synced waits until the HPA has been looked at again, some times.
func (r *rig) synced() { time.Sleep(4 * time.Second) }

func TestAnHPAFollowsThePredictionAndIsNotHeldForLong(t *testing.T) {
	r := newRig(t)
	crd := &unstructured.Unstructured{}
	crd.SetAPIVersion("apiextensions.k8s.io/v1")
	crd.SetKind("CustomResourceDefinition")
	crd.SetName("balloons.capacity.swell")
	if err := r.api.Delete(t.Context(), crd); err != nil {
		t.Fatal(err)
	}
	r.kafkaDo(0, false)
	r.workload()
	lag := averageValue("kafka_consumergroup_lag", "100", map[string]string{"consumer": "orders"})
	predicted := averageValue("swell_predicted_replicas", "1", map[string]string{"balloon": "orders"})
	r.scaleBy(lag, predicted)
	r.serve()
	eventually(t, "without the kind, the prediction is an error and the lag is served", func() error {
		if _, err := r.get("/apis/" + external + "/namespaces/shop/kafka_consumergroup_lag?labelSelector=consumer%3Dorders"); err != nil {
			return err
		}
		if body, err := r.get(predictionPath); err == nil || !strings.Contains(body, "install the CRDs") {
			return fmt.Errorf("%s, %v", body, err)
		}
		return nil
	})
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cluster.InstallCRDs(t.Context(), filepath.Join(root, "charts", "swell", "crds")); err != nil {
		t.Fatal(err)
	}
	if err := r.api.Create(t.Context(), &v1alpha1.Balloon{ObjectMeta: metav1.ObjectMeta{Name: "orders", Namespace: namespace},
		Spec: v1alpha1.BalloonSpec{ScaleTargetRef: v1alpha1.ScaleTarget{APIVersion: "apps/v1", Kind: "Deployment", Name: "orders"}, Max: 4,
			Target: v1alpha1.BalloonTarget{Quantile: "0.95"}}}); err != nil {
		t.Fatal(err)
	}
	r.predict("7.2", 0, v1alpha1.Enforce)
	r.becomes("pods are started ahead of the load", 8)
	r.predict("3", 0, v1alpha1.Enforce)
	r.becomes("the prediction falls", 3)
	r.predict("8", 0, v1alpha1.Enforce)
	r.becomes("it rises", 8)
	r.missing(lag, predicted)
	r.observing()
}

// missing has the scaler stop: first the HPA is held, and may rise, then it goes by its other metric.
func (r *rig) missing(lag, predicted autoscalingv2.MetricSpec) {
	r.t.Helper()
	r.predict("8", 6*time.Minute, v1alpha1.Enforce)
	eventually(r.t, "the HPA says why it is held", func() error {
		if _, message := r.hpa(); !strings.Contains(message, "its last forecast is 6m") {
			return errors.New(message)
		}
		return nil
	})
	r.synced()
	if got := r.replicas(); got != 8 {
		r.t.Errorf("%d replicas, want 8 held", got)
	}
	r.kafkaDo(1100, false)
	r.becomes("the other metric still raises it", 11)
	r.kafkaDo(0, true)
	r.synced()
	if got := r.replicas(); got != 11 {
		r.t.Errorf("%d replicas, want 11 held: without the prediction it is not known whether fewer are enough", got)
	}
	r.predict("8", 16*time.Minute, v1alpha1.Enforce)
	r.becomes("the other metric alone decides", 1)
	r.predict("6", 0, v1alpha1.Enforce)
	r.becomes("the scaler is back", 6)
	r.scaleBy(predicted)
	r.predict("6", 16*time.Minute, v1alpha1.Enforce)
	eventually(r.t, "an HPA without another metric is held", func() error {
		if _, message := r.hpa(); !strings.Contains(message, "HPA orders has no other metric") {
			return errors.New(message)
		}
		return nil
	})
	r.synced()
	if got := r.replicas(); got != 6 {
		r.t.Errorf("%d replicas, want 6 held", got)
	}
	object := predicted.DeepCopy()
	object.Type, object.External = autoscalingv2.ObjectMetricSourceType, nil
	object.Object = &autoscalingv2.ObjectMetricSource{DescribedObject: autoscalingv2.CrossVersionObjectReference{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Balloon", Name: "orders"},
		Metric: autoscalingv2.MetricIdentifier{Name: "swell_predicted_replicas"}, Target: predicted.External.Target}
	r.predict("5", 0, v1alpha1.Enforce)
	r.scaleBy(lag, *object)
	r.becomes("the prediction as an object's metric", 5)
	r.scaleBy(lag, predicted)
}

// observing is a Balloon that changes nothing: not even that the HPA scales down.
func (r *rig) observing() {
	r.t.Helper()
	r.predict("9", 0, v1alpha1.Observe)
	r.becomes("a Balloon that observes adds nothing", 1)
	if body, err := r.get(predictionPath); err != nil || !strings.Contains(body, `"prediction":"None"`) {
		r.t.Errorf("%s, %v", body, err)
	}
}
