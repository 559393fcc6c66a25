package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"swell/bench/testbed/prometheus"
)

// TestMain runs the tests in the project's root, where the command runs.
func TestMain(m *testing.M) {
	if err := os.Chdir("../.."); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// promtool runs Prometheus's own checker; where it is missing the test is skipped, or fails if SWELL_REQUIRE has prometheus.
func promtool(t *testing.T, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		if slices.Contains(strings.Split(os.Getenv("SWELL_REQUIRE"), ","), "prometheus") {
			t.Fatal(prometheus.ErrMissing)
		}
		t.Skip("skipped: " + prometheus.ErrMissing.Error())
	}
	out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func theAlerts(t *testing.T) []Alert {
	t.Helper()
	all, err := readAlerts(rules)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 20 {
		t.Fatalf("%d alerts in %s", len(all), rules)
	}
	return all
}

func theCatalogue(t *testing.T) map[string]Metric {
	t.Helper()
	list, err := Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]Metric{}
	for _, m := range list {
		all[m.Name] = m
	}
	return all
}

type ruleTest struct {
	Alertname string `json:"alertname"`
	EvalTime  string `json:"eval_time"`
	ExpAlerts []struct {
		Labels      map[string]string `json:"exp_labels"`
		Annotations map[string]string `json:"exp_annotations"`
	} `json:"exp_alerts,omitempty"`
}

func TestEachAlertFiresAndStaysQuiet(t *testing.T) {
	raw, err := os.ReadFile("bench/monitoring/testdata/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Files    []string `json:"rule_files"`
		Interval string   `json:"evaluation_interval"`
		Tests    []struct {
			Name     string              `json:"name"`
			Interval string              `json:"interval"`
			Series   []map[string]string `json:"input_series"`
			Rules    []ruleTest          `json:"alert_rule_test"`
		} `json:"tests"`
	}
	if err := yaml.UnmarshalStrict(raw, &file); err != nil {
		t.Fatal(err)
	}
	fires, quiet := map[string]int{}, map[string]int{}
	for _, test := range file.Tests {
		for _, r := range test.Rules {
			if len(r.ExpAlerts) == 0 {
				quiet[r.Alertname]++
			}
			for _, e := range r.ExpAlerts {
				fires[r.Alertname]++
				e.Annotations["runbook_url"] = runbooks + r.Alertname + ".md"
			}
		}
	}
	for _, a := range theAlerts(t) {
		if fires[a.Alert] == 0 || quiet[a.Alert] == 0 {
			t.Errorf("%s: %d cases in which it fires and %d in which it does not: give it one of each in testdata/alerts.yaml", a.Alert, fires[a.Alert], quiet[a.Alert])
		}
		delete(fires, a.Alert)
		delete(quiet, a.Alert)
	}
	if len(fires)+len(quiet) > 0 {
		t.Errorf("cases of alerts that are not there: %v, %v", fires, quiet)
	}
	root, err := filepath.Abs(rules)
	if err != nil {
		t.Fatal(err)
	}
	file.Files = []string{root}
	whole, err := yaml.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "alerts.yaml")
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", rules)
	promtool(t, "test", "rules", path)
}

func TestEachAlertHasItsRunbook(t *testing.T) {
	parts := []string{"\n\n**What it means.** ", "\n\n**How bad.** ", "\n\n**What to look at.**\n\n    ", "\n\n**Mend.**\n\n- "}
	seen := map[string]bool{}
	for _, a := range theAlerts(t) {
		path := runbooks + a.Alert + ".md"
		seen[filepath.Base(path)] = true
		if s := a.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s: its severity is %q; give critical or warning", a.Alert, s)
		}
		if a.Annotations["summary"] == "" || a.Annotations["runbook_url"] != path {
			t.Errorf("%s: summary %q, runbook_url %q; give a summary, and %s", a.Alert, a.Annotations["summary"], a.Annotations["runbook_url"], path)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Errorf("%s: %v", a.Alert, err)
			continue
		}
		rest := string(text)
		if !strings.HasPrefix(rest, "# "+a.Alert+"\n") {
			t.Errorf("%s does not begin with its alert's name", path)
		}
		for _, part := range parts {
			_, after, found := strings.Cut(rest, part)
			if !found {
				t.Errorf("%s: no %q, or not in its order", path, strings.TrimSpace(part))
			}
			rest = after
		}
	}
	pages, err := filepath.Glob(runbooks + "*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		if !seen[filepath.Base(p)] {
			t.Errorf("%s is of no alert", p)
		}
	}
}

func TestThePagesAreUpToDate(t *testing.T) {
	list, err := Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	metricsPage, err := reference(list)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][]byte{page: metricsPage, alertsPage: listOfAlerts(theAlerts(t))} {
		if have, err := os.ReadFile(path); err != nil || !bytes.Equal(have, want) {
			t.Errorf("%s is not what the programs and rules give (%v): run \"go run ./bench/monitoring\"", path, err)
		}
	}
}

// foreign are metrics of libraries that the rules read; TestTheProgramsGiveWhatIsNamed looks for them in the programs.
func foreign(name string) bool { return name == "leader_election_master_status" }

// compare holds an expression's metrics and labels against the catalogue.
func compare(t *testing.T, where, expr string, all map[string]Metric) {
	t.Helper()
	uses, joined, err := reads(expr)
	if err != nil || len(uses) == 0 {
		t.Errorf("%s: %s: no metric is found: %v", where, expr, err)
	}
	var labels []string
	for _, u := range uses {
		m, ok := all[u.metric]
		if foreign(u.metric) {
			m, ok = Metric{Labels: []string{"name"}}, true
		}
		if !ok {
			t.Errorf("%s: %s: no program gives %s", where, expr, u.metric)
			continue
		}
		labels = slices.Concat(labels, m.Labels, m.Partition)
		for _, l := range u.labels {
			if !slices.Contains(m.Labels, l) && !slices.Contains(m.Partition, l) {
				t.Errorf("%s: %s has the labels %v, not %s", where, u.metric, m.Labels, l)
			}
		}
	}
	for _, l := range joined {
		if !slices.Contains(labels, l) {
			t.Errorf("%s: %s: none of its metrics has the label %s", where, expr, l)
		}
	}
}

var summaryLabel = regexp.MustCompile(`\$labels\.([a-z_]+)`)

func TestTheRulesNameWhatThereIs(t *testing.T) {
	all := theCatalogue(t)
	for _, a := range theAlerts(t) {
		compare(t, a.Alert, a.Expr, all)
		_, joined, _ := reads(a.Expr)
		for _, m := range summaryLabel.FindAllStringSubmatch(a.Annotations["summary"], -1) {
			if !slices.Contains(joined, m[1]) {
				t.Errorf("%s: its summary has the label %s, by which the expression does not group", a.Alert, m[1])
			}
		}
	}
}

func TestExpressionsAreTakenApart(t *testing.T) {
	uses, joined, err := reads(`sum by (pool, zone) (increase(a_total{x="by (y) {", z!~"q"}[5m:1m] offset 5m)) > on (pool) group_left (b) 1e3 * max without (l) (b_seconds) and quantile(0.9, c) unless d`)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, u := range uses {
		names = append(names, u.metric+" "+strings.Join(u.labels, ","))
	}
	if got := strings.Join(names, "; "); got != "a_total x,z; b_seconds ; c ; d " {
		t.Errorf("metrics: %s", got)
	}
	if got := strings.Join(joined, ","); got != "pool,zone,pool,b,l" {
		t.Errorf("labels: %s", got)
	}
	if _, _, err := reads(`a{b="c"`); err == nil {
		t.Error("braces without an end are no error")
	}
}

// TestTheCatalogueHasWhatTheSourceDefines: a metric that is registered where the catalogue does not look would be missing from it.
func TestTheCatalogueHasWhatTheSourceDefines(t *testing.T) {
	all := theCatalogue(t)
	defined := 0
	for _, root := range []string{"scaler", "metrics", "nodegroups", "balloon", "cmd/swell-scaler", "cmd/swell-metrics"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			files := token.NewFileSet()
			f, err := parser.ParseFile(files, path, nil, 0)
			if err != nil {
				return err
			}
			note := func(e ast.Expr) {
				if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					defined++
					if name, _ := strconv.Unquote(lit.Value); all[name].Name == "" {
						t.Errorf("%s: %s is not in the catalogue: have its collector registered by scaler.RegisterMetrics or told by server.Collectors", files.Position(lit.Pos()), name)
					}
				}
			}
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CallExpr:
					if s, ok := n.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "NewDesc" {
						note(n.Args[0])
					}
				case *ast.CompositeLit:
					if s, ok := n.Type.(*ast.SelectorExpr); !ok || !strings.HasSuffix(s.Sel.Name, "Opts") || !isPackage(s.X, "prometheus") {
						return true
					}
					for _, e := range n.Elts {
						if kv, ok := e.(*ast.KeyValueExpr); ok && isPackage(kv.Key, "Name") {
							note(kv.Value)
						}
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if defined < 30 {
		t.Errorf("%d definitions are found", defined)
	}
}

func isPackage(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

var named = regexp.MustCompile("`((?:swell|kafka)_[a-z_]+[a-z])")

// TestTheDocsNameWhatThereIs looks at what stands in code marks.
func TestTheDocsNameWhatThereIs(t *testing.T) {
	all := theCatalogue(t)
	apis, err := os.ReadFile("api/metric/metric.go")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("docs/runbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, path := range append(pages, more...) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllStringSubmatchIndex(string(text), -1) {
			name := string(text[m[2]:m[3]])
			if strings.HasPrefix(string(text[m[3]:]), "_…") {
				continue // the beginning of several names
			}
			seen++
			if all[name].Name == "" && !bytes.Contains(apis, []byte(`"`+name+`"`)) {
				t.Errorf("%s: no program gives %s", path, name)
			}
		}
	}
	if seen < 50 {
		t.Errorf("%d names are found", seen)
	}
}
