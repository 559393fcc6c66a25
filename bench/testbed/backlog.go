package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// backlogWithin is how long Kafka has for all of it.
const backlogWithin = time.Minute

// backlog gives a consumer group something to read.
func backlog(args []string) int {
	flags := pflag.NewFlagSet("testbed backlog", pflag.ContinueOnError)
	address := flags.String("kafka", "", "Kafka's address, as testbed up prints it")
	topic := flags.String("topic", "orders", "the topic")
	group := flags.String("group", "orders", "the consumer group; partitions that it has not committed are committed at their ends first")
	messages := flags.Int("messages", 1000, "how many messages to produce, spread evenly over the partitions")
	flags.Usage = func() {
		fmt.Printf("testbed backlog gives a consumer group messages to read.\n\nUsage:\n  testbed backlog --kafka ADDRESS [flags]\n\nFlags:\n%s", flags.FlagUsages())
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return 0
		}
		fmt.Fprintf(os.Stderr, "testbed backlog: %v; see testbed backlog --help\n", err)
		return 2
	}
	if flags.NArg() > 0 || *address == "" || *messages < 1 {
		fmt.Fprintln(os.Stderr, "testbed backlog: give --kafka with the address that testbed up prints, --messages above zero, and nothing else; see testbed backlog --help")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, backlogWithin)
	defer cancel()
	lag, err := addBacklog(ctx, *address, *topic, *group, *messages)
	if err != nil {
		fmt.Fprintf(os.Stderr, "testbed backlog: %v\n", err)
		return 1
	}
	fmt.Printf("group %s has %d messages to read in topic %s\n", *group, lag, *topic)
	return 0
}

// addBacklog commits a group where it has no commits, produces messages, and says how many the group has to read then.
func addBacklog(ctx context.Context, address, topic, group string, messages int) (lag int64, err error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	if err != nil {
		return 0, fmt.Errorf("reach Kafka at %s: %w: give the address that testbed up prints", address, err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	ends, err := admin.ListEndOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return 0, fmt.Errorf("read the ends of topic %s at %s: %w: give an address and a topic of testbed up", topic, address, err)
	}
	committed, err := admin.FetchOffsetsForTopics(ctx, group, topic)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return 0, fmt.Errorf("read the commits of group %s: %w", group, err)
	}
	first := kadm.Offsets{}
	ends.Each(func(end kadm.ListedOffset) {
		if before, there := committed.Lookup(topic, end.Partition); !there || before.At < 0 {
			first.AddOffset(topic, end.Partition, end.Offset, -1)
		}
	})
	if len(first) > 0 {
		if err := admin.CommitAllOffsets(ctx, group, first); err != nil {
			return 0, fmt.Errorf("commit for group %s: %w", group, err)
		}
	}
	records := make([]*kgo.Record, messages)
	for i := range records {
		records[i] = &kgo.Record{Topic: topic, Value: fmt.Appendf(nil, "message %d", i)}
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return 0, fmt.Errorf("produce to topic %s: %w", topic, err)
	}
	lags, err := admin.Lag(ctx, group)
	if err != nil {
		return 0, fmt.Errorf("read the lag of group %s: %w", group, err)
	}
	described := lags[group]
	return described.Lag.Total(), described.Error()
}
