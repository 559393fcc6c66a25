package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/nodegroups/aws"
	"swell/scaler/observe"
)

// awsOutput is what swell check aws found.
type awsOutput struct {
	OK        bool          `json:"ok"`        // no problem was found
	Problems  int           `json:"problems"`  //
	NotProven int           `json:"notProven"` // could not be known, and may be a problem
	Findings  []aws.Finding `json:"findings"`
}

type awsFlags struct {
	config string
	pools  []string
	asJSON bool
	whyFlags
}

func checkAWSCommand() *cobra.Command {
	var o awsFlags
	c := &cobra.Command{
		Use:   "aws --config FILE",
		Short: "Tell before the first launch what AWS would refuse: permissions, groups, subnets, quotas, the queue",
		Long: "Tell before the first launch what AWS would refuse or fight: permissions, groups and their settings, subnets, quotas, the queue\n" +
			"and the clock. The CapacityPools are those of --pools, or the cluster's. It only reads, with the credentials that it is given:\n" +
			"run it as the role that swell-scaler has. What cannot be known is not proven, never ok.",
		Example: "  swell check aws --config scaler.yaml --pools pools.yaml",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runCheckAWS(cmd, o) },
	}
	fl := c.Flags()
	fl.StringVar(&o.config, "config", "", "configuration file of swell-scaler (required)")
	fl.StringArrayVar(&o.pools, "pools", nil, "a file with CapacityPools; may be repeated; without one the cluster's are read")
	fl.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig file, where no --pools is given")
	fl.StringVar(&o.context, "context", "", "context of the kubeconfig")
	fl.BoolVar(&o.asJSON, "json", false, "print one JSON document")
	return c
}

func runCheckAWS(cmd *cobra.Command, o awsFlags) error {
	bad := func(err error) error { return usageError{fmt.Errorf("%s: %w", cmd.CommandPath(), err)} }
	if o.config == "" {
		return bad(errors.New("--config is missing; give the configuration file of swell-scaler"))
	}
	conf, err := config.LoadScaler(o.config)
	if err != nil {
		return bad(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	pools, err := o.capacityPools(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", cmd.CommandPath(), err)
	}
	client, err := aws.New(ctx, aws.Options{Region: conf.AWS.Region, Endpoint: conf.AWS.Endpoint, QueueURL: conf.AWS.QueueURL, ClusterName: conf.ClusterName, LifecycleHooks: conf.AWS.LifecycleHooks,
		Prices: pricesOf(conf), ReadOnDemandPrices: conf.AWS.ReadOnDemandPrices, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return bad(err)
	}
	out := awsOutput{Findings: client.Check(ctx, pools)}
	for _, f := range out.Findings {
		switch f.Status {
		case aws.FindingProblem:
			out.Problems++
		case aws.NotProven:
			out.NotProven++
		}
	}
	out.OK = out.Problems == 0
	if o.asJSON {
		err = printJSON(cmd.OutOrStdout(), out)
	} else {
		err = out.print(cmd.OutOrStdout())
	}
	if err == nil && !out.OK {
		err = fmt.Errorf("%s: problems: %d; mend what is marked above", cmd.CommandPath(), out.Problems)
	}
	return err
}

func pricesOf(conf config.Scaler) map[string]aws.Price {
	prices := map[string]aws.Price{}
	for name, p := range conf.Prices {
		prices[name] = aws.Price{OnDemand: p.OnDemand, Spot: p.Spot}
	}
	return prices
}

func (out awsOutput) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "STATUS\tCHECK\tOF\tFOUND")
	for _, f := range out.Findings {
		what := f.What
		if f.Mend != "" {
			what += "; " + f.Mend
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", f.Status, f.Check, f.At, what)
	}
	fmt.Fprintf(t, "ok: %d, problems: %d, not proven: %d\n", len(out.Findings)-out.Problems-out.NotProven, out.Problems, out.NotProven)
	return t.Flush()
}

// capacityPools of the files, or of the cluster. What is wrong with files and flags is bad usage; what the cluster does not give is not.
func (o awsFlags) capacityPools(ctx context.Context) ([]aws.Checked, error) {
	var pools []v1alpha1.CapacityPool
	for _, file := range o.pools {
		some, err := poolsIn(file)
		if err != nil {
			return nil, usageError{err}
		}
		pools = append(pools, some...)
	}
	if len(o.pools) == 0 {
		r, _, err := newAPIReader(o.whyFlags)
		if err != nil {
			return nil, usageError{fmt.Errorf("%w; give --kubeconfig and --context of a cluster, or the pools by --pools FILE", err)}
		}
		var list v1alpha1.CapacityPoolList
		if err := r.read(ctx, &list, "/apis/"+v1alpha1.GroupVersion.String()+"/capacitypools", ""); err != nil {
			return nil, fmt.Errorf("reading the cluster's CapacityPools: %w; give them by --pools FILE", err)
		}
		pools = list.Items
	}
	switch {
	case len(pools) == 0 && len(o.pools) == 0:
		return nil, errors.New("there is no CapacityPool in the cluster; make one, or give a file that has one by --pools")
	case len(pools) == 0:
		return nil, usageError{fmt.Errorf("there is no CapacityPool in %s; give a file that has one by --pools", strings.Join(o.pools, ", "))}
	}
	var out []aws.Checked
	for _, p := range pools {
		out = append(out, aws.Checked{MaxNodes: int(p.Spec.Limits.MaxNodes), Selection: observe.SelectionOf(p)})
	}
	return out, nil
}

func poolsIn(file string) ([]v1alpha1.CapacityPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the pools: %w; name a file that can be read", err)
	}
	var pools []v1alpha1.CapacityPool
	d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		var raw runtime.RawExtension
		var kind metav1.TypeMeta
		var p v1alpha1.CapacityPool
		err := d.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return pools, nil
		}
		if err == nil && len(raw.Raw) > 0 {
			err = json.Unmarshal(raw.Raw, &kind)
		}
		if err == nil && kind.Kind == "CapacityPool" {
			err = json.Unmarshal(raw.Raw, &p)
			pools = append(pools, p)
		}
		if err != nil {
			return nil, fmt.Errorf("reading the pools of %s: %w; check it with \"swell check %s\"", file, err, file)
		}
	}
}
