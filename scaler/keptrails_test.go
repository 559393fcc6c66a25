package scaler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"swell/bench/testbed/controlplane"
	"swell/scaler/act"
	"swell/scaler/guardrail"
)

// anyRecord of an object in a phase, whose spec has so many bytes, with every hour of the week known.
func anyRecord(phase guardrail.Phase, bytes int) *guardrail.Record {
	r := &guardrail.Record{UID: "u", Phase: phase, Good: json.RawMessage(fmt.Sprintf(`{"a":%q}`, strings.Repeat("x", bytes))), At: time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC),
		Past: guardrail.Past{Hours: map[int]guardrail.Hour{}}}
	for h := range 7 * 24 {
		r.Past.Hours[h] = guardrail.Hour{Sum: guardrail.Sum{Seconds: 3600, Pods: 360000, Missed: 12.5, Priced: 3600, Cost: 9.958333333333327, Cores: 358500}, Week: 2930}
	}
	if phase != guardrail.Settled {
		r.Watch = &guardrail.Watch{Generation: 2, Hash: "h", Why: "too many misses"}
	}
	return r
}

// Whatever one namespace has, others' records are kept, within what a ConfigMap holds; what is not kept is a problem that says so.
func TestNoNamespaceKeepsOthersRecordsOut(t *testing.T) {
	records := map[string]*guardrail.Record{
		"CapacityPool general":                       anyRecord(guardrail.Settled, 500),
		"Balloon shop/web":                           anyRecord(guardrail.RollingBack, 500),
		"Balloon shop/" + strings.Repeat("n", 253):   anyRecord(guardrail.Watching, 500),
		"DiurnalSchedule greedy/huge":                anyRecord(guardrail.Watching, mostRail),
		"Balloon unseen/of-no-bounds":                {},
		"DiurnalSchedule greedy/needed-in-the-crowd": anyRecord(guardrail.Fought, 40<<10),
	}
	for i := range 40 {
		records[fmt.Sprintf("DiurnalSchedule greedy/%d", i)] = anyRecord(guardrail.Settled, 40<<10)
	}
	data, problems := railsData(records)
	size := 0
	for key, text := range data {
		size += len(text)
		if len(key) > 63 {
			t.Errorf("key %s has %d characters", key, len(key))
		}
	}
	if size > mostRails || size < mostRails-mostRail {
		t.Errorf("%d bytes are kept of %d", size, mostRails)
	}
	r := rails{kept: maps.Clone(data)}
	for key, want := range records {
		if strings.Contains(key, " greedy/") && key != "DiurnalSchedule greedy/needed-in-the-crowd" || strings.Contains(key, " unseen/") {
			continue
		}
		if got, err := r.recordOf(key); err != nil || got.Phase != want.Phase || string(got.Good) != string(want.Good) || len(got.Past.Hours) != 168 && want.Phase != guardrail.Fought {
			t.Errorf("%s: phase %q, %v", key, got.Phase, err)
		}
	}
	var text []string
	for _, p := range problems {
		text = append(text, p.Object+": "+p.What+"; "+p.Mend)
	}
	all := strings.Join(text, "\n")
	for _, want := range []string{
		"DiurnalSchedule greedy/huge: a restart of the scaler forgets its guard rails, and then takes the spec in force for a good one: its record has 65779 bytes, and 65536 are kept at most; make its spec smaller",
		fmt.Sprintf(": ConfigMap swell-scaler-guard-rails is full, as for %d others of its namespace; take capacity.swell/guard away from objects of its namespace", 40-(len(data)-4)-1),
		fmt.Sprintf("guard rails: a restart of the scaler forgets what the hours of the week were like for %d objects, as DiurnalSchedule greedy/", len(data)-3),
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no problem says %q:\n%s", want, all)
		}
	}
	if len(problems) != 3 {
		t.Errorf("want three problems:\n%s", all)
	}
}

func TestARecordIsItsObjectsOnly(t *testing.T) {
	raw, err := json.Marshal(keptRail{"Balloon shop/web", *anyRecord(guardrail.Fought, 5)})
	if err != nil {
		t.Fatal(err)
	}
	for name, kept := range map[string]map[string]string{
		"of this version":                {railKey("Balloon shop/web"): string(raw)},
		"of the first":                   {"Balloon.shop.web": `{"good":{"a":1},"phase":"Fought","watch":{"hash":"h"}}`},
		"of another: Balloon shop/other": {railKey("Balloon shop/web"): strings.Replace(string(raw), "shop/web", "shop/other", 1)},
	} {
		r := rails{kept: kept}
		record, err := r.recordOf("Balloon shop/web")
		_, other, wrong := strings.Cut(name, ": ")
		if wrong != (err != nil) || wrong != (record.Phase == guardrail.Settled) || wrong && !strings.Contains(err.Error(), other) {
			t.Errorf("%s: phase %q, %v", name, record.Phase, err)
		}
		if again, err := r.recordOf("Balloon shop/web"); err != nil || again.Good != nil {
			t.Errorf("%s: what was taken is there a second time: %v", name, err)
		}
	}
}

// apiServer is one of its own, and takeLead gives a scaler's store of guard rails that takes the lead there, and its fence.
func apiServer(t *testing.T) (cluster *controlplane.Cluster, kube kubernetes.Interface, takeLead func(holder string) (*railStore, *act.Intents)) {
	t.Helper()
	cluster, err := controlplane.Start(t.Context(), controlplane.Options{Binary: controlplane.BinaryForTest(t), Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	if kube, err = kubernetes.NewForConfig(cluster.AdminConfig()); err != nil {
		t.Fatal(err)
	}
	return cluster, kube, func(holder string) (*railStore, *act.Intents) {
		fence, _, err := act.TakeOver(t.Context(), kube, "default", "swell-scaler-intents", holder)
		if err != nil {
			t.Fatal(err)
		}
		return &railStore{kube: kube, namespace: "default", holder: holder, check: fence.Check}, fence
	}
}

func taken(t *testing.T, s *railStore) map[string]string {
	t.Helper()
	data, err := s.takeOver(t.Context(), slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Nothing is written over what is newer: not by an earlier turn that comes late, and not by a scaler that another has taken over from,
// even between its look at who leads and its write. What is full is taken by the API server.
func TestGuardRailsNeverGoBackwards(t *testing.T) {
	_, kube, takeLead := apiServer(t)
	first, _ := takeLead("first")
	var second *railStore
	kept := func(want string) {
		t.Helper()
		m, err := kube.CoreV1().ConfigMaps("default").Get(t.Context(), railsName, metav1.GetOptions{})
		if err != nil || m.Data["a"] != want {
			t.Errorf("%q is kept, %v: want %q", m.Data["a"], err, want)
		}
	}
	save := func(s *railStore, turn int64, text string) error {
		return s.save(t.Context(), turn, map[string]string{"a": text})
	}
	taken(t, first)
	for _, turn := range []int64{2, 1} {
		if err := save(first, turn, fmt.Sprint("turn ", turn)); err != nil {
			t.Fatal(err)
		}
	}
	kept("turn 2")
	if err := kube.CoreV1().ConfigMaps("default").Delete(t.Context(), railsName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := save(first, 3, "after somebody deleted it"); err != nil {
		t.Fatal(err)
	}
	kept("after somebody deleted it")

	leads := first.check
	first.check = func(ctx context.Context) error { // the last look is just in time
		err := leads(ctx)
		first.check = leads
		second, _ = takeLead("second")
		if data := taken(t, second); data["a"] != "after somebody deleted it" {
			t.Errorf("the second scaler found %v", data)
		}
		return err
	}
	if err := save(first, 4, "too late"); !errors.Is(err, act.ErrNotLeader) {
		t.Errorf("the first scaler writes on: %v", err)
	}
	kept("after somebody deleted it")
	if err := save(second, 1, "second"); err != nil {
		t.Fatal(err)
	}
	kept("second")

	records := map[string]*guardrail.Record{}
	for i := range 100 {
		records[fmt.Sprintf("Balloon ns%d/%s", i, strings.Repeat("n", 240))] = anyRecord(guardrail.Watching, 10<<10)
	}
	data, _ := railsData(records)
	if err := second.save(t.Context(), 2, data); err != nil {
		t.Error(err)
	}
	m, err := kube.CoreV1().ConfigMaps("default").Get(t.Context(), railsName, metav1.GetOptions{})
	if err != nil || len(m.Data) != len(data) {
		t.Errorf("%d of %d records are kept, %v", len(m.Data), len(data), err)
	}
}
