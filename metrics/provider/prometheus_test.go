package provider

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"k8s.io/apimachinery/pkg/types"

	"swell/api/config"
	"swell/metrics/consumers"
	"swell/metrics/kafka"
	"swell/metrics/lag"
)

// still is a clock that stands at one instant for as long as a test may take.
func still() config.Clock {
	return config.Clock{Speed: 1, Real: time.Now(), Model: at.Add(4 * time.Second)}
}

func scraped() *written {
	lost := result(5, 3)
	lost.Reason, lost.Problem, lost.LagProblem = "LagUnknown", "EOF", "EOF"
	known := consumers.GroupView{Cluster: "main", Group: "orders", Readings: append(two(), lag.Reading{Topic: "refunds", At: at, Commit: 1, End: 2, Stable: 2}),
		Sum: lag.Sum{Lag: 8, Known: 3, Total: 3, Oldest: at, Seconds: 2.5}}
	half := consumers.GroupView{Cluster: "main", Group: "mailer", Problem: "1 of 2 partitions are known", Readings: two(),
		Sum: lag.Sum{Known: 1, Total: 2, Oldest: at, SecondsProblem: "1 of 2"}}
	half.Readings[0].Problem = "EOF"
	half.Readings[1].Commit = lag.Unknown
	return &written{results: map[types.NamespacedName]consumers.Result{name("orders"): full(), name("lost"): lost}, groups: []consumers.GroupView{known, half}}
}

func collector(partitions bool) Collector {
	return Collector{Source: scraped(), Clock: still(), Partitions: partitions, Pollers: func() map[string]kafka.Stats {
		return map[string]kafka.Stats{"main": {Polls: 3, FailedPolls: 1, Requests: 40, BytesOut: 4000, BytesIn: 8000}}
	}}
}

func TestPrometheusNamesAreThoseOfKafkaExporter(t *testing.T) {
	const orders = `cluster="main",consumer="orders",consumergroup="orders",namespace="shop"`
	always := []string{
		`kafka_consumergroup_lag_sum{cluster="main",consumergroup="orders",topic="orders"} 7`,
		`kafka_consumergroup_lag_sum{cluster="main",consumergroup="orders",topic="refunds"} 1`,
		`kafka_consumergroup_lag_seconds{cluster="main",consumergroup="orders"} 2.5`,
		`kafka_consumergroup_late_messages{` + orders + `} 300`,
		`kafka_topic_produce_rate{` + orders + `} 10.5`,
		`kafka_consumergroup_consume_rate{` + orders + `} 0.0001`,
		`kafka_consumergroup_desired_replicas{` + orders + `} 8`,
		`swell_consumer_saturated{` + orders + `} 0`,
		`swell_consumer_unknown{cluster="main",consumer="lost",consumergroup="orders",namespace="shop"} 1`,
		`swell_group_unknown{cluster="main",consumergroup="mailer"} 1`,
		`swell_kafka_polls_failed_total{cluster="main"} 1`,
	}
	byTopic := []string{`kafka_consumergroup_lag{cluster="main",consumergroup="orders",topic="orders"} 7`}
	byPartition := []string{
		`kafka_consumergroup_lag{cluster="main",consumergroup="orders",partition="0",topic="orders"} 7`,
		`kafka_consumergroup_current_offset{cluster="main",consumergroup="orders",partition="0",topic="orders"} 3`,
		`kafka_topic_partition_current_offset{cluster="main",partition="1",topic="orders"} 10`,
		`kafka_topic_partition_oldest_offset{cluster="main",partition="0",topic="orders"} 0`,
	}
	for partitions, wants := range map[bool][]string{false: append(byTopic, always...), true: append(byPartition, always...)} {
		text := scrapeText(t, collector(partitions))
		for _, want := range wants {
			if !strings.Contains(text, want+"\n") {
				t.Errorf("partitions %v: no %s in\n%s", partitions, want, text)
			}
		}
		for _, no := range []string{
			`kafka_consumergroup_lag_sum{cluster="main",consumergroup="mailer",topic="orders"}`,
			`kafka_consumergroup_lag_seconds{cluster="main",consumergroup="mailer"}`,
			`desired_replicas{cluster="main",consumer="lost"`,
			`current_offset{cluster="main",consumergroup="mailer"`,
		} {
			if strings.Contains(text, no) {
				t.Errorf("partitions %v: what is unknown is there: %s", partitions, no)
			}
		}
	}
}

func serveMetrics(t *testing.T, c Collector) http.Handler {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	if err := r.Register(c); err != nil {
		t.Fatal(err)
	}
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

func scrapeText(t *testing.T, c Collector) string {
	t.Helper()
	w := httptest.NewRecorder()
	serveMetrics(t, c).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestPrometheusLint(t *testing.T) {
	for _, partitions := range []bool{false, true} {
		r := prometheus.NewPedanticRegistry()
		r.MustRegister(collector(partitions))
		problems, err := testutil.GatherAndLint(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			// The name is kafka_exporter's.
			if p.Metric != "kafka_consumergroup_lag_sum" || !strings.Contains(p.Text, `"_sum" suffix`) {
				t.Errorf("%s: %s", p.Metric, p.Text)
			}
		}
	}
}

func TestOpenMetricsIsGivenToThoseWhoAsk(t *testing.T) {
	req := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	req.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
	w := httptest.NewRecorder()
	serveMetrics(t, collector(true)).ServeHTTP(w, req)
	if f := expfmt.Format(w.Header().Get("Content-Type")).FormatType(); f != expfmt.TypeOpenMetrics {
		t.Fatalf("content type %q", w.Header().Get("Content-Type"))
	}
	raw, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	if !strings.HasSuffix(text, "\n# EOF\n") || !strings.Contains(text, "# TYPE swell_kafka_polls counter\n") || !strings.Contains(text, "swell_kafka_polls_total{cluster=\"main\"} 3.0\n") {
		t.Errorf("not OpenMetrics:\n%s", text)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	if families, err := parser.TextToMetricFamilies(strings.NewReader(text)); err != nil || len(families) < 15 {
		t.Errorf("%d families, %v", len(families), err)
	}
}

func TestSampleAgeIsInModelTime(t *testing.T) {
	text := scrapeText(t, collector(false))
	var age float64
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, `swell_group_sample_age_seconds{cluster="main",consumergroup="orders"}`) {
			if _, err := fmt.Sscan(line[strings.LastIndex(line, " ")+1:], &age); err != nil {
				t.Fatal(err)
			}
		}
	}
	if age < 4 || age > 120 {
		t.Errorf("age %gs, want the 4s that the model's clock is ahead of the sample", age)
	}
}
