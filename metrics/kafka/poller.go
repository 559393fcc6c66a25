// Package kafka is the only place that talks to Kafka: one poller for each cluster, shared by every
// consumer group that anyone asks about.
package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"

	"swell/api/config"
	"swell/metrics/kafka/wire"
	"swell/metrics/store"
)

// Sink takes what a poll has read. Every wanted group gets one of Record and Fail in each poll.
type Sink interface {
	Record(key store.Key, poll store.Poll)
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
	// ClientOpts are more options of the client: TLS and SASL.
	ClientOpts []kgo.Opt
	// Explain adds to an error of TLS or SASL what to do about it. Default: errors stay as they are.
	Explain func(error) error
	// Now is the present in model time. Default: the Clock's.
	Now func() time.Time
	// Random scatters back-offs; from 0 to 1, without 1. Default: a random source.
	Random func() float64
}

// Poller polls one Kafka cluster.
type Poller struct {
	opts   Options
	now    func() time.Time
	random func() float64
	client *kgo.Client
	stats  stats
	budget *budget
	view   clusterView
	health map[int32]*health
	// groups, looks and proofs are kept from poll to poll.
	groups map[string]*groupMemory
	looks  map[int32]*look
	proofs map[proofKey]*proof
	seed   maphash.Seed
	// asked are the topics of this poll, turn its number; trial says that every broker has failed, so that all are
	// asked; answered counts the answers of this poll.
	asked    []string
	turn     int
	trial    bool
	answered int
	failed   int
	// room is maxBeside.
	room    int
	choices choices
}

// NewPoller makes a poller; nothing is dialled yet.
func NewPoller(o Options) (*Poller, error) {
	if o.Explain == nil {
		o.Explain = func(err error) error { return err }
	}
	p := &Poller{opts: o, now: o.Now, random: o.Random, seed: maphash.MakeSeed(), health: map[int32]*health{}, looks: map[int32]*look{}, room: maxBeside}
	if p.now == nil {
		p.now = o.Clock.Now
	}
	if p.random == nil {
		p.random = rand.Float64
	}
	p.budget = newBudget(o.Cluster.MaxRequestsPerSecond, o.Clock.Wait(o.Cluster.PollEvery.Duration))
	p.view.reset()
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(offsetFetchKey, offsetFetchMost)
	timeout := o.Cluster.RequestTimeout.Duration
	client, err := guarded(append([]kgo.Opt{
		kgo.SeedBrokers(o.Cluster.Brokers...), kgo.ClientID("swell-metrics"), kgo.WithHooks(&p.stats),
		kgo.MaxVersions(versions), kgo.DialTimeout(timeout), kgo.RetryTimeout(timeout), kgo.RequestRetries(1),
		kgo.RequestTimeoutOverhead(timeout), kgo.DisableClientMetrics(), kgo.BrokerMaxReadBytes(wire.MaxAnswer),
		kgo.FetchMaxBytes(proofsBytes), kgo.MaxDecompressBatchBytes(batchBytes), kgo.MetadataMaxAge(time.Hour),
	}, o.ClientOpts...))
	if err != nil {
		return nil, fmt.Errorf("make a client of Kafka cluster %q: %w: check its entry under clusters in swell-metrics' configuration", o.Cluster.Name, err)
	}
	p.client = client
	return p, nil
}

// guarded makes a client that is given looked-through answers only, whatever it dials with.
func guarded(opts []kgo.Opt) (*kgo.Client, error) {
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	dial, ok := client.OptValue(kgo.Dialer).(func(context.Context, string, string) (net.Conn, error))
	if !ok {
		return nil, errors.New("its dialer is not known")
	}
	return kgo.NewClient(append(slices.Clip(opts), kgo.Dialer(wire.Guard(dial)))...)
}

// Cluster is the name of the cluster that it polls.
func (p *Poller) Cluster() string { return p.opts.Cluster.Name }

// Close gives the connections back. Run does so by itself.
func (p *Poller) Close() { p.client.Close() }

// machine is the present on the machine's clock.
func (p *Poller) machine() time.Time { return p.opts.Clock.RealTime(p.now()) }

// Run polls until the context ends, then closes the client.
func (p *Poller) Run(ctx context.Context) error {
	defer p.Close()
	for {
		began := p.now()
		if err := p.Poll(ctx); err != nil && ctx.Err() == nil && p.failed == 1 {
			p.opts.Log.Error("Kafka poll failed", "cluster", p.Cluster(), "error", err)
		}
		wait := p.pause() - p.now().Sub(began)
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
	return every + time.Duration(p.random()*float64(every))
}

// Poll asks once about every wanted group. It fails only where no broker could be asked.
func (p *Poller) Poll(ctx context.Context) error {
	wants := mergeWants(p.opts.Wanted(p.Cluster()))
	p.opts.Sink.Keep(p.Cluster(), func(group string) bool { return wants[group] != nil })
	groups := make([]*groupPoll, 0, len(wants))
	for name, w := range wants {
		groups = append(groups, &groupPoll{name: name, want: w, commits: commits{}})
	}
	slices.SortFunc(groups, func(a, b *groupPoll) int { return cmp.Compare(a.name, b.name) })
	err := p.poll(ctx, groups)
	if ctx.Err() != nil {
		return err
	}
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
	p.publishHealth()
	if p.opts.After != nil {
		p.opts.After(p.Cluster())
	}
	return err
}

// poll reads commits before ends, so that what is produced in between is not missed, then what is optional.
func (p *Poller) poll(ctx context.Context, groups []*groupPoll) error {
	at := p.now()
	p.turn++
	p.answered = 0
	p.trial = p.allOpen()
	p.budget.begin(p.machine(), len(p.view.brokers), int(p.stats.greetings.Swap(0)))
	p.remember(groups)
	p.fetchCommits(ctx, groups)
	p.fetchTypes(ctx, groups, at)
	p.followCommitted(groups)
	known := len(p.view.topics) > 0
	if err := p.refreshView(ctx, at, neededTopics(groups)); err != nil && (!known || p.answered == 0) {
		err = p.unreachable(err)
		if ctx.Err() == nil {
			p.record(at, groups, err)
		}
		return err
	}
	p.forgetHealth()
	p.survey(groups)
	endsAt := p.now()
	p.fetchEnds(ctx, at)
	p.judge(groups)
	for _, g := range groups {
		p.noteProgress(g)
	}
	p.followAges(endsAt)
	p.askMore(ctx, at, groups)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var err error
	if p.answered == 0 && len(groups) > 0 && !slices.ContainsFunc(groups, func(g *groupPoll) bool { return g.problem == "" }) {
		err = p.unreachable(fmt.Errorf("no broker answered: %w", firstOf(groups)))
	}
	p.record(at, groups, err)
	return err
}

// askMore asks for what the lag does not need, the most important first.
func (p *Poller) askMore(ctx context.Context, at time.Time, groups []*groupPoll) {
	jobs := p.lateJobs(at)
	jobs = append(jobs, p.ageJobs(at)...)
	jobs = append(jobs, p.statesJobs(groups)...)
	jobs = append(jobs, p.stampJobs(groups, at)...)
	jobs = append(jobs, p.proofJobs(groups)...)
	p.ask(ctx, jobs, true)
}

func joined(brokers []string) string { return strings.Join(brokers, ",") }
