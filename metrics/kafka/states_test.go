package kafka

import (
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// busy is a bench whose metadata is read in every poll, so that no requests are to spare.
func busy(t *testing.T) (b *bench, set func(state string), looks *atomic.Int64) {
	b = newBench(t, kfake.SeedTopics(1, "orders"))
	b.cluster.MetadataEvery = b.cluster.PollEvery
	b.start()
	b.produce("orders", 0, 200)
	looks = new(atomic.Int64)
	b.kafka.ControlKey(int16(kmsg.ListGroups), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.kafka.KeepControl()
		if len(r.(*kmsg.ListGroupsRequest).StatesFilter) > 0 {
			looks.Add(1)
		}
		return nil, nil, false
	})
	set = b.stateOf("g", "Stable")
	b.want("g", "orders")
	for offset := range int64(8) {
		b.commit("g", "orders", 0, offset)
		b.poll()
	}
	if b.poller.budget.spare > 0 {
		t.Fatalf("%d requests to spare", b.poller.budget.spare)
	}
	return b, set, looks
}

func TestRebalanceIsSeenWithoutSpareRequests(t *testing.T) {
	b, set, looks := busy(t)
	set("PreparingRebalance")
	b.poll()
	if !b.view("g").Rebalancing {
		t.Error("it is not seen")
	}
	before := looks.Load()
	for range 20 {
		b.poll()
	}
	if n := looks.Load() - before; n > 10 || n < 9 || !b.view("g").Rebalancing {
		t.Errorf("%d looks in 20 polls of a rebalance", n)
	}
	set("Stable")
	b.poll()
	b.poll()
	if b.view("g").Rebalancing {
		t.Error("its end is not seen")
	}
}

func TestLooksThatFindNothingBecomeRare(t *testing.T) {
	b, set, looks := busy(t)
	offset := int64(8)
	rest := func() { // a consumer that commits in every second poll only
		offset++
		b.commit("g", "orders", 0, offset)
		b.poll()
		b.poll()
	}
	for range 16 {
		rest()
	}
	before := looks.Load()
	for range 32 {
		rest()
	}
	if n := looks.Load() - before; n > 64/longRest || n == 0 {
		t.Errorf("%d looks in 64 polls", n)
	}
	set("PreparingRebalance")
	for range longRest {
		b.poll()
	}
	if !b.view("g").Rebalancing {
		t.Error("a rebalance is not seen any more")
	}
}

func TestLooksKeepToTheBudgetOfAPoll(t *testing.T) {
	b := besiege(t)
	b.group.memory.quiet, b.group.memory.moved = 1, true
	b.turn, b.budget.spare, b.budget.reserve, b.budget.used = 7, -2, 3, b.budget.perPoll
	groups := []*groupPoll{b.group}
	if jobs := b.statesJobs(groups); len(jobs) != 0 {
		t.Error("a look beyond what a poll may ask")
	}
	// What was news then is still to be looked at.
	b.turn, b.budget.used, b.group.memory.quiet = 8, 0, 2
	if jobs := b.statesJobs(groups); len(jobs) != 1 || b.budget.spare != -3 {
		t.Errorf("%d looks, %d requests to spare", len(jobs), b.budget.spare)
	}
	// One that was not answered is made up for.
	b.turn, b.group.memory.quiet = 12, 1
	jobs := b.statesJobs(groups)
	if len(jobs) != 1 {
		t.Fatal("no look")
	}
	jobs[0].fail("EOF")
	b.turn, b.group.memory.quiet = 28, 3
	if jobs = b.statesJobs(groups); len(jobs) != 1 {
		t.Error("the look that failed is not made up for")
	}
	delete(b.view.brokers, 1)
	delete(b.view.coordinators, "g")
	b.statesJobs(groups)
	if len(b.looks) != 0 {
		t.Error("a broker that is gone is remembered")
	}
}
