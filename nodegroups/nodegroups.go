// Package nodegroups holds what the planner knows of Auto Scaling groups and their instances, as plain data.
package nodegroups

import (
	"cmp"
	"errors"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Market is how an instance is paid for.
type Market string

const (
	Spot     Market = "spot"
	OnDemand Market = "on-demand"
)

// Group is an Auto Scaling group, or the part of one in one zone: one zone, one market.
type Group struct {
	// Name is unique: the Auto Scaling group's own, or name@zone for one zone of a group that spans several.
	Name string
	// ASG is the name of the Auto Scaling group; empty is Name.
	ASG string
	// Pool is the CapacityPool that the group belongs to.
	Pool   string
	Zone   string // availability zone, such as ap-northeast-1a
	Market Market
	// InstanceTypes that the group may launch; which of them comes is the service's choice.
	InstanceTypes []string
	// Image is the id of the launch template's image.
	Image string
	// Min, Max and Desired are the group's own, in instances. Groups of one ASG share its Min and Max; Desired is of this zone.
	Min, Max, Desired int
	// Template is the node that one more instance would become: where the types differ, what each of them gives at least.
	Template Template
	// Templates by instance type; a type that is missing is Template.
	Templates map[string]Template
	// Prepaid on-demand instances of the group are paid for whether or not they run, by reservations or savings plans.
	Prepaid int
	// FreeAddresses of the group's subnets in its zone; nil is unknown.
	FreeAddresses *int
	// AddressesPerNode that one more node may take of them; zero is one.
	AddressesPerNode int
	// Subnets of the group in its zone, sorted; groups that share one share its free addresses.
	Subnets []string
	// ProtectsNew says that the group protects every new instance from scale-in, so that the protection of one says nothing.
	ProtectsNew bool
	// Rebalances says that the group replaces an instance by itself at a rebalance recommendation.
	Rebalances bool
	// RecentFailures and RecentInterruptions of the last hour, of what the group offers; a spread launch goes where they are few.
	RecentFailures, RecentInterruptions int
	// Failed are the group's own launches of late, newest first, while it stays below its desired capacity: those of a raised
	// desired capacity or of a replacement, of which no call tells.
	Failed []LaunchFailure
	// ShortSince is since when the group has had fewer instances than it wants without getting one more; zero is that it has as
	// many, or that it is not known.
	ShortSince time.Time
	// Unusable is why nothing can be bought in the group, such as a suspended Launch process, with the mend; empty is that it can.
	// Its nodes count and are looked after all the same.
	Unusable string
	// HourlyPrice of one more instance, the highest of the group's types; zero is unknown and sorts last.
	HourlyPrice float64
	// Returning instances were returned and are no longer in Desired, but no reading has shown yet that the group's desired
	// capacity fell with them: one that had died before was replaced, and nothing fell.
	Returning int
	// Instances of the group, booting and terminating ones included, by id.
	Instances []Instance
	// Tags of the group.
	Tags map[string]string
}

// Template is the node that an instance of a group becomes.
type Template struct {
	Labels      map[string]string
	Taints      []corev1.Taint
	Allocatable corev1.ResourceList
}

// Lifecycle is where an instance stands in its life.
type Lifecycle string

const (
	Pending     Lifecycle = "Pending"   // launched, not in service
	InService   Lifecycle = "InService" // the service counts it as running
	Terminating Lifecycle = "Terminating"
	// Standby is an instance that somebody took out of service for a while: it runs on with its pods, takes no new ones, and is not
	// counted in its group's desired capacity.
	Standby Lifecycle = "Standby"
)

// Counts says whether an instance is one of those that its group's desired capacity asks for.
func (l Lifecycle) Counts() bool { return l != Terminating && l != Standby }

// Instance is one EC2 instance of a group.
type Instance struct {
	ID         string
	Type       string
	Zone       string
	Lifecycle  Lifecycle
	Protected  bool // from scale-in
	LaunchedAt time.Time
	// Image that it was launched from; empty is unknown.
	Image string
	// Found says that it had run for long when it was first seen: whether it ever was to be a node of this cluster is not known.
	Found bool
	// HourlyPrice of its own type in its zone and the group's market, now; zero is unknown.
	HourlyPrice float64
	// Outdated says that the group would launch it otherwise now: another image or launch template version.
	Outdated bool
	// ProviderID is what its Node carries in spec.providerID.
	ProviderID string
}

// ListedWithin is how long AWS's lists may lack what was launched, raised or returned, for which AWS gives no bound but
// minutes of waiting as advice (https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html): shorter, an instance
// that is not listed yet would be bought again; longer, one that will never be listed would hold a place for nothing. On either
// clock: against AWS itself there is one, and a rehearsal's AWS lists at once.
const ListedWithin = 2 * time.Minute

// ProviderID is the spec.providerID of the Node that an instance becomes: aws:///zone/id.
func ProviderID(zone, id string) string { return "aws:///" + zone + "/" + id }

// MarkEnding makes an instance count as one that its group is ending, which the last reading may not show yet: the group replaces
// it by itself, or was lowered, and what it still lacks of its desired capacity is on its way.
func MarkEnding(groups []Group, instanceID string) {
	for _, g := range groups {
		for i := range g.Instances {
			if g.Instances[i].ID == instanceID {
				g.Instances[i].Lifecycle = Terminating
			}
		}
	}
}

// ErrAtMinimum says that a group's desired capacity cannot be lowered, as it is the group's minimum.
var ErrAtMinimum = errors.New("the group is at its minimum")

// FailureClass says what a failed launch means, and so what follows from it.
type FailureClass string

const (
	NoCapacity   FailureClass = "capacity"    // the zone has none of this type in this market: another group, back-off
	LimitReached FailureClass = "limit"       // an account or group limit: other capacity, and a condition
	NotAllowed   FailureClass = "permission"  // an IAM policy is missing: a condition
	NotKnown     FailureClass = "credentials" // the service does not know who asks: nothing is marked, all groups fail alike
	BadTemplate  FailureClass = "template"    // the launch template or image is broken: the group is frozen
	Throttled    FailureClass = "throttle"    // too many calls: slower, nothing is marked
	NoAddresses  FailureClass = "address"     // the subnet has no address left: another group
	Unclassified FailureClass = "unknown"
)

// Launched is what one launch call gave: instances, failures, or both.
type Launched struct {
	Instances []Instance
	// Raised is by how much the group's desired capacity was raised instead; those instances have no ids yet.
	Raised int
	// RaiseTo says that nothing was done, as LaunchInstances may not be called: the group's desired capacity is RaiseFrom and
	// may be at most RaiseMost, and RaiseTo is what it is to be raised to once that was declared. Zero is none.
	RaiseFrom, RaiseTo, RaiseMost int
	// RaiseSees are the instances that run or will by the reading that has RaiseFrom.
	RaiseSees []string
	Failures  []LaunchFailure
	// Refused says that the call itself was refused, so that nothing is known of an earlier one with the same token.
	Refused bool
	// Request is AWS's id of the call; empty is not known.
	Request string
}

// Ending is the end of an instance, as its group's scaling activities tell it.
type Ending struct {
	// At is when it had ended; zero is that it has not yet.
	At time.Time
	// Activity is its id, Cause what AWS says of it.
	Activity, Cause string
}

// Raise is a group's desired capacity that was raised by so many instances at most, to so many.
type Raise struct{ By, To int }

// LaunchFailure is why some or all of a launch was not had.
type LaunchFailure struct {
	Code, Message string
	Class         FailureClass
	// Type and Zone are what could not be launched and where; empty is not told.
	Type, Zone string
	// At is when a group's own launch failed; zero for the answer to a call.
	At time.Time
}

// Unavailable says that a group cannot launch until a time.
type Unavailable struct {
	Group string
	// Zone, Types and Market are what was refused: insufficient capacity is of these, whichever group asks.
	Zone   string
	Types  []string
	Market Market
	Class  FailureClass
	Until  time.Time
	Reason string
}

// Refused is u with what the group was refused: the types that the answer names or, where it names none of the group's, those
// that the same call did not launch. The zone is that of the answer, else the group's.
func (g Group) Refused(u Unavailable, launched []Instance) Unavailable {
	u.Zone, u.Market = cmp.Or(u.Zone, g.Zone), g.Market
	u.Types = slices.DeleteFunc(slices.Clone(u.Types), func(t string) bool { return !slices.Contains(g.InstanceTypes, t) })
	if len(u.Types) > 0 {
		return u
	}
	u.Types = slices.DeleteFunc(slices.Clone(g.InstanceTypes), func(t string) bool {
		return slices.ContainsFunc(launched, func(i Instance) bool { return i.Type == t })
	})
	if len(u.Types) == 0 { // of each some were had, and no more
		u.Types = g.InstanceTypes
	}
	return u
}

// InterruptionAnnotation on a Node is the notice that its instance is about to be lost. It outlives the scaler that was told, so a
// notice is acknowledged once it is written. Taken away by hand, the notice is withdrawn.
const InterruptionAnnotation = "capacity.swell/interruption"

// Interruption is the notice that an instance is about to be lost.
type Interruption struct {
	InstanceID string
	Kind       InterruptionKind
	// At is when the notice was given; Deadline is when the instance goes, zero if unknown.
	At, Deadline time.Time
	// ASG, Hook and HookToken name the lifecycle action that a TerminationHook waits for. An empty Hook is another's, who completes
	// its action.
	ASG, Hook, HookToken string
	// MoreHooks wait besides Hook for the same instance.
	MoreHooks []LifecycleHook
}

// Beside is what stands for two notices of one instance, of which have stands already: lifecycle actions, which end a wait that no
// other notice does, all of them together, else the notice with the earlier deadline; in any case with the earlier deadline of
// both, as AWS ends a spot instance whatever waits for it. News says that this is not what stands.
func (n Interruption) Beside(have Interruption) (both Interruption, news bool) {
	sooner := !n.Deadline.IsZero() && (have.Deadline.IsZero() || n.Deadline.Before(have.Deadline))
	switch {
	case have.Kind == TerminationHook:
		if both = have; n.Kind == have.Kind {
			both, news = have.WithHooks(n)
		}
		if sooner {
			both.Deadline = n.Deadline
		}
		return both, news || sooner
	case n.Kind == TerminationHook:
		if !sooner {
			n.Deadline = have.Deadline
		}
		return n, true
	case sooner:
		return n, true
	}
	return have, false
}

// InterruptionKind is the sort of notice.
type InterruptionKind string

const (
	SpotInterruption InterruptionKind = "spot-interruption"
	RebalanceNotice  InterruptionKind = "rebalance-recommendation"
	// InstanceTerminating is an instance that runs no more or is about to stop; its Deadline has come.
	InstanceTerminating InterruptionKind = "instance-terminating"
	// Maintenance is a retirement, stop, reboot or other work that EC2 has scheduled for the instance, at whose start its group
	// replaces it.
	Maintenance InterruptionKind = "scheduled-maintenance"
	// TerminationHook is an Auto Scaling group that waits for a lifecycle action before it ends the instance.
	TerminationHook InterruptionKind = "termination-hook"
	// NodeNotice is a taint or condition on the Node, put there by a notice handler, where no queue is read.
	NodeNotice InterruptionKind = "node-notice"
)

// Alive is the number of instances that run or will.
func (g Group) Alive() int {
	n := 0
	for _, i := range g.Instances {
		if i.Lifecycle.Counts() {
			n++
		}
	}
	return n
}

// Sort orders groups by name and their instances by id, so that every decision on them is reproducible.
func Sort(groups []Group) {
	slices.SortFunc(groups, func(a, b Group) int { return cmp.Compare(a.Name, b.Name) })
	for i := range groups {
		slices.SortFunc(groups[i].Instances, func(a, b Instance) int { return cmp.Compare(a.ID, b.ID) })
	}
}
