// Package kafka is the only place that talks to Kafka: one poller for each cluster, shared by every
// consumer group that anyone asks about.
package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/metrics/lag"
	"swell/metrics/store"
)

// Want is a group that somebody asks about.
type Want struct {
	Group     string
	Topics    Topics
	Isolation v1alpha1.Isolation
}

// Sink takes what a poll has read. Every wanted group gets one of Record and Fail in each poll.
type Sink interface {
	Record(key store.Key, at time.Time, readings []lag.Reading)
	Fail(key store.Key, at time.Time, problem string)
	Keep(cluster string, wanted func(group string) bool)
}

// Options are what a poller needs besides its cluster.
type Options struct {
	Cluster config.KafkaCluster
	Clock   config.Clock
	// Wanted names the groups that are asked about in a cluster.
	Wanted func(cluster string) []Want
	Sink   Sink
	// After is called at the end of each poll; may be nil.
	After func(cluster string)
	Log   *slog.Logger
}

// Poller polls one Kafka cluster.
type Poller struct {
	opts   Options
	client *kgo.Client
	stats  stats
	view   clusterView
	failed int
}

// Stats counts what a poller has done since it started.
type Stats struct {
	Polls, FailedPolls, Requests, BytesOut, BytesIn int64
}

type stats struct{ polls, failed, requests, out, in atomic.Int64 }

func (s *stats) OnBrokerWrite(_ kgo.BrokerMetadata, _ int16, n int, _, _ time.Duration, err error) {
	if err == nil {
		s.requests.Add(1)
		s.out.Add(int64(n))
	}
}

func (s *stats) OnBrokerRead(_ kgo.BrokerMetadata, _ int16, n int, _, _ time.Duration, _ error) {
	s.in.Add(int64(n))
}

// NewPoller makes a poller; nothing is dialled yet.
func NewPoller(o Options) (*Poller, error) {
	p := &Poller{opts: o}
	p.view.reset()
	versions := kversion.Stable()
	// From version 10 on the answer has topic ids only, which names a topic that was made anew by an id nobody knows.
	versions.SetMaxKeyVersion(offsetFetchKey, 9)
	timeout := o.Cluster.RequestTimeout.Duration
	client, err := kgo.NewClient(
		kgo.SeedBrokers(o.Cluster.Brokers...), kgo.ClientID("swell-metrics"), kgo.WithHooks(&p.stats),
		kgo.MaxVersions(versions), kgo.DialTimeout(timeout), kgo.RetryTimeout(timeout), kgo.RequestRetries(1),
		kgo.RequestTimeoutOverhead(timeout), kgo.DisableClientMetrics(),
	)
	if err != nil {
		return nil, fmt.Errorf("make a client of Kafka cluster %q: %w: check its entry under clusters in swell-metrics' configuration", o.Cluster.Name, err)
	}
	p.client = client
	return p, nil
}

// Stats gives the counts so far.
func (p *Poller) Stats() Stats {
	return Stats{Polls: p.stats.polls.Load(), FailedPolls: p.stats.failed.Load(), Requests: p.stats.requests.Load(),
		BytesOut: p.stats.out.Load(), BytesIn: p.stats.in.Load()}
}

// Cluster is the name of the cluster that it polls.
func (p *Poller) Cluster() string { return p.opts.Cluster.Name }

// Run polls until the context ends, then closes the client.
func (p *Poller) Run(ctx context.Context) error {
	defer p.client.Close()
	for {
		began := p.opts.Clock.Now()
		if err := p.Poll(ctx); err != nil && ctx.Err() == nil {
			if p.failed == 1 {
				p.opts.Log.Error("Kafka poll failed", "cluster", p.Cluster(), "error", err)
			}
		}
		wait := p.pause() - p.opts.Clock.Now().Sub(began)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(max(0, p.opts.Clock.Wait(wait))):
		}
	}
}

// pause is the time from one poll's begin to the next: longer, and scattered, while polls fail, so that
// brokers that come back are not met by everyone at once.
func (p *Poller) pause() time.Duration {
	every := p.opts.Cluster.PollEvery.Duration
	if p.failed == 0 {
		return every
	}
	d := min(every<<min(p.failed, 10), max(every, p.opts.Cluster.StaleAfter.Duration))
	return d/2 + rand.N(d/2+1)
}

// Poll asks once about every wanted group. It fails only where no broker could be asked.
func (p *Poller) Poll(ctx context.Context) error {
	wants := mergeWants(p.opts.Wanted(p.Cluster()))
	p.opts.Sink.Keep(p.Cluster(), func(group string) bool { return wants[group] != nil })
	err := p.poll(ctx, wants)
	p.stats.polls.Add(1)
	if err != nil {
		p.failed++
		p.stats.failed.Add(1)
		p.view.reset()
	} else {
		if p.failed > 0 {
			p.opts.Log.Info("Kafka answers again", "cluster", p.Cluster(), "failedPolls", p.failed)
		}
		p.failed = 0
	}
	if p.opts.After != nil {
		p.opts.After(p.Cluster())
	}
	return err
}

func (p *Poller) poll(ctx context.Context, wants map[string]*want) error {
	at := p.opts.Clock.Now()
	commits, groupProblems, answered := p.fetchCommits(ctx, wants)
	topics := neededTopics(wants, commits)
	err := p.refreshView(ctx, at, topics)
	if err != nil {
		err = p.unreachable(err)
		for group := range wants {
			p.opts.Sink.Fail(p.key(group), at, err.Error())
		}
		return err
	}
	ends := p.fetchOffsets(ctx, at, wants, commits)
	if len(wants) > 0 && len(groupProblems) == len(wants) && answered+ends.answered == 0 {
		err = p.unreachable(fmt.Errorf("no broker answered: %s", firstOf(groupProblems)))
	}
	for group, w := range wants {
		switch problem := groupProblems[group]; {
		case err != nil:
			p.opts.Sink.Fail(p.key(group), at, err.Error())
		case problem != "":
			p.opts.Sink.Fail(p.key(group), at, problem)
		default:
			p.opts.Sink.Record(p.key(group), at, p.readings(at, w, commits[group], ends))
		}
	}
	return err
}

func (p *Poller) key(group string) store.Key {
	return store.Key{Cluster: p.Cluster(), Group: group}
}

func (p *Poller) unreachable(err error) error {
	return fmt.Errorf("poll Kafka cluster %q at brokers %s: %w: check that they run, and clusters[name=%s].brokers in swell-metrics' configuration",
		p.Cluster(), strings.Join(p.opts.Cluster.Brokers, ","), err, p.Cluster())
}

// want is everything asked about one group.
type want struct {
	topics         []Topics
	stable, latest bool
}

func (w *want) match(topic string) bool {
	for _, t := range w.topics {
		if t.Match(topic) {
			return true
		}
	}
	return false
}

func mergeWants(wants []Want) map[string]*want {
	merged := map[string]*want{}
	for _, one := range wants {
		w := merged[one.Group]
		if w == nil {
			w = &want{}
			merged[one.Group] = w
		}
		w.topics = append(w.topics, one.Topics)
		if one.Isolation == v1alpha1.ReadUncommitted {
			w.latest = true
		} else {
			w.stable = true
		}
	}
	return merged
}

func firstOf(problems map[string]string) string {
	least := ""
	for _, s := range problems {
		if least == "" || s < least {
			least = s
		}
	}
	return least
}
