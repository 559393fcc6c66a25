package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"k8s.io/client-go/dynamic"

	"swell/scaler/uninstall"
)

func uninstallCommand() *cobra.Command {
	var f clusterFlags
	var o uninstall.Options
	c := &cobra.Command{
		Use:   "uninstall",
		Short: "Take back what swell-scaler has put into a cluster: cordons, balloon pods, buffers, its own objects",
		Long: `Take back what swell-scaler has put into a cluster: cordons, balloon pods, buffers, its own objects.

End swell-scaler first. Auto Scaling groups keep their capacity and tags. Balloons, CapacityPools and the other kinds stay
until their definitions are taken away: kubectl delete -f charts/swell/crds. Histories stay unless --histories is given.`,
		Example: "  swell uninstall --dry-run",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Namespace = f.scaler
			return runUninstall(cmd, f, o)
		},
	}
	f.register(c)
	c.Flags().BoolVar(&o.DryRun, "dry-run", false, "change nothing, and print what would be")
	c.Flags().BoolVar(&o.Histories, "histories", false, "delete demand histories and learned boot times too")
	return c
}

func runUninstall(cmd *cobra.Command, f clusterFlags, o uninstall.Options) error {
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
	r := uninstall.Remover{Kube: kube, Dynamic: objects, Options: o}
	done, failed := r.Run(cmd.Context())
	if f.asJSON {
		err = printJSON(cmd.OutOrStdout(), struct {
			DryRun bool             `json:"dryRun"`
			Done   []uninstall.Done `json:"done"`
		}{o.DryRun, done})
	} else {
		t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
		for _, d := range done {
			fmt.Fprintf(t, "%s\t%s\n", d.What, d.Object)
		}
		if err = t.Flush(); err == nil {
			word := "taken back"
			if o.DryRun {
				word = "to be taken back; nothing was changed"
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d objects %s.\n", len(done), word)
		}
	}
	if failed != nil {
		return fmt.Errorf("%s: %w", cmd.CommandPath(), failed)
	}
	return err
}
