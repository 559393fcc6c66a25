package measure

import (
	"cmp"
	"slices"
	"time"
)

// Reactions are the answers of a scaler to pods that found no place.
type Reactions struct {
	// Times between an unschedulable pod and the launch that answered it, machine time, one a launch.
	Times []time.Duration
	// Covered pods found a place on an instance that had been launched before and was still booting.
	Covered int
	// Unanswered pods left without a launch that was for them, or wait still.
	Unanswered int
}

// moment is something that matters to the reactions; exactly one of its pointers is set.
type moment struct {
	at       time.Time
	waits    *Pod
	placed   *Pod
	launches *Call
	runs     *Instance
}

// React walks through waiting pods, launches and instances in the order of time.
//
// A pod of a workload waits from the scheduler's first Unschedulable patch until it is bound or deleted.
// A launched instance has room for perNode waiting pods until it runs; a pod takes such a place when it is
// free, and is then covered. A successful launch while pods wait without a place is a reaction: its time less
// that of the longest-waiting of them. A SetDesiredCapacity names no instances; one that raises answers all that wait.
func React(pods []Pod, calls []Call, instances []Instance, perNode int) Reactions {
	var out Reactions
	var open []*Pod
	booting := map[string]int{} // free places by instance
	has := func(p *Pod) func(*Pod) bool { return func(q *Pod) bool { return p == q } }
	for _, m := range moments(pods, calls, instances) {
		switch {
		case m.waits != nil:
			if id := freePlace(booting); id != "" {
				booting[id]--
				out.Covered++
			} else {
				open = append(open, m.waits)
			}
		case m.placed != nil:
			waiting := len(open)
			open = slices.DeleteFunc(open, has(m.placed))
			out.Unanswered += waiting - len(open)
		case m.runs != nil:
			delete(booting, m.runs.ID)
		case m.launches != nil:
			if len(open) > 0 {
				out.Times = append(out.Times, m.at.Sub(open[0].Unschedulable))
			}
			if len(m.launches.Instances) == 0 {
				open = nil
			}
			for _, id := range m.launches.Instances {
				taken := min(perNode, len(open))
				open = open[taken:]
				booting[id] = perNode - taken
			}
		}
	}
	out.Unanswered += len(open)
	return out
}

func moments(pods []Pod, calls []Call, instances []Instance) []moment {
	var out []moment
	for i := range pods {
		p := &pods[i]
		if p.Balloon != "" || p.Unschedulable.IsZero() {
			continue
		}
		out = append(out, moment{at: p.Unschedulable, waits: p})
		if end := earliest(p.Bound, p.Deleted); !end.IsZero() {
			out = append(out, moment{at: end, placed: p})
		}
	}
	for _, c := range launches(calls, instances) {
		out = append(out, moment{at: c.At, launches: &c})
	}
	for i := range instances {
		if end := earliest(instances[i].Running, instances[i].Terminated); !end.IsZero() {
			out = append(out, moment{at: end, runs: &instances[i]})
		}
	}
	slices.SortStableFunc(out, func(a, b moment) int { return a.at.Compare(b.at) })
	return out
}

func freePlace(booting map[string]int) string {
	best := ""
	for id, free := range booting {
		if free > 0 && (best == "" || cmp.Less(id, best)) {
			best = id
		}
	}
	return best
}

// earliest of two instants, where zero has not come.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
