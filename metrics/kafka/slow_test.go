package kafka

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// slowBench has a broker that takes longer than patience for commits while it is on, and less than requestTimeout.
// The fake cluster makes one such request slow at a time: poll waits until the last one is over.
func slowBench(t *testing.T) (b *bench, slow int32, on *atomic.Bool, poll func()) {
	var sleeping sync.WaitGroup
	b = oneEach(t)
	b.cluster.RequestTimeout.Duration = 6 * time.Second
	b.start()
	b.poll()
	on = &atomic.Bool{}
	b.kafka.ControlKey(int16(kmsg.OffsetFetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.kafka.KeepControl()
		if b.kafka.CurrentNode() == 1 && on.Load() {
			sleeping.Add(1)
			b.kafka.SleepControl(func() { time.Sleep(b.poller.patience() + 300*time.Millisecond) })
			sleeping.Done()
		}
		return nil, nil, false
	})
	return b, 1, on, func() { b.poll(); sleeping.Wait() }
}

func TestASlowBrokerIsGivenTheTimeThatIsPromised(t *testing.T) {
	b, slow, on, poll := slowBench(t)
	on.Store(true)
	// Left behind once, or twice where its next answer waited behind the slow one: then it rests for a poll.
	poll()
	poll()
	for range 3 {
		poll()
		for _, w := range b.wants {
			if got := b.fresh(w.Group); len(got) != brokers {
				t.Errorf("%s: partitions %v are fresh: %q", w.Group, got, b.view(w.Group).Problem)
			}
		}
	}
	if b.poller.quick(slow) || len(b.poller.Stats().Failing) != 0 {
		t.Errorf("it counts as quick, or as failing: %v", b.poller.Stats().Failing)
	}
	on.Store(false)
	for range slowFor {
		b.poll()
	}
	b.poll()
	if !b.poller.quick(slow) {
		t.Error("it does not count as quick again")
	}
}

func TestWhoIsWaitedFor(t *testing.T) {
	b := newBench(t, kfake.NumBrokers(1))
	p := b.poller
	p.turn = 1
	if p.quick(1) {
		t.Error("one that has not answered yet is quick")
	}
	p.brokerAnswered(1, time.Millisecond)
	if !p.quick(1) {
		t.Error("one that has answered at once is not quick")
	}
	var whole []int
	for n := 1; n <= 20; n++ {
		b.pass(2 * b.cluster.PollEvery.Duration)
		p.brokerFailed(1, "no answer")
		if !p.quick(1) {
			whole = append(whole, n)
		}
	}
	if len(whole) != 5 || whole[0] != 1 || whole[4] != 16 {
		t.Errorf("one that gives no answer is waited for after %v failures", whole)
	}
	p.brokerAnswered(1, p.patience()+1)
	for n := range slowFor + 1 {
		if p.turn = 1 + n; p.quick(1) {
			t.Errorf("after %d polls it is quick", n)
		}
	}
	if p.turn++; !p.quick(1) {
		t.Error("it is slow for ever")
	}
}
