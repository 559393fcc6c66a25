package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

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
		return fmt.Errorf("there is no demand of Balloon %s/%s in ConfigMap %s/%s yet; see that the names are right, and its DemandKnown condition",
			f.namespace, f.name, f.from, history.Name(f.namespace, f.name))
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
