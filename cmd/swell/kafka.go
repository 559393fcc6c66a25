package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"swell/api/config"
	"swell/metrics/kafka/auth"
)

// kafkaOutput is what swell check kafka found.
type kafkaOutput struct {
	OK       bool          `json:"ok"`
	Clusters []kafkaReport `json:"clusters"`
}

// kafkaReport is what was found at one cluster.
type kafkaReport struct {
	Cluster      string      `json:"cluster"`
	OK           bool        `json:"ok"`
	KafkaVersion string      `json:"kafkaVersion,omitempty"` // guessed from what the brokers speak; empty: not Apache Kafka's
	Steps        []kafkaStep `json:"steps"`
}

// kafkaStep is one thing that was tried.
type kafkaStep struct {
	Step   string     `json:"step"`
	At     string     `json:"at,omitempty"` // the broker, group or topic
	Status stepStatus `json:"status"`
	// What was found; where it is not OK, with the mend.
	What string `json:"what"`
}

type stepStatus string

const (
	stepOK      stepStatus = "ok"
	stepWarning stepStatus = "warning" // swell-metrics runs, but something is missing
	stepFailed  stepStatus = "failed"
)

type kafkaFlags struct {
	config, cluster string
	groups, topics  []string
	asJSON          bool
}

func checkKafkaCommand() *cobra.Command {
	var o kafkaFlags
	c := &cobra.Command{
		Use:   "kafka --config FILE",
		Short: "Dial the Kafka clusters of swell-metrics' configuration and tell step by step what works",
		Long: "Dial the Kafka clusters of swell-metrics' configuration and tell step by step what works: names, TLS, login, the brokers'\n" +
			"versions, and what the ACLs allow on the groups and topics that are named. It only reads.",
		Example: "  swell check kafka --config metrics.yaml --group orders --topic orders",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && o.config == "" {
				return usageError{fmt.Errorf("%s: %q is not expected here; the configuration is given as --config %s", cmd.CommandPath(), args[0], args[0])}
			}
			return noArgs(cmd, args)
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return runCheckKafka(cmd, o) },
	}
	fl := c.Flags()
	fl.StringVar(&o.config, "config", "", "configuration file of swell-metrics (required)")
	fl.StringVar(&o.cluster, "cluster", "", "check this cluster only")
	fl.StringArrayVar(&o.groups, "group", nil, "a consumer or share group that must be readable; may be repeated")
	fl.StringArrayVar(&o.topics, "topic", nil, "a topic that must be readable; may be repeated")
	fl.BoolVar(&o.asJSON, "json", false, "print one JSON document")
	return c
}

func runCheckKafka(cmd *cobra.Command, o kafkaFlags) error {
	clusters, err := o.load(cmd)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	out := kafkaOutput{OK: true}
	for _, k := range clusters {
		identity, err := auth.New(k, slog.New(slog.DiscardHandler)) // every file is read for the first time: nothing is passed over
		if err != nil {
			return usageError{fmt.Errorf("%s: %s: %w", cmd.CommandPath(), o.config, err)}
		}
		p := kafkaProbe{cluster: k, identity: identity, groups: o.groups, topics: o.topics, report: &kafkaReport{Cluster: k.Name, OK: true}}
		p.run(ctx)
		out.Clusters = append(out.Clusters, *p.report)
		out.OK = out.OK && p.report.OK
	}
	if o.asJSON {
		if err := printJSON(cmd.OutOrStdout(), out); err != nil {
			return err
		}
	} else if err := out.print(cmd.OutOrStdout()); err != nil {
		return err
	}
	if !out.OK {
		return fmt.Errorf("%s: Kafka cannot be read as configured; mend what is marked failed above", cmd.CommandPath())
	}
	return nil
}

// load reads the configuration and chooses the clusters.
func (o kafkaFlags) load(cmd *cobra.Command) ([]config.KafkaCluster, error) {
	bad := func(format string, args ...any) ([]config.KafkaCluster, error) {
		return nil, usageError{fmt.Errorf("%s: "+format, append([]any{cmd.CommandPath()}, args...)...)}
	}
	if o.config == "" {
		return bad("--config is missing; give the configuration file of swell-metrics")
	}
	m, err := config.LoadMetrics(o.config)
	if err != nil {
		if other := otherFile(o.config); other != "" {
			return bad("%s is %s", o.config, other)
		}
		if found := findingsIn(o.config); len(found) > 0 {
			return bad("%s", strings.Join(found, "\n"))
		}
		return bad("%w", err)
	}
	if slices.Contains(o.groups, "") || slices.Contains(o.topics, "") {
		return bad("--group or --topic is empty; give a name, or leave it out")
	}
	if o.cluster == "" {
		return m.Clusters, nil
	}
	names := map[string]bool{}
	for _, k := range m.Clusters {
		if k.Name == o.cluster {
			return []config.KafkaCluster{k}, nil
		}
		names[k.Name] = true
	}
	return bad("--cluster %q is not in %s%s", o.cluster, o.config, didYouMean(o.cluster, names))
}

// otherFile says what a file holds that is not swell-metrics' configuration, and what to do with it; empty where it may be that.
func otherFile(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	var obj map[string]any
	if yaml.NewDecoder(bytes.NewReader(text)).Decode(&obj) != nil {
		return ""
	}
	const not = ", and not the configuration of swell-metrics: "
	kind, _ := obj["kind"].(string)
	apiVersion, _ := obj["apiVersion"].(string)
	switch {
	case obj["clusters"] != nil:
		return ""
	case kind == "ConfigMap":
		return "a ConfigMap" + not + "give what stands in it under metrics.yaml as a file of its own"
	case strings.HasPrefix(apiVersion, "capacity.swell/"):
		return fmt.Sprintf("a %s of %s%scheck it with \"swell check %s\"", kind, apiVersion, not, file)
	case kind != "":
		return fmt.Sprintf("a %s of %s%sgive the file that swell-metrics has as --config", kind, apiVersion, not)
	case obj["aws"] != nil || obj["ledgerDir"] != nil:
		return fmt.Sprintf("the configuration of swell-scaler%scheck it with \"swell check %s\"", not, file)
	}
	return ""
}

// findingsIn are the lines and fields that are wrong in a configuration, as swell check has them.
func findingsIn(file string) []string {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	var out checkOutput
	checkFile(file, text, nil, &out)
	var found []string
	for _, f := range out.Errors {
		found = append(found, f.String())
	}
	return found
}

func (out kafkaOutput) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range out.Clusters {
		fmt.Fprintf(t, "cluster %s\n", c.Cluster)
		for _, s := range c.Steps {
			// A broker's words may have line breaks, which would break the table.
			fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", s.Status, s.Step, s.At, strings.Join(strings.Fields(s.What), " "))
		}
	}
	return t.Flush()
}

func (r *kafkaReport) add(status stepStatus, step, at, format string, args ...any) {
	r.Steps = append(r.Steps, kafkaStep{Step: step, At: at, Status: status, What: fmt.Sprintf(format, args...)})
	r.OK = r.OK && status != stepFailed
}

// failed adds an error, with what is known about its mend; it is false, for the caller to return.
func (p *kafkaProbe) failed(step, at string, err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%w: no answer within %s: check the address, firewalls and clusters[name=%s].requestTimeout", err, p.cluster.RequestTimeout.Duration, p.cluster.Name)
	}
	p.report.add(stepFailed, step, at, "%v", p.identity.Explain(err))
	return false
}
