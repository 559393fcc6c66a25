package provider

import (
	"github.com/prometheus/client_golang/prometheus"

	"swell/metrics/kafka"
)

// Collector gives Prometheus what the two APIs serve, and what the pollers do. What is unknown is absent.
type Collector struct {
	Source Source
	// Pollers are the pollers' counts by cluster; may be nil.
	Pollers func() map[string]kafka.Stats
}

var (
	consumerLabels = []string{"namespace", "consumer", "cluster", "consumergroup"}

	descLag      = prometheus.NewDesc(Lag, "Messages that the group has still to read.", consumerLabels, nil)
	descReplicas = prometheus.NewDesc(DesiredReplicas, "Pods that the group's backlog needs.", consumerLabels, nil)
	descPerPod   = prometheus.NewDesc("swell_consumer_pod_rate", "Messages a second that one pod consumes, as it is used.", consumerLabels, nil)
	descUnknown  = prometheus.NewDesc("swell_consumer_unknown", "1 where the replicas are not known.", consumerLabels, nil)

	clusterLabels = []string{"cluster"}

	descPolls    = prometheus.NewDesc("swell_kafka_polls_total", "Polls of a Kafka cluster.", clusterLabels, nil)
	descFailed   = prometheus.NewDesc("swell_kafka_polls_failed_total", "Polls that no broker answered.", clusterLabels, nil)
	descRequests = prometheus.NewDesc("swell_kafka_requests_total", "Requests sent to brokers.", clusterLabels, nil)
	descSent     = prometheus.NewDesc("swell_kafka_sent_bytes_total", "Bytes sent to brokers.", clusterLabels, nil)
	descReceived = prometheus.NewDesc("swell_kafka_received_bytes_total", "Bytes received from brokers.", clusterLabels, nil)
)

// Describe names the metrics.
func (c Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descLag, descReplicas, descPerPod, descUnknown, descPolls, descFailed, descRequests, descSent, descReceived} {
		ch <- d
	}
}

// Collect reads memory only.
func (c Collector) Collect(ch chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, kind, value, labels...)
	}
	// Where the QueueConsumers cannot be listed, their metrics are missing and the pollers' are still there.
	all, _ := c.Source.All("")
	for name, r := range all {
		labels := []string{name.Namespace, name.Name, r.Cluster, r.Group}
		fresh := c.Source.Fresh(r) == nil
		if fresh && r.LagProblem == "" {
			send(descLag, prometheus.GaugeValue, float64(r.Lag), labels...)
		}
		unknown := 1.0
		if fresh && r.Problem == "" {
			unknown = 0
			send(descReplicas, prometheus.GaugeValue, float64(r.Replicas), labels...)
		}
		if r.PerPod > 0 {
			send(descPerPod, prometheus.GaugeValue, r.PerPod, labels...)
		}
		send(descUnknown, prometheus.GaugeValue, unknown, labels...)
	}
	if c.Pollers == nil {
		return
	}
	for cluster, s := range c.Pollers() {
		send(descPolls, prometheus.CounterValue, float64(s.Polls), cluster)
		send(descFailed, prometheus.CounterValue, float64(s.FailedPolls), cluster)
		send(descRequests, prometheus.CounterValue, float64(s.Requests), cluster)
		send(descSent, prometheus.CounterValue, float64(s.BytesOut), cluster)
		send(descReceived, prometheus.CounterValue, float64(s.BytesIn), cluster)
	}
}
