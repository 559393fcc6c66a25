package main

import (
	"cmp"
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
		Long: `Move what a cluster has learned to the one that follows it, and see how far the move is.

Export and import take demand histories, boot times and capacity that could not be had lately from the old cluster to the new
one, so that it is warm before traffic moves. The traffic then follows spec.share of the Balloons, which swell never changes:
raise it in the new cluster, wait for its balloons, move the traffic, lower it in the old one. status says who is how far.`,
		Example: `  swell handover export --context blue --config blue/scaler.yaml --cluster blue --out blue.json
  swell handover import --context green --config green/scaler.yaml --file blue.json
  swell handover status --old-context blue --new-context green --deadline 2026-12-20`,
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
	c.Flags().StringVar(&f.checkpoints, "checkpoints", "swell-system", "namespace that swell-scaler keeps histories in; absent: history.checkpoints of --config")
	c.Flags().StringVar(&f.configuration, "config", "", "configuration file of this cluster's swell-scaler: its time zone and holidays must be the same in both; it also has the namespace of --checkpoints")
	c.Flags().StringVarP(&f.file, map[bool]string{true: "out", false: "file"}[file == "out"], file[:1], "", "the hand-over file (required)")
}

func exportHandover() *cobra.Command {
	var f handoverFlags
	c := &cobra.Command{
		Use: "export --out FILE", Short: "Write histories, boot times and unavailable capacity of a cluster to a file", Args: noArgs,
		Long: `Write histories, boot times and unavailable capacity of a cluster to a file. Nothing of the cluster is changed.

It is what swell-scaler has saved, at most five minutes old. The file has no credentials: names of Balloons, numbers of pods,
ids of instances, and AWS's words for what it refused, which may name an account and a role. A new file is for you alone, mode 0600.`,
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

func (f *handoverFlags) export(cmd *cobra.Command) error {
	kube, err := f.connect(cmd.CommandPath(), f.context)
	if err != nil {
		return err
	}
	c, err := f.scaler(cmd)
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
	file.Cluster, file.TimeZone, file.Holidays = f.cluster, c.History.TimeZone, c.History.Holidays
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

// scaler is the configuration of the cluster's swell-scaler, empty where none is given. Where it keeps histories is where they
// are, unless --checkpoints says otherwise.
func (f *handoverFlags) scaler(cmd *cobra.Command) (config.Scaler, error) {
	if f.configuration == "" {
		return config.Scaler{}, nil
	}
	c, err := config.LoadScaler(f.configuration)
	if err != nil {
		return c, usageError{fmt.Errorf("%s: %w", cmd.CommandPath(), err)}
	}
	switch {
	case cmd.Flags().Changed("checkpoints"):
	case c.History.Checkpoints == "":
		return c, usageError{fmt.Errorf("%s: %s has no history.checkpoints, so that this swell-scaler keeps nothing that could be moved; give it a namespace there", cmd.CommandPath(), f.configuration)}
	default:
		f.checkpoints = c.History.Checkpoints
	}
	return c, nil
}

func importHandover() *cobra.Command {
	var f handoverFlags
	c := &cobra.Command{
		Use: "import --file FILE", Short: "Merge a hand-over file into a cluster, before its Balloons are applied",
		Long: `Merge a hand-over file into a cluster, before its Balloons are applied.

What the cluster has sampled or learned itself stays, and a second import changes nothing. A history that cannot be merged is
named, the others are imported, and the command fails. A swell-scaler that runs takes over boot times, and what is of Balloons
that are there already, with its next save, at most five minutes later.`,
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
	c.Flags().DurationVar(&f.keep, "keep", 60*24*time.Hour, "how long a history waits for its Balloon; 60 days unless told")
	return c
}

func (f *handoverFlags) bring(cmd *cobra.Command) error {
	raw, err := os.ReadFile(f.file)
	if err != nil {
		return usageError{fmt.Errorf("%s: %w; give a file that swell handover export wrote", cmd.CommandPath(), err)}
	}
	file, err := handover.Read(raw)
	if err != nil {
		return usageError{fmt.Errorf("%s: %s: %w", cmd.CommandPath(), f.file, err)}
	}
	c, err := f.scaler(cmd)
	if err != nil {
		return err
	}
	var note string
	if f.configuration == "" || file.TimeZone == "" {
		note = "time zones were not compared: give --config to export and import"
	} else if err := file.Fits(c.History.TimeZone, c.History.Holidays); err != nil {
		return fmt.Errorf("%s: %w", cmd.CommandPath(), err)
	}
	kube, err := f.connect(cmd.CommandPath(), f.context)
	if err != nil {
		return err
	}
	moved, failed := handover.Import(cmd.Context(), kube, file, handover.Options{Namespace: f.checkpoints, DryRun: f.dryRun, KeptUntil: time.Now().Add(f.keep), Now: c.Clock.Now()})
	if failed != nil {
		failed = fmt.Errorf("%s: %w; what was imported stays: correct that, and import the same file again", cmd.CommandPath(), failed)
	}
	if len(moved) == 0 && failed != nil {
		return failed
	}
	if err := f.printMoved(cmd, file, note, moved); err != nil {
		return err
	}
	return failed
}

func (f *handoverFlags) printMoved(cmd *cobra.Command, file handover.File, note string, moved []handover.Moved) error {
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
	fmt.Fprintln(t, "WHAT\tOF\tROWS\tOLD SHARE\tDONE")
	for _, m := range moved {
		rows := "-"
		if m.What == "history" {
			rows = fmt.Sprint(m.Rows)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", m.What, m.Name, rows, cmp.Or(m.Share, "-"), m.Done)
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
