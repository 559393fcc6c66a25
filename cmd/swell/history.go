package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"swell/api/v1alpha1"
	"swell/scaler/history"
	"swell/scaler/series"
)

type historyFlags struct {
	kubeconfig, context, namespace, name, from string
	step                                       time.Duration
	asJSON                                     bool
}

func historyCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "history", Short: "Look at the demand that swell-scaler keeps", Args: noArgs,
		Long: "Look at the demand that swell-scaler keeps of each Balloon's workload, and forecasts from.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = cmd.Help()
			return usageError{errors.New("swell history: no command was given; give export")}
		},
	}
	var f historyFlags
	export := &cobra.Command{
		Use:   "export --namespace N --name B",
		Short: "Write the demand of a Balloon's workload as timestamp,value",
		Long: `Write the demand of a Balloon's workload as timestamp,value, in pods of all clusters; an empty value is unknown.
swell forecast and swell backtest read it. With --json each row also says why it is unknown.`,
		Example: "  swell history export --namespace shop --name web > web.csv\n  swell backtest --series web.csv --horizon 15m",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return exportHistory(cmd, f) },
	}
	fl := export.Flags()
	fl.StringVarP(&f.namespace, "namespace", "n", "", "namespace of the Balloon; absent: that of the context")
	fl.StringVar(&f.name, "name", "", "name of the Balloon (required)")
	fl.StringVar(&f.from, "checkpoints", "swell-system", "namespace that swell-scaler keeps histories in: history.checkpoints of its configuration")
	fl.DurationVar(&f.step, "step", history.CoarseStep, "5m for up to eight weeks, or 1m for the last three days")
	fl.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig file; absent: as kubectl finds it")
	fl.StringVar(&f.context, "context", "", "context of the kubeconfig; absent: its current one")
	fl.BoolVar(&f.asJSON, "json", false, "print one JSON document")
	c.AddCommand(export)
	return c
}

func exportHistory(cmd *cobra.Command, f historyFlags) error {
	if f.name == "" {
		return usageError{fmt.Errorf("%s: --name is missing; give the name of a Balloon", cmd.CommandPath())}
	}
	if f.step != history.CoarseStep && f.step != history.MinuteStep {
		return usageError{fmt.Errorf("%s: --step is %v; give 5m or 1m", cmd.CommandPath(), f.step)}
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = f.kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: f.context})
	config, err := loader.ClientConfig()
	if err == nil && f.namespace == "" {
		f.namespace, _, err = loader.Namespace()
	}
	if err != nil {
		return usageError{fmt.Errorf("%s: read the kubeconfig: %w; give --kubeconfig and --context of a cluster", cmd.CommandPath(), err)}
	}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return usageError{fmt.Errorf("%s: %w", cmd.CommandPath(), err)}
	}
	point, err := history.Checkpoints{Kube: kube, Namespace: f.from}.Load(cmd.Context(), f.namespace, f.name)
	if err != nil {
		return err
	}
	s, classes := point.Record.Coarse()
	if f.step == history.MinuteStep {
		s, classes = point.Record.Minutes()
	}
	first := slices.Index(classes, history.Known)
	if first < 0 {
		return noDemand(cmd.Context(), f)
	}
	s, classes = s.Slice(s.Time(first), s.End()), classes[first:]
	for i, v := range s.Values { // rows are kept to 0.5 %; more digits would say more than is known
		s.Values[i], _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64)
	}
	if f.asJSON {
		return printJSON(cmd.OutOrStdout(), historyDocument(f, s, classes, point.Record.Shares()))
	}
	return series.Write(cmd.OutOrStdout(), s)
}

// noDemand says why there is none: whose fault it is decides what to do.
func noDemand(ctx context.Context, f historyFlags) error {
	api, _, err := newAPIReader(whyFlags{kubeconfig: f.kubeconfig, context: f.context})
	if err != nil {
		return err
	}
	whole := fmt.Sprintf("%s/%s", f.namespace, f.name)
	all := fmt.Sprintf("/apis/%s/namespaces/%s/balloons", v1alpha1.GroupVersion, f.namespace)
	point := fmt.Sprintf("ConfigMap %s/%s", f.from, history.Name(f.namespace, f.name))
	var something struct{}
	missing := func(path string) bool {
		err := api.read(ctx, &something, path, "")
		return isMissing(err) || isBare(err, http.StatusNotFound)
	}
	switch {
	case missing("/api/v1/namespaces/" + f.from):
		return fmt.Errorf("there is no namespace %s, in which checkpoints of demand would be; give --checkpoints as history.checkpoints of swell-scaler's configuration has it", f.from)
	case missing(all + "/" + f.name):
		there, failed := api.names(ctx, all)
		if failed != nil {
			return fmt.Errorf("there is no Balloon %s; give a name that is there", whole)
		}
		return fmt.Errorf("there is no Balloon %s; %s", whole, among(f.name, there))
	case missing(fmt.Sprintf("/api/v1/namespaces/%s/configmaps/%s", f.from, history.Name(f.namespace, f.name))):
		return fmt.Errorf("there is no checkpoint of the demand of Balloon %s yet, %s: swell-scaler writes it every five minutes; wait, or see the Balloon's HistoryKept condition", whole, point)
	case f.step == history.MinuteStep:
		return fmt.Errorf("the checkpoint of Balloon %s, %s, has no minutes with a known demand; give --step 5m, or see the Balloon's DemandKnown condition", whole, point)
	}
	return fmt.Errorf("the checkpoint of Balloon %s, %s, has no known demand yet; see the Balloon's DemandKnown condition", whole, point)
}

type historyRow struct {
	Timestamp time.Time `json:"timestamp"`
	Value     *float64  `json:"value"` // pods of all clusters; null is unknown
	Class     string    `json:"class"`
}

type historyOutput struct {
	Namespace   string              `json:"namespace"`
	Balloon     string              `json:"balloon"`
	StepSeconds float64             `json:"step_seconds"`
	Classes     map[string]int      `json:"classes"` // rows of each
	Shares      []history.SharePart `json:"shares"`
	Rows        []historyRow        `json:"rows"`
}

func historyDocument(f historyFlags, s series.Series, classes []history.Class, shares []history.SharePart) historyOutput {
	out := historyOutput{Namespace: f.namespace, Balloon: f.name, StepSeconds: f.step.Seconds(), Classes: map[string]int{}, Shares: shares}
	if out.Shares == nil {
		out.Shares = []history.SharePart{}
	}
	for i, v := range s.Values {
		out.Classes[classes[i].String()]++
		out.Rows = append(out.Rows, historyRow{s.Time(i), number(v), classes[i].String()})
	}
	return out
}
