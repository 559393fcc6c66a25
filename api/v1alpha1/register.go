package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the API group and version of swell's kinds.
var GroupVersion = schema.GroupVersion{Group: "capacity.swell", Version: "v1alpha1"}

// AddToScheme registers the four kinds and their lists.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&QueueConsumer{}, &QueueConsumerList{},
		&DiurnalSchedule{}, &DiurnalScheduleList{},
		&Balloon{}, &BalloonList{},
		&CapacityPool{}, &CapacityPoolList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
