package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// BalloonLabel marks a balloon pod; its value is the name of its Balloon in the same namespace.
const BalloonLabel = "capacity.swell/balloon"

// Balloon keeps room for a workload before it grows: low-priority pods that hold places on nodes
// and give way to the workload's own pods.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Target",type=string,JSONPath=`.spec.scaleTargetRef.name`
// +kubebuilder:printcolumn:name="Predicted",type=string,JSONPath=`.status.predictedPods`
// +kubebuilder:printcolumn:name="Quantile",type=string,JSONPath=`.status.quantilePods`
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="Output",type=string,JSONPath=`.spec.output`
// +kubebuilder:printcolumn:name="Held",type=string,JSONPath=`.status.conditions[?(@.type=="Held")].reason`
// +kubebuilder:validation:XValidation:rule="!has(self.metadata.name) || self.metadata.name.size() <= 63",message="the name must have at most 63 characters, since it is a label of the balloon pods"
type Balloon struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   BalloonSpec   `json:"spec"`
	Status BalloonStatus `json:"status,omitempty"`
}

// BalloonSpec is what the application team asks for.
//
// +kubebuilder:validation:XValidation:rule="self.max >= self.min",message="max must be at least min"
type BalloonSpec struct {
	ScaleTargetRef ScaleTarget `json:"scaleTargetRef"`
	// Chunk is how many of the workload's pods one balloon pod holds the place of.
	// +kubebuilder:default="1"
	// +kubebuilder:validation:XValidation:rule="double(self) > 0.0",message="chunk must be above zero"
	Chunk Decimal `json:"chunk,omitempty"`
	// Min and Max bound the number of balloon pods.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:default=0
	Min int32 `json:"min,omitempty"`
	// +kubebuilder:validation:Minimum=0
	Max int32 `json:"max"`
	// +kubebuilder:default={quantile: "0.99"}
	Target BalloonTarget `json:"target,omitempty"`
	// Schedules are DiurnalSchedules in the same namespace; overlapping ones take the maximum.
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Schedules []string `json:"schedules,omitempty"`
	// +kubebuilder:default={from: Workload, survive: None}
	Zones BalloonZones `json:"zones,omitempty"`
	// PrePullImages gives balloon pods the workload's images, eight at most, as image volumes, so that their nodes have
	// pulled them; with its pull secrets and service account. From Kubernetes 1.35, and with output Pods.
	PrePullImages bool `json:"prePullImages,omitempty"`
	// +kubebuilder:default=Enforce
	Mode Mode `json:"mode,omitempty"`
	// Output is what holds the room: Pods of low priority that give way; Virtual, placeholders in swell's planner, whose
	// nodes are bought and kept and whose room anyone may take; or CapacityBuffer, objects for cluster-autoscaler or
	// Karpenter where these own the nodes.
	// +kubebuilder:validation:Enum=Pods;Virtual;CapacityBuffer
	// +kubebuilder:default=Pods
	Output BalloonOutput `json:"output,omitempty"`
	// Share of the demand that this cluster must be ready for, up to 100%.
	// +kubebuilder:default="100%"
	// +kubebuilder:validation:XValidation:rule="double(self.substring(0, self.size() - 1)) <= 100.0",message="share must be at most 100%"
	Share Share `json:"share,omitempty"`
	// Demand says where the demand is read.
	// +kubebuilder:default={from: HPA}
	Demand BalloonDemand `json:"demand,omitempty"`
}

// BalloonTarget says how certain the room must be; give one of the two.
//
// +kubebuilder:validation:XValidation:rule="has(self.quantile) != has(self.missCostPerPodMinute)",message="give quantile or missCostPerPodMinute, not both"
type BalloonTarget struct {
	// Quantile of the demand when what is ordered now begins to serve, from 0.5 to below 1.
	// +kubebuilder:validation:XValidation:rule="double(self) >= 0.5 && double(self) < 1.0",message="quantile must be at least 0.5 and below 1"
	Quantile Decimal `json:"quantile,omitempty"`
	// MissCostPerPodMinute is what a pod that waits costs a minute, in the currency of the prices.
	// +kubebuilder:validation:XValidation:rule="double(self) > 0.0",message="missCostPerPodMinute must be above zero"
	MissCostPerPodMinute Decimal `json:"missCostPerPodMinute,omitempty"`
}

// BalloonZones says where balloons are.
type BalloonZones struct {
	// From is where the proportion of zones comes from.
	// +kubebuilder:validation:Enum=Workload
	// +kubebuilder:default=Workload
	From string `json:"from,omitempty"`
	// Survive Zone keeps room for the loss of any one zone that has at most a half of the workload's pods; of a larger one, as if
	// it had a half.
	// +kubebuilder:validation:Enum=None;Zone
	// +kubebuilder:default=None
	Survive string `json:"survive,omitempty"`
}

// BalloonOutput is what the room is held with.
type BalloonOutput string

const (
	OutputPods           BalloonOutput = "Pods"
	OutputVirtual        BalloonOutput = "Virtual"
	OutputCapacityBuffer BalloonOutput = "CapacityBuffer"
)

// BalloonStatus is the last decision.
type BalloonStatus struct {
	// PredictedPods is the point forecast of the demand when what is ordered now begins to serve, a lead time from now.
	PredictedPods *Decimal `json:"predictedPods,omitempty"`
	// QuantilePods is the target quantile of the demand then.
	QuantilePods *Decimal `json:"quantilePods,omitempty"`
	// LeadTime is how long it takes from an order to a pod that serves: what the forecast looks ahead.
	LeadTime *metav1.Duration `json:"leadTime,omitempty"`
	// StartPods is the median of the demand one pod start-up ahead, times share: what swell_predicted_replicas serves. It is the
	// last that was forecast, at ForecastAt.
	StartPods *Decimal `json:"startPods,omitempty"`
	// PodStart is how far ahead that is.
	PodStart *metav1.Duration `json:"podStart,omitempty"`
	// ForecastAt is when StartPods was forecast. It is renewed about once a minute while the forecast is ready.
	ForecastAt *metav1.Time `json:"forecastAt,omitempty"`
	// +listType=map
	// +listMapKey=zone
	Zones []BalloonZoneStatus `json:"zones,omitempty"`
	// Why is the reason of the size, in a sentence.
	Why string `json:"why,omitempty"`
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// BalloonZoneStatus counts balloons in one zone: those that are wanted, and those that have a place on nodes that are up.
type BalloonZoneStatus struct {
	// Zone of the nodes.
	Zone string `json:"zone"`
	// Balloons that are wanted here.
	Balloons int32 `json:"balloons"`
	// Running are those that have a place on nodes that are up.
	Running int32 `json:"running"`
}

// BalloonList is a list of Balloons.
//
// +kubebuilder:object:root=true
type BalloonList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Balloon `json:"items"`
}
