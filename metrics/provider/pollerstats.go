package provider

import (
	"github.com/prometheus/client_golang/prometheus"

	"swell/metrics/kafka"
)

var (
	clusterLabels = []string{"cluster"}

	descPolls    = prometheus.NewDesc("swell_kafka_polls_total", "Polls of a Kafka cluster.", clusterLabels, nil)
	descFailed   = prometheus.NewDesc("swell_kafka_polls_failed_total", "Polls that no broker answered.", clusterLabels, nil)
	descRequests = prometheus.NewDesc("swell_kafka_requests_total", "Requests sent to brokers.", clusterLabels, nil)
	descSent     = prometheus.NewDesc("swell_kafka_sent_bytes_total", "Bytes sent to brokers.", clusterLabels, nil)
	descReceived = prometheus.NewDesc("swell_kafka_received_bytes_total", "Bytes received from brokers.", clusterLabels, nil)

	descThrottled = prometheus.NewDesc("swell_kafka_throttled_total", "Answers with which a broker asked for fewer requests.", clusterLabels, nil)
	descSkipped   = prometheus.NewDesc("swell_kafka_requests_skipped_total", "Requests that were left out because brokers or the budget wanted less.", clusterLabels, nil)
	descFailing   = prometheus.NewDesc("swell_kafka_brokers_failing", "Brokers that are left alone for a while because they fail.", clusterLabels, nil)

	pollerDescs = []*prometheus.Desc{descPolls, descFailed, descRequests, descSent, descReceived, descThrottled, descSkipped, descFailing}
)

// pollers sends what the pollers have done.
func pollers(out send, stats map[string]kafka.Stats) {
	for cluster, s := range stats {
		out(descPolls, prometheus.CounterValue, float64(s.Polls), cluster)
		out(descFailed, prometheus.CounterValue, float64(s.FailedPolls), cluster)
		out(descRequests, prometheus.CounterValue, float64(s.Requests), cluster)
		out(descSent, prometheus.CounterValue, float64(s.BytesOut), cluster)
		out(descReceived, prometheus.CounterValue, float64(s.BytesIn), cluster)
		out(descThrottled, prometheus.CounterValue, float64(s.Throttled), cluster)
		out(descSkipped, prometheus.CounterValue, float64(s.Skipped), cluster)
		out(descFailing, prometheus.GaugeValue, float64(len(s.Failing)), cluster)
	}
}
