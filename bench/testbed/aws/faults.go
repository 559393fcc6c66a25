package aws

import (
	"slices"
	"time"
)

// FaultKind is a sort of injected fault.
type FaultKind string

const (
	FaultCapacity FaultKind = "capacity" // launches fail
	FaultThrottle FaultKind = "throttle" // a share of calls is throttled
	FaultDeny     FaultKind = "deny"     // calls are refused
	FaultSlow     FaultKind = "slow"     // boots take longer
	FaultTimeout  FaultKind = "timeout"  // LaunchInstances launches, and answers with the client token alone
)

// Fault is something that goes wrong until a time. An empty selector field selects everything.
type Fault struct {
	Kind   FaultKind `json:"kind"`
	Zone   string    `json:"zone,omitempty"`
	Market string    `json:"market,omitempty"`
	Type   string    `json:"type,omitempty"`
	// Service is autoscaling, ec2 or sqs; Action one of its actions.
	Service string `json:"service,omitempty"`
	Action  string `json:"action,omitempty"`
	// Share of the calls that are throttled, 0 to 1.
	Share float64 `json:"share,omitempty"`
	// Factor that boots take longer by.
	Factor float64 `json:"factor,omitempty"`
	// Available instances may still be launched before capacity ends.
	Available int `json:"available,omitempty"`
	// Code and Message replace the usual ones.
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	// Until is when it ends; zero is at the next reset.
	Until time.Time `json:"until,omitzero"`

	used int
}

func (f *Fault) left() int { return f.Available - f.used }

func (f *Fault) code(usual string) string {
	if f.Code != "" {
		return f.Code
	}
	return usual
}

func (f *Fault) message(usual string) string {
	if f.Message != "" {
		return f.Message
	}
	return usual
}

func (f *Fault) in(now time.Time) bool { return f.Until.IsZero() || now.Before(f.Until) }

func matches(selector, value string) bool { return selector == "" || selector == value }

// faultOf an instance about to be launched: the one that leaves the least.
func (s *state) faultOf(kind FaultKind, now time.Time, zone, market, instanceType string) *Fault {
	var worst *Fault
	for _, f := range s.faults {
		if f.Kind == kind && f.in(now) && matches(f.Zone, zone) && matches(f.Market, market) && matches(f.Type, instanceType) {
			if worst == nil || f.left() < worst.left() {
				worst = f
			}
		}
	}
	return worst
}

// useCapacity counts a launch against the capacity that a fault leaves.
func (s *state) useCapacity(i *instance) {
	for _, f := range s.faults {
		if f.Kind == FaultCapacity && f.in(i.LaunchedAt) && matches(f.Zone, i.Zone) && matches(f.Market, i.Market) && matches(f.Type, i.Type) {
			f.used++
		}
	}
}

// faultOfFleet returns the fault that EC2's CreateFleet meets, by which a LaunchInstances call launches. Only one that names the
// action is of it.
func (e *Emulator) faultOfFleet(now time.Time) *launchError {
	for _, f := range e.state.faults {
		if f.Action != "CreateFleet" || !f.in(now) || !matches(f.Service, ec2Service.name) {
			continue
		}
		if f.Kind == FaultDeny {
			return &launchError{Code: f.code(ec2Service.denied.Code), Message: f.message(ec2Service.denied.Message + "User: " + callerARN + " is not authorized to perform: ec2:CreateFleet")}
		}
		if f.Kind == FaultThrottle && e.dice.Float64() < f.Share {
			return &launchError{Code: f.code(ec2Service.throttle.Code), Message: f.message(ec2Service.throttle.Message)}
		}
	}
	return nil
}

// timesOut reports whether a LaunchInstances call gives its outcome only to a later call with the same token.
func (e *Emulator) timesOut(now time.Time, g *group) bool {
	return slices.ContainsFunc(e.state.faults, func(f *Fault) bool {
		return f.Kind == FaultTimeout && f.in(now) && matches(f.Zone, g.Zone) && matches(f.Market, g.Market)
	})
}

// faultOfCall returns the fault that a call meets.
func (e *Emulator) faultOfCall(service, action string, now time.Time) *Fault {
	for _, f := range e.state.faults {
		if !f.in(now) || !matches(f.Service, service) || !matches(f.Action, action) {
			continue
		}
		if f.Kind == FaultDeny || f.Kind == FaultThrottle && e.dice.Float64() < f.Share {
			return f
		}
	}
	return nil
}
