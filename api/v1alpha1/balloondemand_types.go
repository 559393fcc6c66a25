package v1alpha1

// BalloonDemand says where the demand of the workload is read, now and of the past.
//
// +kubebuilder:validation:XValidation:rule="(has(self.from) && self.from == 'QueueConsumer') == has(self.queueConsumer)",message="give queueConsumer with from: QueueConsumer, and only there"
// +kubebuilder:validation:XValidation:rule="(has(self.from) && self.from == 'Query') == has(self.query)",message="give query with from: Query, and only there"
// +kubebuilder:validation:XValidation:rule="!has(self.perPod) || has(self.query)",message="perPod is what one pod serves in the query's unit: give it with from: Query"
// +kubebuilder:validation:XValidation:rule="!has(self.allClusters) || !self.allClusters || has(self.query)",message="allClusters is said of a query: give it with from: Query"
type BalloonDemand struct {
	// From is HPA: what the metrics of the workload's HorizontalPodAutoscaler ask for; QueueConsumer: what is produced over what
	// a pod consumes; or Query: a PromQL query.
	// +kubebuilder:default=HPA
	From DemandSource `json:"from,omitempty"`
	// QueueConsumer is the name of one in the same namespace.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	QueueConsumer string `json:"queueConsumer,omitempty"`
	// Query is PromQL that gives one series, asked of the Prometheus in the configuration of swell-scaler. {{namespace}},
	// {{balloon}} and {{name}}, the workload's, are replaced.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Query string `json:"query,omitempty"`
	// PerPod is what one pod serves in the unit of the query; without it the query is in pods.
	// +kubebuilder:validation:XValidation:rule="double(self) > 0.0",message="perPod must be above zero"
	PerPod Decimal `json:"perPod,omitempty"`
	// AllClusters says that the query counts the demand of all clusters, and is not divided by share.
	AllClusters bool `json:"allClusters,omitempty"`
	// History is where the past is read when there is none yet. Default: the query, or the one in the configuration of
	// swell-scaler.
	History *DemandHistory `json:"history,omitempty"`
}

// DemandSource is where demand is read.
//
// +kubebuilder:validation:Enum=HPA;QueueConsumer;Query
type DemandSource string

const (
	DemandFromHPA           DemandSource = "HPA"
	DemandFromQueueConsumer DemandSource = "QueueConsumer"
	DemandFromQuery         DemandSource = "Query"
)

// DemandHistory is a query for the demand of the past, of all clusters.
//
// +kubebuilder:validation:XValidation:rule="has(self.prometheus) != has(self.datadog)",message="give prometheus or datadog, one of the two"
type DemandHistory struct {
	// Prometheus is PromQL that gives one series; see query.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Prometheus string `json:"prometheus,omitempty"`
	// Datadog is a metrics query of Datadog that gives one series.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Datadog string `json:"datadog,omitempty"`
	// PerPod is what one pod serves in the unit of the query; without it the query is in pods.
	// +kubebuilder:validation:XValidation:rule="double(self) > 0.0",message="perPod must be above zero"
	PerPod Decimal `json:"perPod,omitempty"`
}
