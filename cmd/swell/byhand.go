package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/kubernetes"

	"swell/scaler/byhand"
)

// handFlags are those of the commands that ask something of the scaler by hand.
type handFlags struct {
	clusterFlags
	all                       bool
	lasts                     time.Duration
	until, reason, what, zone string
	nodes                     int32
}

func freezeCommand() *cobra.Command {
	var f handFlags
	c := &cobra.Command{
		Use:   "freeze [POOL | --all]",
		Short: "Stop scale-in, or all scaling, of a pool or of the whole cluster until a time",
		Long: `Stop scale-in, or all scaling, of a pool or of the whole cluster until a time.

It is kept in ConfigMap swell-by-hand beside what is in Git, and swell-scaler follows within seconds. Without a pool and
without --all what is in force is printed.`,
		Example: "  swell freeze general --for 2h --reason 'load test'\n  swell freeze --all --what All --for 30m --reason 'incident 4711'",
		Args:    atMostOne("POOL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && !f.all {
				return f.print(cmd, "")
			}
			e, err := f.entry(cmd, args)
			if err == nil {
				e.What = f.what
				err = f.put(cmd, e, fmt.Sprintf("%s until %s: %s.", ofPool(e.Pool, "is", "are")+" frozen", e.Until.Format(time.RFC3339), whatStops[e.What]))
			}
			return err
		},
	}
	f.register(c)
	f.span(c)
	c.Flags().BoolVar(&f.all, "all", false, "all pools of the cluster")
	c.Flags().StringVar(&f.what, "what", byhand.ScaleIn, "ScaleIn: nothing is returned; All: nothing is launched either")
	return c
}

func unfreezeCommand() *cobra.Command {
	var f handFlags
	c := &cobra.Command{
		Use: "unfreeze [POOL | --all]", Short: "End a freeze that was made by command", Args: atMostOne("POOL"),
		Long:    "End a freeze that was made by command, of one pool or of all. One that stands in Git is in spec.freeze of the CapacityPool and stays.",
		Example: "  swell unfreeze general\n  swell unfreeze --all",
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := f.pool(cmd, args)
			if err != nil {
				return err
			}
			return f.remove(cmd, e, "the freeze of "+ofPool(e.Pool, "", ""), "no freeze of "+ofPool(e.Pool, "", "")+" was made by command; one in Git is in spec.freeze of the CapacityPool")
		},
	}
	f.register(c)
	c.Flags().BoolVar(&f.all, "all", false, "the freeze of all pools; those of single pools stay")
	return c
}

func holdCommand() *cobra.Command {
	var f handFlags
	c := &cobra.Command{
		Use:     "hold POOL --zone ZONE --nodes N --for 2h",
		Short:   "Have a zone of a pool keep at least some nodes until a time",
		Long:    "Have a zone of a pool keep at least some nodes until a time. Those that are missing are launched within the pool's limits.\nWithout a pool what is in force is printed.",
		Example: "  swell hold general --zone ap-northeast-1a --nodes 12 --for 2h --reason 'campaign at nine'",
		Args:    atMostOne("POOL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return f.print(cmd, "")
			}
			if f.zone == "" || f.nodes < 1 {
				return usageError{fmt.Errorf("%s: a hold needs --zone and --nodes of one or more; see %s --help", cmd.CommandPath(), cmd.CommandPath())}
			}
			e, err := f.entry(cmd, args)
			if err == nil {
				e.Zone, e.Nodes = f.zone, f.nodes
				err = f.put(cmd, e, fmt.Sprintf("pool %s keeps at least %d nodes in %s until %s.", e.Pool, e.Nodes, e.Zone, e.Until.Format(time.RFC3339)))
			}
			return err
		},
	}
	f.register(c)
	f.span(c)
	c.Flags().StringVar(&f.zone, "zone", "", "availability zone, such as ap-northeast-1a")
	c.Flags().Int32Var(&f.nodes, "nodes", 0, "the least nodes that the zone has")
	return c
}

func releaseCommand() *cobra.Command {
	var f handFlags
	c := &cobra.Command{
		Use: "release POOL --zone ZONE", Short: "End a hold that was made by command", Args: atMostOne("POOL"),
		Long:    "End a hold that was made by command. Nodes that nobody needs are then returned as the pool's scaleIn says; one that stands in Git is in\nspec.holds of the CapacityPool and stays.",
		Example: "  swell release general --zone ap-northeast-1a",
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := f.pool(cmd, args)
			if err != nil {
				return err
			}
			if e.Zone = f.zone; f.zone == "" {
				return usageError{fmt.Errorf("%s: --zone is missing; give the zone of the hold", cmd.CommandPath())}
			}
			return f.remove(cmd, e, fmt.Sprintf("the hold of pool %s in %s", e.Pool, e.Zone), fmt.Sprintf("no hold of pool %s in %s was made by command; one in Git is in spec.holds of the CapacityPool", e.Pool, e.Zone))
		},
	}
	f.register(c)
	c.Flags().StringVar(&f.zone, "zone", "", "availability zone of the hold")
	return c
}

func (f *handFlags) span(c *cobra.Command) {
	c.Flags().DurationVar(&f.lasts, "for", 0, "how long, such as 2h")
	c.Flags().StringVar(&f.until, "until", "", "or its end, such as 2026-12-01T09:00:00+09:00")
	c.Flags().StringVar(&f.reason, "reason", "", "why, for those who read it later")
}

func atMostOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usageError{fmt.Errorf("%s: %q is one too many; give one %s", cmd.CommandPath(), args[1], what)}
		}
		return nil
	}
}

// whatStops is what a freeze does, in words.
var whatStops = map[string]string{byhand.ScaleIn: "nothing is returned", byhand.All: "nothing is launched or returned"}

// ofPool names one pool, or all, with the verb for one or for several.
func ofPool(name, one, several string) string {
	if name == "" {
		return strings.TrimSpace("all pools " + several)
	}
	return strings.TrimSpace("pool " + name + " " + one)
}

// pool is whom the arguments name.
func (f handFlags) pool(cmd *cobra.Command, args []string) (byhand.Entry, error) {
	if (len(args) == 1) == f.all {
		give := "give one pool"
		if cmd.Flags().Lookup("all") != nil {
			give = "give either one pool or --all"
		}
		return byhand.Entry{}, usageError{fmt.Errorf("%s: %s; see %s --help", cmd.CommandPath(), give, cmd.CommandPath())}
	}
	if f.all {
		return byhand.Entry{}, nil
	}
	return byhand.Entry{Pool: args[0]}, nil
}

// entry is what the flags ask for.
func (f handFlags) entry(cmd *cobra.Command, args []string) (byhand.Entry, error) {
	e, err := f.pool(cmd, args)
	if err != nil {
		return e, err
	}
	now := time.Now().UTC().Truncate(time.Second)
	e.At, e.By, e.Reason = now, whoami(), f.reason
	switch {
	case (f.lasts != 0) == (f.until != ""):
		err = errors.New("give --for, such as 2h, or --until, a time")
	case f.until != "":
		if e.Until, err = time.Parse(time.RFC3339, f.until); err != nil {
			err = fmt.Errorf("--until is %q; give a time such as 2026-12-01T09:00:00+09:00", f.until)
		} else if !e.Until.After(now) {
			err = fmt.Errorf("--until is %s, which is over; give a later time", f.until)
		}
	case f.lasts < 0:
		err = fmt.Errorf("--for is %v; give a time above zero", f.lasts)
	default:
		e.Until = now.Add(f.lasts)
	}
	if err != nil {
		return e, usageError{fmt.Errorf("%s: %w", cmd.CommandPath(), err)}
	}
	return e, nil
}

// put writes an entry for a pool that is there, and prints what is in force.
func (f handFlags) put(cmd *cobra.Command, e byhand.Entry, did string) error {
	if err := e.Validate(); err != nil {
		return usageError{fmt.Errorf("%s: %w", cmd.CommandPath(), err)}
	}
	kube, err := f.connect(cmd.CommandPath(), f.context)
	if err != nil {
		return err
	}
	var notes []string
	if e.Pool != "" {
		pool, err := knownPool(cmd.Context(), f.clusterFlags, e.Pool)
		if err == nil && e.Zone != "" {
			notes, err = holdable(pool, e.Zone)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", cmd.CommandPath(), err)
		}
	}
	if err := f.store(kube).Put(cmd.Context(), e); err != nil {
		return fmt.Errorf("%s: %w", cmd.CommandPath(), err)
	}
	if note := followed(cmd.Context(), kube, f.scaler); note != "" {
		notes = append(notes, note)
	}
	return f.print(cmd, did, notes...)
}

func (f handFlags) remove(cmd *cobra.Command, e byhand.Entry, what, missing string) error {
	kube, err := f.connect(cmd.CommandPath(), f.context)
	if err != nil {
		return err
	}
	removed, err := f.store(kube).Remove(cmd.Context(), e.Key())
	if err == nil && len(removed) == 0 {
		err = errors.New(missing)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", cmd.CommandPath(), err)
	}
	return f.print(cmd, what+" is taken away.")
}

func (f handFlags) store(kube kubernetes.Interface) byhand.Store {
	return byhand.Store{Kube: kube, Namespace: f.scaler}
}

// handOutput is what is asked for by hand.
type handOutput struct {
	Did     string        `json:"did,omitempty"`
	Freezes []handEntry   `json:"freezes"`
	Holds   []handEntry   `json:"holds"`
	Wrong   []handProblem `json:"problems"`
	// Notes are why what was asked for may have no effect.
	Notes []string `json:"notes"`
}

type handEntry struct {
	Key     string    `json:"key"`
	Pool    string    `json:"pool"` // empty is all pools
	What    string    `json:"what,omitempty"`
	Zone    string    `json:"zone,omitempty"`
	Nodes   int32     `json:"nodes,omitempty"`
	Until   time.Time `json:"until"`
	By      string    `json:"by"`
	Reason  string    `json:"reason"`
	InForce bool      `json:"inForce"`
}

type handProblem struct {
	Key  string `json:"key"`
	What string `json:"what"`
	Mend string `json:"mend"`
}

// print says what was done and what is in force. Entries that cannot be read make it fail.
func (f handFlags) print(cmd *cobra.Command, did string, notes ...string) error {
	kube, err := f.connect(cmd.CommandPath(), f.context)
	if err != nil {
		return err
	}
	orders, err := f.store(kube).Read(cmd.Context())
	if err != nil {
		return fmt.Errorf("%s: %w", cmd.CommandPath(), err)
	}
	out := handOutput{Did: did, Freezes: []handEntry{}, Holds: []handEntry{}, Wrong: []handProblem{}, Notes: append([]string{}, notes...)}
	for _, e := range orders.Entries {
		line := handEntry{e.Key(), e.Pool, e.What, e.Zone, e.Nodes, e.Until, e.By, e.Reason, e.Until.After(time.Now())}
		if e.Zone != "" {
			out.Holds = append(out.Holds, line)
		} else {
			out.Freezes = append(out.Freezes, line)
		}
	}
	for _, p := range orders.Problems {
		out.Wrong = append(out.Wrong, handProblem{p.Key, p.What, p.Mend})
	}
	if f.asJSON {
		err = printJSON(cmd.OutOrStdout(), out)
	} else {
		err = out.print(cmd.OutOrStdout())
		for _, n := range notes {
			fmt.Fprintln(cmd.ErrOrStderr(), "note:", n)
		}
	}
	if err == nil && len(out.Wrong) > 0 {
		err = fmt.Errorf("%s: %s; %s", cmd.CommandPath(), out.Wrong[0].What, out.Wrong[0].Mend)
	}
	return err
}

func (o handOutput) print(w io.Writer) error {
	if o.Did != "" {
		fmt.Fprintf(w, "%s\n\n", o.Did)
	}
	if len(o.Freezes)+len(o.Holds) == 0 {
		_, err := fmt.Fprintln(w, "Nothing is frozen or held by command. What is in Git: kubectl get capacitypools -o yaml, spec.freeze and spec.holds.")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "POOL\tWHAT\tUNTIL\tBY\tREASON")
	for _, e := range append(o.Freezes, o.Holds...) {
		what := whatStops[e.What]
		if e.Zone != "" {
			what = fmt.Sprintf("at least %d nodes in %s", e.Nodes, e.Zone)
		}
		pool := e.Pool
		if pool == "" {
			pool = "(all)"
		}
		until := e.Until.Format(time.RFC3339)
		if !e.InForce {
			until += " (over)"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", pool, what, until, e.By, e.Reason)
	}
	return t.Flush()
}
