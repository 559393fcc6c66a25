package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"swell/bench/traces"
	"swell/scaler/series"
)

func swell(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(args, &out, &errs)
	return code, out.String(), errs.String()
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// quarters is a quarter-hourly file of three weeks of a recorded load.
func quarters(t *testing.T, rows int) string {
	t.Helper()
	s, err := traces.Load(traces.WorldCup98)
	if err != nil {
		t.Fatal(err)
	}
	if s, err = s.Resample(15 * 60 * 1e9); err != nil {
		t.Fatal(err)
	}
	s.Values = s.Values[:rows]
	var b bytes.Buffer
	if err := series.Write(&b, s); err != nil {
		t.Fatal(err)
	}
	return write(t, "load.csv", b.String())
}

func TestForecastRepeatsTheBacktest(t *testing.T) {
	out := filepath.Join(t.TempDir(), "rows.csv")
	code, stdout, stderr := swell(t, "backtest", "--series", quarters(t, 2016), "--horizon", "60m", "--quantile", "0.95",
		"--timezone", "Europe/Paris", "--holidays", "FR", "--out", out, "--json")
	if code != 0 {
		t.Fatal(code, stderr)
	}
	var score map[string]float64
	if err := json.Unmarshal([]byte(stdout), &score); err != nil {
		t.Fatal(err, stdout)
	}
	for _, field := range []string{"rows", "wape", "coverage", "over", "unserved", "pinball"} {
		if _, ok := score[field]; !ok {
			t.Errorf("%s is missing in %s", field, stdout)
		}
	}
	if score["rows"] != 672 || score["wape"] <= 0 || score["wape"] > 1 || score["coverage"] < 0.85 {
		t.Errorf("got %v", score)
	}
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || strings.Join(rows[0], ",") != "target,origin,actual,forecast,upper" || len(rows) != 673 {
		t.Fatal(err, rows[0], len(rows))
	}
	for _, i := range []int{1, 100, 672} {
		// Row i of the back-test is row 1344+i of the file; its origin is four rows before.
		code, stdout, stderr = swell(t, "forecast", "--series", quarters(t, 1344+i-4), "--horizon", "60m", "--quantile", "0.95",
			"--timezone", "Europe/Paris", "--holidays", "FR", "--json")
		if code != 0 {
			t.Fatal(code, stderr)
		}
		var got struct {
			Origin, Target  string
			Forecast, Upper float64
			Experts         []struct{ Weight float64 }
		}
		if err := json.Unmarshal([]byte(stdout), &got); err != nil {
			t.Fatal(err)
		}
		text := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
		if got.Target != rows[i][0] || got.Origin != rows[i][1] || text(got.Forecast) != rows[i][3] || text(got.Upper) != rows[i][4] {
			t.Errorf("row %d is %v, the file cut at its origin gives %+v", i, rows[i], got)
		}
		if len(got.Experts) == 0 || got.Experts[0].Weight <= 0 {
			t.Error("no experts")
		}
	}
}

func TestBadUsage(t *testing.T) {
	good := quarters(t, 300)
	gap := write(t, "gap.csv", "timestamp,value\n2026-01-01T00:00:00Z,1\n2026-01-01T00:05:00Z,1\n2026-01-01T00:20:00Z,1\n")
	for want, args := range map[string][]string{
		"--series is missing":        {"forecast"},
		"line 4: 2 rows are missing": {"forecast", "--series", gap},
		"no such file":               {"backtest", "--series", "nowhere.csv"},
		"--horizon is 50m and ":      {"backtest", "--series", good, "--horizon", "50m"},
		"a step of 15m; give a multiple of the step, such as 1h\n": {"backtest", "--series", good, "--horizon", "50m"},
		"--horizon is 72h; give at most 48h":                       {"forecast", "--series", good, "--horizon", "72h"},
		"--horizon is 0s; give a duration above zero":              {"forecast", "--series", good, "--horizon", "0s"},
		`"Local" is not a time zone`:                               {"forecast", "--series", good, "--timezone", "Local"},
		`"jp": there is no such calendar; did you mean JP?`:        {"forecast", "--series", good, "--holidays", "jp"},
		"--quantile is 95":                                         {"forecast", "--series", good, "--quantile", "95"},
		`"Paris" is not a time zone`:                               {"forecast", "--series", good, "--timezone", "Paris"},
		"calendar; give one of":                                    {"forecast", "--series", good, "--holidays", "ZZ"},
		"unknown flag: --file":                                     {"forecast", "--file", good},
		`unknown command "forcast"; did you mean "forecast"`:       {"forcast"},
		"no command was given":                                     {},
		"no file was given":                                        {"check"},
		`"now" is not expected`:                                    {"version", "now"},
	} {
		code, _, stderr := swell(t, args...)
		if code != 2 || !strings.Contains(stderr, want) {
			t.Errorf("swell %s: exit %d, %s; want 2 and %q", strings.Join(args, " "), code, stderr, want)
		}
	}
}

func TestVersion(t *testing.T) {
	if code, out, _ := swell(t, "version"); code != 0 || !strings.HasPrefix(out, "swell ") {
		t.Error(code, out)
	}
}

const balloonHead = `apiVersion: capacity.swell/v1alpha1
kind: Balloon
metadata: {name: web, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
`

const consumerHead = `apiVersion: capacity.swell/v1alpha1
kind: QueueConsumer
metadata: {name: orders, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: orders}
  perPodRate: {initial: "50"}
`

const scheduleHead = "apiVersion: capacity.swell/v1alpha1\nkind: DiurnalSchedule\nmetadata: {name: a}\nspec:\n  timeZone: UTC\n  windows:\n"

// guardedHead is balloonHead with annotations.
func guardedHead(annotations string) string {
	return strings.Replace(balloonHead, "namespace: shop", "namespace: shop, annotations: {"+annotations+"}", 1)
}

// checkCases are files, and what is found in each: nothing, or one thing with all these words.
var checkCases = map[string]struct {
	text string
	want []string
}{
	"good":           {balloonHead + "  max: 40\n", nil},
	"unknown field":  {balloonHead + "  max: 40\n  chnk: \"2.5\"\n", []string{`:7: spec.chnk: unknown field; did you mean "chunk"?`}},
	"nested":         {balloonHead + "  max: 40\n  zones:\n    survives: Zone\n", []string{`:8: spec.zones.survives: unknown field; did you mean "survive"?`}},
	"type":           {balloonHead + "  max: forty\n", []string{`:6: spec.max: `, "integer"}},
	"enum":           {balloonHead + "  max: 4\n  zones:\n    survive: Region\n", []string{`:8: spec.zones.survive: `, `"None", "Zone"`}},
	"pattern":        {balloonHead + "  max: 4\n  chunk: a lot\n", []string{`:7: spec.chunk: `}},
	"missing":        {balloonHead, []string{`:4: spec.max: it is required`}},
	"rule":           {balloonHead + "  max: 4\n  min: 9\n", []string{"max must be at least min"}},
	"rule of value":  {balloonHead + "  max: 4\n  target:\n    quantile: \"1.5\"\n", []string{":8: spec.target.quantile: ", "below 1"}},
	"broken topic":   {consumerHead + "  kafka: {cluster: main, group: g, topics: [orders, \"/mail[/\"]}\n", []string{`:7: spec.kafka.topics[1]: `, "missing closing ]", "RE2's syntax"}},
	"number":         {consumerHead + "  kafka: {cluster: main, group: g}\n  drainTarget: 60\n", []string{`:8: spec.drainTarget: `, "in quotes: give a duration", "60s"}},
	"no unit":        {consumerHead + "  kafka: {cluster: main, group: g}\n  drainTarget: \"60\"\n", []string{`:8: spec.drainTarget: `, "give one with its unit"}},
	"no name":        {strings.Replace(balloonHead, "name: web, namespace", "namespace", 1) + "  max: 4\n", []string{":3: metadata.name: it is required"}},
	"kind":           {"apiVersion: capacity.swell/v1alpha1\nkind: Baloon\n", []string{":2: kind: there is no Baloon", `did you mean "capacity.swell/v1alpha1/Balloon"`}},
	"version":        {"apiVersion: capacity.swell/v1\nkind: Balloon\n", []string{":1: apiVersion: there is no Balloon of capacity.swell/v1"}},
	"second":         {balloonHead + "  max: 40\n---\n" + strings.Replace(balloonHead, "name: web", "name: web2", 1) + "  max: -1\n", []string{":13: spec.max: "}},
	"object twice":   {balloonHead + "  max: 40\n---\n" + balloonHead + "  max: 41\n", []string{":10: metadata.name: Balloon shop/web is there in line 1 already"}},
	"two namespaces": {balloonHead + "  max: 40\n---\n" + strings.Replace(balloonHead, "namespace: shop", "namespace: mall", 1) + "  max: 41\n", nil},
	"bad name":       {strings.Replace(balloonHead, "name: web", "name: Web_1", 1) + "  max: 4\n", []string{`:3: metadata.name: "Web_1" is no name: give small letters`}},
	"bad namespace":  {strings.Replace(balloonHead, "namespace: shop", "namespace: a.b", 1) + "  max: 4\n", []string{`:3: metadata.namespace: "a.b" is no name`}},
	"number in text": {balloonHead + "  max: 4\n  chunk: 2.5\n", []string{`:7: spec.chunk: it must be text in quotes: give a decimal number`}},
	"day in range":   {scheduleHead + "  - {name: a, days: [Mon, Sat-Mon], from: \"08:30\", to: \"10:30\", minHeadroom: \"1\"}\n", []string{`:7: spec.windows[0].days[1]: Mon is in Mon already`}},
	"day":            {scheduleHead + "  - {name: a, days: [mon], from: \"08:30\", to: \"10:30\", minHeadroom: \"1\"}\n", []string{`:7: spec.windows[0].days[0]: it is "mon"; give a day or a range of days`}},
	"time":           {scheduleHead + "  - {name: a, days: [Mon], from: \"8:30\", to: \"10:30\", minHeadroom: \"1\"}\n", []string{`:7: spec.windows[0].from: it is "8:30"; give a time of day`}},
	"twice":          {balloonHead + "  max: 40\n  max: 41\n", []string{"line 7: max is there twice"}},
	"not yaml":       {"apiVersion: [\n", []string{"did not find"}},
	"empty":          {"# nothing\n", []string{":1: the file holds no object"}},
	"schedule":       {"apiVersion: capacity.swell/v1alpha1\nkind: DiurnalSchedule\nmetadata: {name: a}\nspec:\n  timeZone: Asia/Tokio\n", []string{":5: spec.timeZone: unknown time zone Asia/Tokio: give an IANA time zone"}},
	"metrics config": {"clusters:\n- name: main\n  brokrs: [\"a:1\"]\n", []string{`:3: clusters[0].brokrs: unknown field; did you mean "brokers"?`}},
	"duration":       {"clusters:\n- name: main\n  brokers: [\"a:1\"]\n  pollEvery: 5 minutes\n", []string{`:4: clusters[0].pollEvery: is "5 minutes": give a duration with its unit, such as`}},
	"a bare number":  {"clusters: [{name: main, brokers: [\"a:1\"]}]\nrateWindow: 30\n", []string{`:2: rateWindow: is 30: give a duration`}},
	"wrong number":   {"clusters:\n- name: main\n  brokers: [\"a:1\"]\n  maxRequestsPerSecond: many\n", []string{`:4: clusters[0].maxRequestsPerSecond: is "many": give a whole number`}},
	"no list":        {"clusters:\n- name: main\n  brokers: \"a:1\"\n", []string{`:3: clusters[0].brokers: is "a:1": give a list`}},
	"no fields":      {"clusters:\n- name: main\n  brokers: [\"a:1\"]\n  tls: true\n", []string{`:4: clusters[0].tls: is true: give fields: caFile, certFile, keyFile, serverName`}},
	"scaler's":       {"aws: {region: a}\nledgerDir: l\nobserve:\n  awsEvery: 10min\n", []string{`:4: observe.awsEvery: is "10min": give a duration`}},
	"broker":         {"clusters:\n- name: main\n  brokers: [a]\n", []string{`:3: clusters[0].brokers[0]: `, "give host:port"}},
	"kafka TLS":      {"clusters:\n- name: main\n  brokers: [\"a:1\"]\n  tls: {caPath: c}\n", []string{`:4: clusters[0].tls.caPath: unknown field`}},
	"kafka login":    {"clusters:\n- name: main\n  brokers: [\"a:1\"]\n  tls: {}\n  sasl:\n    mechanism: OAUTHBEARER\n    oauth:\n      tokenURL: http://a/t\n      clientID: c\n      clientSecretFile: s\n", []string{`:8: clusters[0].sasl.oauth.tokenURL: `, "https"}},
	"extensions":     {"clusters:\n- name: main\n  brokers: [\"a:1\"]\n  sasl:\n    mechanism: OAUTHBEARER\n    oauth: {tokenURL: \"https://a\", clientID: c, clientSecretFile: s, extensions: {any: thing}}\n", nil},
	"namespace rule": {"clusters: [{name: main, brokers: [\"a:1\"]}]\nnamespaceRules:\n- namespaces: [shop]\n  groups: [/(/]\n", []string{`:4: namespaceRules[0].groups[0]: `, "RE2"}},
	"rule's field":   {"clusters: [{name: main, brokers: [\"a:1\"]}]\nnamespaceRules:\n- namespace: [shop]\n  groups: [a]\n", []string{`:3: namespaceRules[0].namespace: unknown field; did you mean "namespaces"?`}},
	"pass on":        {"clusters: [{name: main, brokers: [\"a:1\"]}]\npassOn:\n  external:\n    uri: https://a\n", []string{`:4: passOn.external.uri: unknown field; did you mean "url"?`}},
	"all of kafka":   {"clusters:\n- {name: main, brokers: [\"a:1\"], pollEvery: 5s, staleAfter: 15s, metadataEvery: 75s, requestTimeout: 5s, maxRequestsPerSecond: 50, proveEmpty: true, tls: {caFile: a, certFile: b, keyFile: c, serverName: d}, sasl: {mechanism: AWS_MSK_IAM, aws: {region: eu-west-1, roleARN: \"arn:aws:iam::123456789012:role/a\"}}}\npartitionMetrics: true\npassOn: {external: {url: \"https://a\", caFile: b, serverName: c, tokenFile: d}, custom: {url: \"https://a\", insecureSkipVerify: true, tokenFile: e}}\n", nil},
	"scaler config":  {"aws:\n  regoin: x\nledgerDir: l\n", []string{`:2: aws.regoin: unknown field; did you mean "region"?`}},
	"guard":          {guardedHead("capacity.swell/guard: \"misses<=0.5%, cost<=+15%, for=2h\", capacity.swell/guard-override: \"2026-12-01T12:00:00Z\"") + "  max: 4\n", nil},
	"guard's bounds": {guardedHead("capacity.swell/guard: \"misses<=0.5,for=2h\"") + "  max: 4\n", []string{`:3: metadata.annotations[capacity.swell/guard]: "misses<=0.5" cannot be read; give a share`}},
	"guard's name":   {guardedHead("capacity.swell/guards: \"misses<=1%\"") + "  max: 4\n", []string{`:3: metadata.annotations[capacity.swell/guards]: it is not known; did you mean "capacity.swell/guard"?`}},
	"guard override": {guardedHead("capacity.swell/guard-override: \"yes\"") + "  max: 4\n", []string{`"yes" is no time; give one such as`}},
	"guard's kind":   {strings.Replace(consumerHead, "namespace: shop", "namespace: shop, annotations: {capacity.swell/guard: \"misses<=1%\"}", 1) + "  kafka: {cluster: main, group: g}\n", []string{`changes of a QueueConsumer are not watched; remove it`}},
	"something else": {"a: 1\n", []string{":1: neither an object nor a configuration"}},
}

func TestCheck(t *testing.T) {
	for name, c := range checkCases {
		t.Run(name, func(t *testing.T) {
			path := write(t, "it.yaml", c.text)
			code, out, _ := swell(t, "check", path)
			if want := min(len(c.want), 1) * 2; code != want {
				t.Errorf("exit %d, want %d\n%s", code, want, out)
			}
			for _, w := range c.want {
				if !strings.Contains(out, w) {
					t.Errorf("%q is not in\n%s", w, out)
				}
			}
			if strings.Count(out, path) != min(len(c.want), 1) {
				t.Errorf("want one finding, and the path once:\n%s", out)
			}
			for line := range strings.Lines(out) {
				if m := regexp.MustCompile(`:\d+: ([a-z]+[A-Za-z.\[\]0-9]*[.\[][^:]*): `).FindStringSubmatch(line); m != nil && strings.Count(line, m[1]) > 1 {
					t.Errorf("the field is named twice: %s", line)
				}
			}
			if strings.Contains(out, "swell check") {
				t.Errorf("the command sends its user to itself:\n%s", out)
			}
		})
	}
}

func TestCheckSkipsWhatIsNotItsOwn(t *testing.T) {
	path := write(t, "it.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")
	code, out, _ := swell(t, "check", "--json", path)
	var got checkOutput
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 || got.Objects != 0 || len(got.Skipped) != 1 || len(got.Errors) != 0 {
		t.Error(code, err, out)
	}
}

func TestTheExamplesOfTheDocsAreClean(t *testing.T) {
	for file, objects := range map[string]int{"example.yaml": 4, "schedules.yaml": 1, "swell-scaler.yaml": 1, "swell-metrics.yaml": 1} {
		code, stdout, stderr := swell(t, "check", "../../docs/"+file)
		if code != 0 || !strings.Contains(stdout, "checked: "+strconv.Itoa(objects)+", errors: 0") {
			t.Errorf("%s: code %d\n%s%s", file, code, stdout, stderr)
		}
	}
}

func TestAnUnreadableFileDoesNotHideTheOthersFindings(t *testing.T) {
	bad := write(t, "bad.yaml", "apiVersion: capacity.swell/v1alpha1\nkind: Balloon\nmetadata: {name: web}\nspec:\n  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}\n  maxi: 3\n  max: 3\n")
	code, stdout, _ := swell(t, "check", "nowhere.yaml", bad)
	if code != 2 || !strings.Contains(stdout, "nowhere.yaml: open") || !strings.Contains(stdout, "spec.maxi") {
		t.Errorf("code %d\n%s: want both files' findings", code, stdout)
	}
}

func TestDurationsThatNoProgramCanReadAreRefused(t *testing.T) {
	pool := write(t, "pool.yaml", "apiVersion: capacity.swell/v1alpha1\nkind: CapacityPool\nmetadata: {name: p}\nspec:\n  groups: {tags: {a: b}}\n  scaleIn: {after: 10min, drainTimeout: -5s}\n")
	code, stdout, _ := swell(t, "check", pool)
	if code != 2 || !strings.Contains(stdout, "spec.scaleIn.after") || !strings.Contains(stdout, "spec.scaleIn.drainTimeout") {
		t.Errorf("code %d\n%s: want both durations named", code, stdout)
	}
	consumer := write(t, "qc.yaml", "apiVersion: capacity.swell/v1alpha1\nkind: QueueConsumer\nmetadata: {name: q}\nspec:\n  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}\n  kafka: {cluster: main, group: g}\n  perPodRate: {initial: \"5\"}\n  lateAfter: half a minute\n  rebalanceTime: -5s\n")
	code, stdout, _ = swell(t, "check", consumer)
	if code != 2 || !strings.Contains(stdout, "spec.lateAfter") || !strings.Contains(stdout, "spec.rebalanceTime") {
		t.Errorf("code %d\n%s: want both durations named", code, stdout)
	}
}
