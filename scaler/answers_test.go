package scaler

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/scaler/history"
	"swell/scaler/history/backfill"
)

// An answer is of the query and of the unit that it was asked with: after either was changed it is not used, not even the one
// that comes in late.
func TestAnAnswerIsOfTheQueryThatWasAsked(t *testing.T) {
	let := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-let
		fmt.Fprint(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1772409600,"100"]}]}}`)
	}))
	defer server.Close()
	p, err := backfill.NewPrometheus(t.Context(), config.Prometheus{URL: server.URL, Timeout: metav1.Duration{Duration: time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	l, w := New(nil, nil, nil, newBook(t), Options{Prometheus: p}), &workload{}
	b := &v1alpha1.Balloon{}
	b.Namespace, b.Name = "shop", "web"
	b.Spec.Demand.From, b.Spec.Demand.Query, b.Spec.Demand.PerPod = v1alpha1.DemandFromQuery, "requests", "10"
	now := time.Now()
	asked := func() history.Demand { return l.answered(now, b, w) }
	arrived := func() {
		for w.query.asking {
			l.collect()
			time.Sleep(time.Millisecond)
		}
	}
	l.ask(t.Context(), now, b, w)
	let <- struct{}{}
	arrived()
	if d := asked(); d.Class != history.Known || d.Pods != 10 {
		t.Fatalf("%g pods (%s): want 100 of 10 a pod", d.Pods, d.Why)
	}
	b.Spec.Min = 1 // the question is the same
	if d := asked(); d.Class != history.Known {
		t.Errorf("unknown (%s) after a change of spec.min: want the answer", d.Why)
	}
	b.Spec.Demand.PerPod = "50"
	if d := asked(); d.Class == history.Known || !strings.Contains(d.Why, "not answered yet") {
		t.Errorf("%g pods (%s) by the old unit: want unknown", d.Pods, d.Why)
	}
	l.ask(t.Context(), now, b, w)
	b.Spec.Demand.Query = "orders" // while the other is asked
	let <- struct{}{}
	arrived()
	if d := asked(); d.Class == history.Known {
		t.Errorf("%g pods (%s) by the old query: want unknown", d.Pods, d.Why)
	}
	l.ask(t.Context(), now, b, w)
	let <- struct{}{}
	arrived()
	if d := asked(); d.Class != history.Known || d.Pods != 2 {
		t.Errorf("%g pods (%s): want 100 of 50 a pod", d.Pods, d.Why)
	}
}
