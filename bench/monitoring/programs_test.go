package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"swell/api/config"
	"swell/bench/testbed/aws"
	"swell/bench/testbed/controlplane"
	"swell/bench/testbed/process"
	"swell/bench/testbed/prometheus"
	"swell/bench/testbed/stack"
	"swell/scaler/series"
)

// unseen are metrics that the test's calm morning does not make, with what would.
var unseen = map[string]string{
	"swell_oldest_drain_timestamp_seconds": "a drain",
	"swell_instances_launched_total":       "a launch",
	"kafka_consumergroup_current_offset":   "partitionMetrics",
	"kafka_topic_partition_current_offset": "partitionMetrics",
	"kafka_topic_partition_oldest_offset":  "partitionMetrics",
}

const speed = 10

// TestTheProgramsGiveWhatIsNamed scrapes both programs, as they run on a real control plane, and has a real Prometheus evaluate the
// rules on them.
func TestTheProgramsGiveWhatIsNamed(t *testing.T) {
	controlplane.BinaryForTest(t)
	port, err := process.FreePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	scalerAt, metricsAt := fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("127.0.0.1:%d", port+1)
	startPrograms(t, scalerAt, metricsAt)
	all := theCatalogue(t)
	var leader map[string]*dto.MetricFamily
	err = stack.Poll(t.Context(), "all metrics of the catalogue", time.Minute, func(ctx context.Context) (bool, error) {
		seen := map[string]bool{}
		for address, program := range map[string]string{scalerAt: "swell-scaler", metricsAt: "swell-metrics"} {
			families, err := scrape(ctx, address)
			if err != nil {
				return false, err
			}
			if program == "swell-scaler" {
				leader = families
			}
			for name, f := range families {
				if strings.HasPrefix(name, "swell_") || strings.HasPrefix(name, "kafka_") {
					seen[name] = true
					isAsTold(t, program, f, all[name])
				}
			}
		}
		var missing []string
		for name := range all {
			if _, excused := unseen[name]; !seen[name] && !excused {
				missing = append(missing, name)
			}
		}
		slices.Sort(missing)
		return len(missing) == 0, fmt.Errorf("%v are not there", missing)
	})
	if err != nil {
		t.Fatal(err)
	}
	f := leader["leader_election_master_status"]
	if f == nil || len(f.GetMetric()) != 1 || f.GetMetric()[0].GetLabel()[0].GetName() != "name" || f.GetMetric()[0].GetLabel()[0].GetValue() != "swell-scaler" {
		t.Errorf("leader_election_master_status is %v: the rules look for the name swell-scaler", f)
	}
	evaluate(t, scalerAt, metricsAt)
}

func isAsTold(t *testing.T, program string, f *dto.MetricFamily, told Metric) {
	t.Helper()
	if told.Name == "" || told.Program != program && !told.Both {
		t.Fatalf("%s gives %s, which the catalogue has of %q", program, f.GetName(), told.Program)
	}
	if kind := strings.ToLower(f.GetType().String()); kind != told.Type {
		t.Fatalf("%s is a %s, the catalogue says %s", f.GetName(), kind, told.Type)
	}
	for _, m := range f.GetMetric() {
		var labels []string
		for _, l := range m.GetLabel() {
			labels = append(labels, l.GetName())
		}
		if !slices.Equal(slices.Sorted(slices.Values(labels)), slices.Sorted(slices.Values(told.Labels))) {
			t.Fatalf("%s has the labels %v, the catalogue says %v", f.GetName(), labels, told.Labels)
		}
	}
}

func scrape(ctx context.Context, address string) (map[string]*dto.MetricFamily, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	return parser.TextToMetricFamilies(response.Body)
}

// startPrograms boots a cluster of six nodes, Kafka with a group that has committed, and both programs.
func startPrograms(t *testing.T, scalerAt, metricsAt string) {
	t.Helper()
	fleet := aws.Fleet{Region: "ap-northeast-1", InstanceTypes: map[string]aws.InstanceType{"m6i.4xlarge": {VCPU: 16, MemoryMiB: 64 << 10}},
		Prices: map[string]aws.Price{"m6i.4xlarge": {OnDemand: 1, Spot: 0.35}}}
	for _, zone := range []string{"a", "c", "d"} {
		fleet.Groups = append(fleet.Groups, aws.Group{Name: "spot-" + zone, Zone: "ap-northeast-1" + zone, Market: "spot", Max: 10, Desired: 2,
			InstanceTypes: []string{"m6i.4xlarge"}, Tags: map[string]string{"swell/pool": "general", "swell/market": "spot"}})
	}
	st, err := stack.Start(context.WithoutCancel(t.Context()), stack.Options{Speed: speed, Fleet: fleet, Topics: map[string]int{"orders": 4}, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, name := range []string{"swell-scaler.log", "swell-metrics.log"} {
				raw, _ := os.ReadFile(filepath.Join(st.Dir(), name))
				t.Logf("%s:\n%s", name, raw[max(0, len(raw)-5000):])
			}
		}
		if err := st.Stop(); err != nil {
			t.Error(err)
		}
	})
	commit(t, st.Kafka.Bootstrap)
	shop, err := os.ReadFile("bench/monitoring/testdata/shop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Apply(t.Context(), "shop.yaml", shop); err != nil {
		t.Fatal(err)
	}
	monday := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	st.Clock = config.Clock{Speed: speed, Real: time.Now(), Model: monday}
	if err := st.StartMetrics(t.Context(), stack.MetricsOptions{Listen: metricsAt}); err != nil {
		t.Fatal(err)
	}
	past := series.Series{Start: monday.Add(-14 * 24 * time.Hour), Step: 5 * time.Minute}
	for range 14 * 24 * 12 {
		past.Append(6, 0)
	}
	path := filepath.Join(t.TempDir(), "past.csv")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := series.Write(file, past); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	err = st.StartScaler(t.Context(), stack.ScalerOptions{Region: "ap-northeast-1", MetricsAddress: scalerAt,
		Prices: map[string]config.Price{"m6i.4xlarge": {OnDemand: 1, Spot: 0.35}}, Files: []config.HistoryFile{{Namespace: "shop", Balloon: "web", File: path}}})
	if err != nil {
		t.Fatal(err)
	}
}

// commit has group orders commit the beginning of its topic, and produces a little.
func commit(t *testing.T, bootstrap string) {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	offsets := kadm.Offsets{}
	for p := range int32(4) {
		offsets.AddOffset("orders", p, 0, -1)
	}
	if r, err := kadm.NewClient(c).CommitOffsets(t.Context(), "orders", offsets); err != nil || !r.Ok() {
		t.Fatal(err, r.Error())
	}
	for range 40 {
		if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: []byte("x")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// excused are alerts whose condition holds on the testbed, at its speed.
var excused = map[string]string{
	"SwellPodsUnplaced":       "shop.yaml has a pod that nothing can take",
	"SwellPodsPendingLong":    "the same pod waits",
	"SwellCertificateExpires": "the testbed's certificate is made for seven days",
}

// evaluate has a real Prometheus scrape both programs and looks what the rules make of that: each can be evaluated, and none but the
// excused finds anything on a healthy cluster.
func evaluate(t *testing.T, scalerAt, metricsAt string) {
	t.Helper()
	path, err := filepath.Abs(rules)
	if err != nil {
		t.Fatal(err)
	}
	p := prometheus.ForTest(t, prometheus.Options{Config: fmt.Sprintf(`
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [%s]
scrape_configs:
- {job_name: swell-scaler, static_configs: [{targets: ["%s"]}]}
- {job_name: swell-metrics, static_configs: [{targets: ["%s"]}]}
`, path, scalerAt, metricsAt)})
	var reply struct {
		Data struct {
			Groups []struct {
				Rules []struct {
					Name, Health, LastError string
					LastEvaluation          time.Time
					Alerts                  []struct {
						State       string
						Labels      map[string]string
						Annotations map[string]string
					}
				}
			}
		}
	}
	from := time.Now().Add(10 * time.Second) // scrapes enough for rates
	err = stack.Poll(t.Context(), "Prometheus to evaluate the rules", time.Minute, func(ctx context.Context) (bool, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL()+"/api/v1/rules", nil)
		if err != nil {
			return false, err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return false, err
		}
		defer response.Body.Close()
		if err := json.NewDecoder(response.Body).Decode(&reply); err != nil {
			return false, err
		}
		n := 0
		for _, g := range reply.Data.Groups {
			for _, r := range g.Rules {
				if r.LastEvaluation.After(from) {
					n++
				}
			}
		}
		return n >= len(theAlerts(t)), fmt.Errorf("%d rules were evaluated", n)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range reply.Data.Groups {
		for _, r := range g.Rules {
			if r.Health != "ok" {
				t.Errorf("%s: %s %s", r.Name, r.Health, r.LastError)
			}
			if _, ok := excused[r.Name]; !ok && len(r.Alerts) > 0 {
				t.Errorf("%s finds %+v on a healthy cluster", r.Name, r.Alerts)
			}
			if r.Name == "SwellPodsUnplaced" && len(r.Alerts) != 1 {
				t.Errorf("%s: %+v; one pod is unplaced", r.Name, r.Alerts)
			}
		}
	}
}
