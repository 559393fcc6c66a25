// Package v1alpha1 holds the four kinds that swell reads: QueueConsumer,
// DiurnalSchedule, Balloon and CapacityPool. It has types and their validation
// markers, and no logic.
//
// +kubebuilder:object:generate=true
// +groupName=capacity.swell
package v1alpha1
