package measure

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Instance is the life of one instance as the emulator's log shows it; zero times have not come.
type Instance struct {
	ID, Group, Zone, Market, Type, Token, Cause string
	PricePerHour                                *float64 // nil is unknown
	// Terminating is when it began to go, Terminated when it was gone and no longer billed.
	Launched, Running, Interrupted, Terminating, Terminated time.Time
}

// Call is one API call as the emulator's log shows it.
type Call struct {
	At        time.Time `json:"at"`
	Action    string    `json:"action"`
	Group     string    `json:"group"`
	Count     int       `json:"count"`
	Token     string    `json:"token"`
	Status    int       `json:"status"`
	Code      string    `json:"code"`
	Duration  int64     `json:"duration_us"`
	Instances []string  `json:"instances"`
}

type instanceEvent struct {
	At       time.Time `json:"at"`
	Event    string    `json:"event"`
	Instance string    `json:"instance"`
	Group    string    `json:"group"`
	Zone     string    `json:"zone"`
	Market   string    `json:"market"`
	Type     string    `json:"type"`
	Price    *float64  `json:"price_per_hour"`
	Token    string    `json:"token"`
	Cause    string    `json:"cause"`
}

// ReadInstances reads the emulator's instances.jsonl, sorted by launch.
func ReadInstances(path string) (out []Instance, torn int, err error) {
	index := map[string]int{}
	torn, err = readLines(path, func(e instanceEvent) error {
		i, known := index[e.Instance]
		if e.Event == "launch" && !known {
			index[e.Instance] = len(out)
			out = append(out, Instance{ID: e.Instance, Group: e.Group, Zone: e.Zone, Market: e.Market, Type: e.Type,
				Token: e.Token, Cause: e.Cause, PricePerHour: e.Price, Launched: e.At})
			return nil
		}
		if !known {
			return fmt.Errorf("instance %q has a %q before its launch: give the log from its beginning", e.Instance, e.Event)
		}
		switch e.Event {
		case "running":
			out[i].Running = e.At
		case "interrupted":
			out[i].Interrupted = e.At
		case "terminated":
			out[i].Terminated = e.At
		case "terminating":
			out[i].Terminating = e.At
		default:
			return fmt.Errorf("instance %q: event %q is none of launch, running, interrupted, terminating, terminated", e.Instance, e.Event)
		}
		return nil
	})
	slices.SortStableFunc(out, func(a, b Instance) int {
		return cmp.Or(a.Launched.Compare(b.Launched), cmp.Compare(a.ID, b.ID))
	})
	return out, torn, err
}

// ReadCalls reads the emulator's calls.jsonl, sorted by time.
func ReadCalls(path string) (out []Call, torn int, err error) {
	torn, err = readLines(path, func(c Call) error {
		if c.At.IsZero() || c.Action == "" {
			return fmt.Errorf("a call has no time or no action: give the emulator's calls.jsonl")
		}
		out = append(out, c)
		return nil
	})
	slices.SortStableFunc(out, func(a, b Call) int { return a.At.Compare(b.At) })
	return out, torn, err
}

// launches are the calls, in the order of time, that brought instances: LaunchInstances that named some, and SetDesiredCapacity
// above what the group held and above what it was asked to hold before. A repetition under the same client token brings nothing new.
func launches(calls []Call, instances []Instance) []Call {
	var out []Call
	seen, wanted := map[string]bool{}, map[string]int{}
	for _, c := range calls {
		if c.Status != 200 {
			continue
		}
		switch c.Action {
		case "LaunchInstances":
			if len(c.Instances) > 0 && (c.Token == "" || !seen[c.Token]) {
				seen[c.Token] = true
				out = append(out, c)
			}
			delete(wanted, c.Group)
		case "TerminateInstanceInAutoScalingGroup":
			delete(wanted, c.Group)
		case "SetDesiredCapacity":
			if c.Count > max(wanted[c.Group], held(instances, c.Group, c.At)) {
				out = append(out, c)
			}
			wanted[c.Group] = c.Count
		}
	}
	return out
}

// held is how many instances a group had before an instant, those that were leaving not counted.
func held(instances []Instance, group string, at time.Time) int {
	n := 0
	for _, i := range instances {
		end := earliest(i.Terminating, i.Terminated)
		if i.Group == group && i.Launched.Before(at) && (end.IsZero() || end.After(at)) {
			n++
		}
	}
	return n
}
