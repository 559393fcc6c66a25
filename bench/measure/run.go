package measure

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"time"
)

// Logs are what a run left behind.
type Logs struct {
	Pods      []Pod
	Instances []Instance
	Calls     []Call
	Torn      int // last lines that were being written
}

// ReadLogs reads the audit log and the emulator's logs of a run.
func ReadLogs(opt Options) (Logs, error) {
	if err := opt.Validate(); err != nil {
		return Logs{}, err
	}
	pods, torn, err := ReadAudit(opt.AuditLogs...)
	if err != nil {
		return Logs{}, err
	}
	instances, more, err := ReadInstances(opt.Instances)
	if err != nil {
		return Logs{}, err
	}
	calls, last, err := ReadCalls(opt.Calls)
	return Logs{Pods: pods, Instances: instances, Calls: calls, Torn: torn + more + last}, err
}

// Measure reads a run's logs and gives its figures and its time line.
func Measure(opt Options) (Run, Timeline, error) {
	opt.defaults()
	logs, err := ReadLogs(opt)
	if err != nil {
		return Run{}, Timeline{}, fmt.Errorf("measuring the run of %s: %w", opt.Policy, err)
	}
	return logs.figures(opt), logs.timeline(opt), nil
}

func (l Logs) figures(opt Options) Run {
	run := Run{Policy: opt.Policy, NodeHours: map[string]float64{}, Faults: opt.Faults, TornLines: l.Torn,
		LateMessages: opt.LateMessages, LagSecondsMax: opt.LagSecondsMax, MessagesProduced: opt.MessagesProduced,
		MessagesLost: opt.MessagesLost, MessagesTwice: opt.MessagesTwice, OverMax: []string{}, TokensReused: []string{}}
	if run.Faults == nil {
		run.Faults = []Fault{}
	}
	l.waits(opt, &run)
	l.unserved(opt, &run)
	l.bill(opt, &run)
	l.balloons(opt, &run)
	l.launches(opt, &run)
	return run
}

// model seconds of a duration of the machine's clock.
func model(opt Options, d time.Duration) float64 {
	return opt.Clock.At(opt.From.Add(d)).Sub(opt.Clock.At(opt.From)).Seconds()
}

func (l Logs) waits(opt Options, run *Run) {
	var waits, unplaced []float64
	var waited, existed time.Duration
	for _, p := range l.Pods {
		if p.Balloon != "" || p.Namespace != opt.Namespace {
			continue
		}
		end := earliest(p.Bound, p.Deleted)
		waited += overlap(p.Created, end, opt.From, opt.To)
		existed += overlap(p.Created, p.Deleted, opt.From, opt.To)
		if p.Created.Before(opt.From) || !p.Created.Before(opt.To) {
			continue
		}
		run.Pods++
		if p.Bound.IsZero() || p.Bound.After(opt.To) {
			run.PodsNeverBound++
		}
		if end.IsZero() || end.After(opt.To) {
			end = opt.To
		}
		wait := model(opt, end.Sub(p.Created))
		waits = append(waits, wait)
		if p.unschedulable(opt.To) {
			unplaced = append(unplaced, wait)
		}
	}
	run.PodsUnschedulable, run.UnschedulableWaitP99 = len(unplaced), Quantile(unplaced, 0.99)
	run.PodWaitP50, run.PodWaitP99, run.PodWaitMax = Quantile(waits, 0.5), Quantile(waits, 0.99), Quantile(waits, 1)
	if existed > 0 {
		share := float64(waited) / float64(existed)
		run.UnservedPending = &share
	}
}

// unschedulable says whether the scheduler told of a pod that it had no place, before an instant.
func (p Pod) unschedulable(to time.Time) bool {
	return !p.Unschedulable.IsZero() && p.Unschedulable.Before(to)
}

// unserved is the share of the pod-seconds that the demand asked for in which too few pods were bound.
func (l Logs) unserved(opt Options, run *Run) {
	running := l.running(opt)
	from, to := opt.Clock.At(opt.From), opt.Clock.At(opt.To)
	var wanted, missing float64
	for name, demand := range opt.Demand {
		for at := from; at.Before(to); at = at.Add(time.Second) {
			middle := at.Add(500 * time.Millisecond)
			pods := demand(middle)
			wanted += pods
			missing += max(0, pods-float64(running[name].at(opt.Clock.RealTime(middle))))
		}
	}
	if wanted > 0 {
		share := missing / wanted
		run.Unserved = &share
	}
}

// running counts the bound pods of each workload that a demand is known of, and of every other.
func (l Logs) running(opt Options) map[string]*count {
	out := map[string]*count{}
	for name := range opt.Demand {
		out[name] = &count{}
	}
	for _, p := range l.Pods {
		if p.Balloon != "" || p.Namespace != opt.Namespace {
			continue
		}
		if out[p.Workload] == nil {
			out[p.Workload] = &count{}
		}
		out[p.Workload].add(p.Bound, p.Deleted)
	}
	for _, c := range out {
		c.sort()
	}
	return out
}

// leastBilled is the least time that an instance is billed from its launch, model time.
const leastBilled = time.Minute

func (l Logs) bill(opt Options, run *Run) {
	for _, i := range l.Instances {
		run.NodeHours[i.Market] += i.hours(opt, opt.From, opt.To)
	}
	run.Cost = l.cost(opt, opt.From, opt.To)
	run.CostWarmUp = l.cost(opt, time.Time{}, opt.From)
}

// cost of all instances between two instants of the machine's clock; nil where a price is unknown.
func (l Logs) cost(opt Options, from, to time.Time) *float64 {
	sum := 0.0
	for _, i := range l.Instances {
		hours := i.hours(opt, from, to)
		if hours == 0 {
			continue
		}
		if i.PricePerHour == nil {
			return nil
		}
		sum += hours * *i.PricePerHour
	}
	return &sum
}

// hours that an instance is billed between two instants of the machine's clock: from its launch to its end, which is not before
// leastBilled, to the next whole model second.
func (i Instance) hours(opt Options, from, to time.Time) float64 {
	end := i.Terminated
	if least := i.Launched.Add(opt.Clock.Wait(leastBilled)); !end.IsZero() && end.Before(least) {
		end = least
	}
	return math.Ceil(model(opt, overlap(i.Launched, end, from, to))-1e-6) / 3600
}

// fillable is how many cores of a node balloons can fill: those of as many workload pods of the mean size as have room.
func (l Logs) fillable(opt Options) float64 {
	cpu, pods := 0.0, 0
	for _, p := range l.Pods {
		if p.Balloon == "" && p.Namespace == opt.Namespace && p.CPU > 0 {
			cpu += p.CPU
			pods++
		}
	}
	if pods == 0 {
		return opt.NodeCPU
	}
	return min(opt.NodeCPU, float64(opt.PodsPerNode)*cpu/float64(pods))
}

func (l Logs) balloons(opt Options, run *Run) {
	var cpuHours, nodeHours float64
	for _, p := range l.Pods {
		if p.Balloon == "" {
			continue
		}
		hours := model(opt, overlap(p.Bound, p.Deleted, opt.From, opt.To)) / 3600
		run.BalloonHours += hours
		cpuHours += hours * p.CPU
	}
	for _, hours := range run.NodeHours {
		nodeHours += hours
	}
	nodes := cpuHours / l.fillable(opt)
	run.BalloonNodeHours = &nodes
	if run.Cost != nil && nodeHours > 0 {
		cost := nodes * *run.Cost / nodeHours
		run.BalloonCost = &cost
	}
}

func (l Logs) launches(opt Options, run *Run) {
	inside := func(t time.Time) bool { return !t.Before(opt.From) && t.Before(opt.To) }
	perToken, asked := map[string]int{}, map[string]int{}
	for _, i := range l.Instances {
		if inside(i.Launched) {
			run.Launched++
		}
		if !i.Interrupted.IsZero() && inside(i.Interrupted) {
			run.Interruptions++
		}
		if i.Token != "" {
			perToken[i.Token]++
		}
	}
	for _, c := range l.Calls {
		if c.Action == "LaunchInstances" && c.Token != "" {
			asked[c.Token] = max(asked[c.Token], c.Count)
		}
	}
	for _, c := range launches(l.Calls, l.Instances) {
		if inside(c.At) {
			run.Launches++
		}
	}
	for token, n := range perToken {
		if limit, known := asked[token]; known && n > limit {
			run.TokensReused = append(run.TokensReused, token)
		}
	}
	sort.Strings(run.TokensReused)
	run.OverMax = append(run.OverMax, l.overMax(opt)...)
	l.reactions(opt, run)
}

func (l Logs) reactions(opt Options, run *Run) {
	var pods []Pod
	for _, p := range l.Pods {
		if p.Namespace == opt.Namespace && !p.Created.Before(opt.From) && p.Created.Before(opt.To) && p.unschedulable(opt.To) {
			pods = append(pods, p)
		}
	}
	r := React(pods, l.Calls, l.Instances, opt.PodsPerNode)
	var times []float64
	for _, t := range r.Times {
		times = append(times, float64(t)/float64(time.Millisecond))
	}
	run.Reactions, run.CoveredPods, run.UnansweredPods = len(times), r.Covered, r.Unanswered
	run.ReactionP50, run.ReactionP99 = Quantile(times, 0.5), Quantile(times, 0.99)
}

// overMax names the groups that at some launch held more instances than their maximum, those that were leaving not counted.
func (l Logs) overMax(opt Options) []string {
	alive := map[string]*count{}
	for _, i := range l.Instances {
		if alive[i.Group] == nil {
			alive[i.Group] = &count{}
		}
		alive[i.Group].add(i.Launched, earliest(i.Terminating, i.Terminated))
	}
	var out []string
	for group, c := range alive {
		c.sort()
		limit, known := opt.GroupMax[group]
		if known && slices.ContainsFunc(c.up, func(t time.Time) bool { return c.at(t) > limit }) {
			out = append(out, group)
		}
	}
	sort.Strings(out)
	return out
}
