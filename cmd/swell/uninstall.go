package main

import (
	"fmt"
	"log/slog"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"k8s.io/client-go/dynamic"

	"swell/api/config"
	"swell/nodegroups/aws"
	"swell/scaler/uninstall"
)

func uninstallCommand() *cobra.Command {
	var f clusterFlags
	var o uninstall.Options
	var file string
	c := &cobra.Command{
		Use:   "uninstall",
		Short: "Take back what swell-scaler has changed: suspended processes, cordons, balloon pods, buffers, its own objects",
		Long: `Take back what swell-scaler has changed: suspended processes, cordons, balloon pods, buffers, its own objects.

End swell-scaler first. AZRebalance is resumed in groups that carry the tag swell/suspended, by which swell marks those
it suspended; groups keep their capacity and other tags. Balloons, CapacityPools and the other kinds stay unless --crds is
given, demand histories and learned boot times unless --histories is.`,
		Example: "  swell uninstall --config scaler.yaml --dry-run",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Namespace = f.scaler
			return runUninstall(cmd, f, o, file)
		},
	}
	f.register(c)
	c.Flags().BoolVar(&o.DryRun, "dry-run", false, "change nothing, and print what would be")
	c.Flags().BoolVar(&o.Histories, "histories", false, "delete demand histories, learned boot times and the head of the ledger too")
	c.Flags().BoolVar(&o.Definitions, "crds", false, "delete the definitions of swell's kinds too, and every object of these kinds")
	c.Flags().BoolVar(&o.KeepSuspended, "keep-suspended", false, "leave AZRebalance suspended in groups that span zones")
	c.Flags().StringVar(&file, "config", "", "configuration file of swell-scaler; needed where a pool uses groups that span zones")
	return c
}

// cloudOf is AWS as a configuration file says; nil without a file.
func cloudOf(cmd *cobra.Command, file string) (uninstall.Groups, error) {
	if file == "" {
		return nil, nil
	}
	conf, err := config.LoadScaler(file)
	if err != nil {
		return nil, err
	}
	return aws.New(cmd.Context(), aws.Options{Region: conf.AWS.Region, Endpoint: conf.AWS.Endpoint, ClusterName: conf.ClusterName, Log: slog.New(slog.DiscardHandler)})
}

func runUninstall(cmd *cobra.Command, f clusterFlags, o uninstall.Options, file string) error {
	config, err := f.config(cmd.CommandPath(), f.context)
	if err != nil {
		return err
	}
	kube, err := f.connect(cmd.CommandPath(), f.context)
	if err != nil {
		return err
	}
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return usageError{fmt.Errorf("%s: %w", cmd.CommandPath(), err)}
	}
	cloud, err := cloudOf(cmd, file)
	if err != nil {
		return usageError{fmt.Errorf("%s: %w", cmd.CommandPath(), err)}
	}
	r := uninstall.Remover{Kube: kube, Dynamic: objects, Groups: cloud, Options: o}
	done, failed := r.Run(cmd.Context())
	if f.asJSON {
		err = printJSON(cmd.OutOrStdout(), struct {
			DryRun  bool             `json:"dryRun"`
			Running string           `json:"running,omitempty"` // why it would be refused now
			Note    string           `json:"note,omitempty"`
			Done    []uninstall.Done `json:"done"`
		}{o.DryRun, r.Running, r.Note, done})
	} else {
		t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
		for _, d := range done {
			fmt.Fprintf(t, "%s\t%s\n", d.What, d.Object)
		}
		if err = t.Flush(); err == nil && (failed == nil || len(done) > 0) {
			word := "taken back"
			if o.DryRun {
				word = "to be taken back; nothing was changed"
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d things %s.\n", len(done), word)
		}
		if err == nil && r.Running != "" {
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "It would be refused now: %s.\n", r.Running)
		}
		if err == nil && r.Note != "" {
			_, err = fmt.Fprintln(cmd.ErrOrStderr(), "note:", r.Note)
		}
	}
	if failed != nil {
		return fmt.Errorf("%s: %w", cmd.CommandPath(), failed)
	}
	return err
}
