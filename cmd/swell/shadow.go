package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"swell/scaler/ledger"
)

// mostGap is the longest time between two counts that nodes are summed over: longer, and nobody looked.
const mostGap = 5 * time.Minute

// matchWithin is how long after an imagined launch a node that comes is taken for its answer.
const matchWithin = 15 * time.Minute

// shadowLine is one pool, zone and market.
type shadowLine struct {
	Pool   string `json:"pool"`
	Zone   string `json:"zone"`
	Market string `json:"market"`
	// Launches and Returns are what swell would have done; Came are nodes that the other scaler brought.
	Launches int `json:"wouldLaunch"`
	Returns  int `json:"wouldReturn"`
	Came     int `json:"came"`
	// Hours of nodes that were there, and of those that swell would have had; null cost is an unknown price.
	RealHours  float64  `json:"realNodeHours"`
	SwellHours float64  `json:"swellNodeHours"`
	RealCost   *float64 `json:"realCost"`
	SwellCost  *float64 `json:"swellCost"`
	unpriced   bool
	real, own  float64
}

// shadowTotal is of all pools; null is that a price is unknown. Costs are in the currency of the configured prices.
type shadowTotal struct {
	RealHours  float64  `json:"realNodeHours"`
	SwellHours float64  `json:"swellNodeHours"`
	RealCost   *float64 `json:"realCost"`
	SwellCost  *float64 `json:"swellCost"`
	Saved      *float64 `json:"saved"` // below zero is what swell would have cost more
}

// shadowAction is one imagined launch or return.
type shadowAction struct {
	At     time.Time `json:"at"`
	What   string    `json:"what"` // launch or return
	Count  int       `json:"count"`
	Pool   string    `json:"pool"`
	Zone   string    `json:"zone"`
	Market string    `json:"market"`
	Group  string    `json:"group"`
	// Instance and Node are of a return.
	Instance string `json:"instance,omitempty"`
	Node     string `json:"node,omitempty"`
	// Hourly is the price of one instance an hour; null is unknown.
	Hourly *float64 `json:"hourlyPrice"`
	Reason string   `json:"reason"`
}

// shadowOutput is what pools that only observed would have done.
type shadowOutput struct {
	From  *time.Time `json:"from"`
	To    *time.Time `json:"to"`
	Hours float64    `json:"hoursWatched"`
	// Gaps are stretches without counts, in which the scaler did not run.
	Gaps  int           `json:"gaps"`
	Lines []*shadowLine `json:"lines"`
	// Total of all lines.
	Total shadowTotal `json:"total"`
	// Actions are the imagined launches and returns, oldest first.
	Actions []shadowAction `json:"actions"`
	// Ahead are the seconds from an imagined launch to the launch of a node that came in its zone within 15 minutes, sorted.
	Ahead []float64 `json:"aheadSeconds"`
	// Unanswered are imagined launches that no node followed; Pending are younger than that at the ledger's end.
	Unanswered int `json:"unanswered"`
	Pending    int `json:"pending"`
	// Waits of pods by their upper bound in seconds; "more" is above ten minutes.
	Waits   map[string]int `json:"podWaits"`
	Limits  []string       `json:"notKnown"`
	Unknown int            `json:"tornLines"`
}

// shadowLimits are what a shadow cannot know.
var shadowLimits = []string{
	"swell's own nodes would have changed where pods run; each plan was made on the other scaler's nodes",
	"balloons that only observe are not there: the waits are those beside the other scaler alone, and nodes that balloons would have had are not counted",
	"whether AWS would have had the capacity, and how long its instances would have taken to boot",
	"a node that came is taken for the answer to the oldest imagined launch of its pool and zone within 15 minutes",
	"nodes outside the pools' groups, such as Karpenter's, are not counted",
	"pods that never found a place are in no wait",
	"after a restart of swell-scaler what is still needed is counted once more",
}

func shadowCommand() *cobra.Command {
	var dir string
	var asJSON, actions bool
	c := &cobra.Command{
		Use:   "shadow --ledger DIR",
		Short: "Say what pools that only observe would have done beside the scaler that acts",
		Long: `Say what pools that only observe would have done beside the scaler that acts: for each pool, zone and market what swell would
have launched and returned, the nodes that the other scaler brought and how much later, node-hours and cost of both, and
how long pods waited. It reads a copy of the ledger's folder, ledgerDir of swell-scaler's configuration.`,
		Example: "  swell ledger fetch --out ledger && swell shadow --ledger ledger",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" {
				return usageError{fmt.Errorf("%s: --ledger is missing; give the folder that ledgerDir of swell-scaler's configuration names", cmd.CommandPath())}
			}
			entries, torn, err := ledger.Read(dir)
			if err != nil {
				return usageError{fmt.Errorf("%s: %w", cmd.CommandPath(), err)}
			}
			out := shadowReport(entries)
			out.Unknown = torn
			if len(out.Lines) == 0 {
				return fmt.Errorf("%s: %w", cmd.CommandPath(), errors.New("the ledger has nothing of a pool that only observes; give pools mode: Observe, or mode: Observe in swell-scaler's configuration, and wait some minutes"))
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), out)
			}
			if actions {
				return out.printActions(cmd.OutOrStdout())
			}
			return out.print(cmd.OutOrStdout())
		},
	}
	c.Flags().StringVar(&dir, "ledger", "", "folder of the ledger (required)")
	c.Flags().BoolVar(&actions, "actions", false, "list each launch and return that would have been, with its price and reason")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return c
}

type shadowKey struct{ pool, zone, market string }

// shadowReport adds up a ledger; its times are model time.
func shadowReport(entries []ledger.Entry) *shadowOutput {
	o := &shadowOutput{Waits: map[string]int{}, Ahead: []float64{}, Limits: shadowLimits, Lines: []*shadowLine{}, Actions: []shadowAction{}}
	lines := map[shadowKey]*shadowLine{}
	line := func(pool, zone, market string) *shadowLine {
		k := shadowKey{pool, zone, market}
		if lines[k] == nil {
			lines[k] = &shadowLine{Pool: pool, Zone: zone, Market: market}
			o.Lines = append(o.Lines, lines[k])
		}
		return lines[k]
	}
	waiting := map[[2]string][]time.Time{}
	var last *ledger.Entry
	for i := range entries {
		e := &entries[i]
		zone := [2]string{e.Pool, e.Zone}
		switch e.Action {
		case "would-launch":
			o.Actions = append(o.Actions, actionOf(e))
			line(e.Pool, e.Zone, e.Market).Launches += e.Count
			for range e.Count {
				waiting[zone] = append(waiting[zone], e.Model)
			}
		case "would-return":
			o.Actions = append(o.Actions, actionOf(e))
			line(e.Pool, e.Zone, e.Market).Returns += e.Count
		case "node-came":
			line(e.Pool, e.Zone, e.Market).Came += e.Count
			at := e.Model
			if t, err := time.Parse(time.RFC3339, strings.TrimPrefix(e.Reason, "launched at ")); err == nil {
				at = t
			}
			waiting[zone] = o.answer(waiting[zone], at)
		case "shadow":
			o.count(last, e, line)
			last = e
		}
	}
	for _, w := range waiting {
		for _, at := range w {
			if entries[len(entries)-1].Model.Sub(at) > matchWithin {
				o.Unanswered++
			} else {
				o.Pending++
			}
		}
	}
	slices.Sort(o.Ahead)
	o.price()
	return o
}

func actionOf(e *ledger.Entry) shadowAction {
	a := shadowAction{At: e.Model.UTC().Truncate(time.Second), What: "launch", Count: e.Count, Pool: e.Pool, Zone: e.Zone, Market: e.Market, Group: e.Object, Reason: e.Reason}
	if e.Action == "would-return" {
		a.What, a.Group, a.Instance, a.Node = "return", e.Group, e.Object, e.Node
	}
	if e.Hourly > 0 {
		a.Hourly = &e.Hourly
	}
	return a
}

// answer takes the oldest imagined launch that a node at a time may answer.
func (o *shadowOutput) answer(waiting []time.Time, at time.Time) []time.Time {
	for len(waiting) > 0 {
		ahead := at.Sub(waiting[0])
		waiting = waiting[1:]
		if ahead <= matchWithin {
			o.Ahead = append(o.Ahead, ahead.Seconds())
			break
		}
		o.Unanswered++
	}
	return waiting
}

// count adds the nodes of the time since the count before.
func (o *shadowOutput) count(last, e *ledger.Entry, line func(pool, zone, market string) *shadowLine) {
	if o.From == nil {
		o.From = &e.Model
	}
	o.To = &e.Model
	for bound, n := range e.Waits {
		o.Waits[bound] += n
	}
	for _, n := range e.Nodes {
		l := line(n.Pool, n.Zone, n.Market)
		l.unpriced = l.unpriced || n.Hourly <= 0 && n.Real+n.Wanted > 0
	}
	if last == nil {
		return
	}
	span := e.Model.Sub(last.Model)
	if span > mostGap || span < 0 {
		o.Gaps++
		return
	}
	o.Hours += span.Hours()
	for _, n := range last.Nodes {
		l := line(n.Pool, n.Zone, n.Market)
		own := float64(n.Real + n.Wanted - n.Unneeded)
		l.RealHours += float64(n.Real) * span.Hours()
		l.SwellHours += own * span.Hours()
		l.real += float64(n.Real) * span.Hours() * n.Hourly
		l.own += own * span.Hours() * n.Hourly
	}
}

func (o *shadowOutput) price() {
	t, real, own, priced := &o.Total, 0.0, 0.0, true
	for _, l := range o.Lines {
		t.RealHours, t.SwellHours = t.RealHours+l.RealHours, t.SwellHours+l.SwellHours
		real, own, priced = real+l.real, own+l.own, priced && !l.unpriced
		if !l.unpriced {
			l.RealCost, l.SwellCost = &l.real, &l.own
		}
	}
	if saved := real - own; priced {
		t.RealCost, t.SwellCost, t.Saved = &real, &own, &saved
	}
	slices.SortFunc(o.Lines, func(a, b *shadowLine) int {
		return cmp.Or(cmp.Compare(a.Pool, b.Pool), cmp.Compare(a.Zone, b.Zone), cmp.Compare(a.Market, b.Market))
	})
}
