package conformance_test

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/metrics/kafka"
	"swell/metrics/kafka/auth"
	"swell/metrics/lag"
	"swell/metrics/store"
)

// ask is what is asked about one group.
type ask struct {
	group       string
	topics      []string
	isolation   v1alpha1.Isolation
	uncommitted v1alpha1.Uncommitted
	lateAfter   time.Duration
	ages        bool
}

// committed asks for the lag of a group as most consumers read: committed messages, and nothing of what it never committed.
func committed(group string, topics ...string) ask {
	return ask{group: group, topics: topics, isolation: v1alpha1.ReadCommitted, uncommitted: v1alpha1.UncommittedLatest}
}

func (a ask) uncommittedToo() ask { a.isolation = v1alpha1.ReadUncommitted; return a }

func (a ask) policy(u v1alpha1.Uncommitted) ask { a.uncommitted = u; return a }

func (a ask) rules() lag.Rules {
	return lag.Rules{Isolation: a.isolation, Uncommitted: a.uncommitted, LateAfter: a.lateAfter}
}

func (a ask) parsed(t *testing.T) kafka.Topics {
	t.Helper()
	topics, err := kafka.ParseTopics(a.topics)
	if err != nil {
		t.Fatal(err)
	}
	return topics
}

// messages are how many a partition's lag is, or why that is unknown.
type messages struct {
	n       int64
	problem string
}

func known(n int64) messages { return messages{n: n} }

// unknown is a lag that is not known, for a reason that says problem.
func unknown(problem string) messages { return messages{problem: problem} }

func (m messages) String() string {
	if m.problem != "" {
		return fmt.Sprintf("unknown (%s)", m.problem)
	}
	return fmt.Sprint(m.n)
}

// lags are by partition, as in orders/0; orders/-1 is a topic of which nothing is known.
type lags map[string]messages

func at(topic string, partition int32) string { return fmt.Sprintf("%s/%d", topic, partition) }

// watch is a poller with its store.
type watch struct {
	*testing.T
	poller *kafka.Poller
	store  *store.Store
	asks   []ask
}

const clusterName = "main"

// clusterAt is the configuration of a cluster whose topics are looked at afresh in each poll.
func clusterAt(brokers []string) config.KafkaCluster {
	duration := func(d time.Duration) metav1.Duration { return metav1.Duration{Duration: d} }
	return config.KafkaCluster{Name: clusterName, Brokers: brokers, PollEvery: duration(200 * time.Millisecond), StaleAfter: duration(time.Minute),
		MetadataEvery: duration(time.Nanosecond), RequestTimeout: duration(20 * time.Second), MaxRequestsPerSecond: 10_000}
}

// watch makes a poller of the target's plain listener.
func (e *env) watch(asks ...ask) *watch {
	e.Helper()
	return newWatch(e.T, clusterAt(e.target.plain), asks...)
}

// newWatch makes a poller that comes as the cluster's configuration says.
func newWatch(t *testing.T, cluster config.KafkaCluster, asks ...ask) *watch {
	t.Helper()
	w := &watch{T: t, store: store.New(), asks: asks}
	options := kafka.Options{Cluster: cluster, Sink: w.store, Log: slog.New(slog.DiscardHandler), Wanted: func(string) []kafka.Want {
		var wants []kafka.Want
		for _, a := range w.asks {
			wants = append(wants, kafka.Want{Group: a.group, Topics: a.parsed(t), Isolation: a.isolation, LateAfter: a.lateAfter, Ages: a.ages})
		}
		return wants
	}}
	identity, err := auth.Options(cluster)
	if err != nil {
		t.Fatal(err)
	}
	options.ClientOpts = identity
	options.Explain = func(err error) error { return auth.Explain(cluster, err) }
	poller, err := kafka.NewPoller(options)
	if err != nil {
		t.Fatal(err)
	}
	w.poller = poller
	t.Cleanup(poller.Close)
	return w
}

func (w *watch) poll() {
	w.Helper()
	if err := w.poller.Poll(w.Context()); err != nil {
		w.Fatal(err)
	}
}

// view is what the last poll read: nothing that is older is served in its place.
func (w *watch) view(a ask) store.View {
	key := store.Key{Cluster: clusterName, Group: a.group}
	polled := w.store.View(key, time.Time{}, 0, store.Selection{}).Polled
	return w.store.View(key, polled, 0, a.parsed(w.T).Selection())
}

func (w *watch) sum(a ask) lag.Sum { return lag.Add(w.view(a).Readings, a.rules()) }

// reading is the one partition's, which must be known.
func (w *watch) reading(a ask, topic string, partition int32) lag.Reading {
	w.Helper()
	for _, r := range w.view(a).Readings {
		if r.Topic == topic && r.Partition == partition {
			if r.Problem != "" {
				w.Fatalf("%s of %s is unknown: %s", at(topic, partition), a.group, r.Problem)
			}
			return r
		}
	}
	w.Fatalf("%s of %s is not read", at(topic, partition), a.group)
	return lag.Reading{}
}

// lags are what the last poll says.
func (w *watch) lags(a ask) lags {
	got := lags{}
	for _, r := range w.view(a).Readings {
		n, problem := lag.Of(r, a.rules())
		got[at(r.Topic, r.Partition)] = messages{n, problem}
	}
	return got
}

// differs says where what was read is not what is wanted; empty: nowhere.
func (want lags) differs(got lags) string {
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(want)) {
		g, ok := got[key]
		if !ok {
			lines = append(lines, fmt.Sprintf("%s is not read, want %s", key, want[key]))
		} else if g.n != want[key].n || (g.problem == "") != (want[key].problem == "") || !strings.Contains(g.problem, want[key].problem) {
			lines = append(lines, fmt.Sprintf("%s is %s, want %s", key, g, want[key]))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[key]; !ok {
			lines = append(lines, fmt.Sprintf("%s is %s, want no such partition", key, got[key]))
		}
	}
	return strings.Join(lines, "; ")
}

// expect compares what the last poll read of a group.
func (w *watch) expect(a ask, want lags) {
	w.Helper()
	if text := want.differs(w.lags(a)); text != "" {
		w.Errorf("%s, %s: %s; the group's problem: %q", a.group, a.isolation, text, w.view(a).Problem)
	}
}

// turns polls until the group reads as wanted. On the way each partition may be as it was, unknown, or as wanted: a lag that was never true is a failure.
func (w *watch) turns(a ask, before, want lags) {
	w.Helper()
	var got lags
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		w.poll()
		got = w.lags(a)
		if want.differs(got) == "" {
			return
		}
		for key, m := range got {
			was, had := before[key]
			if m.problem == "" && !(had && m == was) && m != want[key] {
				w.Fatalf("%s: %s is %s, which it never was: before %s, then %s", a.group, key, m, before[key], want[key])
			}
		}
	}
	w.Fatalf("%s: after %s %s", a.group, patience, want.differs(got))
}
