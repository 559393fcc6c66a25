package consumers

import (
	"context"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/v1alpha1"
	"swell/metrics/lag"
	"swell/metrics/store"
)

// BenchmarkEvaluate judges 2,000 QueueConsumers of 50 partitions each after one poll; the time of a GET while that runs is get_us.
func BenchmarkEvaluate(b *testing.B) {
	const consumers, partitions = 2000, 50
	items := make([]v1alpha1.QueueConsumer, consumers)
	for i := range items {
		items[i] = consumer(fmt.Sprintf("group-%d", i), "main")
		items[i].Spec.LateAfter = metav1.Duration{Duration: 30 * time.Second}
		items[i].Spec.Zero = &v1alpha1.ScaleToZero{After: metav1.Duration{Duration: time.Minute}}
	}
	c, st := newConsumers(items...)
	c.opts.Pods = func(context.Context, string, v1alpha1.ScaleTarget) (lag.Pods, error) { return lag.Pods{Ready: 4}, nil }
	at := time.Now().Add(-10 * time.Minute)
	m := newConfig()
	m.Clusters[0].StaleAfter.Duration = time.Hour
	c.SetConfig(m)
	poll := func(n int64) {
		at = at.Add(5 * time.Millisecond)
		for i := range items {
			readings := make([]lag.Reading, partitions)
			for p := range readings {
				readings[p] = lag.Reading{Topic: "orders", Partition: int32(p), At: at, Commit: 10 * n, End: 100 + 11*n, Stable: 100 + 11*n, Readable: lag.Unknown, ShareLag: lag.Unknown,
					Late: []lag.LateFrom{{Age: 30 * time.Second, Offset: 50 + 10*n}}, OldestAt: at.Add(-time.Minute)}
			}
			st.Record(store.Key{Cluster: "main", Group: items[i].Name}, store.Poll{At: at, Readings: readings})
		}
	}
	for n := range int64(8) {
		poll(n)
		c.Evaluate("main")
	}
	b.ReportAllocs()
	var n, gets int64
	var slowest, waiting time.Duration
	for b.Loop() {
		b.StopTimer()
		n++
		poll(8 + n)
		b.StartTimer()
		done := make(chan struct{})
		go func() { c.Evaluate("main"); close(done) }()
		for running := true; running; {
			select {
			case <-done:
				running = false
			default:
				began := time.Now()
				_, _ = c.Get(named("group-7"))
				took := time.Since(began)
				slowest, waiting, gets = max(slowest, took), waiting+took, gets+1
				time.Sleep(100 * time.Microsecond)
			}
		}
	}
	b.ReportMetric(float64(slowest.Microseconds()), "get_max_us")
	b.ReportMetric(float64(waiting.Nanoseconds())/float64(max(1, gets))/1e3, "get_us")
}
