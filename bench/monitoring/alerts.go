package main

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"

	"sigs.k8s.io/yaml"
)

const (
	rules      = "charts/swell/monitoring/rules/swell.yaml"
	alertsPage = "docs/alerts.md"
	runbooks   = "docs/runbooks/"
)

// Alert is one rule.
type Alert struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	// Group of rules that it stands in.
	Group string `json:"-"`
}

// readAlerts reads a file of Prometheus rules.
func readAlerts(path string) ([]Alert, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the alerts: %w; run it in the project's root", err)
	}
	var file struct {
		Groups []struct {
			Name  string  `json:"name"`
			Rules []Alert `json:"rules"`
		} `json:"groups"`
	}
	if err := yaml.UnmarshalStrict(raw, &file); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	var all []Alert
	for _, g := range file.Groups {
		for _, a := range g.Rules {
			a.Group = g.Name
			all = append(all, a)
		}
	}
	return all, nil
}

var placeholder = regexp.MustCompile(`\{\{ *(?:\$labels\.)?\$?([a-z]+)[^}]*\}\}`)

// listOfAlerts is the page of all alerts.
func listOfAlerts(all []Alert) []byte {
	var b bytes.Buffer
	b.WriteString(`# Alerts

Those of ` + "`" + rules + "`" + `, listed by ` + "`go run ./bench/monitoring`" + `. critical wakes somebody, warning is a ticket. Each has a page
that says what it means, how bad it is, what to look at and how to mend it. Each was seen to fire and to stay quiet by
` + "`promtool test rules`" + `, on the series in ` + "`bench/monitoring/testdata/alerts.yaml`" + `.

The rules are for a Prometheus that scrapes one Kubernetes cluster. The dashboards beside them (` + "`charts/swell/monitoring/dashboards`" + `) are
Grafana's; their expressions and fields are checked, but no Grafana has shown them yet. Monitors for Datadog are in
` + "`charts/examples/datadog`" + `. [All metrics](metrics-reference.md).

## Installing them

With the Prometheus operator and Grafana's sidecar, by the chart's values:

` + "```yaml" + `
monitoring:
  rules: true                              # a PrometheusRule with all alerts
  labels: {release: prometheus}            # what your Prometheus selects rules and monitors by
  runbooks: https://runbooks.example/swell # where you keep docs/runbooks of this version; runbook_url begins with it
  dashboards: true                         # a ConfigMap for each dashboard
  dashboardLabels: {grafana_dashboard: "1"}
` + "```" + `

Without the operator give Prometheus the plain file in its ` + "`rule_files`" + ` and put your address in place of ` + "`docs/runbooks`" + `, which each
` + "`runbook_url`" + ` begins with; import the dashboards' JSON files into Grafana by hand.
` + "`kubectl -n swell-system get prometheusrules,servicemonitors`" + ` shows what the chart made.
`)
	group := ""
	for _, a := range all {
		if a.Group != group {
			group = a.Group
			fmt.Fprintf(&b, "\n## %s\n\n| alert | severity | after | says |\n|---|---|---|---|\n", group)
		}
		after := a.For
		if after == "" {
			after = "at once"
		}
		fmt.Fprintf(&b, "| [%s](%s) | %s | %s | %s |\n", a.Alert, strings.TrimPrefix(a.Annotations["runbook_url"], "docs/"), a.Labels["severity"], after,
			placeholder.ReplaceAllString(a.Annotations["summary"], "…"))
	}
	return b.Bytes()
}
