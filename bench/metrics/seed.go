package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
)

// loadClient is the client id of what is produced and committed here, so that it is counted apart.
const loadClient = "bench-load"

func topicName(i int) string { return fmt.Sprintf("topic-%04d", i) }
func groupName(i int) string { return fmt.Sprintf("group-%04d", i) }

// size is how much there is to be polled: group i reads topic i.
type size struct{ groups, partitions int }

func (s size) total() int { return s.groups * s.partitions }

func (s size) String() string {
	return fmt.Sprintf("%d groups x %d partitions", s.groups, s.partitions)
}

// load produces and consumes, so that offsets move as they do in life: every fiftieth group has its topic written and
// is one message behind, all others have read everything.
type load struct {
	size   size
	client *kgo.Client
	admin  *kadm.Client
	// next is the end offset of the topics that are written, by topic; their partitions are written alike.
	next map[int]int64
}

// seeded is how many messages each partition holds from the start.
const seeded = 2

// newLoad makes topics, messages and commits.
func newLoad(ctx context.Context, brokers []string, s size) (*load, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ClientID(loadClient), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.MaxBufferedRecords(1<<20), kgo.MetadataMaxAge(time.Hour))
	if err != nil {
		return nil, fmt.Errorf("make a client of Kafka: %w", err)
	}
	l := &load{size: s, client: client, admin: kadm.NewClient(client), next: map[int]int64{}}
	if err := l.seed(ctx); err != nil {
		client.Close()
		return nil, fmt.Errorf("fill Kafka with %s: %w", s, err)
	}
	return l, nil
}

func (l *load) close() { l.client.Close() }

func (l *load) seed(ctx context.Context) error {
	var topics []string
	for i := range l.size.groups {
		topics = append(topics, topicName(i))
	}
	made, err := l.admin.CreateTopics(ctx, int32(l.size.partitions), 1, nil, topics...)
	if err := errors.Join(err, made.Error()); err != nil {
		return err
	}
	all := make([]int, l.size.groups)
	for i := range all {
		all[i] = i
	}
	for range seeded {
		if err := l.produce(ctx, all); err != nil {
			return err
		}
	}
	return l.commit(ctx, all, func(int) int64 { return seeded })
}

// produce writes one message to each partition of the topics.
func (l *load) produce(ctx context.Context, topics []int) error {
	var records []*kgo.Record
	for _, i := range topics {
		for p := range l.size.partitions {
			records = append(records, &kgo.Record{Topic: topicName(i), Partition: int32(p), Value: []byte("message")})
		}
	}
	return l.client.ProduceSync(ctx, records...).FirstErr()
}

// commit commits one offset for all partitions of each group's topic.
func (l *load) commit(ctx context.Context, groups []int, offset func(group int) int64) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for _, i := range groups {
		g.Go(func() error {
			offsets := kadm.Offsets{}
			for p := range l.size.partitions {
				offsets.AddOffset(topicName(i), int32(p), offset(i), -1)
			}
			return l.admin.CommitAllOffsets(ctx, groupName(i), offsets)
		})
	}
	return g.Wait()
}

// busy are the groups whose topics are written.
func (l *load) busy() []int {
	const every = 50
	var busy []int
	for i := 0; i < l.size.groups; i += every {
		busy = append(busy, i)
	}
	return busy
}

// pace is the time between two messages in a partition, well below that between two polls: a group that is read stands
// still in none of them.
const pace = 400 * time.Millisecond

// stand takes every tenth of the groups that are not written back by one message, or on again: what they have to read
// stays where it is. It returns how many they are.
func (l *load) stand(ctx context.Context, back bool) (int, error) {
	const every = 10
	busy, offset := l.busy(), int64(seeded)
	if back {
		offset--
	}
	var groups []int
	for i := 0; i < l.size.groups; i += every {
		if !slices.Contains(busy, i) {
			groups = append(groups, i)
		}
	}
	return len(groups), l.commit(ctx, groups, func(int) int64 { return offset })
}

// run writes and reads until the context ends.
func (l *load) run(ctx context.Context) error {
	busy := l.busy()
	for _, i := range busy {
		if l.next[i] == 0 {
			l.next[i] = seeded
		}
	}
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		if err := l.step(context.WithoutCancel(ctx), busy); err != nil {
			return fmt.Errorf("produce to and commit in Kafka: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// step is never cut short, so that the next offsets stay known.
func (l *load) step(ctx context.Context, busy []int) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := l.produce(ctx, busy); err != nil {
		return err
	}
	for _, i := range busy {
		l.next[i]++
	}
	return l.commit(ctx, busy, func(i int) int64 { return l.next[i] - 1 })
}

// while runs the load for as long as work takes.
func (l *load) while(ctx context.Context, work func(context.Context) error) error {
	g, ctx := errgroup.WithContext(ctx)
	loading, stop := context.WithCancel(ctx)
	g.Go(func() error { return l.run(loading) })
	g.Go(func() error {
		defer stop()
		return work(ctx)
	})
	return g.Wait()
}
