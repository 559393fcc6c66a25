package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// oneEach is a topic whose partition n is led by broker n, and a group of each coordinator.
func oneEach(t *testing.T) *bench {
	b := newBench(t, kfake.SeedTopics(brokers, "orders"))
	for n := range int32(brokers) {
		if err := b.kafka.MoveTopicPartition("orders", n, n); err != nil {
			t.Fatal(err)
		}
		b.produce("orders", n, 4)
		group := ""
		for i := 0; group == "" || b.kafka.CoordinatorFor(group) != n; i++ {
			group = fmt.Sprintf("g%d-%d", n, i)
		}
		for n := range int32(brokers) {
			b.commit(group, "orders", n, 1)
		}
		b.wants = append(b.wants, Want{Group: group, Topics: Topics{names: []string{"orders"}}})
	}
	return b
}

// breakBroker makes one broker close every connection while it is on, and counts the requests that it gets.
func (b *bench) breakBroker(broker int32) (on *atomic.Bool, asked *atomic.Int64) {
	on, asked = &atomic.Bool{}, &atomic.Int64{}
	b.kafka.Control(func(kmsg.Request) (kmsg.Response, error, bool) {
		b.kafka.KeepControl()
		if b.kafka.CurrentNode() != broker || !on.Load() {
			return nil, nil, false
		}
		asked.Add(1)
		return nil, errors.New("closed"), true
	})
	return on, asked
}

// fresh says which partitions of a group the last poll has read.
func (b *bench) fresh(group string) (parts []int32) {
	for _, r := range b.view(group).Readings {
		if r.Problem == "" && r.At.Equal(b.now) {
			parts = append(parts, r.Partition)
		}
	}
	return parts
}

func TestBrokerThatFailsIsLeftAloneAndTheOthersAreNot(t *testing.T) {
	b := oneEach(t)
	b.poll()
	on, asked := b.breakBroker(1)
	on.Store(true)
	b.poll()
	began := b.now
	if got := b.fresh(b.wants[0].Group); !slices.Equal(got, []int32{0, 2}) {
		t.Errorf("partitions %v are fresh, want 0 and 2", got)
	}
	b.pass(2 * time.Minute)
	view := b.view(b.wants[1].Group)
	for _, want := range []string{"broker 1 (" + b.cluster.Brokers[1], "EOF", "failing since " + began.UTC().Format(time.RFC3339)} {
		if !strings.Contains(view.Problem, want) {
			t.Errorf("the group of the broken coordinator: %q does not say %q", view.Problem, want)
		}
	}
	if r := b.view(b.wants[0].Group).Readings[1]; !strings.Contains(r.Problem, "broker 1 (") {
		t.Errorf("the partition of the broken leader: %q", r.Problem)
	}
	if why := b.poller.Stats().Failing[1]; !strings.Contains(why, "EOF") {
		t.Errorf("statistics say %q", why)
	}
	asked.Store(0)
	const polls = 20
	for range polls {
		b.poll()
		if got := b.fresh(b.wants[2].Group); !slices.Equal(got, []int32{0, 2}) {
			t.Fatalf("partitions %v are fresh, want 0 and 2", got)
		}
	}
	if n := asked.Load(); n > polls*2 || n < polls/4 {
		t.Errorf("the broken broker was asked %d times in %d polls", n, polls)
	}
	on.Store(false)
	b.poll()
	b.poll()
	for _, w := range b.wants {
		if got := b.fresh(w.Group); len(got) != brokers {
			t.Errorf("two polls after it is back, only %v of %s are fresh", got, w.Group)
		}
	}
	if n := len(b.poller.Stats().Failing); n != 0 {
		t.Errorf("%d brokers are said to fail", n)
	}
}

func TestSlowBrokerDoesNotKeepTheOthers(t *testing.T) {
	b := oneEach(t)
	b.cluster.RequestTimeout.Duration = 3 * time.Second
	b.start()
	b.poll()
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	b.kafka.Control(func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.kafka.KeepControl()
		if b.kafka.CurrentNode() == 1 && r.Key() != int16(kmsg.ApiVersions) {
			b.kafka.SleepControl(func() { <-release })
		}
		return nil, nil, false
	})
	ctx, cancel := context.WithTimeout(t.Context(), b.cluster.RequestTimeout.Duration)
	defer cancel()
	b.pass(b.cluster.PollEvery.Duration)
	if err := b.poller.Poll(ctx); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 2} {
		if got := b.fresh(b.wants[i].Group); !slices.Equal(got, []int32{0, 2}) {
			t.Errorf("partitions %v are fresh, want 0 and 2", got)
		}
	}
	if v := b.view(b.wants[1].Group); !strings.Contains(v.Problem, "no answer, while other brokers have answered") {
		t.Errorf("the slow one's group: %q", v.Problem)
	}
}

func TestEveryBrokerDownStaysWithinTheBudget(t *testing.T) {
	b := oneEach(t)
	b.poll()
	var asked atomic.Int64
	var on atomic.Bool
	on.Store(true)
	b.kafka.Control(func(kmsg.Request) (kmsg.Response, error, bool) {
		b.kafka.KeepControl()
		if on.Load() {
			asked.Add(1)
			return nil, errors.New("closed"), true
		}
		return nil, nil, false
	})
	const polls = 5
	for range polls {
		b.pass(b.poller.pause())
		if err := b.poller.Poll(t.Context()); err == nil {
			t.Fatal("no broker answers, and the poll has not failed")
		}
	}
	if n := asked.Load(); n > polls*4*brokers {
		t.Errorf("%d requests in %d polls of %d dead brokers", n, polls, brokers)
	}
	on.Store(false)
	b.pass(b.poller.pause())
	if err := b.poller.Poll(t.Context()); err != nil {
		t.Fatalf("they are back: %v", err)
	}
	if got := b.fresh(b.wants[0].Group); len(got) != brokers {
		t.Errorf("only %v are fresh", got)
	}
}

func TestBackOffEndsWithinTwoPolls(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		every := time.Duration(rapid.Int64Range(int64(time.Second), int64(time.Minute)).Draw(t, "every"))
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		h := &health{}
		for i := range rapid.IntRange(1, 50).Draw(t, "fails") {
			random := rapid.Float64Range(0, 0.999999).Draw(t, "random")
			h.fail(now, every, random, "EOF")
			wait := h.until.Sub(now)
			if wait <= 0 || wait >= 2*every || i == 0 && wait >= every {
				t.Fatalf("failure %d is followed by %s of polls every %s", i+1, wait, every)
			}
			if h.open(now.Add(2 * every)) {
				t.Fatal("after two polls it is still left alone")
			}
			now = now.Add(2 * every)
		}
	})
}

func TestThrottlingLeavesOutWhatIsOptional(t *testing.T) {
	b := oneEach(t)
	for i := range b.wants {
		b.wants[i].LateAfter = time.Minute
	}
	b.poll()
	b.poller.stats.OnBrokerThrottle(kgo.BrokerMetadata{NodeID: 1}, 100*time.Millisecond, true)
	b.poller.takeThrottles()
	b.poll()
	group := b.wants[0].Group
	if got := b.fresh(group); len(got) != brokers {
		t.Errorf("only %v are fresh: throttling must not make lag unknown", got)
	}
	if got := b.lag(group, lateRules(time.Minute)); got.LateProblem == "" {
		t.Errorf("lateness was asked of a broker that throttles: %+v", got)
	}
	if s := b.poller.Stats(); s.Throttled != 1 || s.Skipped == 0 {
		t.Errorf("%+v", s)
	}
	for range 3 {
		b.poll()
	}
	if got := b.lag(group, lateRules(time.Minute)); got.LateProblem != "" {
		t.Errorf("afterwards: %s", got.LateProblem)
	}
	b.poller.stats.OnBrokerThrottle(kgo.BrokerMetadata{NodeID: 1}, time.Minute, true)
	b.poller.takeThrottles()
	b.pass(-b.cluster.PollEvery.Duration + time.Millisecond)
	b.poll()
	if got := b.fresh(group); !slices.Equal(got, []int32{0, 2}) {
		t.Errorf("partitions %v are fresh, want 0 and 2: a broker that would keep the poll waiting is left alone", got)
	}
}

func TestBudgetLeavesOutWhatIsOptional(t *testing.T) {
	b := newBench(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	b.produceAged("orders", 0, time.Hour)
	b.commit("g", "orders", 0, 0)
	b.wantLate("g", time.Minute, "orders")
	b.cluster.MaxRequestsPerSecond = 40
	b.cluster.PollEvery.Duration = 500 * time.Millisecond
	b.start()
	b.poll()
	b.poll()
	if got := b.lag("g", lateRules(time.Minute)); got.Late != 1 || got.LateProblem != "" {
		t.Errorf("a budget with room: %+v", got)
	}
	b.cluster.MaxRequestsPerSecond = 4
	b.start()
	b.poll()
	b.poll()
	got := b.lag("g", lateRules(time.Minute))
	if got.Lag != 1 || !got.Complete() || got.LateProblem == "" {
		t.Errorf("a budget without room: %+v", got)
	}
	if why := b.poller.view.part("orders", 0).lateFailed; !strings.Contains(why, "the budget of 4 requests a second") {
		t.Errorf("why: %q", why)
	}
}

func TestBudgetOfAPoll(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	b := newBudget(10, 300*time.Millisecond)
	for poll := range 3 {
		b.begin(now, 1, 0)
		for i, want := range []bool{true, true, true, false} {
			if got := b.wait(t.Context(), now, true); got != want {
				t.Errorf("poll %d: optional request %d: %v", poll, i+1, got)
			}
		}
		if !b.wait(t.Context(), now, false) {
			t.Errorf("poll %d: what the lag needs is left out while there is room in the second", poll)
		}
		now = now.Add(300 * time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	b.begin(now, 1, 1000)
	for b.wait(ctx, now, false) {
		if b.used > 12 {
			t.Fatalf("%d requests in a second that has room for 10", b.used)
		}
	}
}

func TestPollThatIsStoppedTellsNothing(t *testing.T) {
	b := oneEach(t)
	b.poll()
	ctx, cancel := context.WithCancel(t.Context())
	b.kafka.ControlKey(int16(kmsg.ListOffsets), func(kmsg.Request) (kmsg.Response, error, bool) {
		cancel()
		return nil, nil, true
	})
	b.pass(b.cluster.PollEvery.Duration)
	if err := b.poller.Poll(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	for _, w := range b.wants {
		if v := b.view(w.Group); v.Problem != "" || !v.Polled.Equal(b.now.Add(-b.cluster.PollEvery.Duration)) {
			t.Errorf("%s: polled %s, problem %q", w.Group, v.Polled, v.Problem)
		}
	}
	if n := len(b.poller.Stats().Failing); n != 0 {
		t.Errorf("%d brokers are said to fail because the poller was stopped", n)
	}
}
