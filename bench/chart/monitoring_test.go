package chart

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// TestAlertsAndDashboardsAreThoseThatAreTested compares what the chart makes of monitoring/ with the files, which have tests of their own.
func TestAlertsAndDashboardsAreThoseThatAreTested(t *testing.T) {
	if all := render(t, "observe", "1.36"); find(all, "PrometheusRule", "swell") != nil || find(all, "ConfigMap", "swell-nodes") != nil {
		t.Error("alerts or dashboards are made though nobody asked for them")
	}
	all := render(t, "enforce", "1.36")
	var file struct {
		Groups []any `json:"groups"`
	}
	raw, err := os.ReadFile(filepath.Join(chartDir(t), "monitoring", "rules", "swell.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(raw, &file); err != nil {
		t.Fatal(err)
	}
	rule := find(all, "PrometheusRule", "swell")
	if rule == nil {
		t.Fatal("there is no PrometheusRule")
	}
	groups, _, _ := unstructured.NestedSlice(rule.Object, "spec", "groups")
	want, err := json.Marshal(file.Groups)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(groups)
	if err != nil {
		t.Fatal(err)
	}
	const base = "https://runbooks.example/swell/"
	if n := strings.Count(string(got), base); n == 0 || n != strings.Count(string(want), `"runbook_url"`) {
		t.Errorf("%d runbooks of %d are at the given address", n, strings.Count(string(want), `"runbook_url"`))
	}
	if strings.ReplaceAll(string(got), base, "docs/runbooks/") != string(want) {
		t.Error("the chart's rules are not those of monitoring/rules")
	}
	for program, alert := range map[string]string{"scaler": "SwellMetricsDown", "metrics": "SwellScalerDown"} {
		alone := render(t, "split-"+program, "1.36", "--set", "monitoring.rules=true")
		if text := fmt.Sprint(find(alone, "PrometheusRule", "swell").Object); strings.Contains(text, alert+" ") || !strings.Contains(text, "SwellLedgerNotWritten") {
			t.Errorf("%s alone: %s is there, or all others are gone", program, alert)
		}
	}
	files, err := filepath.Glob(filepath.Join(chartDir(t), "monitoring", "dashboards", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	for _, path := range files {
		kept, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(path)
		if made := data(t, all, strings.TrimSuffix(name, ".json"), name); strings.TrimSpace(made) != strings.TrimSpace(string(kept)) {
			t.Errorf("the ConfigMap of %s has something else", name)
		}
	}
}
