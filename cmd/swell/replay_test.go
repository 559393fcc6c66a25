package main

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// hourly is a month of a load by the hour, as CSV; bad replaces a row's value.
func hourlyCSV(t *testing.T, bad map[int]string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("timestamp,value\n")
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for i := range 24 * 30 {
		value, ok := bad[i]
		if !ok {
			value = fmt.Sprint(100 + 80*math.Sin(float64(i)*2*math.Pi/24))
		}
		fmt.Fprintf(&b, "%s,%s\n", at.Add(time.Duration(i)*time.Hour).Format(time.RFC3339), value)
	}
	return write(t, "load.csv", b.String())
}

func TestReplayPrintsTheFieldsThatScriptsRead(t *testing.T) {
	load := hourlyCSV(t, nil)
	code, stdout, stderr := swell(t, "replay", "--scenario", "core-300", "--trace", load, "--policy", "swell,static:5,clairvoyant", "--json")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	var out struct {
		Runs []map[string]any `json:"runs"`
	}
	if err := json.Unmarshal([]byte(stdout), &out); err != nil || len(out.Runs) != 3 {
		t.Fatalf("%v in\n%s", err, stdout)
	}
	for i, name := range []string{"swell", "static:5", "clairvoyant"} {
		r := out.Runs[i]
		if r["policy"] != name || len(r) != 7 {
			t.Errorf("run %d: %v", i, r)
		}
		for _, field := range []string{"unserved", "wait_p50_s", "wait_p99_s", "node_hours", "cost", "cost_over_clairvoyant"} {
			if _, ok := r[field].(float64); !ok {
				t.Errorf("%s: %s is %v", name, field, r[field])
			}
		}
	}
	_, again, _ := swell(t, "replay", "--scenario", "core-300", "--trace", load, "--policy", "swell,static:5,clairvoyant", "--json")
	if again != stdout {
		t.Error("a second run prints something else")
	}
}

func TestReplayPrintsATable(t *testing.T) {
	load := hourlyCSV(t, nil)
	code, stdout, stderr := swell(t, "replay", "--scenario", "core-3z", "--trace", load, "--policy", "reactive,karpenter", "--seed", "3")
	if code != 0 || strings.Count(stdout, "\n") != 4 || !strings.Contains(stdout, "on-demand") || !strings.Contains(stdout, "karpenter") {
		t.Fatalf("exit %d: %s\n%s", code, stderr, stdout)
	}
}

func TestReplaySweepDrawsThePicture(t *testing.T) {
	svg := filepath.Join(t.TempDir(), "frontier.svg")
	code, stdout, stderr := swell(t, "replay", "--scenario", "core-120", "--trace", hourlyCSV(t, nil), "--policy", "static,slope,reactive", "--sweep", svg)
	if code != 0 || !strings.Contains(stdout, "static:80") || !strings.Contains(stdout, "slope:3") {
		t.Fatalf("exit %d: %s\n%s", code, stderr, stdout)
	}
	text, err := os.ReadFile(svg)
	if err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(text, new(struct{ XMLName xml.Name })); err != nil || !strings.Contains(string(text), "core-120") {
		t.Fatalf("%v in %s", err, text)
	}
}

func TestReplaySaysWhatIsWrong(t *testing.T) {
	load, scenario := hourlyCSV(t, nil), "core-300"
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no scenario":     {[]string{}, "--scenario is missing; give a YAML file or one of core-120, core-300, core-3z, office-morning"},
		"absent scenario": {[]string{"--scenario", "core-400"}, "no such file or directory; give a YAML file or one of core-120"},
		"no trace":        {[]string{"--scenario", scenario}, "--trace is missing"},
		"needless trace":  {[]string{"--scenario", "office-morning", "--trace", load}, "--trace is not used"},
		"policy":          {[]string{"--scenario", scenario, "--trace", load, "--policy", "swel"}, `"swel" is not known; give one of clairvoyant`},
		"number":          {[]string{"--scenario", scenario, "--trace", load, "--policy", "static:x"}, "write it like static:5"},
		"zone":            {[]string{"--scenario", scenario, "--trace", load, "--timezone", "Mars"}, "--timezone"},
		"country":         {[]string{"--scenario", scenario, "--trace", load, "--holidays", "XX"}, "--holidays"},
		"argument":        {[]string{"--scenario", scenario, "more"}, "is not expected here"},
		"unknown row":     {[]string{"--scenario", scenario, "--trace", hourlyCSV(t, map[int]string{7: "", 8: ""})}, "load.csv:9: from 2026-03-01T07:00:00Z on 2h has no value, and at most 1h is filled on a straight line; fill it"},
		"Local":           {[]string{"--scenario", scenario, "--trace", load, "--timezone", "Local"}, `"Local" is not a time zone`},
		"picture":         {[]string{"--scenario", scenario, "--trace", load, "--sweep", "x.png"}, "--sweep x.png: the picture is an SVG file"},
		"nowhere":         {[]string{"--scenario", scenario, "--trace", load, "--sweep", "no/where/x.svg"}, "no such file or directory; give a path that can be written"},
		"bad row":         {[]string{"--scenario", scenario, "--trace", hourlyCSV(t, map[int]string{7: "x"})}, "load.csv: line 9: value"},
	} {
		if code, _, stderr := swell(t, append([]string{"replay"}, c.args...)...); code != exitUsage || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit %d: %s", name, code, stderr)
		}
	}
}

func TestScenariosAreReadStrictly(t *testing.T) {
	load := hourlyCSV(t, nil)
	play := func(text string) (int, string) {
		code, _, stderr := swell(t, "replay", "--trace", load, "--policy", "reactive", "--scenario", write(t, "s.yaml", text))
		return code, stderr
	}
	for text, want := range map[string]string{
		"name: a\nled: 5m\n":                         "s.yaml:2: led: is not known: correct its name, or leave it out; known are boot, ",
		"name: a\nlead: 5\n":                         "s.yaml:2: lead: is 5: give a duration with its unit",
		"lead: 5s\n":                                 "s.yaml:1: lead: is not a multiple of scan",
		"demand:\n  mean: -3\n":                      "s.yaml:2: demand.mean: is not a number of pods",
		"zones: 3\nlead: 5m\nboot: {p50: 50s}\n":     "s.yaml:2: lead: is not used with zones",
		"zones: 3\nboot: {p50: 50s, p95: 40s}\n":     "s.yaml:2: boot: makes no sense",
		"spot: {share: 0.5}\n":                       "s.yaml:1: spot: needs zones",
		"timeZone: Mars\n":                           `s.yaml:1: timeZone: "Mars" is not known`,
		"holidays: XX\n":                             "s.yaml:1: holidays:",
		"lead: 5m\nlead: 6m\n":                       "lead",
		"- a\n":                                      "s.yaml:1: the file holds no scenario",
		"name: [\n":                                  "s.yaml:1:",
		"":                                           "the file holds no scenario",
		"timeZone: Local\n":                          `s.yaml:1: timeZone: "Local" is not known`,
		"name: a\nnodePods: 0\n":                     "s.yaml:2: nodePods: is 0: give one above zero",
		"scan: 0s\n":                                 "s.yaml:1: scan: is 0: give one above zero",
		"zones: 3\nspot:\n  price: 1.5\n":            "s.yaml:3: spot.price: is not a share of on-demand's price",
		"zones: 3\nspot:\n  price: 0\n":              "s.yaml:3: spot.price: is 0",
		"scan: 7s\n":                                 "s.yaml:1: scan: is 7s",
		"nodePods: many\n":                           "s.yaml:1: nodePods: is \"many\": give a whole number",
		"demand: {kind: batch}\n":                    "s.yaml:1: demand.kind: is \"batch\": give one of trace, office",
		"outages: {perWeek: 2}\nmaxNodes: 3\n":       "s.yaml:2: maxNodes: needs zones",
		"zones: 2\nboot: {p50: 1m, p95: 2m, max: 1}": "s.yaml:2: boot.max: is not known",
	} {
		if code, stderr := play(text); code != exitUsage || !strings.Contains(stderr, want) {
			t.Errorf("%q: exit %d: %s", text, code, stderr)
		}
	}
	for _, text := range []string{"lead: 2m\nnodePods: 10\n", "zones: 3\n", "zones: 2\npodStart: 0s\nboot: {p50: 10s}\n"} {
		if code, stderr := play(text); code != 0 || stderr != "" {
			t.Errorf("%q: exit %d: %s", text, code, stderr)
		}
	}
	if code, stderr := play("demand: {history: 72h}\n"); code != 0 || !strings.Contains(stderr, "warning: there are 72h before what is played; policies that learn need two weeks (336h)") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestReplayFillsWhatAHistoryDidNotKnow(t *testing.T) {
	load := hourlyCSV(t, map[int]string{0: "", 1: "", 300: "", 302: "", 719: ""})
	code, _, stderr := swell(t, "replay", "--scenario", "core-300", "--trace", load, "--policy", "reactive")
	if code != 0 || !strings.Contains(stderr, "filled on a straight line: 2\n") || !strings.Contains(stderr, "left out: 3\n") {
		t.Fatalf("exit %d: %s", code, stderr)
	}
}

func TestReplayTellsWhereMaxNodesWasReached(t *testing.T) {
	load, scenario := hourlyCSV(t, nil), write(t, "s.yaml", "zones: 2\nmaxNodes: 11\n")
	code, stdout, stderr := swell(t, "replay", "--scenario", scenario, "--trace", load, "--policy", "static:80,clairvoyant")
	if code != 0 || !strings.Contains(stdout, "less than was wanted: static:80.\n") {
		t.Fatalf("exit %d: %s\n%s", code, stderr, stdout)
	}
}

func TestTheScenarioOfTheReplayPageIsOne(t *testing.T) {
	_, rest, ok := strings.Cut(pages(t)["../../docs/replay.md"], "```yaml\n")
	text, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatal("the page has no scenario")
	}
	got, err := readScenario(write(t, "mine.yaml", text))
	if err != nil {
		t.Fatal(err)
	}
	if got.Zones != 3 || got.Holidays != "FR" || got.Spot.Share != 0.7 || got.Boot.P95.Duration != 2*time.Minute || !got.Outages.WorstHour {
		t.Fatalf("%+v", got)
	}
}
