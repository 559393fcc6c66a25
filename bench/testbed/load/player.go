package load

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"swell/api/config"
)

// PlayerOptions say what is produced where.
type PlayerOptions struct {
	Brokers []string
	// Topic to produce to; it is created where it is missing. Default "orders".
	Topic string
	// Rate in messages a model second.
	Rate  Curve
	Clock config.Clock
	// Tick of the machine's clock between two bursts. Default 50ms.
	Tick time.Duration
	// MaxBuffered messages wait in the client at once; what is beyond waits as a number. Default 50000.
	MaxBuffered int
	// Hot is the share of the messages that all go to partition 0, from 0 to 1. Default: 0, all partitions get the same.
	Hot float64
	// Seed picks the partition that the first message goes to.
	Seed uint64
	// FlushTimeout bounds the wait for the last acknowledgements, machine time. Default 10s.
	FlushTimeout time.Duration
	Log          *slog.Logger
}

func (o *PlayerOptions) defaults() {
	if o.Topic == "" {
		o.Topic = "orders"
	}
	if o.Tick == 0 {
		o.Tick = 50 * time.Millisecond
	}
	if o.MaxBuffered == 0 {
		o.MaxBuffered = 50000
	}
	if o.FlushTimeout == 0 {
		o.FlushTimeout = 10 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// Validate reports options that cannot be used.
func (o PlayerOptions) Validate() error {
	if len(o.Brokers) == 0 {
		return errors.New("player: no brokers: give host:port of at least one")
	}
	if o.Rate == nil {
		return errors.New("player: no rate: give a curve in messages a model second")
	}
	if o.Hot < 0 || o.Hot > 1 {
		return fmt.Errorf("player: the hot share is %g: give one from 0 to 1", o.Hot)
	}
	if o.Tick < 0 || o.MaxBuffered < 0 {
		return fmt.Errorf("player: tick %s, max buffered %d: give numbers above zero", o.Tick, o.MaxBuffered)
	}
	return o.Clock.Validate()
}

// burst is a number of messages that were due at one instant.
type burst struct {
	at time.Time
	n  int64
}

// Player produces to a topic at the rate of a trace and keeps the schedule through outages.
type Player struct {
	opt    PlayerOptions
	ledger *Ledger
	client *kgo.Client

	mu    sync.Mutex
	queue []burst // due, not handed to the client
	next  int64   // number of the next message
}

// NewPlayer is a player that accounts to a ledger. Close it when Run has returned.
func NewPlayer(opt PlayerOptions, ledger *Ledger) (*Player, error) {
	opt.defaults()
	if err := opt.Validate(); err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(opt.Brokers...),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.ProducerLinger(20*time.Millisecond),
		kgo.MaxBufferedRecords(2*opt.MaxBuffered),
		kgo.UnknownTopicRetries(-1),
		kgo.MetadataMinAge(250*time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 250 * time.Millisecond }),
	)
	if err != nil {
		return nil, fmt.Errorf("opening a producer to %v: %w; look at the broker addresses", opt.Brokers, err)
	}
	return &Player{opt: opt, ledger: ledger, client: client, next: int64(opt.Seed % uint64(max(1, ledger.Partitions())))}, nil
}

// Prepare makes the topic where it is missing and notes its end offsets. Call it before Run and before the consumers start.
func (p *Player) Prepare(ctx context.Context) error {
	admin := kadm.NewClient(p.client)
	resp, err := admin.CreateTopic(ctx, p.ledger.Partitions(), 1, nil, p.opt.Topic)
	if err == nil {
		err = resp.Err
	}
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("creating topic %s: %w; is the broker at %v up?", p.opt.Topic, err, p.opt.Brokers)
	}
	ends, err := endOffsets(ctx, admin, p.opt.Topic)
	if err != nil {
		return err
	}
	if len(ends) != int(p.ledger.Partitions()) {
		return fmt.Errorf("topic %s has %d partitions, not %d: delete it or change the count", p.opt.Topic, len(ends), p.ledger.Partitions())
	}
	base := make([]int64, len(ends))
	for partition, end := range ends {
		base[partition] = end
	}
	p.ledger.setBase(base)
	return nil
}

// Run produces until ctx ends, then waits for what is on its way.
func (p *Player) Run(ctx context.Context) error {
	ticker := time.NewTicker(p.opt.Tick)
	defer ticker.Stop()
	owed, last := 0.0, p.opt.Clock.Now()
	for {
		select {
		case <-ctx.Done():
			return p.finish()
		case <-ticker.C:
		}
		real := time.Now()
		now := p.opt.Clock.At(real)
		owed += p.opt.Rate.Between(last, now)
		last = now
		if n := int64(owed); n > 0 {
			owed -= float64(n)
			p.ledger.schedule(n)
			p.enqueue(burst{real, n})
		}
		p.hand()
	}
}

func (p *Player) enqueue(b burst) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(p.queue, b)
}

// hand gives the client what is due, oldest first, as far as its buffer should hold.
func (p *Player) hand() {
	room := int64(p.opt.MaxBuffered) - p.client.BufferedProduceRecords()
	for room > 0 {
		b, first := p.take(room)
		if b.n == 0 {
			return
		}
		for i := range b.n {
			p.produce(first+i, b.at)
		}
		room -= b.n
	}
}

// take removes up to limit messages from the head of the queue and numbers them.
func (p *Player) take(limit int64) (burst, int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		return burst{}, 0
	}
	b := p.queue[0]
	if b.n > limit {
		b.n = limit
		p.queue[0].n -= limit
	} else {
		p.queue = p.queue[1:]
	}
	first := p.next
	p.next += b.n
	return b, first
}

func (p *Player) produce(number int64, due time.Time) {
	record := &kgo.Record{
		Topic:     p.opt.Topic,
		Partition: p.partition(number),
		Timestamp: due,
		Value:     binary.BigEndian.AppendUint64(nil, uint64(number)),
	}
	// the client's own context: a message that was due is delivered even while the run is ending
	p.client.Produce(context.Background(), record, func(r *kgo.Record, err error) {
		switch {
		case err == nil:
			p.ledger.ack(r.Partition, r.Offset, due)
		case errors.Is(err, kgo.ErrClientClosed):
		default:
			p.opt.Log.Warn("message not taken, it is sent again", "err", err, "partition", r.Partition)
			p.enqueue(burst{due, 1})
		}
	})
}

// partition takes turns, but for the hot share: of every hundred messages the first ones go to partition 0.
func (p *Player) partition(number int64) int32 {
	if float64(number%100) < 100*p.opt.Hot {
		return 0
	}
	return int32(number % int64(p.ledger.Partitions()))
}

// finish hands over and waits for everything that was due.
func (p *Player) finish() error {
	ctx, cancel := context.WithTimeout(context.Background(), p.opt.FlushTimeout)
	defer cancel()
	for {
		p.hand()
		if err := p.client.Flush(ctx); err != nil {
			t := p.ledger.live(time.Now())
			return fmt.Errorf("waiting for the last acknowledgements: %w; %d messages that were due are not acknowledged", err, t.Scheduled-t.Produced)
		}
		p.mu.Lock()
		left := len(p.queue)
		p.mu.Unlock()
		if left == 0 {
			return nil
		}
	}
}

// Verify compares what was acknowledged with what the broker has; Totals then says what was lost or stored twice.
func (p *Player) Verify(ctx context.Context) error {
	ends, err := endOffsets(ctx, kadm.NewClient(p.client), p.opt.Topic)
	if err != nil {
		return err
	}
	p.ledger.verify(ends)
	return nil
}

// Close drops the connections.
func (p *Player) Close() { p.client.Close() }

func endOffsets(ctx context.Context, admin *kadm.Client, topic string) (map[int32]int64, error) {
	listed, err := admin.ListEndOffsets(ctx, topic)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("reading the end offsets of topic %s: %w; is the broker up?", topic, err)
	}
	out := map[int32]int64{}
	for _, o := range listed[topic] {
		out[o.Partition] = o.Offset
	}
	return out, nil
}
