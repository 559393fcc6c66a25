package kafka

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
)

// moved is a group whose commits in topic old are gone, and which has some left in topic new.
func moved(t *testing.T, topics ...string) *bench {
	b := newBench(t, kfake.SeedTopics(1, "old", "new"))
	b.cluster.MetadataEvery.Duration = time.Minute
	b.start()
	b.produce("old", 0, 10)
	b.produce("new", 0, 200)
	b.commit("g", "old", 0, 10)
	b.commit("g", "new", 0, 2)
	b.want("g", topics...)
	b.poll()
	if _, err := b.admin.DeleteOffsets(t.Context(), "g", kadm.TopicsSet{"old": {0: {}}}); err != nil {
		t.Fatal(err)
	}
	b.poll()
	return b
}

// hours polls twelve times in each of so many hours; the group commits in topic new once an hour.
func (b *bench) hours(n int, from int64, check func(hour int)) {
	for h := range n {
		b.commit("g", "new", 0, from+int64(h))
		for range 12 {
			b.pass(5*time.Minute - b.cluster.PollEvery.Duration)
			b.poll()
		}
		check(h)
	}
}

func TestATopicThatAGroupHasLeftIsForgotten(t *testing.T) {
	b := moved(t)
	gone := func(h int) {
		if got := b.read("g"); got.Complete() || got.Total != 2 || !strings.Contains(got.Problems[0].Text, "is gone") {
			t.Fatalf("hour %d: %+v", h, got)
		}
	}
	b.hours(24, 3, gone)
	b.hours(3, 30, func(int) {})
	if got := b.read("g"); !got.Complete() || got.Total != 1 || got.Lag != 200-32 {
		t.Errorf("a day later: %+v", got)
	}
	if b.poller.groups["g"].had["old"] || len(b.poller.view.gaps) != 0 {
		t.Errorf("%v, %v", b.poller.groups["g"].had, b.poller.view.gaps)
	}
	b.commit("g", "old", 0, 4)
	b.poll()
	if got := b.read("g"); !got.Complete() || got.Total != 2 || got.Lag != 200-32+6 {
		t.Errorf("when it has come back: %+v", got)
	}
}

func TestATopicThatAGroupMayHaveLeftIsNot(t *testing.T) {
	still := func(b *bench, text string) {
		b.t.Helper()
		if got := b.read("g"); got.Complete() || got.Total != 2 || !strings.Contains(got.Problems[0].Text, text) {
			b.t.Fatalf("%+v", got)
		}
	}
	t.Run("it does not go on elsewhere", func(t *testing.T) {
		b := moved(t)
		b.hours(1, 3, func(int) {})
		for range 60 {
			b.pass(time.Hour)
			b.poll()
		}
		still(b, "is gone")
	})
	t.Run("it is named", func(t *testing.T) {
		b := moved(t, "old", "new")
		b.hours(30, 3, func(int) { still(b, "is gone") })
		if !b.poller.groups["g"].had["old"] {
			t.Error("it counts as one that the group has not committed in")
		}
	})
	t.Run("an expression matches it", func(t *testing.T) {
		b := moved(t, "/old|new/")
		b.hours(30, 3, func(int) { still(b, "is gone") })
		if !b.poller.groups["g"].had["old"] {
			t.Error("it counts as one that the group has not committed in")
		}
	})
	t.Run("it may not be described", func(t *testing.T) {
		b := newBench(t, kfake.SeedTopics(1, "old", "new"))
		b.cluster.MetadataEvery.Duration = time.Minute
		b.start()
		b.produce("new", 0, 200)
		b.commit("g", "old", 0, 0)
		b.commit("g", "new", 0, 0)
		b.want("g")
		b.poll()
		h := b.hide("old", "g")
		h.set(func(h *hiding) { h.off, h.named = false, kerr.TopicAuthorizationFailed })
		for i := range 30 {
			b.pass(time.Hour)
			h.set(func(h *hiding) {
				h.committed["g"].Fetched["new"][0] = moveTo(h.committed["g"].Fetched["new"][0], int64(i))
			})
			b.poll()
			still(b, "Describe the topic")
		}
	})
}

func moveTo(r kadm.OffsetResponse, at int64) kadm.OffsetResponse { r.At = at; return r }
