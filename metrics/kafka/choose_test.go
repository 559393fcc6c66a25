package kafka

import (
	"errors"
	"fmt"
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
			b.start()
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

// Who asks for many small selections must not push out what had room before.
func TestWhatHadRoomKeepsIt(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(4, "small"), kfake.SeedTopics(40, "orders"))
	b.poller.room = 100
	b.want("g", "orders")
	b.poll()
	for i := range 50 {
		b.want(fmt.Sprintf("made-up-%d", i), "small")
	}
	for range 4 {
		b.poll()
		if v, got := b.selected("g", "orders"); got.Total != 40 || !got.Complete() {
			t.Fatalf("%+v, %s", got, v.Problem)
		}
	}
	admitted := func() (n int) {
		for i := range 50 {
			if _, got := b.selected(fmt.Sprintf("made-up-%d", i), "small"); got.Total == 4 {
				n++
			}
		}
		return n
	}
	if n := admitted(); n != 15 {
		t.Errorf("%d of the new ones found room, want 15", n)
	}
	b.wants = b.wants[1:]
	b.poll()
	if n := admitted(); n != 25 {
		t.Errorf("%d found room when there was more, want 25", n)
	}
}

// A selection whose topics are not known yet has no right to what they turn out to need.
func TestWhatWaitsPushesNobodyOut(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(45, "a", "b"), kfake.SeedTopics(50, "orders"))
	b.poller.room = 100
	b.want("g", "orders")
	b.poll()
	b.want("first", "x")
	b.poll()
	b.want("h", "a")
	b.want("i", "b")
	for range 3 * newsGap {
		b.poll()
		if v, got := b.selected("g", "orders"); got.Total != 50 || !got.Complete() {
			t.Fatalf("%+v, %s", got, v.Problem)
		}
	}
	if _, got := b.selected("h", "a"); got.Total != 45 {
		t.Errorf("what finds room: %+v", got)
	}
}

// A new name in each poll must not have all metadata read in each poll, and waits for what it asks, with no sum of less.
func TestNewNamesShareReadsOfTheMetadata(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(1, "orders", "mail", "late"))
	b.commit("good", "orders", 0, 0)
	b.want("good", "/.*/")
	b.poll()
	total := b.count()
	const polls = 30
	for i := range polls {
		b.wants = b.wants[:1]
		name := fmt.Sprintf("name-%d", i)
		b.want("good", name)
		b.poll()
		if v, got := b.selected("good", name); got.Total > 0 == v.Polled.IsZero() {
			t.Fatalf("%s: polled %s, %+v", name, v.Polled, got)
		}
	}
	if _, byKey := total(); byKey["Metadata"] > 2*polls/newsGap {
		t.Errorf("%d reads of the metadata, two requests each, in %d polls", byKey["Metadata"], polls)
	}
	for _, topics := range [][]string{{"mail", "orders"}, {"late"}, {"/l.*/"}} {
		b.want("other", topics...)
		for n := 1; ; n++ {
			b.poll()
			v, got := b.selected("other", topics...)
			if got.Total == len(topics) && got.Complete() {
				break
			}
			if !v.Polled.IsZero() || got.Total > 0 || n > newsGap {
				t.Fatalf("%v in poll %d: %+v", topics, n, got)
			}
		}
	}
}

// What finds no room is not asked for by name either.
func TestWhatIsRefusedIsNotAskedFor(t *testing.T) {
	b := newBench(t, kfake.SeedTopics(1, "orders"), kfake.SeedTopics(30, "wide"))
	b.poller.room = 100
	b.produce("orders", 0, 10)
	b.commit("good", "orders", 0, 4)
	b.want("good", "orders")
	for q := range 20 {
		var topics []string
		for i := range 20 {
			topics = append(topics, fmt.Sprintf("none-%d-%d", q, i))
		}
		b.want("asker", topics...)
	}
	var most, reads atomic.Int64
	b.kafka.ControlKey(int16(kmsg.Metadata), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.kafka.KeepControl()
		reads.Add(1)
		most.Store(max(most.Load(), int64(len(r.(*kmsg.MetadataRequest).Topics))))
		return nil, nil, false
	})
	for range 12 {
		b.poll()
		if got := b.lag("good", latestRules); got.Lag != 6 || !got.Complete() {
			t.Fatalf("%+v", got)
		}
	}
	if most.Load() > 101 || reads.Load() > 4 {
		t.Errorf("%d reads of the metadata, with up to %d names", reads.Load(), most.Load())
	}
	// One that turns out to be too large is not read again and again to find that out.
	b.wants = b.wants[:1]
	b.want("wider", "wide", "other-1", "other-2")
	b.poller.room = 20
	for range 2 * newsGap {
		b.poll()
	}
	b.poller.view.stale()
	b.poll()
	reads.Store(0)
	for range 2 * newsGap {
		b.poll()
		if v, _ := b.selected("wider", "wide", "other-1", "other-2"); reads.Load() > 0 || !strings.Contains(v.Problem, "32 partitions") {
			t.Fatalf("%d reads, %q", reads.Load(), v.Problem)
		}
	}
}
