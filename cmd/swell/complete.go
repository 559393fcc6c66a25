package main

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"swell/api/v1alpha1"
)

// completeWithin bounds what a shell waits for names; without an answer it offers none.
const completeWithin = 2 * time.Second

// completeNames lets shells complete the names of objects, by the command's own cluster flags.
func completeNames(root *cobra.Command) {
	for command, resource := range map[string]string{"freeze": "capacitypools", "unfreeze": "capacitypools", "hold": "capacitypools", "release": "capacitypools",
		"why": "queueconsumers", "schedule preview": "diurnalschedules"} {
		c, rest, err := root.Find(strings.Fields(command))
		if err != nil || len(rest) > 0 || c.ValidArgsFunction != nil {
			continue
		}
		c.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return namesOf(cmd, resource), cobra.ShellCompDirectiveNoFileComp
		}
	}
}

// namesOf are the objects of a kind, as name or namespace/name; none where the cluster does not answer.
func namesOf(cmd *cobra.Command, resource string) []string {
	var f clusterFlags
	f.kubeconfig, _ = cmd.Flags().GetString("kubeconfig")
	f.context, _ = cmd.Flags().GetString("context")
	kube, err := f.connect(cmd.CommandPath(), f.context)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completeWithin)
	defer cancel()
	raw, err := kube.Discovery().RESTClient().Get().AbsPath("/apis/" + v1alpha1.GroupVersion.String() + "/" + resource).DoRaw(ctx)
	if err != nil {
		return nil
	}
	var list struct {
		Items []struct {
			Metadata struct{ Namespace, Name string }
		}
	}
	if json.Unmarshal(raw, &list) != nil {
		return nil
	}
	var names []string
	for _, o := range list.Items {
		name := o.Metadata.Name
		if o.Metadata.Namespace != "" {
			name = o.Metadata.Namespace + "/" + name
		}
		names = append(names, name)
	}
	return names
}
