package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"swell/bench/testbed/controlplane"
	"swell/bench/testbed/kafka"
)

func client(t *testing.T, b *kafka.Broker, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(b.Bootstrap)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// survivesKill produces without a pause, kills the broker in the middle, starts it again and compares what
// was acknowledged with what is there.
func survivesKill(t *testing.T, b *kafka.Broker) {
	ctx := t.Context()
	producer := client(t, b, kgo.RecordDeliveryTimeout(60*time.Second), kgo.MetadataMinAge(50*time.Millisecond), kgo.MaxBufferedRecords(50))
	var mu sync.Mutex
	acked := map[string]bool{}
	ackedReaches := func(n int) {
		for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Millisecond) {
			mu.Lock()
			have := len(acked)
			mu.Unlock()
			if have >= n {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d messages acknowledged, want %d", have, n)
			}
		}
	}
	producing, enough := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		for i := 0; producing.Err() == nil; i++ {
			// the client buffers 50 at most, so this goes at the broker's pace
			producer.Produce(ctx, &kgo.Record{Topic: "orders", Value: []byte(fmt.Sprint(i))}, func(r *kgo.Record, err error) {
				if err == nil {
					mu.Lock()
					acked[string(r.Value)] = true
					mu.Unlock()
				}
			})
		}
	})
	defer done.Wait()
	defer enough()

	admin := kadm.NewClient(client(t, b))
	committed := kadm.Offsets{}
	for partition := range int32(6) {
		committed.Add(kadm.Offset{Topic: "orders", Partition: partition, At: int64(partition) + 7})
	}
	if err := admin.CommitAllOffsets(ctx, "orders", committed); err != nil {
		t.Fatal(err)
	}
	ackedReaches(500)
	b.Kill()
	if err := b.Start(ctx); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	before := len(acked)
	mu.Unlock()
	ackedReaches(before + 500)
	enough()
	done.Wait()
	if err := producer.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d acknowledged at the kill, %d at the end", before, len(acked))

	have := readAll(t, ctx, b)
	for value := range acked {
		if !have[value] {
			t.Errorf("message %s was acknowledged and is lost", value)
		}
	}
	offsets, err := kadm.NewClient(client(t, b)).FetchOffsets(ctx, "orders")
	if err != nil {
		t.Fatal(err)
	}
	for partition := range int32(6) {
		if got, ok := offsets.Lookup("orders", partition); !ok || got.At != int64(partition)+7 {
			t.Errorf("commit of partition %d is %v, want %d", partition, got.At, partition+7)
		}
	}
}

// readAll reads every partition to its end.
func readAll(t *testing.T, ctx context.Context, b *kafka.Broker) map[string]bool {
	t.Helper()
	ends, err := kadm.NewClient(client(t, b)).ListEndOffsets(ctx, "orders")
	if err != nil {
		t.Fatal(err)
	}
	var want int64
	ends.Each(func(o kadm.ListedOffset) { want += o.Offset })
	consumer := client(t, b, kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	have := map[string]bool{}
	for read := int64(0); read < want; {
		fetches := consumer.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) { have[string(r.Value)] = true; read++ })
	}
	return have
}

func stopAtEnd(t *testing.T, b *kafka.Broker) {
	t.Cleanup(func() {
		if err := b.Stop(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(b.Dir); !os.IsNotExist(err) {
			t.Errorf("folder %s is there after Stop", b.Dir)
		}
	})
}

func TestFakeLosesNothingWhenKilled(t *testing.T) {
	b, err := kafka.StartFake(t.Context(), kafka.FakeOptions{Binary: controlplane.BinaryForTest(t), Brokers: 3, Topics: map[string]int{"orders": 6, "web": 2}})
	if err != nil {
		t.Fatal(err)
	}
	stopAtEnd(t, b)
	topics, err := kadm.NewClient(client(t, b)).ListTopics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(topics["orders"].Partitions) != 6 || len(topics["web"].Partitions) != 2 {
		t.Errorf("topics are %v", topics)
	}
	survivesKill(t, b)
}

func TestFakeNamesWhatIsWrong(t *testing.T) {
	binary := controlplane.BinaryForTest(t)
	for _, c := range []struct {
		options kafka.FakeOptions
		want    string
	}{
		{kafka.FakeOptions{}, "FakeOptions.Binary"},
		{kafka.FakeOptions{Binary: binary, Topics: map[string]int{"orders": 0}}, `"orders"`},
		{kafka.FakeOptions{Binary: binary, Configs: map[string]string{"no": ""}}, `"no="`},
	} {
		b, err := kafka.StartFake(t.Context(), c.options)
		if err == nil {
			_ = b.Stop()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error is %v, want one that names %s", err, c.want)
		}
	}
}

func TestRealBrokerLosesNothingWhenKilled(t *testing.T) {
	b, err := kafka.StartReal(t.Context(), kafka.RealOptions{Partitions: 6})
	if errors.Is(err, kafka.ErrNoJava) && !slices.Contains(strings.Split(os.Getenv("SWELL_REQUIRE"), ","), "kafka") {
		t.Skipf("skipped: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	stopAtEnd(t, b)
	if _, err := kadm.NewClient(client(t, b)).CreateTopic(t.Context(), 6, 1, nil, "orders"); err != nil {
		t.Fatal(err)
	}
	survivesKill(t, b)
}

func TestRealWithoutAJavaThatWillDoSaysSo(t *testing.T) {
	for name, version := range map[string]string{"none": "", "old": `java version "1.8.0_301"`, "older than needed": `openjdk version "11.0.2" 2019-01-15`} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("PATH", dir)
			if version != "" {
				script := fmt.Sprintf("#!/bin/sh\necho '%s' >&2\n", version)
				if err := os.WriteFile(filepath.Join(dir, "java"), []byte(script), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := kafka.StartReal(t.Context(), kafka.RealOptions{}); !errors.Is(err, kafka.ErrNoJava) {
				t.Errorf("error is %v, want ErrNoJava", err)
			}
		})
	}
}
