// Package metric names the metrics that HPAs may ask swell-metrics for.
package metric

// Names of the metrics; docs/metrics.md says what they are.
const (
	Lag             = "kafka_consumergroup_lag"
	LateMessages    = "kafka_consumergroup_late_messages"
	LagSeconds      = "kafka_consumergroup_lag_seconds"
	ProduceRate     = "kafka_topic_produce_rate"
	ConsumeRate     = "kafka_consumergroup_consume_rate"
	DesiredReplicas = "kafka_consumergroup_desired_replicas"
	// PartitionLag has an item for each partition, with the labels topic and partition; the sum is the group's lag.
	PartitionLag = "kafka_consumergroup_partition_lag"
	// PredictedReplicas is of a Balloon: the pods that its workload's demand will ask for one pod start-up from now.
	PredictedReplicas = "swell_predicted_replicas"
)
