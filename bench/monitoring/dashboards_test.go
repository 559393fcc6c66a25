package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const dashboards = "charts/swell/monitoring/dashboards/*.json"

type datasource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

type target struct {
	Datasource   datasource `json:"datasource"`
	Expr         string     `json:"expr"`
	LegendFormat string     `json:"legendFormat"`
	RefID        string     `json:"refId"`
}

type panel struct {
	ID         int        `json:"id"`
	Type       string     `json:"type"`
	Title      string     `json:"title"`
	Datasource datasource `json:"datasource"`
	GridPos    struct{ H, W, X, Y int }
	Targets    []target `json:"targets"`
}

type dashboard struct {
	UID           string  `json:"uid"`
	Title         string  `json:"title"`
	SchemaVersion int     `json:"schemaVersion"`
	Panels        []panel `json:"panels"`
	Templating    struct {
		List []struct {
			Name, Type, Definition string
			Query                  any
		} `json:"list"`
	} `json:"templating"`
}

var (
	variable    = regexp.MustCompile(`\$([a-z]+)`)
	labelValues = regexp.MustCompile(`^label_values\((.+), ([a-z]+)\)$`)
	legendLabel = regexp.MustCompile(`\{\{([a-z]+)\}\}`)
)

// TestTheDashboards checks the files as far as that goes without Grafana: ids, places, variables, the data source, and each
// expression, by promtool and against the catalogue.
func TestTheDashboards(t *testing.T) {
	paths, err := filepath.Glob(dashboards)
	if err != nil || len(paths) < 3 {
		t.Fatal(err, paths)
	}
	all := theCatalogue(t)
	uids := map[string]string{}
	var recorded []map[string]string
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var d dashboard
		if err := json.Unmarshal(raw, &d); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if d.UID == "" || d.Title == "" || d.SchemaVersion == 0 || uids[d.UID] != "" {
			t.Errorf("%s: uid %q (also of %s), title %q, schemaVersion %d", path, d.UID, uids[d.UID], d.Title, d.SchemaVersion)
		}
		uids[d.UID] = path
		known := map[string]bool{}
		for _, v := range d.Templating.List {
			known[v.Name] = true
			if m := labelValues.FindStringSubmatch(v.Definition); m != nil {
				of := all[strings.FieldsFunc(m[1], func(r rune) bool { return r == '{' })[0]]
				if of.Name == "" || !slices.Contains(of.Labels, m[2]) {
					t.Errorf("%s: variable %s asks for %s, which no program gives", path, v.Name, v.Definition)
				}
			} else if v.Type != "datasource" || v.Query != "prometheus" {
				t.Errorf("%s: variable %s is a %s with query %v", path, v.Name, v.Type, v.Query)
			}
		}
		if !known["datasource"] {
			t.Errorf("%s has no variable for its data source", path)
		}
		recorded = append(recorded, checkPanels(t, path, d.Panels, known, all)...)
	}
	wrapped, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboards", "rules": recorded}}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "dashboards.yaml")
	if err := os.WriteFile(path, wrapped, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", path)
}

// checkPanels gives the panels' expressions as recording rules, which promtool can check.
func checkPanels(t *testing.T, path string, panels []panel, known map[string]bool, all map[string]Metric) []map[string]string {
	t.Helper()
	var rules []map[string]string
	ids := map[int]bool{}
	for i, p := range panels {
		if ids[p.ID] || p.ID == 0 || p.Title == "" {
			t.Errorf("%s: panel %d %q: its id is another's, or it has no title", path, p.ID, p.Title)
		}
		ids[p.ID] = true
		g := p.GridPos
		if g.W <= 0 || g.H <= 0 || g.X < 0 || g.X+g.W > 24 {
			t.Errorf("%s: panel %q is at %+v of 24 columns", path, p.Title, g)
		}
		for _, o := range panels[:i] {
			if h := o.GridPos; g.X < h.X+h.W && h.X < g.X+g.W && g.Y < h.Y+h.H && h.Y < g.Y+g.H {
				t.Errorf("%s: panels %q and %q overlap", path, o.Title, p.Title)
			}
		}
		if p.Type == "row" {
			continue
		}
		if len(p.Targets) == 0 || p.Datasource != (datasource{"prometheus", "${datasource}"}) {
			t.Errorf("%s: panel %q has %d targets and the data source %v", path, p.Title, len(p.Targets), p.Datasource)
		}
		refs := map[string]bool{}
		for _, q := range p.Targets {
			where := fmt.Sprintf("%s, panel %q", path, p.Title)
			if refs[q.RefID] || q.Datasource != p.Datasource {
				t.Errorf("%s: target %s: its letter is another's, or its data source differs", where, q.RefID)
			}
			refs[q.RefID] = true
			for _, v := range variable.FindAllStringSubmatch(q.Expr, -1) {
				if !known[v[1]] {
					t.Errorf("%s: there is no variable %s", where, v[0])
				}
			}
			compare(t, where, q.Expr, all)
			_, joined, _ := reads(q.Expr)
			for _, l := range legendLabel.FindAllStringSubmatch(q.LegendFormat, -1) {
				if !slices.Contains(joined, l[1]) {
					t.Errorf("%s: the legend has %s, by which nothing is grouped", where, l[1])
				}
			}
			rules = append(rules, map[string]string{"record": fmt.Sprintf("panel_%d_%d", len(rules), i), "expr": variable.ReplaceAllString(q.Expr, "x")})
		}
	}
	if len(rules) < 5 {
		t.Errorf("%s: %d expressions are found", path, len(rules))
	}
	return rules
}

var (
	asked     = regexp.MustCompile(`(?:sum|min|max|avg):swell\.([a-z_.]+)\{([^}]*)\}(?: by \{([^}]*)\})?`)
	threshold = regexp.MustCompile(`(?:<|>|<=|>=) ([0-9.]+)$`)
	template  = regexp.MustCompile(`\{\{([a-z]+)\.name\}\}`)
	runbook   = regexp.MustCompile(`docs/runbooks/[A-Za-z]+\.md`)
)

// TestTheMonitorsForDatadog compares their queries with the catalogue, in the names that Datadog's OpenMetrics check gives.
func TestTheMonitorsForDatadog(t *testing.T) {
	all := theCatalogue(t)
	raw, err := os.ReadFile("charts/examples/datadog/monitors.json")
	if err != nil {
		t.Fatal(err)
	}
	var monitors []struct {
		Name, Type, Query, Message string
		Options                    struct{ Thresholds map[string]float64 }
	}
	if err := json.Unmarshal(raw, &monitors); err != nil || len(monitors) < 10 {
		t.Fatal(err, len(monitors))
	}
	for _, m := range monitors {
		found := asked.FindAllStringSubmatch(m.Query, -1)
		if len(found) == 0 || len(found) != strings.Count(m.Query, "swell.") {
			t.Errorf("%s: its query is not understood: %s", m.Name, m.Query)
		}
		var labels []string
		for _, q := range found {
			name := q[1]
			if base, ok := strings.CutSuffix(name, ".count"); ok {
				name = base + "_total"
			}
			of, ok := all[name]
			if foreign(name) {
				of, ok = Metric{Labels: []string{"name"}, Type: "gauge"}, true
			}
			if !ok || (of.Type == "counter") != strings.HasSuffix(q[1], ".count") {
				t.Errorf("%s: no program gives %s (%s)", m.Name, name, of.Type)
			}
			labels = append(labels, of.Labels...)
			for filter := range strings.SplitSeq(q[2], ",") {
				tag, _, _ := strings.Cut(strings.TrimPrefix(filter, "!"), ":")
				if filter != "*" && !slices.Contains(of.Labels, tag) {
					t.Errorf("%s: %s has no label %s", m.Name, name, tag)
				}
				if filter != strings.ToLower(filter) {
					t.Errorf("%s: Datadog's tags are in lower case, %s is not", m.Name, filter)
				}
			}
			for tag := range strings.SplitSeq(q[3], ",") {
				if tag != "" && !slices.Contains(of.Labels, tag) {
					t.Errorf("%s: %s has no label %s", m.Name, name, tag)
				}
			}
		}
		for _, l := range template.FindAllStringSubmatch(m.Message, -1) {
			if !slices.Contains(labels, l[1]) || !strings.Contains(m.Query, "by {") {
				t.Errorf("%s: its message has %s, by which it does not group", m.Name, l[0])
			}
		}
		if limit := threshold.FindStringSubmatch(m.Query); limit == nil || fmt.Sprint(m.Options.Thresholds["critical"]) != limit[1] {
			t.Errorf("%s: its query ends otherwise than with its critical threshold %v", m.Name, m.Options.Thresholds)
		}
		if _, err := os.Stat(runbook.FindString(m.Message)); err != nil {
			t.Errorf("%s: its runbook: %v", m.Name, err)
		}
	}
}
