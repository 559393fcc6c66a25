package provider

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/metrics/consumers"
	"swell/metrics/kafka"
	"swell/metrics/lag"
)

// Scraped is what Prometheus is given.
type Scraped interface {
	All(namespace string) (map[types.NamespacedName]consumers.Result, error)
	Fresh(r consumers.Result) error
	// Groups are all groups that somebody asks about.
	Groups() []consumers.GroupView
}

// Collector gives Prometheus what the two APIs serve, under the names and labels of kafka_exporter where it has them, and what
// the pollers do. What is unknown is absent.
type Collector struct {
	Source Scraped
	Clock  config.Clock
	// Partitions adds each partition's lag, commit, end and start; the lag is then by partition in place of by topic.
	Partitions bool
	// Pollers are the pollers' counts by cluster; may be nil.
	Pollers func() map[string]kafka.Stats
}

var (
	consumerLabels = []string{"namespace", "consumer", "cluster", "consumergroup"}

	descReplicas = prometheus.NewDesc(DesiredReplicas, "Pods that the group's backlog needs.", consumerLabels, nil)
	descLate     = prometheus.NewDesc(LateMessages, "Messages older than the QueueConsumer's lateAfter that the group has still to read; the least that there can be where producers stamp them.", consumerLabels, nil)
	descProduce  = prometheus.NewDesc(ProduceRate, "Messages a second that are produced to the topics that the QueueConsumer reads.", consumerLabels, nil)
	descConsume  = prometheus.NewDesc(ConsumeRate, "Messages a second that the group commits.", consumerLabels, nil)
	descPerPod   = prometheus.NewDesc("swell_consumer_pod_rate", "Messages a second that one pod consumes, as it is used.", consumerLabels, nil)
	descPods     = prometheus.NewDesc("swell_consumer_ready_pods", "Pods of the QueueConsumer's workload that are ready.", consumerLabels, nil)
	descNoHelp   = prometheus.NewDesc("swell_consumer_saturated", "1 where more pods stopped helping, so that no more are asked for.", consumerLabels, nil)
	descUnknown  = prometheus.NewDesc("swell_consumer_unknown", "1 where the replicas are not known.", consumerLabels, nil)

	groupLabels = []string{"cluster", "consumergroup"}

	descSeconds = prometheus.NewDesc(LagSeconds, "Age of the oldest message that the group has still to read.", groupLabels, nil)
	descAge     = prometheus.NewDesc("swell_group_sample_age_seconds", "Age of the oldest reading that the group's lag rests on.", groupLabels, nil)
	descLost    = prometheus.NewDesc("swell_group_unknown", "1 where the group's lag is not known.", groupLabels, nil)

	topicLabels = []string{"cluster", "consumergroup", "topic"}

	descLag    = prometheus.NewDesc(Lag, "Messages that the group has still to read.", topicLabels, nil)
	descLagSum = prometheus.NewDesc("kafka_consumergroup_lag_sum", "Messages of all partitions of the topic that the group has still to read.", topicLabels, nil)

	partLabels = []string{"cluster", "consumergroup", "topic", "partition"}

	descPartLag = prometheus.NewDesc(Lag, "Messages that the group has still to read.", partLabels, nil)
	descCommit  = prometheus.NewDesc("kafka_consumergroup_current_offset", "The next offset that the group will read, as committed.", partLabels, nil)

	logLabels = []string{"cluster", "topic", "partition"}

	descEnd   = prometheus.NewDesc("kafka_topic_partition_current_offset", "End of the partition: its high watermark, or its last stable offset where only that is read.", logLabels, nil)
	descStart = prometheus.NewDesc("kafka_topic_partition_oldest_offset", "First offset that the partition still holds.", logLabels, nil)
)

// Describe names the metrics.
func (c Collector) Describe(ch chan<- *prometheus.Desc) {
	all := []*prometheus.Desc{descReplicas, descLate, descProduce, descConsume, descPerPod, descPods, descNoHelp, descUnknown, descSeconds, descAge, descLost, descLagSum}
	if c.Partitions {
		all = append(all, descPartLag, descCommit, descEnd, descStart)
	} else {
		all = append(all, descLag)
	}
	for _, d := range append(all, pollerDescs...) {
		ch <- d
	}
}

// send is one sample.
type send func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string)

// Collect reads memory only.
func (c Collector) Collect(ch chan<- prometheus.Metric) {
	out := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, kind, value, labels...)
	}
	// Where the QueueConsumers cannot be listed, their metrics are missing and the others are still there.
	all, _ := c.Source.All("")
	for name, r := range all {
		c.consumer(out, name, &r)
	}
	logs := map[logKey]lag.Reading{}
	now := c.Clock.Now()
	for _, g := range c.Source.Groups() {
		c.group(out, now, &g)
		if c.Partitions {
			c.partitions(out, &g, logs)
		}
	}
	for k, r := range logs {
		at := strconv.Itoa(int(k.partition))
		if end := max(r.End, r.Stable); end >= 0 {
			out(descEnd, prometheus.GaugeValue, float64(end), k.cluster, k.topic, at)
		}
		if r.Start >= 0 {
			out(descStart, prometheus.GaugeValue, float64(r.Start), k.cluster, k.topic, at)
		}
	}
	if c.Pollers != nil {
		pollers(out, c.Pollers())
	}
}

func (c Collector) consumer(out send, name types.NamespacedName, r *consumers.Result) {
	l := []string{name.Namespace, name.Name, r.Cluster, r.Group}
	fresh := c.Source.Fresh(*r) == nil
	if fresh && r.LagProblem == "" {
		if r.LateProblem == "" {
			out(descLate, prometheus.GaugeValue, float64(r.Late), l...)
		}
		if r.RatesKnown {
			out(descProduce, prometheus.GaugeValue, r.Produce, l...)
			out(descConsume, prometheus.GaugeValue, r.Consume, l...)
		}
	}
	if pods, ok := r.ReadyPods(); ok {
		out(descPods, prometheus.GaugeValue, float64(pods), l...)
	}
	unknown := 1.0
	if fresh && r.Problem == "" {
		unknown = 0
		saturated := 0.0
		if r.Saturated != "" {
			saturated = 1
		}
		out(descNoHelp, prometheus.GaugeValue, saturated, l...)
		out(descReplicas, prometheus.GaugeValue, float64(r.Replicas), l...)
	}
	if r.PerPod > 0 {
		out(descPerPod, prometheus.GaugeValue, r.PerPod, l...)
	}
	out(descUnknown, prometheus.GaugeValue, unknown, l...)
}

func (c Collector) group(out send, now time.Time, g *consumers.GroupView) {
	unknown := 0.0
	if g.Problem != "" {
		unknown = 1
	}
	out(descLost, prometheus.GaugeValue, unknown, g.Cluster, g.Group)
	if g.Problem == "" && g.Sum.SecondsProblem == "" {
		out(descSeconds, prometheus.GaugeValue, g.Sum.Seconds, g.Cluster, g.Group)
	}
	if !g.Sum.Oldest.IsZero() {
		out(descAge, prometheus.GaugeValue, now.Sub(g.Sum.Oldest).Seconds(), g.Cluster, g.Group)
	}
	for from := 0; from < len(g.Readings); {
		to := from + 1
		for to < len(g.Readings) && g.Readings[to].Topic == g.Readings[from].Topic {
			to++
		}
		// A topic of which one partition is unknown has no sum.
		if sum := lag.Add(g.Readings[from:to], rulesOf(g.Readings[from])); sum.Complete() {
			topic := g.Readings[from].Topic
			out(descLagSum, prometheus.GaugeValue, float64(sum.Lag), g.Cluster, g.Group, topic)
			if !c.Partitions {
				out(descLag, prometheus.GaugeValue, float64(sum.Lag), g.Cluster, g.Group, topic)
			}
		}
		from = to
	}
}

// rulesOf are the defaults of QueueConsumers, or what is asked where nobody asks for those.
func rulesOf(r lag.Reading) lag.Rules {
	rules := lag.Rules{Isolation: v1alpha1.ReadCommitted, Uncommitted: v1alpha1.UncommittedLatest}
	if r.Stable < 0 {
		rules.Isolation = v1alpha1.ReadUncommitted
	}
	return rules
}

// logKey names a partition, which several groups may read.
type logKey struct {
	cluster, topic string
	partition      int32
}

// partitions sends each partition's commit and lag, and keeps the newest reading of its log.
func (c Collector) partitions(out send, g *consumers.GroupView, logs map[logKey]lag.Reading) {
	for _, r := range g.Readings {
		if r.Problem != "" || r.Partition == lag.NoPartition {
			continue
		}
		at := strconv.Itoa(int(r.Partition))
		if messages, problem := lag.Of(r, rulesOf(r)); problem == "" {
			out(descPartLag, prometheus.GaugeValue, float64(messages), g.Cluster, g.Group, r.Topic, at)
		}
		if r.Commit >= 0 {
			out(descCommit, prometheus.GaugeValue, float64(r.Commit), g.Cluster, g.Group, r.Topic, at)
		}
		k := logKey{g.Cluster, r.Topic, r.Partition}
		if before, ok := logs[k]; !ok || r.At.After(before.At) {
			logs[k] = r
		} else if r.At.Equal(before.At) {
			before.End, before.Stable, before.Start = max(before.End, r.End), max(before.Stable, r.Stable), max(before.Start, r.Start)
			logs[k] = before
		}
	}
}
