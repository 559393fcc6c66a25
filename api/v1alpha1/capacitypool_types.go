package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// CapacityPool is a set of Auto Scaling groups, one per zone and market, and the policy for buying and returning their nodes.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=cpool
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
type CapacityPool struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   CapacityPoolSpec   `json:"spec"`
	Status CapacityPoolStatus `json:"status,omitempty"`
}

// CapacityPoolSpec is what the platform team asks for.
type CapacityPoolSpec struct {
	Groups PoolGroups `json:"groups"`
	// +kubebuilder:default={}
	Limits PoolLimits `json:"limits,omitempty"`
	// +kubebuilder:default={}
	Purchase PoolPurchase `json:"purchase,omitempty"`
	// +kubebuilder:default={}
	ScaleIn PoolScaleIn `json:"scaleIn,omitempty"`
	Freeze  *PoolFreeze `json:"freeze,omitempty"`
	Holds   []PoolHold  `json:"holds,omitempty"`
	// +kubebuilder:default=Enforce
	Mode Mode `json:"mode,omitempty"`
}

// PoolGroups selects Auto Scaling groups.
type PoolGroups struct {
	// Tags that a group must all carry.
	// +kubebuilder:validation:MinProperties=1
	Tags map[string]string `json:"tags"`
	// MultiZone says what becomes of a group that spans zones: refused with the reason, or used zone by zone with its
	// AZRebalance process suspended, so that Auto Scaling moves no instance behind the plan's back.
	// +kubebuilder:validation:Enum=Refuse;SuspendAZRebalance
	// +kubebuilder:default=Refuse
	MultiZone string `json:"multiZone,omitempty"`
	// WarmPool says what becomes of a group with a warm pool: refused with the reason, or used, its stopped instances
	// being launched first and counted as no capacity.
	// +kubebuilder:validation:Enum=Refuse;Use
	// +kubebuilder:default=Refuse
	WarmPool string `json:"warmPool,omitempty"`
	// OtherScalers says what becomes of the pool while another scaler acts on its groups: it only observes, or goes on
	// all the same.
	// +kubebuilder:validation:Enum=Refuse;Ignore
	// +kubebuilder:default=Refuse
	OtherScalers string `json:"otherScalers,omitempty"`
}

// PoolLimits bound the pool; the groups' own minimum and maximum hold as well.
type PoolLimits struct {
	// MinNodesPerZone are kept in each zone, whatever is needed.
	// +kubebuilder:validation:Minimum=0
	MinNodesPerZone int32 `json:"minNodesPerZone,omitempty"`
	// MaxNodes of all groups together; 0 is no limit.
	// +kubebuilder:validation:Minimum=0
	MaxNodes int32 `json:"maxNodes,omitempty"`
	// MaxNodesPerZone of all groups of a zone; 0 is no limit.
	// +kubebuilder:validation:Minimum=0
	MaxNodesPerZone int32 `json:"maxNodesPerZone,omitempty"`
	// MaxHourlyCost in the currency of the prices; absent is no limit.
	MaxHourlyCost *Decimal `json:"maxHourlyCost,omitempty"`
}

// PoolPurchase says what to buy first.
type PoolPurchase struct {
	// OnDemandBase nodes are on-demand before any spot node is bought.
	// +kubebuilder:validation:Minimum=0
	OnDemandBase int32 `json:"onDemandBase,omitempty"`
	// SpotMax is the largest share of the nodes above the base that may be spot.
	// +kubebuilder:default="100%"
	SpotMax Share `json:"spotMax,omitempty"`
	// Fallback is bought where spot cannot be had.
	// +kubebuilder:validation:Enum=OnDemand;None
	// +kubebuilder:default=OnDemand
	Fallback string `json:"fallback,omitempty"`
	// Strategy among groups of one market: price buys the cheapest, price-capacity spreads over those that cost nearly the
	// same and have shown capacity.
	// +kubebuilder:validation:Enum=price;price-capacity
	// +kubebuilder:default=price-capacity
	Strategy string `json:"strategy,omitempty"`
	// Prepaid says which on-demand instances are paid for whether or not they run: those of EC2 reservations and savings
	// plans that AWS tells of (Read), or none.
	// +kubebuilder:validation:Enum=Read;Ignore
	// +kubebuilder:default=Ignore
	Prepaid string `json:"prepaid,omitempty"`
}

// PoolScaleIn says when a node is returned.
type PoolScaleIn struct {
	// After is how long a node must have been unneeded.
	// +kubebuilder:default="10m"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s')",message="after must be a time such as 10m, zero or more"
	After metav1.Duration `json:"after,omitempty"`
	// Below is the share of a node's resources in use under which its pods may be moved to empty it.
	// +kubebuilder:default="0.5"
	Below Decimal `json:"below,omitempty"`
	// DrainTimeout is how long evictions are tried before the node is kept after all.
	// +kubebuilder:default="10m"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s')",message="drainTimeout must be a time such as 10m, zero or more"
	DrainTimeout metav1.Duration `json:"drainTimeout,omitempty"`
	// MaxUnavailablePerZone bounds how many nodes of a zone drain at once: at least one, and none where it is 0%.
	// +kubebuilder:default="10%"
	MaxUnavailablePerZone Share `json:"maxUnavailablePerZone,omitempty"`
	// TimeZone of the windows below.
	// +kubebuilder:default="UTC"
	TimeZone string `json:"timeZone,omitempty"`
	// Never are windows in which nothing is returned.
	// +kubebuilder:validation:MaxItems=32
	Never []PoolWindow `json:"never,omitempty"`
	// +kubebuilder:validation:MaxItems=32
	// Consolidate are windows in which nodes are emptied whatever share of them is in use, if their pods find another place.
	Consolidate []PoolWindow `json:"consolidate,omitempty"`
}

// PoolWindow is a stretch of wall-clock time on some days.
type PoolWindow struct {
	// Days are names or ranges: Mon, Sat, Mon-Fri; none is every day.
	// +kubebuilder:validation:MaxItems=7
	// +listType=set
	Days []DayRange `json:"days,omitempty"`
	// From is a local time; 24:00 is the next day's 00:00 and not a beginning.
	// +kubebuilder:validation:XValidation:rule="self != '24:00'",message="begin at 00:00 of the next day instead of 24:00"
	From ClockTime `json:"from"`
	// To is a local time; one at or before From is on the next day.
	To ClockTime `json:"to"`
}

// PoolFreeze stops scale-in, or all scaling, until a time.
type PoolFreeze struct {
	// Until is when it ends by itself.
	Until metav1.Time `json:"until"`
	// Reason is told to whoever asks why nothing moves.
	Reason string `json:"reason,omitempty"`
	// What is frozen.
	// +kubebuilder:validation:Enum=ScaleIn;All
	// +kubebuilder:default=ScaleIn
	What string `json:"what,omitempty"`
}

// PoolHold is capacity asked for by hand, with an end.
type PoolHold struct {
	// Zone that the nodes are to be in.
	// +kubebuilder:validation:MinLength=1
	Zone string `json:"zone"`
	// Nodes of the pool that the zone has at least.
	// +kubebuilder:validation:Minimum=1
	Nodes int32 `json:"nodes"`
	// Until is when it ends by itself.
	Until metav1.Time `json:"until"`
}

// CapacityPoolStatus is what the scaler last saw.
type CapacityPoolStatus struct {
	// +listType=map
	// +listMapKey=zone
	Zones []PoolZoneStatus `json:"zones,omitempty"`
	// LearnedBoot is how long nodes take from launch to Ready, by zone, type, image and market.
	// +listType=atomic
	LearnedBoot []LearnedBoot `json:"learnedBoot,omitempty"`
	// Problems are the open ones, each with its mend.
	Problems []string `json:"problems,omitempty"`
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// PoolZoneStatus counts nodes of one zone by market, booting ones included.
type PoolZoneStatus struct {
	// Zone of the nodes.
	Zone string `json:"zone"`
	// OnDemand nodes of the zone.
	OnDemand int32 `json:"onDemand"`
	// Spot nodes of the zone.
	Spot int32 `json:"spot"`
	// Booting are those of both that are not Ready yet.
	Booting int32 `json:"booting"`
}

// LearnedBoot is how long instances of one kind take from launch to a Ready node.
type LearnedBoot struct {
	// Zone, Type, Image and Market are the kind of instance.
	Zone   string `json:"zone"`
	Type   string `json:"type"`
	Image  string `json:"image,omitempty"`
	Market string `json:"market"`
	// Count of boots that were seen; the quantiles lean on the prior while there are few.
	Count int32 `json:"count"`
	// P50, P95 and P99 are quantiles of the time from launch to a Ready node.
	P50 metav1.Duration `json:"p50"`
	P95 metav1.Duration `json:"p95"`
	P99 metav1.Duration `json:"p99"`
}

// CapacityPoolList is a list of CapacityPools.
//
// +kubebuilder:object:root=true
type CapacityPoolList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []CapacityPool `json:"items"`
}
