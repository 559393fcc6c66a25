package history

// Class says what a row of a record is: known, or why it is not. Its numbers are stored; new ones are added at the end.
type Class uint8

const (
	// NoSample: nobody looked. Only such rows are filled from elsewhere.
	NoSample Class = iota
	// NoMetric: the source has no value, or one that is too old.
	NoMetric
	// Inactive: the HPA says that it does not scale.
	Inactive
	// AtMaximum: the HPA wants more than it may ask for; its metrics show a lower bound.
	AtMaximum
	// Rollout: pods of an older template run beside new ones.
	Rollout
	// ByHand: the replicas are not what the HPA asked for.
	ByHand
	// Outage: the metric fell to almost nothing while the pods stayed.
	Outage
	// ShareChange: spec.share was changed and the traffic has not followed.
	ShareChange
	// ShareZero: the cluster serves nothing, which tells nothing of the demand of all.
	ShareZero
	// ClockJump: the clock was set.
	ClockJump
	// Invalid: the source gave what no load can be.
	Invalid

	// Known is a row with a value.
	Known Class = 255
)

var classNames = map[Class]string{
	NoSample: "NoSample", NoMetric: "NoMetric", Inactive: "Inactive", AtMaximum: "AtMaximum", Rollout: "Rollout", ByHand: "ByHand",
	Outage: "Outage", ShareChange: "ShareChange", ShareZero: "ShareZero", ClockJump: "ClockJump", Invalid: "Invalid", Known: "Known",
}

// Classes are all of them, known first.
func Classes() []Class {
	return []Class{Known, NoSample, NoMetric, Inactive, AtMaximum, Rollout, ByHand, Outage, ShareChange, ShareZero, ClockJump, Invalid}
}

// String is the name that metrics, conditions and exports use.
func (c Class) String() string {
	if s := classNames[c]; s != "" {
		return s
	}
	return "Unknown"
}

// heldByProfile says that the load goes on though this cluster cannot see it.
func (c Class) heldByProfile() bool { return c == ShareChange || c == ShareZero }
