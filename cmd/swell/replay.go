package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"swell/scaler/replay"
	"swell/scaler/schedule"
	"swell/scaler/series"
)

type replayFlags struct {
	scenario, trace, timezone, holidays string
	policies                            []string
	seed                                int64
	asJSON                              bool
	sweep                               string
	ledgers, changes                    []string
	since                               string
}

// replayDefaults are the policies that are played where none is named.
var replayDefaults = []string{"clairvoyant", "swell", "reactive", "static:5", "scheduled", "rule:0.95", "slope:2", "karpenter", "hourly"}

func replayCommand() *cobra.Command {
	var o replayFlags
	c := &cobra.Command{
		Use:   "replay --scenario S | --from-ledger DIR --policy-diff FILE",
		Short: "Play a load through swell and its peers on a simulated cluster, and compare what they serve and cost",
		Long: `Play a load through swell and its peers on a simulated cluster, and compare what they serve and cost. The scenario has the
cluster, its boot times and prices; the load is its own, or --trace. The same seed gives the same figures.

With --from-ledger and --policy-diff: what a change of policy would have cost. The demand that swell-scaler's ledger recorded is played
with the policies of then and with those in the file, and the difference printed as Markdown, for a pull request.`,
		Example: `  swell replay --scenario office-morning
  swell replay --scenario core-120 --trace web.csv --timezone Asia/Tokyo --holidays JP --policy swell,reactive,static:5
  swell replay --from-ledger ledger --policy-diff new.yaml --since 7d`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(o.ledgers)+len(o.changes) > 0 {
				return runPolicyDiff(cmd, o)
			}
			return runReplay(cmd, o)
		},
	}
	fl := c.Flags()
	fl.StringVar(&o.scenario, "scenario", "", "a YAML file, or one of "+strings.Join(replay.BuiltInNames(), ", ")+" (this or --from-ledger is required)")
	fl.StringVar(&o.trace, "trace", "", "CSV file of the load, timestamp,value, UTC and regular; its last third is played")
	fl.StringVar(&o.timezone, "timezone", "", "IANA name of the zone that the load lives by (default the scenario's)")
	fl.StringVar(&o.holidays, "holidays", "", "two-letter country whose holidays count as Sundays (default the scenario's)")
	fl.StringSliceVar(&o.policies, "policy", nil, "policies, such as swell,static:5: of "+strings.Join(replay.PolicyNames(), ", ")+"; static takes %, rule and swell a quantile, slope a number of deviations (default one of each)")
	fl.Int64Var(&o.seed, "seed", 1, "of what is random in the scenario")
	fl.StringVar(&o.sweep, "sweep", "", "SVG file (.svg) to draw cost against unserved share into, for all settings of the policies")
	fl.StringArrayVar(&o.ledgers, "from-ledger", nil, "folder of a ledger whose demand is played, or - for its lines on standard input; may be given again")
	fl.StringArrayVar(&o.changes, "policy-diff", nil, "YAML file with the changed CapacityPools, Balloons and DiurnalSchedules; may be given again")
	fl.StringVar(&o.since, "since", "7d", "how much of the ledger's end is played, such as 12h or 7d; what is before it is learned from")
	fl.BoolVar(&o.asJSON, "json", false, "print one JSON document")
	return c
}

func runReplay(cmd *cobra.Command, o replayFlags) error {
	in, err := o.input(cmd)
	if err == nil && o.sweep != "" {
		err = canDraw(o.sweep)
	}
	if err != nil {
		return usageError{fmt.Errorf("%s: %w", cmd.CommandPath(), err)}
	}
	if had := in.History(); had < replay.ShortHistory {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: there are %s before what is played; policies that learn need two weeks (%s) to show what they can do\n",
			brief(had), brief(replay.ShortHistory))
	}
	names := o.policies
	if len(names) == 0 {
		names = replayDefaults
	}
	if o.sweep != "" {
		names = settings(names)
	}
	in.Progress = progress(cmd)
	runs, err := replay.Run(in, names)
	if err != nil {
		return usageError{fmt.Errorf("%s: %w", cmd.CommandPath(), err)} // what it is given is all that it depends on
	}
	if o.sweep != "" {
		if err := os.WriteFile(o.sweep, []byte(picture(in, o, runs)), 0o644); err != nil {
			return fmt.Errorf("drawing the sweep: %w; give a path that can be written", err)
		}
	}
	w := cmd.OutOrStdout()
	if o.asJSON {
		return printJSON(w, struct {
			Runs []replay.Result `json:"runs"`
		}{runs})
	}
	return printRuns(w, runs)
}

// input checks the flags and reads the files.
func (o replayFlags) input(cmd *cobra.Command) (replay.Input, error) {
	in := replay.Input{Seed: o.seed}
	var err error
	switch builtIn, ok := replay.BuiltIn(o.scenario); {
	case o.scenario == "":
		return in, fmt.Errorf("--scenario is missing; give a YAML file or one of %s", strings.Join(replay.BuiltInNames(), ", "))
	case ok:
		in.Scenario = builtIn
	default:
		if in.Scenario, err = readScenario(o.scenario); err != nil {
			return in, err
		}
	}
	for _, p := range o.policies {
		if err := replay.CheckPolicy(p); err != nil {
			return in, fmt.Errorf("--policy: %w", err)
		}
	}
	if cmd.Flags().Changed("timezone") {
		if in.Location, err = timezone(o.timezone); err != nil {
			return in, err
		}
	}
	if o.holidays != "" {
		if in.Holiday, err = schedule.Holidays(o.holidays); err != nil {
			return in, fmt.Errorf("--holidays: %w", err)
		}
	}
	wantsTrace := in.Scenario.Demand.Kind != replay.OfficeDemand
	switch {
	case wantsTrace && o.trace == "":
		return in, fmt.Errorf("--trace is missing: %s plays a recorded load; give the path of a CSV file", in.Scenario.Name)
	case !wantsTrace && o.trace != "":
		return in, fmt.Errorf("--trace is not used: %s makes its own load; leave it out", in.Scenario.Name)
	case wantsTrace:
		in.Trace, err = readTrace(o.trace, cmd.ErrOrStderr())
	}
	return in, err
}

// longestFilled is the longest unknown stretch of a trace that is filled on a straight line.
const longestFilled = time.Hour

// readTrace reads a load and fills its short gaps, which is told on notes. Unknown rows before its first known one and after
// its last are left out.
func readTrace(path string, notes io.Writer) (series.Series, error) {
	s, err := series.ReadFile(path)
	if err != nil {
		return s, err
	}
	first, last := 0, s.Len()
	for first < last && math.IsNaN(s.Values[first]) {
		first++
	}
	for first < last && math.IsNaN(s.Values[last-1]) {
		last--
	}
	cut, rows := s.Slice(s.Time(first), s.Time(last)).Filled(longestFilled)
	for i, v := range cut.Values {
		if math.IsNaN(v) {
			n := 1
			for math.IsNaN(cut.Values[i+n]) {
				n++
			}
			return s, fmt.Errorf("%s:%d: from %s on %s has no value, and at most %s is filled on a straight line; fill it, or cut the trace there",
				path, first+i+2, cut.Time(i).Format(time.RFC3339), brief(time.Duration(n)*cut.Step), brief(longestFilled))
		}
	}
	if rows > 0 {
		fmt.Fprintf(notes, "note: %s: rows without a value that are filled on a straight line: %d\n", path, rows)
	}
	if n := s.Len() - cut.Len(); n > 0 {
		fmt.Fprintf(notes, "note: %s: rows without a value at its ends that are left out: %d\n", path, n)
	}
	return cut, nil
}

// canDraw says what stands in the way of a picture at a path, before anything is played for it.
func canDraw(path string) error {
	if !strings.EqualFold(filepath.Ext(path), ".svg") {
		return fmt.Errorf("--sweep %s: the picture is an SVG file; give a path that ends in .svg", path)
	}
	_, absent := os.Stat(path)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("--sweep: %w; give a path that can be written", err)
	}
	if absent != nil {
		defer os.Remove(path)
	}
	return f.Close()
}

// settings are all settings of the policies, each once.
func settings(names []string) []string {
	var out []string
	seen := map[string]bool{}
	all := replay.Frontier()
	for _, n := range names {
		name, _, _ := strings.Cut(n, ":")
		for _, s := range append(all[name], n) {
			if s != name && !strings.HasPrefix(s, name+":") || seen[s] || s == name && len(all[name]) > 1 {
				continue
			}
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

func printRuns(w io.Writer, runs []replay.Result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	zones := false
	for _, r := range runs {
		zones = zones || r.Markets != nil
	}
	fmt.Fprint(t, "policy\tunserved\twait p50\twait p99\tnode-hours\tcost\t× clairvoyant\t")
	if zones {
		fmt.Fprint(t, "spot\ton-demand\t")
	}
	fmt.Fprintln(t)
	for _, r := range runs {
		fmt.Fprintf(t, "%s\t%.4f %%\t%.0f s\t%.0f s\t%.0f\t%.0f\t%.4f\t", r.Policy, r.Unserved*100, r.WaitP50S, r.WaitP99S, r.NodeHours, r.Cost, r.CostOverClairvoyant)
		if zones {
			fmt.Fprintf(t, "%.0f\t%.0f\t", r.Markets["spot"].Cost, r.Markets["on-demand"].Cost)
		}
		fmt.Fprintln(t)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	what := "Costs are in hours of an on-demand node."
	if zones {
		what += " spot and on-demand are what was paid in each market."
	}
	var limited []string
	for _, r := range runs {
		if r.AtMaxNodes {
			limited = append(limited, r.Policy)
		}
	}
	if len(limited) > 0 {
		what += "\nA zone was at maxNodes and had less than was wanted: " + strings.Join(limited, ", ") + ".\nclairvoyant has no such limit, so that the cost may be below its own."
	}
	_, err := fmt.Fprintln(w, what)
	return err
}
