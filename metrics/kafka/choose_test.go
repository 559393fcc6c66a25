package kafka

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"swell/metrics/lag"
	"swell/metrics/store"
)

// selected is what is known of the topics that one consumer of a group reads.
func (b *bench) selected(group string, topics ...string) (store.View, lag.Sum) {
	b.t.Helper()
	of, err := ParseTopics(topics)
	if err != nil {
		b.t.Fatal(err)
	}
	v := b.store.View(store.Key{Cluster: "main", Group: group}, b.now, time.Minute, of.Selection())
	return v, lag.Add(v.Readings, latestRules)
}

func TestATopicThatSomebodyElseNamesDoesNotCount(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(2, "orders", "mail"))
	b.produce("orders", 0, 4)
	b.produce("mail", 1, 1000)
	b.commit("g", "orders", 0, 1)
	b.want("g")
	b.want("g", "orders", "wrong")
	b.want("g", "/m.*/")
	for range 3 {
		b.poll()
		for name, tc := range map[string]struct {
			topics   []string
			complete bool
			total    int
			lag      int64
		}{
			"no topic named":    {nil, true, 2, 3},
			"a wrong name":      {[]string{"wrong", "orders"}, false, 3, 3},
			"an expression":     {[]string{"/m.*/"}, true, 2, 0},
			"the same, ordered": {[]string{"orders", "wrong"}, false, 3, 3},
		} {
			if _, got := b.selected("g", tc.topics...); got.Complete() != tc.complete || got.Total != tc.total || got.Lag != tc.lag {
				t.Errorf("%s: %+v, want %+v", name, got, tc)
			}
		}
	}
	b.commit("g", "mail", 1, 10)
	b.poll()
	if _, got := b.selected("g"); !got.Complete() || got.Total != 4 || got.Lag != 993 {
		t.Errorf("when it is committed as well: %+v", got)
	}
}

func TestASelectionHasNothingBeforeItIsPolled(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(1, "orders", "mail"))
	b.produce("orders", 0, 4)
	b.commit("g", "orders", 0, 1)
	b.want("g", "orders")
	b.poll()
	for name, topics := range map[string][]string{"none": nil, "two, of which one is read": {"orders", "mail"}, "an expression": {"/.*/"}} {
		if v, got := b.selected("g", topics...); !v.Polled.IsZero() || got.Total != 0 {
			t.Errorf("%s: polled %s, %+v; want nothing before a poll asks for it", name, v.Polled, got)
		}
	}
	b.store.Fail(store.Key{Cluster: "main", Group: "g"}, b.now, "broker 1: EOF")
	if v, _ := b.selected("g", "mail"); v.Polled.IsZero() || v.Problem != "broker 1: EOF" {
		t.Errorf("while the group cannot be read: %+v", v)
	}
	b.want("g", "orders", "mail")
	b.poll()
	if _, got := b.selected("g", "mail", "orders"); got.Total != 2 || !got.Complete() || got.Lag != 3 {
		t.Errorf("after the poll: %+v", got)
	}
}

// The metadata was read for other expressions, and is young.
func TestAnExpressionIsLookedForAtOnce(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(1, "orders", "mail"))
	b.commit("g", "orders", 0, 0)
	b.produce("mail", 0, 7)
	b.want("g", "/ord.*/")
	b.poll()
	b.want("h", "/ma.*/")
	b.poll()
	if _, got := b.selected("h", "/ma.*/"); got.Total != 1 || !got.Complete() {
		t.Errorf("%+v, want the one topic that matches", got)
	}
	total := b.count()
	b.poll()
	if n, byKey := total(); n > 2*brokers+1 {
		t.Errorf("%d requests in a poll after that (%v)", n, byKey)
	}
}

// Which topics an expression matches is not known where the metadata cannot be read, though those that were known still are.
func TestAnExpressionWaitsForTheMetadata(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(1, "orders", "mail"))
	b.commit("g", "orders", 0, 0)
	b.want("g", "orders")
	b.poll()
	var down atomic.Bool
	down.Store(true)
	b.kafka.ControlKey(int16(kmsg.Metadata), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.kafka.KeepControl()
		if down.Load() {
			return nil, errors.New("hung up"), true
		}
		return nil, nil, false
	})
	b.want("g", "/.*/")
	b.poll()
	if v, got := b.selected("g", "/.*/"); !v.Polled.IsZero() || got.Total != 0 {
		t.Errorf("polled %s, %+v; want nothing", v.Polled, got)
	}
	if _, got := b.selected("g", "orders"); got.Total != 1 || !got.Complete() {
		t.Errorf("what is known without metadata: %+v", got)
	}
	down.Store(false)
	b.pass(time.Minute)
	b.poll()
	if _, got := b.selected("g", "/.*/"); got.Total != 2 || !got.Complete() {
		t.Errorf("when it can be read: %+v", got)
	}
}

func TestSelectionsShareTheRoomSmallestFirst(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(3, "a", "b", "c"))
	b.commit("g", "a", 0, 0)
	b.want("g")
	b.want("g", "/.*/")
	b.want("g", "a")
	b.want("h", "/a|b/")
	b.want("h", "b")
	b.poll()
	if _, got := b.selected("g", "/.*/"); got.Total != 9 {
		t.Fatalf("with room for all: %+v", got)
	}
	for name, tc := range map[string]struct {
		room   int
		totals map[string]int
	}{
		"none":             {0, map[string]int{"g ": 3, "g a": 3, "g /.*/": 0, "h /a|b/": 0, "h b": 0}},
		"the smallest":     {5, map[string]int{"g ": 3, "g a": 3, "g /.*/": 0, "h /a|b/": 0, "h b": 3}},
		"what two share":   {6, map[string]int{"g /.*/": 0, "h /a|b/": 6, "h b": 3}},
		"all but a little": {11, map[string]int{"g /.*/": 9, "h /a|b/": 0, "h b": 3}},
		"all":              {12, map[string]int{"g ": 3, "g /.*/": 9, "h /a|b/": 6, "h b": 3}},
	} {
		t.Run(name, func(t *testing.T) {
			b.poller.room = tc.room
			b.poll()
			for question, want := range tc.totals {
				group, topics, _ := strings.Cut(question, " ")
				v, got := b.selected(group, strings.Fields(topics)...)
				if got.Total != want || (want == 0) != strings.Contains(v.Problem, "name fewer topics") {
					t.Errorf("%s: %d partitions, %q; want %d", question, got.Total, v.Problem, want)
				}
			}
		})
	}
}
