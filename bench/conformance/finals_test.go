package conformance_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"swell/bench/testbed/kafka"
)

// final is how a case left its group: what the poller must read of it, and what Kafka's own tools must say.
type final struct {
	ask  ask
	want lags
	// prove lets the poller fetch what is left at the ends.
	prove bool
	share bool
	// tool is what the tool says of a partition where that is not what is wanted of the poller: a number, "-" for none, "" for no line.
	tool map[string]string
}

// final compares at once, and again beside all other cases' groups when all of them are done.
func (e *env) final(w *watch, f final) {
	e.Helper()
	w.expect(f.ask, f.want)
	e.target.mu.Lock()
	defer e.target.mu.Unlock()
	e.target.finals = append(e.target.finals, f)
}

// allAtOnce polls every case's group in one poll, and compares with the tools of the real broker's release.
func allAtOnce(t *testing.T, target *target) {
	for _, prove := range []bool{false, true} {
		var asks []ask
		for _, f := range target.finals {
			if f.prove == prove {
				asks = append(asks, f.ask)
			}
		}
		cluster := clusterAt(target.plain)
		cluster.ProveEmpty = prove
		w := newWatch(t, cluster, asks...)
		w.poll()
		for range 5 {
			if prove {
				w.poll() // a stretch is looked through when it has stood still
			}
		}
		for _, f := range target.finals {
			if f.prove == prove {
				w.expect(f.ask, f.want)
			}
		}
	}
	if target.real == nil {
		return
	}
	consumers, err := target.real.ConsumerGroups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	shares, err := target.real.ShareGroups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, f := range target.finals {
		lines := consumers
		if f.share {
			lines = shares
		}
		compared += f.compare(t, lines)
	}
	if compared == 0 {
		t.Error("no partition's lag was compared with Kafka's own tools")
	}
	t.Logf("%d partitions' lag of %d groups compared with Kafka's own tools", compared, len(target.finals))
}

// compare compares one group with the tool's table, and counts the partitions.
func (f final) compare(t *testing.T, lines []kafka.GroupLine) int {
	t.Helper()
	said := map[string]string{}
	topics := f.ask.parsed(t)
	for _, l := range lines {
		if l.Group != f.ask.group || !topics.Match(l.Topic) {
			continue
		}
		text := "-"
		if l.HasLag {
			text = fmt.Sprint(l.Lag)
		}
		said[at(l.Topic, l.Partition)] = text
	}
	want := map[string]string{}
	for key, m := range f.want {
		text, given := f.tool[key]
		switch {
		case given:
		case m.problem != "":
			t.Errorf("%s: the case does not say what the tool says of %s, which is unknown", f.ask.group, key)
		default:
			text = fmt.Sprint(m.n)
		}
		if text != "" {
			want[key] = text
		}
	}
	var wrong []string
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if said[key] != want[key] {
			wrong = append(wrong, fmt.Sprintf("%s is %q, want %q", key, said[key], want[key]))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(said)) {
		if _, ok := want[key]; !ok {
			wrong = append(wrong, fmt.Sprintf("%s is %q, want no line", key, said[key]))
		}
	}
	if len(wrong) > 0 {
		t.Errorf("Kafka's own tool says of %s: %s", f.ask.group, strings.Join(wrong, "; "))
	}
	return len(want)
}
