package scaler_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"swell/api/config"
	"swell/bench/testbed/controlplane"
	"swell/bench/testbed/prometheus"
	"swell/bench/testbed/stack"
)

// requests is ten days of a load that ends now.
func requests(now time.Time) string {
	var b strings.Builder
	b.WriteString("# TYPE requests gauge\n")
	for at := now.Add(-10 * 24 * time.Hour).Truncate(time.Minute); at.Before(now); at = at.Add(2 * time.Minute) {
		fmt.Fprintf(&b, "requests{app=\"web\"} %d %d\n", 500+at.Hour(), at.Unix())
	}
	return b.String() + "# EOF\n"
}

// A Balloon's past is read from a real Prometheus; a query that fails is a condition, and a better one is asked at once. Its
// demand comes from there, too.
func TestThePastOfABalloonComesFromPrometheus(t *testing.T) {
	t.Parallel()
	controlplane.BinaryForTest(t)
	server := prometheus.ForTest(t, prometheus.Options{Past: requests(time.Now())})
	st, err := stack.Start(t.Context(), stack.Options{Speed: 1, Fleet: fleet(0), Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Stop(); err != nil {
			t.Error(err)
		}
	})
	w := world{st, t}
	w.apply(fmt.Sprintf(pool, "general"))
	w.apply(fmt.Sprintf(workload, 3, 0))
	if err := w.changeBalloon(`{"spec": {"demand": {"history": {"prometheus": "nothing_of_{{name}}", "perPod": "50"}}}}`); err != nil {
		t.Fatal(err)
	}
	options := stack.ScalerOptions{Region: "ap-northeast-1", Prices: prices, Prometheus: &config.Prometheus{URL: server.URL(), Query: "none"}}
	if err := st.StartScaler(t.Context(), options); err != nil {
		t.Fatal(err)
	}
	w.untilCondition("HistoryKept", "CannotFill: reading the demand of the past: asking Prometheus: the query gave nothing")
	if err := w.changeBalloon(`{"spec": {"demand": {"history": {"prometheus": "sum(requests{app=\"{{name}}\"})"}}}}`); err != nil {
		t.Fatal(err)
	}
	w.until("the past is kept", func() (bool, string) {
		s, _ := w.record().Coarse()
		return s.Len() > 9*288, fmt.Sprintf("%d rows; %s", s.Len(), w.condition("HistoryKept"))
	})
	s, _ := w.record().Coarse()
	if v, ok := s.At(time.Now().Add(-5 * 24 * time.Hour)); !ok || v < 9.9 || v > 10.6 {
		t.Errorf("five days ago has %g pods: want 500 to 523 requests of 50 a pod", v)
	}
	w.untilCondition("HistoryKept", "Kept")
	w.untilCondition("DemandKnown", "NoMetric")
	if err := w.changeBalloon(`{"spec": {"demand": {"from": "Query", "query": "vector(250)", "perPod": "50"}}}`); err != nil {
		t.Fatal(err)
	}
	w.untilCondition("DemandKnown", "Known: the query gives 250, which asks for 5.0 pods")
	if err := w.changeBalloon(`{"spec": {"demand": {"query": "up{"}}}`); err != nil {
		t.Fatal(err)
	}
	w.untilCondition("DemandKnown", "correct the query; it is not learned")
}
