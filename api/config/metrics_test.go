package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "metrics.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadMetricsFillsDefaults(t *testing.T) {
	m, err := LoadMetrics(writeFile(t, "clusters: [{name: main, brokers: ['127.0.0.1:9092'], pollEvery: 2s}]"))
	if err != nil {
		t.Fatal(err)
	}
	k := m.Clusters[0]
	if k.StaleAfter.Duration != 6*time.Second || k.MetadataEvery.Duration != 30*time.Second || k.RequestTimeout.Duration != 5*time.Second ||
		k.MaxRequestsPerSecond != 100 || k.ProveEmpty || k.TLS != nil || k.SASL != nil {
		t.Errorf("defaults of a cluster polled every 2s: %+v", k)
	}
	if len(m.APIs) != 2 || m.Lease.Namespace != "swell-system" || m.Lease.Name != "swell-metrics" || m.NamespaceRules != nil || m.PassOn != (PassOn{}) ||
		m.PartitionMetrics || m.RateWindow.Duration != 30*time.Second || m.StatusEvery.Duration != 5*time.Second {
		t.Errorf("defaults: %+v", m)
	}
}

func TestLoadMetricsNamesFileFieldAndMend(t *testing.T) {
	for name, tc := range map[string]struct{ text, field, mend string }{
		"unknown field":  {"clusters: [{name: main, brokers: ['a:1'], polEvery: 5s}]", "polEvery", "names and types"},
		"no cluster":     {"listen: ''", "clusters", "at least one"},
		"bad broker":     {"clusters: [{name: main, brokers: [kafka]}]", `clusters[0].brokers[0] is "kafka"`, "host:port"},
		"no broker":      {"clusters: [{name: main}]", "clusters[0].brokers", "host:port"},
		"same name":      {"clusters: [{name: m, brokers: ['a:1']}, {name: m, brokers: ['b:1']}]", "clusters[1].name", "its own name"},
		"stale at once":  {"clusters: [{name: m, brokers: ['a:1'], pollEvery: 10s, staleAfter: 5s}]", "clusters[0].staleAfter", "at least two polls"},
		"negative":       {"clusters: [{name: m, brokers: ['a:1'], pollEvery: -1s}]", "clusters[0].pollEvery", "above zero"},
		"unknown API":    {"apis: [Resource]\nclusters: [{name: m, brokers: ['a:1']}]", "apis[0]", "External or Custom"},
		"lease":          {"lease: {namespace: Swell}\nclusters: [{name: m, brokers: ['a:1']}]", "lease.namespace", "name of a namespace"},
		"lease's name":   {"lease: {name: a_b}\nclusters: [{name: m, brokers: ['a:1']}]", "lease.name", "small letters"},
		"listen's port":  {"listen: ':http'\nclusters: [{name: m, brokers: ['a:1']}]", "listen", "0 (any) to 65535"},
		"listen":         {"listen: nine\nclusters: [{name: m, brokers: ['a:1']}]", "listen", "host:port"},
		"speed":          {"clock: {speed: 11}\nclusters: [{name: m, brokers: ['a:1']}]", "clock.speed", "1 to 10"},
		"twice in a map": {"listen: ''\nlisten: ''\nclusters: [{name: m, brokers: ['a:1']}]", "listen", ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := writeFile(t, tc.text)
			_, err := LoadMetrics(path)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range []string{path, tc.field, tc.mend} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}
