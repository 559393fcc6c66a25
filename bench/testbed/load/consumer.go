package load

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"k8s.io/apimachinery/pkg/labels"

	"swell/api/config"
)

// ConsumerOptions say how a group of pods reads a topic. Durations are model time.
type ConsumerOptions struct {
	Brokers []string
	// Group and Topic default to "orders".
	Group, Topic string
	Selector     labels.Selector
	// PerPodRate is what one pod reads, messages a model second.
	PerPodRate float64
	// Ceiling is what the pods together read at most, messages a model second: what they write to takes no more. Default: none.
	Ceiling float64
	// Rebalance is how long the whole group stands still when its members change. Default 5s.
	Rebalance time.Duration
	// CommitEvery is the time between two commits. Default 5s.
	CommitEvery time.Duration
	// LateAfter is the age at which an unread message is late. Default 30s.
	LateAfter time.Duration
	// CommitTimeout bounds one commit, machine time. Default 3s.
	CommitTimeout time.Duration
	// Tick of the machine's clock. Default 100ms.
	Tick  time.Duration
	Clock config.Clock
	Log   *slog.Logger
}

func (o *ConsumerOptions) defaults() {
	if o.Group == "" {
		o.Group = "orders"
	}
	if o.Topic == "" {
		o.Topic = "orders"
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.Rebalance, 5 * time.Second}, {&o.CommitEvery, 5 * time.Second}, {&o.LateAfter, 30 * time.Second},
		{&o.CommitTimeout, 3 * time.Second}, {&o.Tick, 100 * time.Millisecond},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// Validate reports options that cannot be used.
func (o ConsumerOptions) Validate() error {
	if len(o.Brokers) == 0 {
		return errors.New("consumers: no brokers: give host:port of at least one")
	}
	if o.Selector == nil || o.Selector.Empty() {
		return errors.New("consumers: no selector: give the labels of the consuming pods")
	}
	if o.PerPodRate <= 0 {
		return fmt.Errorf("consumers: the rate of a pod is %g: give messages a model second, above zero", o.PerPodRate)
	}
	if o.Ceiling < 0 {
		return fmt.Errorf("consumers: the ceiling is %g: give messages a model second, or leave it out", o.Ceiling)
	}
	if o.Rebalance < 0 || o.CommitEvery < 0 || o.LateAfter < 0 || o.CommitTimeout < 0 || o.Tick < 0 {
		return errors.New("consumers: a duration is negative: give all of them from zero up")
	}
	return o.Clock.Validate()
}

// Consumers model a consumer group: each ready pod reads its range of the partitions at a fixed rate.
type Consumers struct {
	opt    ConsumerOptions
	ledger *Ledger
	pods   Pods
	client *kgo.Client
	admin  *kadm.Client

	members    []string
	rest       map[string]float64 // of a message, by member
	position   []int64
	stillUntil time.Time // machine time
	last       time.Time
	committed  time.Time
	down       bool

	mu         sync.Mutex
	ready      int
	rebalances int
}

// NewConsumers are the consumers that the ready pods stand for. Close them when Run has returned.
func NewConsumers(opt ConsumerOptions, ledger *Ledger, pods Pods) (*Consumers, error) {
	opt.defaults()
	if err := opt.Validate(); err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(opt.Brokers...),
		kgo.MetadataMinAge(250*time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 100 * time.Millisecond }),
	)
	if err != nil {
		return nil, fmt.Errorf("opening a consumer of %v: %w; look at the broker addresses", opt.Brokers, err)
	}
	return &Consumers{opt: opt, ledger: ledger, pods: pods, client: client, admin: kadm.NewClient(client), down: true}, nil
}

// Run reads until ctx ends, then commits once more.
func (c *Consumers) Run(ctx context.Context) error {
	ticker := time.NewTicker(c.opt.Tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.opt.CommitTimeout)
			defer cancel()
			if c.down {
				return nil
			}
			return c.commit(last)
		case <-ticker.C:
		}
		c.tick(ctx, time.Now())
	}
}

// tick reads what the time since the last tick allows and commits when it is time to.
func (c *Consumers) tick(ctx context.Context, now time.Time) {
	call, cancel := context.WithTimeout(ctx, c.opt.CommitTimeout)
	defer cancel()
	c.join(now)
	if c.down {
		if err := c.resume(call); err != nil {
			c.opt.Log.Debug("consumers stand still", "err", err)
			return
		}
		c.down, c.last, c.committed = false, time.Now(), time.Time{}
		return
	}
	from := c.last
	c.last = now
	if c.stillUntil.After(from) {
		from = c.stillUntil
	}
	if now.After(from) {
		c.read(now.Sub(from).Seconds() * c.rate() * speed(c.opt.Clock))
		for p, position := range c.position {
			c.ledger.read(int32(p), position, now)
		}
	}
	if now.Sub(c.committed) < c.opt.Clock.Wait(c.opt.CommitEvery) {
		return
	}
	c.committed = now
	if err := c.commit(call); err != nil && ctx.Err() == nil {
		c.opt.Log.Info("consumers lost the broker", "err", err)
		c.down = true
	}
}

// join notices that the ready pods changed, which makes the whole group stand still.
func (c *Consumers) join(now time.Time) {
	var names []string
	for _, pod := range c.pods.Ready(c.opt.Selector) {
		names = append(names, pod.Name)
	}
	if slices.Equal(names, c.members) {
		return
	}
	c.members = names
	c.rest = map[string]float64{}
	c.stillUntil = now.Add(c.opt.Clock.Wait(c.opt.Rebalance))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ready = len(names)
	c.rebalances++
}

// rate is what one pod reads, messages a model second.
func (c *Consumers) rate() float64 {
	if n := float64(len(c.members)); c.opt.Ceiling > 0 && n*c.opt.PerPodRate > c.opt.Ceiling {
		return c.opt.Ceiling / n
	}
	return c.opt.PerPodRate
}

// read moves every member's own partitions on by up to budget messages in total; a rest below one message is kept for the next tick.
func (c *Consumers) read(budget float64) {
	ends := c.ledger.ends()
	for member, name := range c.members {
		from, to := assigned(len(c.position), len(c.members), member)
		backlog := make([]int64, to-from)
		for i := range backlog {
			backlog[i] = max(0, ends[from+i]-c.position[from+i])
		}
		due := budget + c.rest[name]
		c.rest[name] = due - float64(int64(due))
		for i, n := range share(int64(due), backlog) {
			c.position[from+i] += n
		}
	}
}

// assigned is the range of partitions that one of n members reads.
func assigned(partitions, members, member int) (from, to int) {
	each, extra := partitions/members, partitions%members
	from = member*each + min(member, extra)
	to = from + each
	if member < extra {
		to++
	}
	return from, to
}

// share deals a budget out over backlogs: equally, and what one does not need goes to the others.
func share(budget int64, backlog []int64) []int64 {
	out := make([]int64, len(backlog))
	for budget > 0 {
		var open []int
		for i := range backlog {
			if out[i] < backlog[i] {
				open = append(open, i)
			}
		}
		if len(open) == 0 {
			break
		}
		each := max(1, budget/int64(len(open)))
		for _, i := range open {
			n := min(each, backlog[i]-out[i], budget)
			out[i] += n
			budget -= n
		}
	}
	return out
}

// resume reads the group's commits and the topic's ends, as consumers do that join.
func (c *Consumers) resume(ctx context.Context) error {
	fetched, err := c.admin.FetchOffsets(ctx, c.opt.Group)
	if err == nil {
		err = fetched.Error()
	}
	if errors.Is(err, kerr.GroupIDNotFound) { // nothing was ever committed
		err = nil
	}
	if err != nil {
		return fmt.Errorf("reading the commits of group %s: %w; is the broker up?", c.opt.Group, err)
	}
	ends, err := endOffsets(ctx, c.admin, c.opt.Topic)
	if err != nil {
		return err
	}
	known := c.ledger.ends()
	c.position = make([]int64, c.ledger.Partitions())
	for p := range c.position {
		c.position[p] = c.ledger.base[p]
		if o, ok := fetched.Lookup(c.opt.Topic, int32(p)); ok && o.At >= 0 {
			c.position[p] = o.At
		}
		c.position[p] = min(c.position[p], ends[int32(p)], known[p])
	}
	return nil
}

func (c *Consumers) commit(ctx context.Context) error {
	var offsets kadm.Offsets
	for p, at := range c.position {
		offsets.AddOffset(c.opt.Topic, int32(p), at, -1)
	}
	answer, err := c.admin.CommitOffsets(ctx, c.opt.Group, offsets)
	if err == nil {
		err = answer.Error()
	}
	if err != nil {
		return fmt.Errorf("committing for group %s: %w; is the broker up?", c.opt.Group, err)
	}
	return nil
}

// ConsumerStats is where the group stands.
type ConsumerStats struct {
	Ready      int `json:"ready"`
	Rebalances int `json:"rebalances"`
	Queue      QueueTotals
}

// Stats of now, without what needs the whole history.
func (c *Consumers) Stats() ConsumerStats {
	queue := c.ledger.live(time.Now())
	c.mu.Lock()
	defer c.mu.Unlock()
	return ConsumerStats{Ready: c.ready, Rebalances: c.rebalances, Queue: queue}
}

// Totals of the whole run so far, with late messages by LateAfter.
func (c *Consumers) Totals() QueueTotals { return c.TotalsSince(time.Time{}) }

// TotalsSince is TotalsBetween an instant of the machine's clock and now.
func (c *Consumers) TotalsSince(since time.Time) QueueTotals {
	return c.TotalsBetween(since, time.Now())
}

// TotalsBetween is Totals as of until, with Late and LagMax only of what came from since on, both of the machine's clock:
// what is done after until, such as waiting for the last acknowledgements, ages nothing.
func (c *Consumers) TotalsBetween(since, until time.Time) QueueTotals {
	return c.ledger.Totals(since, until, c.opt.Clock.Wait(c.opt.LateAfter))
}

// Close drops the connections.
func (c *Consumers) Close() { c.client.Close() }

func speed(clock config.Clock) float64 {
	return float64(time.Hour) / float64(clock.Wait(time.Hour))
}
