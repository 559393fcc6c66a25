package scaler_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"swell/api/v1alpha1"
	"swell/bench/testbed/stack"
	"swell/scaler/history"
)

const queue = `
apiVersion: capacity.swell/v1alpha1
kind: QueueConsumer
metadata: {name: orders, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  kafka: {cluster: main, group: orders, topics: [orders]}
  perPodRate: {initial: "50"}
`

func (w world) queueStatus(rate string, at time.Time) {
	w.t.Helper()
	patch := fmt.Sprintf(`{"status": {"produceRate": %q, "perPodRate": "50", "sampledAt": %q}}`, rate, at.UTC().Format(time.RFC3339))
	err := w.Kube.Discovery().RESTClient().Patch(types.MergePatchType).AbsPath("/apis/capacity.swell/v1alpha1/namespaces/shop/queueconsumers/orders/status").
		Body([]byte(patch)).Do(w.t.Context()).Error()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w world) changeBalloon(patch string) error {
	return w.Kube.Discovery().RESTClient().Patch(types.MergePatchType).AbsPath("/apis/capacity.swell/v1alpha1/namespaces/shop/balloons/web").
		Body([]byte(patch)).Do(w.t.Context()).Error()
}

// condition is the reason and message of one of the Balloon's conditions.
func (w world) condition(kind string) string {
	w.t.Helper()
	raw, err := w.Kube.Discovery().RESTClient().Get().AbsPath("/apis/capacity.swell/v1alpha1/namespaces/shop/balloons/web").DoRaw(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	var b v1alpha1.Balloon
	if err := json.Unmarshal(raw, &b); err != nil {
		w.t.Fatal(err)
	}
	for _, c := range b.Status.Conditions {
		if c.Type == kind {
			return c.Reason + ": " + c.Message
		}
	}
	return "no condition yet"
}

func (w world) untilCondition(kind, want string) {
	w.t.Helper()
	w.until(kind+" says "+want, func() (bool, string) {
		got := w.condition(kind)
		return strings.Contains(got, want), got
	})
}

func (w world) record() *history.Record {
	w.t.Helper()
	p, err := history.Checkpoints{Kube: w.Kube, Namespace: "swell-system"}.Load(w.t.Context(), "shop", "web")
	if err != nil {
		w.t.Fatal(err)
	}
	return p.Record
}

// What the program samples of a queue is in a ConfigMap, with the share divided out, and goes on there after a kill.
func TestDemandIsSampledKeptAndTakenUpAgain(t *testing.T) {
	w := start(t, fleet(1), 5, 0, 0)
	w.untilCondition("DemandKnown", "NoMetric: no HorizontalPodAutoscaler scales Deployment web")
	w.apply(queue)
	w.queueStatus("2000", time.Now())
	if err := w.changeBalloon(`{"spec": {"share": "50%", "demand": {"from": "QueueConsumer", "queueConsumer": "orders"}}}`); err != nil {
		t.Fatal(err)
	}
	kept := func(minutes int) func() (bool, string) {
		return func() (bool, string) {
			w.queueStatus("2000", time.Now())
			_, classes := w.record().Minutes()
			n := 0
			for _, c := range classes {
				if c == history.Known {
					n++
				}
			}
			return n >= minutes, fmt.Sprintf("%d known minutes of %d; %s", n, len(classes), w.condition("DemandKnown"))
		}
	}
	w.until("minutes are kept", kept(3))
	s, _ := w.record().Minutes()
	if v := s.Values[s.Len()-1]; v < 99 || v > 101 {
		t.Errorf("%g pods are kept: want 2000/(0.8·50) at a share of a half, 100 of all clusters", v)
	}
	before, _ := w.record().Minutes()
	w.Scaler.Kill()
	if err := w.StartScaler(t.Context(), stack.ScalerOptions{Region: "ap-northeast-1", Prices: prices}); err != nil {
		t.Fatal(err)
	}
	w.until("minutes are added to those of before", kept(before.Len()+2))
	if after, _ := w.record().Minutes(); !after.Start.Equal(before.Start) {
		t.Errorf("the history begins at %s: want %s, as before", after.Start, before.Start)
	}
	w.queueStatus("2000", time.Now().Add(-time.Minute)) // ten minutes of model time
	w.untilCondition("DemandKnown", "NoMetric: QueueConsumer orders was sampled")

	w.breakCheckpoint()
	w.Scaler.Kill()
	if err := w.StartScaler(t.Context(), stack.ScalerOptions{Region: "ap-northeast-1", Prices: prices}); err != nil {
		t.Fatal(err)
	}
	w.untilCondition("HistoryKept", "CannotLoad: reading the demand history in ConfigMap swell-system/"+history.Name("shop", "web"))
}

func (w world) breakCheckpoint() {
	w.t.Helper()
	patch := []byte(`{"binaryData": {"demand": "AAAA"}}`)
	if _, err := w.Kube.CoreV1().ConfigMaps("swell-system").Patch(w.t.Context(), history.Name("shop", "web"), types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

func TestADemandThatMakesNoSenseIsRefused(t *testing.T) {
	w := start(t, fleet(1), 1, 0, 0)
	for _, tc := range []struct{ demand, want string }{
		{`{"from": "Query"}`, "give query with from: Query"},
		{`{"query": "up"}`, "give query with from: Query"},
		{`{"from": "QueueConsumer"}`, "give queueConsumer with from: QueueConsumer"},
		{`{"from": "HPA", "queueConsumer": "orders"}`, "give queueConsumer with from: QueueConsumer"},
		{`{"perPod": "5"}`, "perPod is what one pod serves"},
		{`{"from": "Query", "query": "up", "perPod": "0"}`, "perPod must be above zero"},
		{`{"allClusters": true}`, "allClusters is said of a query"},
		{`{"history": {"prometheus": "a", "datadog": "b"}}`, "one of the two"},
		{`{"history": {}}`, "one of the two"},
		{`{"from": "Guess"}`, "supported values"},
	} {
		err := w.changeBalloon(`{"spec": {"demand": ` + tc.demand + `}}`)
		if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v: want %q", tc.demand, err, tc.want)
		}
	}
	for _, good := range []string{`{"from": "Query", "query": "sum(rate(x[5m]))", "perPod": "50", "allClusters": true}`, `{"from": "HPA", "query": null, "perPod": null, "allClusters": null, "history": {"datadog": "sum:x{*}", "perPod": "2.5"}}`} {
		if err := w.changeBalloon(`{"spec": {"demand": ` + good + `}}`); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
}
