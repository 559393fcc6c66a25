package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
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

// shadowOutput is what pools that only observed would have done.
type shadowOutput struct {
	From  *time.Time `json:"from"`
	To    *time.Time `json:"to"`
	Hours float64    `json:"hoursWatched"`
	// Gaps are stretches without counts, in which the scaler did not run.
	Gaps  int           `json:"gaps"`
	Lines []*shadowLine `json:"lines"`
	// Ahead are the seconds from an imagined launch to the launch of a node that came in its zone within 15 minutes, sorted.
	Ahead []float64 `json:"aheadSeconds"`
	// Unanswered are imagined launches that no node followed.
	Unanswered int `json:"unanswered"`
	// Waits of pods by their upper bound in seconds; "more" is above ten minutes.
	Waits   map[string]int `json:"podWaits"`
	Pops    int            `json:"wouldPop"`
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
}

func shadowCommand() *cobra.Command {
	var dir string
	var asJSON bool
	c := &cobra.Command{
		Use:     "shadow --ledger DIR",
		Short:   "Say what pools that only observe would have done beside the scaler that acts",
		Example: "  kubectl cp swell-system/swell-scaler-0:/var/lib/swell/ledger ledger && swell shadow --ledger ledger",
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
			return out.print(cmd.OutOrStdout())
		},
	}
	c.Flags().StringVar(&dir, "ledger", "", "folder of the ledger (required)")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return c
}

type shadowKey struct{ pool, zone, market string }

// shadowReport adds up a ledger; its times are model time.
func shadowReport(entries []ledger.Entry) *shadowOutput {
	o := &shadowOutput{Waits: map[string]int{}, Ahead: []float64{}, Limits: shadowLimits, Lines: []*shadowLine{}}
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
			line(e.Pool, e.Zone, e.Market).Launches += e.Count
			for range e.Count {
				waiting[zone] = append(waiting[zone], e.Model)
			}
		case "would-return":
			line(e.Pool, e.Zone, e.Market).Returns += e.Count
		case "node-came":
			line(e.Pool, e.Zone, e.Market).Came += e.Count
			at := e.Model
			if t, err := time.Parse(time.RFC3339, strings.TrimPrefix(e.Reason, "launched at ")); err == nil {
				at = t
			}
			waiting[zone] = o.answer(waiting[zone], at)
		case "suppressed":
			if strings.HasPrefix(e.Object, "pop ") {
				o.Pops++
			}
		case "shadow":
			o.count(last, e, line)
			last = e
		}
	}
	for _, w := range waiting {
		o.Unanswered += len(w)
	}
	slices.Sort(o.Ahead)
	o.price()
	return o
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
	for _, l := range o.Lines {
		if !l.unpriced {
			l.RealCost, l.SwellCost = &l.real, &l.own
		}
	}
	slices.SortFunc(o.Lines, func(a, b *shadowLine) int {
		return cmp.Or(cmp.Compare(a.Pool, b.Pool), cmp.Compare(a.Zone, b.Zone), cmp.Compare(a.Market, b.Market))
	})
}

// waited is the upper bound of the waits' quantile, in words.
func (o *shadowOutput) waited(q float64) string {
	bounds, all := []string{}, 0
	for b, n := range o.Waits {
		bounds, all = append(bounds, b), all+n
	}
	size := func(b string) int {
		n, err := strconv.Atoi(b)
		if err != nil {
			return 1 << 30
		}
		return n
	}
	slices.SortFunc(bounds, func(a, b string) int { return cmp.Compare(size(a), size(b)) })
	sum := 0
	for _, b := range bounds {
		if sum += o.Waits[b]; float64(sum) >= q*float64(all) {
			if b == "more" {
				return "more than 600 s"
			}
			return "at most " + b + " s"
		}
	}
	return "unknown"
}

func (o *shadowOutput) print(w io.Writer) error {
	if o.From != nil {
		fmt.Fprintf(w, "%s to %s, watched for %.1f h", o.From.Format(time.RFC3339), o.To.Format(time.RFC3339), o.Hours)
		if o.Gaps > 0 {
			fmt.Fprintf(w, ", with %d gaps", o.Gaps)
		}
		fmt.Fprint(w, ". What pools that only observe would have done:\n\n")
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "POOL\tZONE\tMARKET\tWOULD LAUNCH\tCAME\tWOULD RETURN\tNODE-HOURS\tWITH SWELL\tCOST\tWITH SWELL\t")
	cost := func(v *float64) string {
		if v == nil {
			return "no price"
		}
		return fmt.Sprintf("%.2f", *v)
	}
	for _, l := range o.Lines {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%d\t%.1f\t%.1f\t%s\t%s\t\n", l.Pool, l.Zone, l.Market, l.Launches, l.Came, l.Returns, l.RealHours, l.SwellHours, cost(l.RealCost), cost(l.SwellCost))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	if n := len(o.Ahead); n > 0 {
		fmt.Fprintf(w, "%d nodes came after swell would have launched: by a median of %.0f s, at most %.0f s later.\n", n, o.Ahead[n/2], o.Ahead[n-1])
	}
	if o.Unanswered > 0 {
		fmt.Fprintf(w, "%d imagined launches were followed by no node in 15 minutes.\n", o.Unanswered)
	}
	if len(o.Waits) > 0 {
		fmt.Fprintf(w, "Half of the pods waited %s for a place, 99 %% %s.\n", o.waited(0.5), o.waited(0.99))
	}
	fmt.Fprintln(w, "\nWhat this cannot know:")
	for _, l := range o.Limits {
		fmt.Fprintln(w, "-", l)
	}
	return nil
}
