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
	p := &producing{client: client(t, b, kgo.RecordDeliveryTimeout(60*time.Second), kgo.MetadataMinAge(50*time.Millisecond), kgo.MaxBufferedRecords(50)),
		acked: map[string]bool{}}
	stop := p.start(ctx)
	defer stop()

	admin := kadm.NewClient(client(t, b))
	committed := kadm.Offsets{}
	for partition := range int32(6) {
		committed.Add(kadm.Offset{Topic: "orders", Partition: partition, At: int64(partition) + 7})
	}
	if err := admin.CommitAllOffsets(ctx, "orders", committed); err != nil {
		t.Fatal(err)
	}
	p.reaches(t, 500)
	b.Kill()
	if err := b.Start(ctx); err != nil {
		t.Fatal(err)
	}
	before := p.count()
	p.reaches(t, before+500)
	stop()
	if err := p.client.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d acknowledged at the kill, %d at the end", before, p.count())

	have := readAll(t, ctx, b)
	for value := range p.acked {
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

// producing is a producer that knows which messages were acknowledged.
type producing struct {
	client *kgo.Client
	mu     sync.Mutex
	acked  map[string]bool
}

// start produces at the broker's pace, as the client buffers little, until stop is called.
func (p *producing) start(ctx context.Context) (stop func()) {
	running, enough := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		for i := 0; running.Err() == nil; i++ {
			p.client.Produce(ctx, &kgo.Record{Topic: "orders", Value: []byte(fmt.Sprint(i))}, func(r *kgo.Record, err error) {
				if err == nil {
					p.mu.Lock()
					defer p.mu.Unlock()
					p.acked[string(r.Value)] = true
				}
			})
		}
	})
	return func() { enough(); done.Wait() }
}

func (p *producing) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.acked)
}

// reaches waits until so many messages are acknowledged.
func (p *producing) reaches(t *testing.T, n int) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); p.count() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d messages acknowledged, want %d", p.count(), n)
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
