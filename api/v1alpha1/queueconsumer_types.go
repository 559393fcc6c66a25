package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// QueueConsumer says which Kafka consumer group a workload is, and how fast a backlog is to be gone.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=qc
// +kubebuilder:printcolumn:name="Lag",type=integer,JSONPath=`.status.lag`
// +kubebuilder:printcolumn:name="Desired",type=integer,JSONPath=`.status.desiredReplicas`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
type QueueConsumer struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   QueueConsumerSpec   `json:"spec"`
	Status QueueConsumerStatus `json:"status,omitempty"`
}

// QueueConsumerSpec is what the application team asks for.
type QueueConsumerSpec struct {
	ScaleTargetRef ScaleTarget `json:"scaleTargetRef"`
	Kafka          KafkaGroup  `json:"kafka"`
	// DrainTarget is T: a backlog is to be gone within this time.
	// +kubebuilder:default="60s"
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s')",message="drainTarget must be above zero"
	DrainTarget metav1.Duration `json:"drainTarget,omitempty"`
	// LateAfter is the age from which a message counts as late.
	// +kubebuilder:default="30s"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s')",message="lateAfter must be a time such as 30s, zero or more"
	LateAfter  metav1.Duration `json:"lateAfter,omitempty"`
	PerPodRate PerPodRate      `json:"perPodRate"`
	// Utilization is u: the share of a pod's rate that is planned for, above 0 and at most 1.
	// +kubebuilder:default="0.8"
	// +kubebuilder:validation:XValidation:rule="double(self) > 0.0 && double(self) <= 1.0",message="utilization must be above 0 and at most 1"
	Utilization Decimal `json:"utilization,omitempty"`
	// RebalanceTime is t_rebalance: how long the group stands still when its members change.
	// +kubebuilder:default="5s"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s')",message="rebalanceTime must be a time such as 5s, zero or more"
	RebalanceTime metav1.Duration `json:"rebalanceTime,omitempty"`
	// Isolation is what the consumers read up to: the last stable offset or the high watermark.
	// +kubebuilder:validation:Enum=ReadCommitted;ReadUncommitted
	// +kubebuilder:default=ReadCommitted
	Isolation Isolation `json:"isolation,omitempty"`
	// Uncommitted is what a partition counts as that was never committed: Latest, as read to its end; Earliest, all that it holds; Error:
	// the lag is unknown, as under Latest where the group has committed nothing at all.
	// +kubebuilder:validation:Enum=Latest;Earliest;Error
	// +kubebuilder:default=Latest
	Uncommitted Uncommitted `json:"uncommitted,omitempty"`
	// SnapToPartitions raises the replica count to the next level ceil(P/k), where shares are even.
	// +kubebuilder:default=true
	SnapToPartitions *bool `json:"snapToPartitions,omitempty"`
	// Zero lets swell take the workload to no replicas at all and back, through its scale subresource. Default: it never does.
	// An HPA leaves a workload without replicas alone, so that the two do not fight.
	Zero *ScaleToZero `json:"zero,omitempty"`
}

// ScaleToZero is when an idle workload goes to no replicas, from one: an HPA takes it there first. It comes back with one at the
// first message. All QueueConsumers of one workload must agree.
type ScaleToZero struct {
	// After is how long the group must be known to have nothing to read, and nothing to be produced.
	// +kubebuilder:default="5m"
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s')",message="zero.after must be above zero"
	After metav1.Duration `json:"after,omitempty"`
}

// Isolation is a Kafka isolation level.
type Isolation string

const (
	ReadCommitted   Isolation = "ReadCommitted"
	ReadUncommitted Isolation = "ReadUncommitted"
)

// Uncommitted is the policy for partitions without a commit.
type Uncommitted string

const (
	// UncommittedLatest counts such a partition as read to its end.
	UncommittedLatest Uncommitted = "Latest"
	// UncommittedEarliest counts all that the partition holds.
	UncommittedEarliest Uncommitted = "Earliest"
	// UncommittedError makes the group's lag unknown.
	UncommittedError Uncommitted = "Error"
)

// KafkaGroup names a consumer group.
type KafkaGroup struct {
	// Cluster is a name in the metrics server's configuration.
	// +kubebuilder:validation:MinLength=1
	Cluster string `json:"cluster"`
	// Group is the consumers' group.id, of printable characters.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:Pattern=`^[^\x00-\x1F\x7F-\x9F]+$`
	Group string `json:"group"`
	// Topics are names, or regular expressions between slashes; none means all that the group has committed.
	// +listType=set
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MaxLength=1024
	// +kubebuilder:validation:items:Pattern=`^([a-zA-Z0-9._-]{1,249}|/[^\x00-\x1F\x7F-\x9F]+/)$`
	Topics []string `json:"topics,omitempty"`
}

// PerPodRate is μ, messages a second that one pod consumes.
type PerPodRate struct {
	// Learn lets the server learn μ while there is a backlog.
	// +kubebuilder:default=true
	Learn *bool `json:"learn,omitempty"`
	// Initial is μ before anything was learned.
	// +kubebuilder:validation:XValidation:rule="double(self) > 0.0",message="perPodRate.initial must be above zero"
	Initial Decimal `json:"initial"`
}

// QueueConsumerStatus is what the metrics server last knew; an absent number is unknown, not zero.
type QueueConsumerStatus struct {
	// Lag is how many messages are not read yet.
	Lag *int64 `json:"lag,omitempty"`
	// LateMessages are those that are older than lateAfter.
	LateMessages *int64 `json:"lateMessages,omitempty"`
	// LateCount says whether lateMessages is exact, or the least that there can be: producers stamp the messages of some topic.
	LateCount LateCount `json:"lateCount,omitempty"`
	// LagSeconds is the age of the oldest message that is not read.
	LagSeconds *Decimal `json:"lagSeconds,omitempty"`
	// ProduceRate and ConsumeRate are messages a second.
	ProduceRate *Decimal `json:"produceRate,omitempty"`
	ConsumeRate *Decimal `json:"consumeRate,omitempty"`
	// PerPodRate is μ as it was learned, messages a second.
	PerPodRate *Decimal `json:"perPodRate,omitempty"`
	// DesiredReplicas are what the backlog and the rate ask for.
	DesiredReplicas *int32 `json:"desiredReplicas,omitempty"`
	// Why is the arithmetic behind them, or what is not known.
	Why string `json:"why,omitempty"`
	// SampledAt is when the numbers were read of Kafka.
	SampledAt *metav1.Time `json:"sampledAt,omitempty"`
	// Partitions of the topics, and how many of them the numbers are of.
	Partitions *PartitionsKnown `json:"partitions,omitempty"`
	// Cluster and Group are what the numbers are of.
	Cluster string `json:"cluster,omitempty"`
	Group   string `json:"group,omitempty"`
	// Hold is the last count that was asked for, kept while the lag is unknown: who takes over does not fall below it.
	Hold *ReplicaHold `json:"hold,omitempty"`
	// Saturation is there while more pods do not help, and is kept while the lag is unknown.
	Saturation *SaturationSeen `json:"saturation,omitempty"`
	// Zero is there from just before swell takes the workload to no replicas until it has brought it back.
	Zero *ZeroMark `json:"zero,omitempty"`
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ReplicaHold is a number of replicas and when it was last known to be right.
type ReplicaHold struct {
	// Replicas that were asked for.
	Replicas int32 `json:"replicas"`
	// At is when they were last known to be right.
	At metav1.Time `json:"at"`
}

// SaturationSeen is the stretch that later ones are held against: so many pods read so many messages a second.
type SaturationSeen struct {
	// Pods that read then.
	Pods int32 `json:"pods"`
	// ConsumeRate of all of them, messages a second.
	ConsumeRate Decimal `json:"consumeRate"`
}

// ZeroMark says that a workload has no replicas by swell's doing, since when, and what its partitions' ends added up to then. Logs is
// another string for other partitions, or for the same ones of a topic that was made anew.
type ZeroMark struct {
	// Since is when it was taken there.
	Since metav1.Time `json:"since"`
	// Appended is what the partitions' ends added up to then.
	Appended int64 `json:"appended"`
	// Logs tells the partitions from others of the same names.
	Logs string `json:"logs,omitempty"`
}

// LateCount is what a number of late messages means.
type LateCount string

const (
	// LateExact: brokers stamp the messages, so that their order is that of their stamps.
	LateExact LateCount = "Exact"
	// LateAtLeast: producers stamp them, and a late one may lie behind one that is not.
	LateAtLeast LateCount = "AtLeast"
)

// PartitionsKnown counts the partitions whose lag is known.
type PartitionsKnown struct {
	// Known are the partitions whose lag is known.
	Known int32 `json:"known"`
	// Total are all that the topics have.
	Total int32 `json:"total"`
}

// QueueConsumerList is a list of QueueConsumers.
//
// +kubebuilder:object:root=true
type QueueConsumerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []QueueConsumer `json:"items"`
}
