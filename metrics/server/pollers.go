package server

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"swell/api/config"
	"swell/metrics/kafka"
	"swell/metrics/kafka/auth"
)

// pollsForRates is how many polls a cluster needs before all of its metrics can be known: a rate is taken over three.
const pollsForRates = 3

// pollers are the pollers of the configuration in force, one for each Kafka cluster.
type pollers struct {
	// options are a poller's besides its cluster.
	options kafka.Options
	log     *slog.Logger

	mu      sync.Mutex
	running map[string]*polling
	// replaced are the pollers that were stopped for another one of their cluster.
	replaced map[string]*kafka.Poller
}

// polling is a poller that runs.
type polling struct {
	cluster config.KafkaCluster
	poller  *kafka.Poller
	began   time.Time
	stop    context.CancelFunc
	done    chan struct{}
}

// prepare makes a poller for each cluster that is new or changed. They do not run yet.
func (p *pollers) prepare(clusters []config.KafkaCluster) ([]*kafka.Poller, error) {
	var made []*kafka.Poller
	for _, k := range clusters {
		if now := p.get(k.Name); now != nil && reflect.DeepEqual(now.cluster, k) {
			continue
		}
		o := p.options
		o.Cluster = k
		identity, err := auth.New(k, p.log)
		if err != nil {
			abandon(made)
			return nil, fmt.Errorf("poll Kafka cluster %q: %w", k.Name, err)
		}
		o.ClientOpts, o.Explain = identity.Options(), identity.Explain
		poller, err := kafka.NewPoller(o)
		if err != nil {
			abandon(made)
			return nil, err
		}
		made = append(made, poller)
	}
	return made, nil
}

// abandon closes pollers that never ran.
func abandon(made []*kafka.Poller) {
	for _, p := range made {
		p.Close()
	}
}

// stop ends the pollers of clusters that are gone or changed, and waits for their last poll.
func (p *pollers) stop(next []config.KafkaCluster) {
	kept := map[string]config.KafkaCluster{}
	for _, k := range next {
		kept[k.Name] = k
	}
	replaced := map[string]*kafka.Poller{}
	p.mu.Lock()
	var ended []*polling
	for name, one := range p.running {
		if k, ok := kept[name]; !ok || !reflect.DeepEqual(k, one.cluster) {
			ended = append(ended, one)
			delete(p.running, name)
			if ok {
				replaced[name] = one.poller
			}
		}
	}
	p.replaced = replaced
	p.mu.Unlock()
	for _, one := range ended {
		one.stop()
		<-one.done
		p.log.Info("stopped polling", "cluster", one.cluster.Name)
	}
}

// start runs pollers until the context ends, or they are stopped. They know what those that they replace knew.
func (p *pollers) start(ctx context.Context, made []*kafka.Poller, clusters []config.KafkaCluster) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, poller := range made {
		for _, k := range clusters {
			if k.Name == poller.Cluster() {
				if before := p.replaced[k.Name]; before != nil {
					poller.Inherit(before)
				}
				p.running[k.Name] = p.run(ctx, poller, k)
			}
		}
	}
	p.replaced = nil
}

func (p *pollers) run(ctx context.Context, poller *kafka.Poller, k config.KafkaCluster) *polling {
	ctx, stop := context.WithCancel(ctx)
	one := &polling{cluster: k, poller: poller, began: time.Now(), stop: stop, done: make(chan struct{})}
	go func() {
		defer close(one.done)
		if err := poller.Run(ctx); err != nil {
			p.log.Error("a poller ended", "cluster", k.Name, "error", err)
		}
	}()
	p.log.Info("polling", "cluster", k.Name, "every", k.PollEvery.Duration)
	return one
}

func (p *pollers) get(cluster string) *polling {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running[cluster]
}

// stats are the pollers' counts by cluster.
func (p *pollers) stats() map[string]kafka.Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := map[string]kafka.Stats{}
	for name, one := range p.running {
		all[name] = one.poller.Stats()
	}
	return all
}

// settled is nil once every cluster was polled as often as its rates need, or has failed for the time that they may take:
// one broken cluster must not keep the others from being served.
func (p *pollers) settled() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, one := range p.running {
		s := one.poller.Stats()
		limit := one.cluster.StaleAfter.Duration + pollsForRates*one.cluster.PollEvery.Duration
		if good := s.Polls - s.FailedPolls; good < pollsForRates && time.Since(one.began) < p.options.Clock.Wait(limit) {
			return fmt.Errorf("poll Kafka cluster %q: done %d of the %d times that its metrics need", name, good, pollsForRates)
		}
	}
	return nil
}
