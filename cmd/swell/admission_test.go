package main

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"swell/bench/testbed/controlplane"
)

// scheduleCases are the fields of DiurnalSchedules beside their time zone, and what the API server and swell check both say of
// them: nothing, or one thing with these words. line is the field's in a file in which the fields begin at line 6.
var scheduleCases = map[string]struct {
	spec, want string
	line       int
}{
	"all": {`windows: [{name: a, days: [Mon-Fri, Sun], from: "00:00", to: "24:00", minHeadroom: "15%"}, {name: b, days: [Sat], from: "22:00", to: "02:00", minHeadroom: "2.5"}]
  holidays: {calendar: DE-BY, dates: [2026-12-30, 2026-12-29/2027-01-03], except: [2026-12-31], treatAs: Sat}
  events:
  - {name: launch, from: 2026-12-01T09:00:00+09:00, to: 2026-12-01T12:00:00+09:00, minHeadroom: "60"}
  - {name: again, from: 2026-12-02T09:00:00+09:00, to: 2026-12-02T12:00:00+09:00, growth: {like: 2026-11-01T09:00:00+09:00, factor: "1.5"}}
  - {name: both, from: 2026-12-03T09:00:00+09:00, to: 2026-12-03T12:00:00+09:00, growth: {like: 2026-11-01T09:00:00+09:00}, minHeadroom: "9%"}
  - {name: sale, from: 2026-12-04T09:00:00Z, to: 2026-12-04T12:00:00Z, curve: [{after: 0m, headroom: "20%"}, {after: 90m, headroom: "5"}, {after: 2h, headroom: "0"}]}`, "", 0},
	"calendars": {`holidays: {calendars: [JP, US]}`, "", 0},

	"begins at 24:00":    {window(`from: "24:00", to: "02:00", minHeadroom: "1"`), "begin at 00:00 of the next day", 6},
	"no time":            {window(`from: "8:30", to: "10:00", minHeadroom: "1"`), "spec.windows[0].from", 6},
	"beyond the day":     {window(`from: "08:30", to: "24:30", minHeadroom: "1"`), "spec.windows[0].to", 6},
	"percent":            {window(`from: "08:30", to: "10:30", minHeadroom: "1001%"`), "at most 1000%", 6},
	"pods":               {window(`from: "08:30", to: "10:30", minHeadroom: "100001"`), "at most 100000 pods", 6},
	"neither":            {window(`from: "08:30", to: "10:30", minHeadroom: "-5"`), "spec.windows[0].minHeadroom", 6},
	"window twice":       {"windows:\n  - " + one("a") + "\n  - " + one("a"), "spec.windows[1]", 8},
	"day twice":          {`windows: [{name: a, days: [Mon, Mon], from: "08:00", to: "09:00", minHeadroom: "1"}]`, "spec.windows[0].days[1]", 6},
	"no day":             {`windows: [{name: a, days: [Mon-Fry], from: "08:00", to: "09:00", minHeadroom: "1"}]`, "spec.windows[0].days[0]", 6},
	"no calendar at all": {`holidays: {treatAs: Sunday}`, "give a calendar, calendars or dates", 6},
	"one and several":    {`holidays: {calendar: JP, calendars: [US]}`, "not both", 6},
	"date twice":         {"holidays:\n    dates:\n    - 2026-12-30\n    - 2026-12-30", "spec.holidays.dates[1]", 9},
	"no such date":       {"holidays:\n    dates: [2026-12-30, 2026-02-30]", "give dates that there are", 7},
	"no such last date":  {"holidays:\n    except: [2026-02-27/2026-02-30]\n    calendar: JP", "give dates that there are", 7},
	"range backwards":    {"holidays:\n    dates: [2027-01-03/2026-12-29]", "the last date of a range must be after its first", 7},
	"not a date":         {"holidays:\n    dates: [30.12.2026]", "spec.holidays.dates[0]", 7},
	"event backwards":    {event(`to: 2026-12-01T09:00:00Z, minHeadroom: "1"`), "to must be after from", 6},
	"event of nothing":   {event(`to: 2026-12-01T12:00:00Z`), "give minHeadroom, growth", 6},
	"curve beside":       {event(`to: 2026-12-01T12:00:00Z, minHeadroom: "1", curve: [{after: 0m, headroom: "1"}]`), "or curve alone", 6},
	"curve and growth":   {event(`to: 2026-12-01T12:00:00Z, growth: {like: 2026-11-01T09:00:00Z}, curve: [{after: 0m, headroom: "1"}]`), "or curve alone", 6},
	"curve falls back":   {event(`to: 2026-12-01T12:00:00Z, curve: [{after: 1h, headroom: "1"}, {after: 30m, headroom: "2"}]`), "each later than the one before", 6},
	"curve stands still": {event(`to: 2026-12-01T12:00:00Z, curve: [{after: 60m, headroom: "1"}, {after: 1h, headroom: "2"}]`), "each later than the one before", 6},
	"curve outlasts":     {event(`to: 2026-12-01T12:00:00Z, curve: [{after: 3h, headroom: "1"}]`), "before the event's end", 6},
	"curve before":       {event(`to: 2026-12-01T12:00:00Z, curve: [{after: -5m, headroom: "1"}]`), "spec.events[0].curve[0].after", 6},
	"like the future":    {event(`to: 2026-12-01T12:00:00Z, growth: {like: 2026-12-02T09:00:00Z}`), "must be over when the event begins", 6},
	"like itself":        {event(`to: 2026-12-01T12:00:00Z, growth: {like: 2026-12-01T07:00:00Z}`), "must be over when the event begins", 6},
	"shrinks":            {event(`to: 2026-12-01T12:00:00Z, growth: {like: 2026-11-01T09:00:00Z, factor: "0"}`), "factor must be above 0", 6},
	"event twice":        {"events:\n  - {name: e, from: 2026-12-01T09:00:00Z, to: 2026-12-01T10:00:00Z, minHeadroom: \"1\"}\n  - {name: e, from: 2026-12-02T09:00:00Z, to: 2026-12-02T10:00:00Z, minHeadroom: \"1\"}", "spec.events[1]", 8},
	"the machine's zone": {"timeZone: Local", "give an IANA time zone", 5},
	"no zone":            {"timeZone: Asia/Tokio", "Asia/Tokio", 5},
	"an offset, no zone": {`timeZone: "09:00"`, "spec.timeZone", 5},
}

func window(fields string) string { return `windows: [{name: a, days: [Mon], ` + fields + `}]` }
func one(name string) string {
	return `{name: ` + name + `, days: [Mon], from: "08:00", to: "09:00", minHeadroom: "1"}`
}
func event(fields string) string {
	return `events: [{name: e, from: 2026-12-01T09:00:00Z, ` + fields + `}]`
}

func scheduleText(spec string) string {
	if !strings.HasPrefix(spec, "timeZone") {
		spec = "timeZone: Asia/Tokyo\n  " + spec
	}
	return "apiVersion: capacity.swell/v1alpha1\nkind: DiurnalSchedule\nmetadata: {name: it, namespace: default}\nspec:\n  " + spec + "\n"
}

func TestSchedulesAreCheckedAsTheAPIServerDoes(t *testing.T) {
	cluster, err := controlplane.Start(context.WithoutCancel(t.Context()), controlplane.Options{Binary: controlplane.BinaryForTest(t), Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	if err := cluster.InstallCRDs(t.Context(), filepath.Join(root, "charts", "swell", "crds")); err != nil {
		t.Fatal(err)
	}
	api, err := client.New(cluster.AdminConfig(), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("preview", func(t *testing.T) { previewOfTheCluster(t, cluster, api) })
	for name, c := range scheduleCases {
		t.Run(name, func(t *testing.T) {
			u := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(scheduleText(c.spec)), &u.Object); err != nil {
				t.Fatal(err)
			}
			err := api.Create(t.Context(), u, client.DryRunAll)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("the API server: %v; want %q", err, c.want)
			}
		})
	}
}

// previewOfTheCluster shows a schedule that the API server has.
func previewOfTheCluster(t *testing.T, cluster *controlplane.Cluster, api client.Client) {
	path, err := cluster.Kubeconfig("someone", "system:masters")
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(scheduleText(window(`from: "08:30", to: "10:30", minHeadroom: "12"`))), &u.Object); err != nil {
		t.Fatal(err)
	}
	if err := api.Create(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	preview := func(name string) (int, string, string) {
		return swell(t, "schedule", "preview", name, "--from", "2026-12-07", "--days", "1", "--kubeconfig", path)
	}
	if code, out, errs := preview("default/it"); code != 0 || !strings.Contains(out, "Mon 7 Dec 08:30   10:30   12 pods    window a") {
		t.Errorf("exit %d %s\n%s", code, errs, out)
	}
	if code, _, errs := preview("default/its"); code != exitFailed || !strings.Contains(errs, `there is no DiurnalSchedule its in namespace default; there are it; did you mean "it"?`) {
		t.Errorf("exit %d %s", code, errs)
	}
	if err := api.Delete(t.Context(), u); err != nil {
		t.Fatal(err)
	}
}

func TestSchedulesAreCheckedByLine(t *testing.T) {
	for name, c := range scheduleCases {
		t.Run(name, func(t *testing.T) {
			path := write(t, "it.yaml", scheduleText(c.spec))
			code, out, _ := swell(t, "check", path)
			switch first, _, _ := strings.Cut(out, "\n"); {
			case c.want == "":
				if code != 0 {
					t.Errorf("exit %d:\n%s", code, out)
				}
			case code != 2 || !strings.Contains(first, c.want) || !strings.HasPrefix(first, path+":"+string('0'+rune(c.line))+": "):
				t.Errorf("exit %d, want line %d with %q:\n%s", code, c.line, c.want, out)
			case strings.Count(out, path) != 1:
				t.Errorf("want one finding:\n%s", out)
			}
		})
	}
}
