package measure

import (
	"sort"
	"time"
)

// Timeline is a run sampled at regular steps, for plots.
type Timeline struct {
	Policy string  `json:"policy"`
	Start  string  `json:"start"` // RFC 3339, model time
	Step   float64 `json:"step_s"`
	Points []Point `json:"points"`
}

// Point is a run at one instant; null is unknown.
type Point struct {
	At         float64                  `json:"t"` // model seconds since the start
	Rate       *float64                 `json:"rate"`
	Lag        *float64                 `json:"lag"`
	LagSeconds *float64                 `json:"lag_s"`
	Workloads  map[string]WorkloadPoint `json:"workloads"`
	Balloons   int                      `json:"balloons"` // bound balloon pods
	// OldestWait of the pods that wait at this instant, model seconds.
	OldestWait float64        `json:"oldest_wait_s"`
	Nodes      map[string]int `json:"nodes"` // instances by "zone market"
	Cost       *float64       `json:"cost"`  // since the start
}

// WorkloadPoint is a workload at one instant, in pods.
type WorkloadPoint struct {
	Demand  *float64 `json:"demand"`
	Running int      `json:"running"`
	Pending int      `json:"pending"`
}

func (l Logs) timeline(opt Options) Timeline {
	out := Timeline{Policy: opt.Policy, Start: opt.Clock.At(opt.From).Format(time.RFC3339), Step: opt.Step.Seconds()}
	running, pending := l.running(opt), map[string]*count{}
	balloons := &count{}
	for _, p := range l.Pods {
		switch {
		case p.Balloon != "":
			balloons.add(p.Bound, p.Deleted)
		case p.Namespace == opt.Namespace:
			if pending[p.Workload] == nil {
				pending[p.Workload] = &count{}
			}
			pending[p.Workload].add(p.Created, earliest(p.Bound, p.Deleted))
		}
	}
	balloons.sort()
	for _, c := range pending {
		c.sort()
	}
	step := opt.Clock.Wait(opt.Step)
	for at := opt.From; !at.After(opt.To); at = at.Add(step) {
		p := Point{At: model(opt, at.Sub(opt.From)), Workloads: map[string]WorkloadPoint{}, Balloons: balloons.at(at),
			OldestWait: l.oldestWait(opt, at), Nodes: l.nodes(at), Cost: l.cost(opt, opt.From, at)}
		for name, c := range running {
			w := WorkloadPoint{Running: c.at(at)}
			if pending[name] != nil {
				w.Pending = pending[name].at(at)
			}
			if demand := opt.Demand[name]; demand != nil {
				pods := demand(opt.Clock.At(at))
				w.Demand = &pods
			}
			p.Workloads[name] = w
		}
		if load, ok := loadAt(opt.Load, at, 2*step); ok {
			p.Rate, p.Lag, p.LagSeconds = &load.Rate, &load.Lag, &load.LagSeconds
		}
		out.Points = append(out.Points, p)
	}
	return out
}

func (l Logs) oldestWait(opt Options, at time.Time) float64 {
	oldest := time.Duration(0)
	for _, p := range l.Pods {
		if p.Balloon != "" || p.Namespace != opt.Namespace || p.Created.After(at) {
			continue
		}
		if end := earliest(p.Bound, p.Deleted); end.IsZero() || end.After(at) {
			oldest = max(oldest, at.Sub(p.Created))
		}
	}
	return model(opt, oldest)
}

func (l Logs) nodes(at time.Time) map[string]int {
	out := map[string]int{}
	for _, i := range l.Instances {
		if !i.Launched.After(at) && (i.Terminated.IsZero() || i.Terminated.After(at)) {
			out[i.Zone+" "+i.Market]++
		}
	}
	return out
}

// loadAt is the last sample at or before an instant that is not older than a limit.
func loadAt(samples []LoadPoint, at time.Time, limit time.Duration) (LoadPoint, bool) {
	i := sort.Search(len(samples), func(i int) bool { return samples[i].At.After(at) })
	if i == 0 || at.Sub(samples[i-1].At) > limit {
		return LoadPoint{}, false
	}
	return samples[i-1], true
}
