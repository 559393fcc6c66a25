package v1alpha1

// Mode says whether decisions are carried out.
//
// +kubebuilder:validation:Enum=Enforce;Observe
type Mode string

const (
	// Enforce carries decisions out.
	Enforce Mode = "Enforce"
	// Observe forecasts, plans, explains and reports, and changes nothing.
	Observe Mode = "Observe"
)

// ScaleTarget names anything in the object's own namespace that has the scale subresource.
type ScaleTarget struct {
	// APIVersion of the workload, such as apps/v1.
	// +kubebuilder:validation:MinLength=1
	APIVersion string `json:"apiVersion"`
	// Kind of the workload, such as Deployment, StatefulSet or Rollout.
	// +kubebuilder:validation:MinLength=1
	Kind string `json:"kind"`
	// Name of the workload.
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
}

// Decimal is a non-negative decimal number written as a string, such as "2.5".
//
// +kubebuilder:validation:Pattern=`^[0-9]+(\.[0-9]+)?$`
// +kubebuilder:validation:MaxLength=32
type Decimal string

// Share is a percentage of a whole, such as "70%".
//
// +kubebuilder:validation:Pattern=`^[0-9]+(\.[0-9]+)?%$`
// +kubebuilder:validation:MaxLength=16
type Share string
