package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"
)

// String is what swell would have used and saved.
func (t shadowTotal) String() string {
	share := func(with, without float64) string {
		if without <= 0 {
			return ""
		}
		return fmt.Sprintf(" (%+.0f %%)", 100*(with-without)/without)
	}
	text := fmt.Sprintf("With swell %.1f node-hours instead of %.1f%s", t.SwellHours, t.RealHours, share(t.SwellHours, t.RealHours))
	if t.Saved == nil {
		return text + "; the cost is unknown, as a type has no price: give prices in swell-scaler's configuration."
	}
	word := fmt.Sprintf("%.2f saved", *t.Saved)
	if *t.Saved < 0 {
		word = fmt.Sprintf("%.2f more", -*t.Saved)
	}
	return fmt.Sprintf("%s, and a cost of %.2f instead of %.2f: %s%s, in the currency of the configured prices.", text, *t.SwellCost, *t.RealCost, word, share(*t.SwellCost, *t.RealCost))
}

// printActions lists what would have been done, oldest first.
func (o *shadowOutput) printActions(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "AT\tWOULD\tCOUNT\tPOOL\tGROUP\tNODE\tPRICE/H EACH\tREASON")
	for _, a := range o.Actions {
		price := "no price"
		if a.Hourly != nil {
			price = fmt.Sprintf("%.4g", *a.Hourly)
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", a.At.Format(time.RFC3339), a.What, a.Count, a.Pool, cmp.Or(a.Group, "-"), cmp.Or(a.Node, a.Instance, "-"), price, a.Reason)
	}
	return t.Flush()
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
		fmt.Fprintf(w, "%s to %s, watched for %v", o.From.Format(time.RFC3339), o.To.Format(time.RFC3339), time.Duration(o.Hours*float64(time.Hour)).Round(time.Minute))
		if o.Gaps > 0 {
			fmt.Fprintf(w, ", gaps: %d", o.Gaps)
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
	fmt.Fprintf(w, "\n%s\n", o.Total)
	if n := len(o.Ahead); n > 0 {
		fmt.Fprintf(w, "Nodes that were launched later than swell would have launched them: %d, by a median of %.0f s, at most %.0f s; boots are in neither.\n", n, o.Ahead[n/2], o.Ahead[n-1])
	}
	if o.Unanswered > 0 {
		fmt.Fprintf(w, "Imagined launches that no node followed in 15 minutes: %d.\n", o.Unanswered)
	}
	if o.Pending > 0 {
		fmt.Fprintf(w, "Imagined launches of the last 15 minutes that no node has followed yet: %d.\n", o.Pending)
	}
	if len(o.Waits) > 0 {
		fmt.Fprintf(w, "Half of the pods waited %s for a place, 99 of 100 %s.\n", o.waited(0.5), o.waited(0.99))
	}
	if len(o.Actions) > 0 {
		fmt.Fprintln(w, "Each launch and return with its price and reason: --actions.")
	}
	fmt.Fprintln(w, "\nWhat this cannot know:")
	for _, l := range o.Limits {
		fmt.Fprintln(w, "-", l)
	}
	return nil
}
