package load

import (
	"context"
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/labels"

	"swell/api/config"
)

// broker is kfake on one port and one data directory, which can be stopped and started again.
type broker struct {
	t       *testing.T
	dir     string
	port    int
	cluster *kfake.Cluster
}

func startBroker(t *testing.T) *broker {
	b := &broker{t: t, dir: t.TempDir()}
	b.start()
	t.Cleanup(func() { b.cluster.Close() })
	return b
}

func (b *broker) start() {
	options := []kfake.Opt{kfake.NumBrokers(1), kfake.DataDir(b.dir), kfake.SyncWrites()}
	if b.port != 0 {
		options = append(options, kfake.Ports(b.port))
	}
	cluster, err := kfake.NewCluster(options...)
	if err != nil {
		b.t.Fatalf("starting kfake: %v", err)
	}
	b.cluster = cluster
	if b.port == 0 {
		client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
		if err != nil {
			b.t.Fatal(err)
		}
		defer client.Close()
		brokers, err := kadm.NewClient(client).ListBrokers(b.t.Context())
		if err != nil || len(brokers) != 1 {
			b.t.Fatalf("listing brokers: %v, %v", brokers, err)
		}
		b.port = int(brokers[0].Port)
	}
}

// members is a group's ready pods, set by the test.
type members struct {
	mu   sync.Mutex
	pods []Pod
}

func (m *members) Ready(labels.Selector) []Pod {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pods
}

func (m *members) set(names ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pods = nil
	for _, name := range names {
		m.pods = append(m.pods, Pod{Namespace: "shop", Name: name})
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for until := time.Now().Add(time.Minute); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("never came: %s", what)
}

var tenfold = config.Clock{Speed: 10, Real: time.Now(), Model: time.Date(1998, 6, 24, 16, 0, 0, 0, time.UTC)}

// TestOutage plays through an outage of the broker: every message that was due arrives, the consumers
// stand still, come back, read everything, and never commit beyond what there is.
func TestOutage(t *testing.T) {
	b := startBroker(t)
	addrs := b.cluster.ListenAddrs()
	ledger := NewLedger(6)
	player, err := NewPlayer(PlayerOptions{Brokers: addrs, Rate: func(time.Time) float64 { return 300 }, Clock: tenfold, MaxBuffered: 2000, FlushTimeout: time.Minute}, ledger)
	if err != nil {
		t.Fatal(err)
	}
	defer player.Close()
	if err := player.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	pods := &members{}
	pods.set("orders-a", "orders-b")
	consumers, err := NewConsumers(ConsumerOptions{Brokers: addrs, Selector: labels.SelectorFromSet(labels.Set{"app": "orders"}),
		PerPodRate: 200, LateAfter: 5 * time.Second, Clock: tenfold, CommitTimeout: time.Second}, ledger, pods)
	if err != nil {
		t.Fatal(err)
	}
	defer consumers.Close()
	playing, stopPlaying := context.WithCancel(t.Context())
	reading, stopReading := context.WithCancel(t.Context())
	var player1, reader errgroup.Group
	player1.Go(func() error { return player.Run(playing) })
	reader.Go(func() error { return consumers.Run(reading) })
	defer stopReading()
	defer stopPlaying()

	eventually(t, "messages are read", func() bool { return consumers.Stats().Queue.Consumed > 500 })
	b.cluster.Close()
	before := ledger.live(time.Now())
	eventually(t, "more is due than can wait in the client", func() bool { return ledger.live(time.Now()).Scheduled > before.Scheduled+5000 })
	b.start()
	eventually(t, "the backlog of the outage is produced", func() bool { return ledger.live(time.Now()).Produced > before.Scheduled+5000 })
	stopPlaying()
	if err := player1.Wait(); err != nil {
		t.Fatal(err)
	}
	pods.set("orders-a", "orders-b", "orders-c", "orders-d")
	eventually(t, "everything is read", func() bool { return consumers.Stats().Queue.Lag == 0 })
	stopReading()
	if err := reader.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := player.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := consumers.Totals()
	if got.Produced != got.Scheduled || got.Consumed != got.Produced+got.Duplicate || got.Lag != 0 || got.Lost != 0 {
		t.Errorf("totals %+v: want all that was due produced and read", got)
	}
	if got.Late == 0 || got.LagMax < time.Second {
		t.Errorf("totals %+v: an outage leaves late messages", got)
	}
	checkStored(t, player, got)
	checkCommits(t, player)
}

// checkStored reads the topic: every message is there.
func checkStored(t *testing.T, player *Player, want QueueTotals) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(player.opt.Brokers...), kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	seen, total := map[uint64]bool{}, int64(0)
	for total < want.Scheduled+want.Duplicate {
		fetches := client.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			total++
			seen[binary.BigEndian.Uint64(r.Value)] = true
		})
	}
	for n := range uint64(want.Scheduled) {
		if !seen[n] {
			t.Fatalf("message %d of %d is lost", n, want.Scheduled)
		}
	}
}

func checkCommits(t *testing.T, player *Player) {
	t.Helper()
	admin := kadm.NewClient(player.client)
	commits, err := admin.FetchOffsets(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	ends, err := endOffsets(t.Context(), admin, "orders")
	if err != nil {
		t.Fatal(err)
	}
	for partition, end := range ends {
		if o, ok := commits.Lookup("orders", partition); !ok || o.At != end {
			t.Errorf("partition %d: committed %d of %d", partition, o.At, end)
		}
	}
}

func TestRebalanceStandsStill(t *testing.T) {
	pods := &members{}
	pods.set("a")
	ledger := NewLedger(3)
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for n := range int64(3000) {
		ledger.ack(int32(n%3), n/3, start)
	}
	c := &Consumers{ledger: ledger, pods: pods, position: make([]int64, 3), last: start,
		opt: ConsumerOptions{PerPodRate: 10, Rebalance: 5 * time.Second, CommitEvery: time.Hour, CommitTimeout: time.Second}, committed: start}
	at := func(seconds int) int64 {
		c.tick(t.Context(), start.Add(time.Duration(seconds)*time.Second))
		return ledger.live(start).Consumed
	}
	for _, step := range []struct {
		second int
		grow   bool
		want   int64
	}{
		{second: 0}, // joins: stands still until second 5
		{second: 4},
		{second: 6, want: 10},
		{second: 10, want: 50},
		{second: 11, grow: true, want: 50}, // the second in which it joined is lost too
		{second: 16, want: 50},
		{second: 18, want: 90}, // two pods
	} {
		if step.grow {
			pods.set("a", "b")
		}
		if got := at(step.second); got != step.want {
			t.Errorf("second %d: %d messages read, want %d", step.second, got, step.want)
		}
	}
}
