package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"syscall"
	"time"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/metrics/kafka"
	"swell/metrics/lag"
	"swell/metrics/store"
)

// pollerClient is the client id of swell-metrics' poller.
const pollerClient = "swell-metrics"

// What a poll is asked for, each with all that stands before it.
const (
	asksLag  = "lag"
	asksLate = "lag+stable+late"
	asksAges = "lag+stable+late+ages"
)

// lateAfter is the age from which messages are late, in model time.
const lateAfter = 30 * time.Second

// pollerReport is what one run of the poller cost, and what it knew at the end.
type pollerReport struct {
	// First is the first poll's traffic, Rest that of the Polls after it.
	First Traffic `json:"first"`
	Rest  Traffic `json:"rest"`
	Polls int     `json:"polls"`
	// CPU and Wall are of one poll on average, Longest of the longest; milliseconds of the machine.
	CPU     float64 `json:"cpu"`
	Wall    float64 `json:"wall"`
	Longest float64 `json:"longest"`
	// Complete counts the groups with all of their partitions known, Partitions those partitions, Late and Aged the
	// ones without lag, or whose lateness and whose oldest message's time are known.
	Complete   int   `json:"complete"`
	Partitions int   `json:"partitions"`
	Late       int   `json:"late"`
	Aged       int   `json:"aged"`
	Lag        int64 `json:"lag"`
	// Heap is what was live after the last poll more than before the first, Memory what the kernel holds; MiB.
	Heap   float64 `json:"heap"`
	Memory memory  `json:"memory"`
}

// rig is a poller with its store and what it is asked for.
type rig struct {
	size   size
	asks   string
	polls  int
	counts broker
	config *config.Metrics
	store  *store.Store
	poller *kafka.Poller
}

// pollerMain polls a number of times at the configured pace and writes a report.
func pollerMain(args []string) int {
	r := rig{store: store.New()}
	set := flag.NewFlagSet(partPoller, flag.ContinueOnError)
	set.IntVar(&r.size.groups, "groups", 0, "groups that are asked about")
	set.IntVar(&r.size.partitions, "partitions", 0, "partitions of each")
	set.IntVar(&r.polls, "polls", 0, "polls after the first")
	set.StringVar(&r.asks, "asks", asksLag, "what is asked about each group")
	set.StringVar(&r.counts.countsURL, "counts", "", "where the brokers' counts are read")
	path := set.String("config", "", "configuration of swell-metrics")
	out := set.String("out", "", "file of the report")
	if err := set.Parse(args); err != nil {
		return 2
	}
	if err := r.run(context.Background(), *path, *out); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", partPoller, err)
		return 1
	}
	return 0
}

func (r *rig) run(ctx context.Context, path, out string) (err error) {
	if r.config, err = config.LoadMetrics(path); err != nil {
		return err
	}
	wants, err := r.wants()
	if err != nil {
		return err
	}
	r.poller, err = kafka.NewPoller(kafka.Options{Cluster: r.config.Clusters[0], Clock: r.config.Clock, Sink: r.store,
		Wanted: func(string) []kafka.Want { return wants }, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		return err
	}
	report, err := r.measure(ctx)
	if err != nil {
		return err
	}
	text, err := json.Marshal(report)
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return os.WriteFile(out, text, 0o600)
}

// wants asks about each group as two QueueConsumers would that differ in the isolation, where stable offsets and
// lateness are asked for; as a selector does where they are not.
func (r *rig) wants() ([]kafka.Want, error) {
	var wants []kafka.Want
	for i := range r.size.groups {
		topics, err := kafka.ParseTopics([]string{topicName(i)})
		if err != nil {
			return nil, err
		}
		w := kafka.Want{Group: groupName(i), Topics: topics, Isolation: v1alpha1.ReadCommitted}
		if r.asks != asksLag {
			w.LateAfter, w.Ages = lateAfter, r.asks == asksAges
			other := w
			other.Isolation = v1alpha1.ReadUncommitted
			wants = append(wants, other)
		}
		wants = append(wants, w)
	}
	return wants, nil
}

// measure polls once, then counts what the polls after that cost.
func (r *rig) measure(ctx context.Context) (pollerReport, error) {
	var report pollerReport
	live := liveHeap()
	before, err := r.counts.of(ctx, pollerClient)
	if err != nil {
		return report, err
	}
	if _, err := r.poll(ctx); err != nil {
		return report, err
	}
	base, err := r.counts.of(ctx, pollerClient)
	if err != nil {
		return report, err
	}
	report.First, report.Polls = base.since(before), r.polls
	cpu := cpuTime()
	for range r.polls {
		took, err := r.poll(ctx)
		if err != nil {
			return report, err
		}
		report.Wall += milliseconds(took) / float64(r.polls)
		report.Longest = max(report.Longest, milliseconds(took))
	}
	report.CPU = milliseconds(cpuTime()-cpu) / float64(r.polls)
	last, err := r.counts.of(ctx, pollerClient)
	if err != nil {
		return report, err
	}
	report.Rest = last.since(base)
	if report.Memory, err = memoryOf(os.Getpid()); err != nil {
		return report, err
	}
	report.Heap = liveHeap() - live
	return report, r.check(&report)
}

// liveHeap is what is live of this process's heap, in MiB.
func liveHeap() float64 {
	runtime.GC()
	runtime.GC() // what finalizers freed
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / (1 << 20)
}

// poll polls once and waits for the time of the next.
func (r *rig) poll(ctx context.Context) (took time.Duration, err error) {
	began := time.Now()
	if err := r.poller.Poll(ctx); err != nil {
		return 0, err
	}
	took = time.Since(began)
	time.Sleep(r.config.Clock.Wait(r.config.Clusters[0].PollEvery.Duration) - took)
	return took, nil
}

// check counts what is known at the end: a poll that learned nothing is cheap.
func (r *rig) check(report *pollerReport) error {
	k, now := r.config.Clusters[0], r.config.Clock.Now()
	var problem error
	for i := range r.size.groups {
		v := r.store.View(store.Key{Cluster: k.Name, Group: groupName(i)}, now, k.StaleAfter.Duration, store.Selection{})
		sum := lag.Add(v.Readings, lag.Rules{Isolation: v1alpha1.ReadCommitted, Uncommitted: v1alpha1.UncommittedLatest, LateAfter: lateAfter})
		if !sum.Complete() || sum.Total != r.size.partitions {
			problem = fmt.Errorf("%d of %d partitions of %s are known: %s %v", sum.Known, r.size.partitions, groupName(i), v.Problem, sum.Problems)
			continue
		}
		report.Complete++
		report.Partitions += sum.Known
		report.Lag += sum.Lag
		for _, one := range v.Readings {
			messages, _ := lag.Of(one, lag.Rules{Isolation: v1alpha1.ReadCommitted})
			if messages == 0 || len(one.Late) > 0 {
				report.Late++
			}
			if messages == 0 || !one.OldestAt.IsZero() {
				report.Aged++
			}
		}
	}
	switch {
	case problem != nil:
		return fmt.Errorf("only %d of %d groups are known at the end: %w", report.Complete, r.size.groups, problem)
	case r.asks != asksLag && report.Late < report.Partitions:
		return fmt.Errorf("lateness is known of %d of %d partitions", report.Late, report.Partitions)
	case r.asks == asksAges && report.Aged < report.Partitions:
		return fmt.Errorf("the age of the oldest message is known of %d of %d partitions", report.Aged, report.Partitions)
	case report.Lag == 0:
		return errors.New("the lag is zero, although some groups are behind: what was read is not what was written")
	}
	return nil
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // fails for a wrong argument alone
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
