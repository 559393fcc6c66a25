package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"swell/bench/measure"
	"swell/scaler/report/digits"
)

// Row is what one line of the live table says; NaN is unknown.
type Row struct {
	At         time.Time // model time
	Rate       float64   // messages a model second
	Lag        float64   // messages
	LagSeconds float64   // model seconds
	WebDemand  float64   // whole requests of a pod
	// Replicas of web and orders: ready of wanted.
	WebReady, WebWanted, OrdersReady, OrdersWanted int
	Pending, Balloons                              int
	Zones                                          []ZoneNodes // in the order of the columns
	Cost                                           float64     // so far, in the prices' currency
	Note                                           string      // such as "kafka killed"
}

// ZoneNodes counts one zone's nodes by market.
type ZoneNodes struct {
	Zone           string
	Spot, OnDemand int
}

// LiveHeader is the head of the live table for zones.
func LiveHeader(zones []string) string {
	var names []string
	for _, z := range zones {
		names = append(names, fmt.Sprintf("%6s", zoneLetter(z)))
	}
	return fmt.Sprintf("%-8s %8s %9s %6s %7s %9s %9s %5s %5s  %s %9s\n%-8s %8s %9s %6s %7s %9s %9s %5s %5s  %s %9s",
		"time", "msgs/s", "lag", "age s", "web", "web", "orders", "pend", "ball", strings.Join(names, " "), "cost",
		"", "", "", "", "demand", "ready", "ready", "", "", strings.TrimSuffix(strings.Repeat(" sp+od ", len(zones)), " "), "so far")
}

// FormatLive is one line of the live table, under LiveHeader.
func FormatLive(r Row) string {
	var zones []string
	for _, z := range r.Zones {
		zones = append(zones, fmt.Sprintf("%6s", fmt.Sprintf("%d+%d", z.Spot, z.OnDemand)))
	}
	line := fmt.Sprintf("%-8s %8s %9s %6s %7s %9s %9s %5d %5d  %s %9s",
		r.At.Format("15:04:05"), digits.Number(r.Rate), digits.Number(r.Lag), digits.Number(r.LagSeconds), digits.Number(r.WebDemand),
		fmt.Sprintf("%d/%d", r.WebReady, r.WebWanted), fmt.Sprintf("%d/%d", r.OrdersReady, r.OrdersWanted),
		r.Pending, r.Balloons, strings.Join(zones, " "), quantity(&r.Cost, "$"))
	if r.Note != "" {
		line += "  " + r.Note
	}
	return line
}

// zoneLetter is the end of a zone's name that tells it from the region's others.
func zoneLetter(zone string) string { return zone[strings.LastIndex(zone, "-")+1:] }

// WriteTable prints the runs' figures side by side, with the ratio of the first two.
func WriteTable(w io.Writer, s measure.Summary) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	head := []string{""}
	for _, r := range s.Runs {
		head = append(head, r.Policy)
	}
	if len(s.Runs) == 2 {
		head = append(head, "ratio")
	}
	rows := [][]string{head}
	for _, f := range figures(s.Runs) {
		row := append([]string{f.Name}, f.Values...)
		if len(s.Runs) == 2 {
			row = append(row, f.Ratio)
		}
		rows = append(rows, row)
	}
	for _, row := range rows {
		if _, err := fmt.Fprintln(table, strings.Join(row, "\t")); err != nil {
			return fmt.Errorf("printing the table of runs: %w", err)
		}
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("printing the table of runs: %w", err)
	}
	for _, r := range s.Runs {
		for _, f := range r.Faults {
			if _, err := fmt.Fprintln(w, faultLine(r.Policy, f)); err != nil {
				return fmt.Errorf("printing the faults: %w", err)
			}
		}
	}
	if _, err := fmt.Fprint(w, notes(s)); err != nil {
		return fmt.Errorf("printing the notes: %w", err)
	}
	return nil
}

// notes say under the table what its figures rest on.
func notes(s measure.Summary) string {
	out := fmt.Sprintf("Seconds and hours are the trace's, %s to each of the machine's; milliseconds are the machine's.\n", digits.Number(max(1, s.Compression)))
	if l := limits(s); l != "" {
		out += "Requests a second to the API server: " + l + ".\n"
	}
	return out
}

// limits are the requests a second that the control plane's clients may send, empty where none is known.
func limits(s measure.Summary) string {
	var out []string
	if s.ControllerManagerQPS > 0 {
		out = append(out, "controller-manager "+digits.Number(s.ControllerManagerQPS))
	}
	if s.SchedulerQPS > 0 {
		out = append(out, "scheduler "+digits.Number(s.SchedulerQPS))
	}
	return strings.Join(out, ", ")
}

func faultLine(policy string, f measure.Fault) string {
	recovered := "did not recover"
	if f.Recovered != nil {
		recovered = "worked again " + quantity(f.Recovered, "s") + " after its start"
	}
	return fmt.Sprintf("%s: %s killed at %s, down %s, %s", policy, f.Target, clockTime(f.KilledAt), quantity(&f.Down, "s"), recovered)
}

func clockTime(rfc3339 string) string {
	t, err := time.Parse(time.RFC3339, rfc3339)
	if err != nil {
		return rfc3339
	}
	return t.Format("15:04:05")
}

// figure is one row of the table: a name, its meaning, and a value a run.
type figure struct {
	Name, Meaning string
	Values        []string
	Ratio         string // of the first run to the second
}

func figures(runs []measure.Run) []figure {
	var out []figure
	add := func(name, unit, meaning string, value func(measure.Run) *float64) {
		f := figure{Name: name, Meaning: meaning, Ratio: digits.Unknown}
		for _, r := range runs {
			f.Values = append(f.Values, quantity(value(r), unit))
		}
		if len(runs) > 1 {
			f.Ratio = ratio(value(runs[0]), value(runs[1]))
		}
		out = append(out, f)
	}
	count := func(n int) *float64 { v := float64(n); return &v }
	add("pod wait p50", "s", "From the request that created a workload's pod to its binding, in the trace's time. Pods deleted before they had a node count with the time to their deletion, pods without one at the end with the time they had waited.", func(r measure.Run) *float64 { return r.PodWaitP50 })
	add("pod wait p99", "s", "The same, of the slowest hundredth.", func(r measure.Run) *float64 { return r.PodWaitP99 })
	add("pod wait longest", "s", "The same, of the slowest pod.", func(r measure.Run) *float64 { return r.PodWaitMax })
	add("pods created", "", "Workload pods created in the window. Source: audit log.", func(r measure.Run) *float64 { return count(r.Pods) })
	add("pods never bound", "", "Those without a node at the end, or deleted before they had one.", func(r measure.Run) *float64 { return count(r.PodsNeverBound) })
	add("pods unschedulable", "", "Those that the scheduler told at least once that no node had room. Source: audit log.", func(r measure.Run) *float64 { return count(r.PodsUnschedulable) })
	add("unschedulable wait p99", "s", "Pod wait of the slowest hundredth of these pods alone, from their creation.", func(r measure.Run) *float64 { return r.UnschedulableWaitP99 })
	add("unserved", "%", "Share of the pod-seconds that the demand asked for in which too few pods were bound.", func(r measure.Run) *float64 { return r.Unserved })
	add("late messages", "", "Messages that were read, or still unread, later than the limit after they were due. Source: the load's own ledger.", func(r measure.Run) *float64 { return whole(r.LateMessages) })
	add("longest lag", "s", "The greatest age of the oldest unread message, in the trace's time.", func(r measure.Run) *float64 { return r.LagSecondsMax })
	add("messages produced", "", "Messages that the broker acknowledged.", func(r measure.Run) *float64 { return whole(r.MessagesProduced) })
	add("messages lost", "", "Acknowledged messages that the broker did not have at the end.", func(r measure.Run) *float64 { return whole(r.MessagesLost) })
	for _, market := range markets(runs) {
		add("node-hours "+market, "h", "Billed instance time in the window. Source: the emulator's instance log.", func(r measure.Run) *float64 {
			v := r.NodeHours[market]
			return &v
		})
	}
	add("cost", "$", "Node-hours at each instance's price, by the second, from launch to end, at least 60 s an instance.", func(r measure.Run) *float64 { return r.Cost })
	add("cost of the warm-up", "$", "The same from the first launch to the window's beginning; not part of the cost.", func(r measure.Run) *float64 { return r.CostWarmUp })
	add("balloon-hours", "h", "Time that balloon pods held places on nodes. Source: audit log.", func(r measure.Run) *float64 { return &r.BalloonHours })
	add("balloon node-hours", "h", "The nodes that those balloons would fill by their CPU requests, were they packed without a gap: a lower bound.", func(r measure.Run) *float64 { return r.BalloonNodeHours })
	add("balloon cost", "$", "Balloon node-hours at the run's mean price of a node-hour; part of the cost, not on top of it. A lower bound: room left empty beside balloons is not in it.", func(r measure.Run) *float64 { return r.BalloonCost })
	add("reaction p50", "ms", "From the scheduler's first Unschedulable patch that no booting instance answered to the launch that did, machine's time.", func(r measure.Run) *float64 { return r.ReactionP50 })
	add("reaction p99", "ms", "The same, of the slowest hundredth of launches.", func(r measure.Run) *float64 { return r.ReactionP99 })
	add("pods covered", "", "Unschedulable pods for which an instance that was booting already had room.", func(r measure.Run) *float64 { return count(r.CoveredPods) })
	add("pods unanswered", "", "Unschedulable pods that no launch was for: they got another's place, were deleted, or waited still.", func(r measure.Run) *float64 { return count(r.UnansweredPods) })
	add("launch calls", "", "Calls that brought instances. Source: the emulator's call log.", func(r measure.Run) *float64 { return count(r.Launches) })
	add("instances launched", "", "Instances launched in the window.", func(r measure.Run) *float64 { return count(r.Launched) })
	add("spot interruptions", "", "Instances that got notice in the window.", func(r measure.Run) *float64 { return count(r.Interruptions) })
	add("groups over max", "", "Groups that at any time held more instances than their maximum.", func(r measure.Run) *float64 { return count(len(r.OverMax)) })
	return out
}

func whole(n *int64) *float64 {
	if n == nil {
		return nil
	}
	v := float64(*n)
	return &v
}

func markets(runs []measure.Run) []string {
	var out []string
	for _, r := range runs {
		for market := range r.NodeHours {
			if !slices.Contains(out, market) {
				out = append(out, market)
			}
		}
	}
	slices.Sort(out)
	return out
}
