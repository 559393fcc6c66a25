package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/scaler/handover"
)

// handoverFlags are of export and import.
type handoverFlags struct {
	clusterFlags
	file, checkpoints, configuration, cluster string
	keep                                      time.Duration
	dryRun                                    bool
}

func handoverCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "handover", Short: "Move what a cluster has learned to the one that follows it, and see how far the move is",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = cmd.Help()
			return usageError{errors.New("swell handover: no command was given; give export, import or status")}
		},
	}
	c.Args = func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usageError{fmt.Errorf("swell handover: unknown command %q; give export, import or status", args[0])}
		}
		return nil
	}
	c.AddCommand(exportHandover(), importHandover(), handoverStatusCommand())
	return c
}

func (f *handoverFlags) registerMove(c *cobra.Command, file string) {
	f.register(c)
	_ = c.Flags().MarkHidden("scaler-namespace") // --checkpoints is what counts
	c.Flags().StringVar(&f.checkpoints, "checkpoints", "swell-system", "namespace that swell-scaler keeps histories in: history.checkpoints of its configuration")
	c.Flags().StringVar(&f.configuration, "config", "", "configuration file of this cluster's swell-scaler: its time zone and holidays must be the same in both")
	c.Flags().StringVarP(&f.file, map[bool]string{true: "out", false: "file"}[file == "out"], file[:1], "", "the hand-over file (required)")
}

func exportHandover() *cobra.Command {
	var f handoverFlags
	c := &cobra.Command{
		Use: "export --out FILE", Short: "Write histories, boot times and unavailable capacity of a cluster to a file", Args: noArgs,
		Example: "  swell handover export --context old --config old/scaler.yaml --out old.json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.file == "" {
				return usageError{fmt.Errorf("%s: --out is missing; give a file to write", cmd.CommandPath())}
			}
			return f.export(cmd)
		},
	}
	f.registerMove(c, "out")
	c.Flags().StringVar(&f.cluster, "cluster", "", "name of the cluster, for those who read the file")
	return c
}

func (f handoverFlags) export(cmd *cobra.Command) error {
	kube, err := f.connect(cmd.CommandPath(), f.context)
	if err != nil {
		return err
	}
	zone, holidays, err := f.calendar(cmd)
	if err != nil {
		return err
	}
	balloons, err := listBalloons(cmd.Context(), f.kubeconfig, f.context)
	if err != nil {
		return fmt.Errorf("%s: %w", cmd.CommandPath(), err)
	}
	shares := map[string]string{}
	for _, b := range balloons {
		shares[b.Namespace+"/"+b.Name] = string(b.Spec.Share)
	}
	file, err := handover.Export(cmd.Context(), kube, f.checkpoints, shares, time.Now())
	if err != nil {
		return fmt.Errorf("%s: %w", cmd.CommandPath(), err)
	}
	if len(file.Balloons) == 0 {
		return fmt.Errorf("%s: there is no history in namespace %s; give --checkpoints as history.checkpoints of swell-scaler's configuration has it", cmd.CommandPath(), f.checkpoints)
	}
	file.Cluster, file.TimeZone, file.Holidays = f.cluster, zone, holidays
	if err := file.Seal(); err != nil {
		return err
	}
	raw, err := json.MarshalIndent(file, "", " ")
	if err == nil {
		err = os.WriteFile(f.file, append(raw, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("%s: writing %s: %w; give a file that can be written", cmd.CommandPath(), f.file, err)
	}
	if f.asJSON {
		return printJSON(cmd.OutOrStdout(), struct {
			File     string `json:"file"`
			Balloons int    `json:"balloons"`
			Learned  int    `json:"learned"`
			Bytes    int    `json:"bytes"`
		}{f.file, len(file.Balloons), len(file.Learned), len(raw) + 1})
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: histories of Balloons: %d, ConfigMaps of boot times and capacity: %d, bytes: %d\n", f.file, len(file.Balloons), len(file.Learned), len(raw)+1)
	return err
}

// calendar is the configuration's; empty where none is given.
func (f handoverFlags) calendar(cmd *cobra.Command) (zone, holidays string, err error) {
	if f.configuration == "" {
		return "", "", nil
	}
	c, err := config.LoadScaler(f.configuration)
	if err != nil {
		return "", "", usageError{fmt.Errorf("%s: %w", cmd.CommandPath(), err)}
	}
	return c.History.TimeZone, c.History.Holidays, nil
}

func importHandover() *cobra.Command {
	var f handoverFlags
	c := &cobra.Command{
		Use: "import --file FILE", Short: "Merge a hand-over file into a cluster, before its Balloons are applied",
		Long: `Merge a hand-over file into a cluster, before its Balloons are applied.

What the cluster has sampled or learned itself stays, and a second import changes nothing. A swell-scaler that runs takes over
what is of Balloons that are there already with its next save, at most five minutes later.`,
		Example: "  swell handover import --context new --config new/scaler.yaml --file old.json --dry-run",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.file == "" {
				return usageError{fmt.Errorf("%s: --file is missing; give a file that swell handover export wrote", cmd.CommandPath())}
			}
			return f.bring(cmd)
		},
	}
	f.registerMove(c, "file")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "write nothing, and print what would be")
	c.Flags().DurationVar(&f.keep, "keep", 60*24*time.Hour, "how long a history waits for its Balloon")
	return c
}

func (f handoverFlags) bring(cmd *cobra.Command) error {
	raw, err := os.ReadFile(f.file)
	if err != nil {
		return usageError{fmt.Errorf("%s: %w; give a file that swell handover export wrote", cmd.CommandPath(), err)}
	}
	file, err := handover.Read(raw)
	if err != nil {
		return usageError{fmt.Errorf("%s: %s: %w", cmd.CommandPath(), f.file, err)}
	}
	zone, holidays, err := f.calendar(cmd)
	if err != nil {
		return err
	}
	var note string
	if f.configuration == "" || file.TimeZone == "" {
		note = "time zones were not compared: give --config to export and import"
	} else if err := file.Fits(zone, holidays); err != nil {
		return fmt.Errorf("%s: %w", cmd.CommandPath(), err)
	}
	kube, err := f.connect(cmd.CommandPath(), f.context)
	if err != nil {
		return err
	}
	moved, err := handover.Import(cmd.Context(), kube, file, handover.Options{Namespace: f.checkpoints, DryRun: f.dryRun, KeptUntil: time.Now().Add(f.keep), Now: time.Now()})
	if err != nil {
		return fmt.Errorf("%s: %w; what was imported before stays, and may be imported again", cmd.CommandPath(), err)
	}
	if f.asJSON {
		return printJSON(cmd.OutOrStdout(), struct {
			From   string           `json:"from"`
			At     time.Time        `json:"at"`
			DryRun bool             `json:"dryRun"`
			Note   string           `json:"note,omitempty"`
			Moved  []handover.Moved `json:"moved"`
		}{file.Cluster, file.At, f.dryRun, note, moved})
	}
	t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "WHAT\tOF\tROWS\tDONE")
	for _, m := range moved {
		rows := "-"
		if m.What == "history" {
			rows = fmt.Sprint(m.Rows)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", m.What, m.Name, rows, m.Done)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if f.dryRun {
		fmt.Fprintln(cmd.OutOrStdout(), "\nNothing was written: --dry-run.")
	} else {
		fmt.Fprintln(cmd.OutOrStdout(), "\nA swell-scaler that runs there takes it over within five minutes.")
	}
	if note != "" {
		fmt.Fprintln(cmd.ErrOrStderr(), "note:", note)
	}
	return nil
}

// listBalloons are a cluster's.
func listBalloons(ctx context.Context, kubeconfig, context string) ([]v1alpha1.Balloon, error) {
	api, _, err := newAPIReader(whyFlags{kubeconfig: kubeconfig, context: context})
	if err != nil {
		return nil, err
	}
	var list v1alpha1.BalloonList
	if err := api.read(ctx, &list, "/apis/"+v1alpha1.GroupVersion.String()+"/balloons", ""); err != nil {
		return nil, fmt.Errorf("listing Balloons: %w; install charts/swell/crds, and see that you may list them", err)
	}
	return list.Items, nil
}
