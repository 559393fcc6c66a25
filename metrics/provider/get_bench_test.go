package provider

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	metrics "sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/metrics/consumers"
	"swell/metrics/lag"
	"swell/metrics/store"
)

const (
	benchGroups     = 2000
	benchPartitions = 50
)

// listed are QueueConsumers in memory.
type listed struct{ items []v1alpha1.QueueConsumer }

func (l *listed) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return errors.New("not asked for here")
}

func (l *listed) List(_ context.Context, into client.ObjectList, _ ...client.ListOption) error {
	into.(*v1alpha1.QueueConsumerList).Items = l.items
	return nil
}

// BenchmarkScrape gathers all groups for Prometheus.
func BenchmarkScrape(b *testing.B) {
	p := polled(b)
	for _, partitions := range []bool{false, true} {
		b.Run(fmt.Sprintf("partitions %v", partitions), func(b *testing.B) {
			r := prometheus.NewRegistry()
			r.MustRegister(Collector{Source: p.source.(*consumers.Consumers), Partitions: partitions})
			b.ReportAllocs()
			for b.Loop() {
				if families, err := r.Gather(); err != nil || len(families) == 0 {
					b.Fatal(err)
				}
			}
		})
	}
}

// polled is a provider over 2,000 groups of 50 partitions that were polled three times, each with a QueueConsumer.
func polled(tb testing.TB) *Provider {
	tb.Helper()
	now := time.Now()
	readings := store.New()
	objects := &listed{}
	cfg := &config.Metrics{RateWindow: metav1.Duration{Duration: time.Hour}, StatusEvery: metav1.Duration{Duration: time.Second},
		Clusters: []config.KafkaCluster{{Name: "main", PollEvery: metav1.Duration{Duration: time.Minute}, StaleAfter: metav1.Duration{Duration: time.Hour}}}}
	known := consumers.New(consumers.Options{Config: cfg, Store: readings, Objects: objects, Log: slog.New(slog.DiscardHandler),
		Pods: func(context.Context, string, v1alpha1.ScaleTarget) (lag.Pods, error) { return lag.Pods{Ready: -1}, nil }})
	for g := range benchGroups {
		n := fmt.Sprintf("group-%04d", g)
		objects.items = append(objects.items, v1alpha1.QueueConsumer{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: n, UID: types.UID(n)},
			Spec: v1alpha1.QueueConsumerSpec{Kafka: v1alpha1.KafkaGroup{Cluster: "main", Group: n, Topics: []string{"orders"}},
				DrainTarget: metav1.Duration{Duration: time.Minute}, PerPodRate: v1alpha1.PerPodRate{Initial: "10"}}})
	}
	for poll := range 3 {
		at := now.Add(time.Duration(poll-3) * time.Second)
		for g := range benchGroups {
			var parts []lag.Reading
			for p := range int32(benchPartitions) {
				end := int64(1000*(poll+1)) + int64(p)
				parts = append(parts, lag.Reading{Topic: "orders", Partition: p, At: at, Commit: end - 100, End: end, Stable: end, Start: 0, Readable: lag.Unknown, ShareLag: lag.Unknown})
			}
			readings.Record(store.Key{Cluster: "main", Group: fmt.Sprintf("group-%04d", g)}, store.Poll{At: at, Readings: parts})
		}
		known.Evaluate("main")
	}
	return New(known, cfg.Clock)
}

func BenchmarkGet(b *testing.B) {
	p := polled(b)
	for _, bench := range []struct{ name, metric, selector string }{
		{"lag of a group", Lag, "cluster=main,group=group-%04d"},
		{"lag of a group's topic", Lag, "cluster=main,group=group-%04d,topic=orders"},
		{"partitions of a group", PartitionLag, "cluster=main,group=group-%04d"},
		{"lag of a consumer", Lag, "consumer=group-%04d"},
		{"replicas of a consumer", DesiredReplicas, "consumer=group-%04d"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			// Selectors are parsed by the API server's library. Not more are asked about than may be without a QueueConsumer.
			var selectors []labels.Selector
			for g := range 200 {
				s, err := labels.Parse(fmt.Sprintf(bench.selector, g*benchGroups/200))
				if err != nil {
					b.Fatal(err)
				}
				selectors = append(selectors, s)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				l, err := p.GetExternalMetric(b.Context(), "shop", selectors[i%len(selectors)], metrics.ExternalMetricInfo{Metric: bench.metric})
				if err != nil || len(l.Items) == 0 {
					b.Fatal(err)
				}
			}
		})
	}
}
