package kafka

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"swell/metrics/lag"
	"swell/metrics/store"
)

// replace starts another poller in the place of the one before, as when the cluster's configuration changes.
func (b *bench) replace() {
	b.t.Helper()
	before := b.poller
	b.start()
	b.poller.Inherit(before)
}

func TestATopicThatMayNoLongerBeDescribedStaysInTheSumOfTheNextPoller(t *testing.T) {
	for name, topics := range unnamed {
		t.Run(name, func(t *testing.T) {
			b, h := twoTopics(t, topics)
			h.set(func(h *hiding) { h.off, h.named = false, kerr.TopicAuthorizationFailed })
			b.problem("Describe the topic")
			b.replace()
			for range 3 {
				b.problem("Describe the topic")
			}
			b.replace()
			h.set(func(h *hiding) { h.off = true })
			b.poll()
			if got := b.read("g"); got.Lag != 1004 || !got.Complete() {
				t.Errorf("when the right is back: %+v", got)
			}
		})
	}
}

func TestTheNextPollerPollsAnotherCluster(t *testing.T) {
	b, _ := twoTopics(t, nil)
	before := b.poller
	other := newBench(t)
	other.want("g")
	other.poller.Inherit(before)
	other.poll()
	other.poll()
	v := other.store.View(store.Key{Cluster: "main", Group: "g"}, other.now, 0, store.Selection{})
	if got := lag.Add(v.Readings, latestRules); len(v.Readings) != 0 || v.Problem != "" {
		t.Errorf("topics of the other cluster are read: %+v, %q", got, v.Problem)
	}
}

func TestAShareGroupIsKnownToTheNextPoller(t *testing.T) {
	b, _ := twoTopics(t, nil)
	b.poller.groups["g"].share, b.poller.groups["g"].typed = true, true
	before := b.poller.groups["g"]
	b.replace()
	if got := b.poller.groups["g"]; !got.share || !got.typed || got == before {
		t.Errorf("%+v", got)
	}
}
