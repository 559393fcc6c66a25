package nodegroups

// Selection is which Auto Scaling groups a pool uses, and how.
type Selection struct {
	// Pool is the CapacityPool's name.
	Pool string
	// Tags that a group must all carry.
	Tags map[string]string
	// MultiZone uses a group that spans zones, zone by zone, once its AZRebalance process is suspended; otherwise it is refused.
	MultiZone bool
	// WarmPool uses a group that has a warm pool; otherwise it is refused.
	WarmPool bool
	// Prepaid counts, for the pool's groups, the on-demand instances that the account pays for whether or not they run, and has
	// them read; otherwise none of the pool's groups has any.
	Prepaid bool
	// MayChange says that what the use of a group needs, such as suspending a process, may be done. A pool that observes
	// changes nothing.
	MayChange bool
}

// NameInZone is the name of one zone's part of an Auto Scaling group that spans several.
func NameInZone(asg, zone string) string { return asg + "@" + zone }
