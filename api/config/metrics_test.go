package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
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
		"unknown field":  {"clusters: [{name: main, brokers: ['a:1'], polEvery: 5s}]", "clusters[0].polEvery", "correct its name"},
		"bad duration":   {"clusters: [{name: main, brokers: ['a:1'], pollEvery: 5 minutes}]", `clusters[0].pollEvery is "5 minutes"`, "30s or 1h30m"},
		"bare number":    {"clusters: [{name: main, brokers: ['a:1']}]\nstatusEvery: 5", "statusEvery is 5", "with its unit"},
		"number":         {"clusters: [{name: main, brokers: ['a:1'], maxRequestsPerSecond: 1e99}]", "clusters[0].maxRequestsPerSecond is 1e+99", "a whole number"},
		"truth":          {"clusters: [{name: main, brokers: ['a:1'], proveEmpty: perhaps}]", `clusters[0].proveEmpty is "perhaps"`, "true or false"},
		"list":           {"clusters: {main: kafka}", "clusters is {", "a list"},
		"text":           {"clusters: [{name: {a: b}, brokers: ['a:1']}]", "clusters[0].name is {", "text"},
		"time":           {"clock: {speed: 2, real: noon}\nclusters: [{name: main, brokers: ['a:1']}]", `clock.real is "noon"`, "a time such as"},
		"no object":      {"[a, b]", "is [", "fields: "},
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

// A mistake is found in just those files that cannot be read, and in the field that is wrong.
func TestMistakesAreFoundWhereAFileCannotBeRead(t *testing.T) {
	top := []string{"listen", "rateWindow", "statusEvery", "partitionMetrics", "apis", "lease", "clock", "passOn", "namespaceRules", "clusters", "nothing"}
	refused := 0
	for _, value := range []string{"5s", "5", "x", "true", "null", "1.5", "[]", "{}", "[1]", "[null]", "{a: 1}", "'5m'", "2026-01-31T12:00:00Z", "1e99", "[{}]", "[[]]"} {
		for _, field := range top {
			refused += checkMistakes(t, field, field+": "+value)
		}
		for _, field := range []string{"name", "brokers", "tls", "sasl", "pollEvery", "maxRequestsPerSecond", "proveEmpty"} {
			refused += checkMistakes(t, "clusters[0]."+field, "clusters: [{"+field+": "+value+"}]")
		}
		refused += checkMistakes(t, "clock.real", "clock: {real: "+value+"}")
		refused += checkMistakes(t, "clusters[0].sasl.oauth.extensions", "clusters: [{sasl: {oauth: {extensions: "+value+"}}}]")
	}
	if refused < 100 {
		t.Errorf("%d files are refused: the values are too tame", refused)
	}
}

func checkMistakes(t *testing.T, field, text string) (refused int) {
	t.Helper()
	var object any
	if err := yaml.Unmarshal([]byte(text), &object); err != nil {
		t.Fatal(err)
	}
	err := yaml.UnmarshalStrict([]byte(text), &Metrics{})
	found := Mistakes(object, reflect.TypeFor[Metrics]())
	if (err != nil) != (len(found) > 0) {
		t.Errorf("%s: reading it: %v; mistakes: %+v", text, err, found)
	}
	for _, m := range found {
		if !strings.HasPrefix(m.Field, field) || m.What == "" {
			t.Errorf("%s: %+v", text, m)
		}
	}
	return min(len(found), 1)
}
