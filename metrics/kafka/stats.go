package kafka

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Stats counts what a poller has done since it started.
type Stats struct {
	Polls, FailedPolls, Requests, BytesOut, BytesIn int64
	// Throttled counts answers with which a broker asked for fewer requests.
	Throttled int64
	// Skipped counts requests that were left out because brokers or the budget wanted less: lateness, ages,
	// states, stamps and proofs.
	Skipped int64
	// Failing says of each broker that is left alone why and since when, by id.
	Failing map[int32]string
}

type stats struct {
	polls, failed, requests, out, in, throttled, skipped atomic.Int64
	// greetings are the requests that new connections took since the last poll.
	greetings atomic.Int64

	mu sync.Mutex
	// throttles are the brokers that throttled since the last look, and for how long.
	throttles map[int32]time.Duration
	failing   map[int32]string
}

// OnBrokerWrite counts a request.
func (s *stats) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, n int, _, _ time.Duration, err error) {
	if err == nil {
		s.requests.Add(1)
		s.out.Add(int64(n))
		switch kmsg.Key(key) {
		case kmsg.ApiVersions, kmsg.SASLHandshake, kmsg.SASLAuthenticate:
			s.greetings.Add(1)
		}
	}
}

// OnBrokerRead counts an answer.
func (s *stats) OnBrokerRead(_ kgo.BrokerMetadata, _ int16, n int, _, _ time.Duration, _ error) {
	s.in.Add(int64(n))
}

// Stats gives the counts so far. It may be called while polls run.
func (p *Poller) Stats() Stats {
	s := &p.stats
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{Polls: s.polls.Load(), FailedPolls: s.failed.Load(), Requests: s.requests.Load(),
		BytesOut: s.out.Load(), BytesIn: s.in.Load(), Throttled: s.throttled.Load(), Skipped: s.skipped.Load(), Failing: maps.Clone(s.failing)}
}

// publishHealth makes the brokers that are left alone known to Stats.
func (p *Poller) publishHealth() {
	failing := map[int32]string{}
	for broker, h := range p.health {
		if h.fails > 0 {
			failing[broker] = h.text()
		}
	}
	p.stats.mu.Lock()
	defer p.stats.mu.Unlock()
	p.stats.failing = failing
}
