package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/v1alpha1"
	"swell/metrics/consumers"
	"swell/metrics/lag"
)

// nobody has no QueueConsumers.
type nobody struct{}

func (nobody) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return errors.New("not asked for here")
}
func (nobody) List(context.Context, client.ObjectList, ...client.ListOption) error { return nil }

// lines keeps a log.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), s)
}

// reloading is an instance without a control plane whose configuration is mounted as a ConfigMap is.
type reloading struct {
	*instance
	t    *testing.T
	dir  string
	n    int
	logs *lines
}

// write swaps the link that leads to the file, as kubelet does.
func (r *reloading) write(text string) {
	r.t.Helper()
	r.n++
	content := filepath.Join(r.dir, fmt.Sprintf("..%d", r.n))
	if err := os.Mkdir(content, 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(content, "metrics.yaml"), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	link := filepath.Join(r.dir, "..next")
	if err := os.Symlink(content, link); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(link, filepath.Join(r.dir, "..data")); err != nil {
		r.t.Fatal(err)
	}
}

func newReloading(t *testing.T, text string) *reloading {
	t.Helper()
	r := &reloading{t: t, dir: t.TempDir(), logs: &lines{}}
	r.write(text)
	path := filepath.Join(r.dir, "metrics.yaml")
	if err := os.Symlink(filepath.Join("..data", "metrics.yaml"), path); err != nil {
		t.Fatal(err)
	}
	r.instance = &instance{Server: New(slog.New(slog.NewTextHandler(r.logs, nil))), file: &configFile{path: path},
		restConfig: &rest.Config{Host: "https://kubernetes.invalid"}}
	var err error
	if r.config, err = r.file.load(); err != nil {
		t.Fatal(err)
	}
	pods := func(context.Context, string, v1alpha1.ScaleTarget) (lag.Pods, error) { return lag.Pods{Ready: -1}, nil }
	if err := r.assemble(nobody{}, pods); err != nil {
		t.Fatal(err)
	}
	made, err := r.pollers.prepare(r.config.Clusters)
	if err != nil {
		t.Fatal(err)
	}
	r.pollers.start(t.Context(), made, r.config.Clusters)
	t.Cleanup(func() { r.pollers.stop(nil) })
	return r
}

func (r *reloading) metrics() string {
	w := httptest.NewRecorder()
	r.scrape.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

func newKafka(t *testing.T) string {
	t.Helper()
	return kafkaOf(t, "orders").ListenAddrs()[0]
}

// kafkaOf has a group that has begun: one that never committed is unknown.
func kafkaOf(t *testing.T, group string) *kfake.Cluster {
	t.Helper()
	k, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "orders"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(k.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	offsets := kadm.Offsets{}
	offsets.AddOffset("orders", 0, 0, -1)
	if err := kadm.NewClient(client).CommitAllOffsets(t.Context(), group, offsets); err != nil {
		t.Fatal(err)
	}
	return k
}

func TestReloadRestartsOnlyWhatChanged(t *testing.T) {
	kafka := newKafka(t)
	cluster := func(name, every string) string {
		return fmt.Sprintf("- {name: %s, brokers: ['%s'], pollEvery: %s}\n", name, kafka, every)
	}
	r := newReloading(t, "clusters:\n"+cluster("kept", "20ms")+cluster("changed", "30ms")+cluster("gone", "20ms"))
	kept, changed := r.pollers.get("kept"), r.pollers.get("changed")
	r.reload(t.Context())
	if r.pollers.get("changed") != changed {
		t.Error("a file that did not change restarted a poller")
	}
	ask := consumers.Question{Cluster: "kept", Group: "orders", Topics: "orders", Namespace: "shop"}
	known := func() error { _, err := r.known.Ask(ask); return err }
	eventually(t, "the first answer", known)

	r.write("clusters:\n" + cluster("kept", "20ms") + cluster("changed", "40ms") + cluster("new", "20ms"))
	r.reload(t.Context())
	if r.pollers.get("kept") != kept {
		t.Error("the poller of a cluster that did not change was restarted")
	}
	if err := known(); err != nil {
		t.Errorf("a cluster that did not change lost what was known: %v", err)
	}
	if now := r.pollers.get("changed"); now == changed || now == nil || now.cluster.PollEvery.Duration != 40*time.Millisecond {
		t.Errorf("the changed cluster is polled as %+v", now)
	}
	select {
	case <-changed.done:
	default:
		t.Error("two pollers of one cluster run")
	}
	if r.pollers.get("gone") != nil || r.pollers.get("new") == nil {
		t.Error("clusters that came or went")
	}
	ask.Cluster = "new"
	eventually(t, "the new cluster is served", known)
	ask.Cluster = "gone"
	if err := known(); err == nil || !strings.Contains(err.Error(), "give one of changed, kept, new") {
		t.Errorf("a cluster that is gone: %v", err)
	}
	if got := r.metrics(); !strings.Contains(got, "\nswell_config_reload_success 1\n") || !strings.Contains(got, `swell_kafka_polls_total{cluster="new"}`) || strings.Contains(got, `cluster="gone"`) {
		t.Errorf("/metrics after a reload:\n%s", swellOf(got))
	}
}

// swellOf are swell's own lines.
func swellOf(metrics string) string {
	var own []string
	for line := range strings.Lines(metrics) {
		if strings.HasPrefix(line, "swell_") || strings.HasPrefix(line, "kafka_") {
			own = append(own, line)
		}
	}
	return strings.Join(own, "")
}

// TestOpenMetricsHasNoNameTwice: a gauge x beside a counter x_total, as of the Go runtime's, is twice the same name there.
func TestOpenMetricsHasNoNameTwice(t *testing.T) {
	r := newReloading(t, fmt.Sprintf("clusters: [{name: main, brokers: ['%s']}]\n", newKafka(t)))
	for accept, want := range map[string]int{"application/openmetrics-text;version=1.0.0": 1, "text/plain": 2} {
		req := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		req.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		r.scrape.ServeHTTP(w, req)
		seen := map[string]int{}
		for line := range strings.Lines(w.Body.String()) {
			if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
				name, _, _ = strings.Cut(name, " ")
				seen[strings.TrimSuffix(name, "_total")]++
			}
		}
		if got := slices.Max(slices.Collect(maps.Values(seen))); got != want || len(seen) < 50 || seen["swell_kafka_polls"] != 1 {
			t.Errorf("%s: %d names, the same one up to %d times, want %d", accept, len(seen), got, want)
		}
	}
}

func TestInvalidConfigurationKeepsTheOldOne(t *testing.T) {
	kafka := newKafka(t)
	good := fmt.Sprintf("clusters: [{name: main, brokers: ['%s'], pollEvery: 20ms}]\n", kafka)
	r := newReloading(t, good)
	before, at := r.pollers.get("main"), stamp(t, r.metrics())
	for _, bad := range []string{"clusters: []", "clusters: [{name: main, brokers: [nowhere]}]", good + "passOn: {external: {url: 'https://other:443', caFile: /does/not/exist}}"} {
		r.write(bad)
		for range 3 {
			r.reload(t.Context())
		}
		if r.pollers.get("main") != before || len(r.config.Clusters) != 1 {
			t.Errorf("%s: it is in force", bad)
		}
		if got := r.metrics(); !strings.Contains(got, "\nswell_config_reload_success 0\n") || stamp(t, got) != at {
			t.Errorf("%s:\n%s", bad, swellOf(got))
		}
	}
	if n := r.logs.count("is not used"); n != 3 {
		t.Errorf("%d errors in the log, want one for each content", n)
	}
	if err := os.Remove(r.file.path); err != nil {
		t.Fatal(err)
	}
	r.reload(t.Context())
	if r.pollers.get("main") != before || r.logs.count("is not used") != 4 {
		t.Error("a file that is gone")
	}
}

func stamp(t *testing.T, metrics string) string {
	t.Helper()
	_, after, ok := strings.Cut(metrics, "\nswell_config_last_reload_timestamp_seconds ")
	if !ok {
		t.Fatal("no swell_config_last_reload_timestamp_seconds")
	}
	line, _, _ := strings.Cut(after, "\n")
	return line
}

func TestReloadOfRulesAndOfWhatNeedsARestart(t *testing.T) {
	kafka := newKafka(t)
	good := fmt.Sprintf("clusters: [{name: main, brokers: ['%s'], pollEvery: 20ms}]\n", kafka)
	r := newReloading(t, good+"lease: {name: one}\n")
	ask := consumers.Question{Cluster: "main", Group: "orders", Topics: "orders", Namespace: "shop"}
	eventually(t, "the first answer", func() error { _, err := r.known.Ask(ask); return err })
	r.write(good + "lease: {name: two}\nlisten: ':1'\npartitionMetrics: true\nnamespaceRules: [{namespaces: [team-*], groups: [orders]}]\n")
	r.reload(t.Context())
	if _, err := r.known.Ask(ask); !errors.Is(err, consumers.ErrForbidden) {
		t.Errorf("a namespace that no rule allows any more: %v", err)
	}
	ask.Namespace = "team-a"
	if _, err := r.known.Ask(ask); err != nil {
		t.Errorf("a namespace that a rule allows: %v", err)
	}
	if r.config.Lease.Name != "one" || r.config.Listen != "" || r.logs.count("needs a restart") != 2 {
		t.Errorf("in force: lease %+v, listen %q; %d warnings, want 2", r.config.Lease, r.config.Listen, r.logs.count("needs a restart"))
	}
	if got := r.metrics(); !strings.Contains(got, `kafka_consumergroup_lag{cluster="main",consumergroup="orders",partition="0",topic="orders"} 0`) {
		t.Errorf("/metrics by partition:\n%s", swellOf(got))
	}
}

func TestReadyOnceEveryClusterIsPolledOrHasFailedLongEnough(t *testing.T) {
	kafka := newKafka(t)
	r := newReloading(t, fmt.Sprintf("clusters: [{name: main, brokers: ['%s'], pollEvery: 20ms}, {name: broken, brokers: ['127.0.0.1:%d'], pollEvery: 100ms, staleAfter: 1s, requestTimeout: 100ms}]\n", kafka, freePort(t)))
	if err := r.readiness.problem(); err == nil || !strings.Contains(err.Error(), "not listed") {
		t.Errorf("before the objects are listed: %v", err)
	}
	r.readiness.listed.Store(true)
	if err := r.readiness.problem(); err == nil {
		t.Error("ready at once")
	}
	eventually(t, "the one that answers is polled", func() error {
		if err := r.readiness.problem(); err == nil || !strings.Contains(err.Error(), `"broken"`) {
			return fmt.Errorf("%v", err)
		}
		return nil
	})
	eventually(t, "one broken cluster does not keep it unready", r.readiness.problem)
	if n := r.pollers.get("broken").poller.Stats(); n.Polls != n.FailedPolls {
		t.Errorf("the broken cluster was polled: %+v", n)
	}
	r.readiness.draining.Store(true)
	if err := r.readiness.problem(); err == nil {
		t.Error("ready while it drains")
	}
}
