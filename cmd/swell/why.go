package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	externalv1beta1 "k8s.io/metrics/pkg/apis/external_metrics/v1beta1"

	"swell/api/metric"
	"swell/api/v1alpha1"
	"swell/scaler/explain"
)

const (
	// worstShown is how many partitions are listed.
	worstShown = 10
	// whyTimeout is how long the API server may take for each answer.
	whyTimeout = 20 * time.Second
)

// whyFlags say which API server is asked, as kubectl's flags of these names do.
type whyFlags struct {
	kubeconfig, context, namespace string
	asJSON                         bool
}

// whyOutput is what is known of a QueueConsumer; null is unknown.
type whyOutput struct {
	Namespace string               `json:"namespace"`
	Name      string               `json:"name"`
	Cluster   string               `json:"cluster"`
	Group     string               `json:"group"`
	Target    v1alpha1.ScaleTarget `json:"scaleTargetRef"`
	// TargetProblem says that the target is not there.
	TargetProblem string `json:"targetProblem,omitempty"`
	// SampledAt is the younger of the status's time and the metric's, which is that of its oldest partition.
	SampledAt        *time.Time         `json:"sampledAt"`
	AgeSeconds       *float64           `json:"ageSeconds"`
	Lag              *int64             `json:"lag"`
	LateMessages     *int64             `json:"lateMessages"`
	LateCount        v1alpha1.LateCount `json:"lateCount,omitempty"`
	LateAfterSeconds float64            `json:"lateAfterSeconds"`
	LagSeconds       *v1alpha1.Decimal  `json:"lagSeconds"`
	// LateProblem and SecondsProblem say why those two are null where the lag is not.
	LateProblem    string            `json:"lateProblem,omitempty"`
	SecondsProblem string            `json:"secondsProblem,omitempty"`
	ProduceRate    *v1alpha1.Decimal `json:"produceRate"`
	ConsumeRate    *v1alpha1.Decimal `json:"consumeRate"`
	PerPodRate     *v1alpha1.Decimal `json:"perPodRate"`
	// PerPodRateFrom is Declared or Learned.
	PerPodRateFrom  string                    `json:"perPodRateFrom,omitempty"`
	DesiredReplicas *int32                    `json:"desiredReplicas"`
	Why             string                    `json:"why"`
	Unknown         string                    `json:"unknown,omitempty"` // why something above is null
	Partitions      *v1alpha1.PartitionsKnown `json:"partitions"`
	Conditions      []metav1.Condition        `json:"conditions"`
	// WorstPartitions have the most lag, the worst first; PartitionsProblem says why they are not known.
	WorstPartitions   []partitionLag `json:"worstPartitions"`
	PartitionsProblem string         `json:"partitionsProblem,omitempty"`
	HPAs              []hpaOutput    `json:"hpas"`
	HPAsProblem       string         `json:"hpasProblem,omitempty"`
}

type partitionLag struct {
	Topic     string  `json:"topic"`
	Partition string  `json:"partition"`
	Lag       int64   `json:"lag"`
	Share     float64 `json:"share"` // of the group's lag
}

// hpaOutput is an HPA that names the consumer or scales its workload.
type hpaOutput struct {
	Name       string                                           `json:"name"`
	Names      []string                                         `json:"metrics"` // of this consumer
	Current    int32                                            `json:"currentReplicas"`
	Desired    int32                                            `json:"desiredReplicas"`
	Min        int32                                            `json:"minReplicas"`
	Max        int32                                            `json:"maxReplicas"`
	Conditions []autoscalingv2.HorizontalPodAutoscalerCondition `json:"conditions"`
	Notes      []string                                         `json:"notes"` // what keeps it from following
}

func whyCommand() *cobra.Command {
	var f storyFlags
	c := &cobra.Command{
		Use:   "why [KIND/][NAMESPACE/]NAME",
		Short: "Say in short why a pod, node, group, Balloon, pool or consumer is as it is",
		Long: `Say in short why a pod, node, instance, group, balloon, pool or consumer is as it is: the last decision on it with its numbers.
It reads the ledger (--ledger) and, where there is a kubeconfig, the cluster's status and Events; swell explain tells all of it.

Of a QueueConsumer, which is what NAMESPACE/NAME without a kind is first looked for as: the lag and the rates that swell-metrics last
saw, the formula with its numbers, and what of the HPA, the workload or the metric stands against it.`,
		Example: `  swell why shop/orders
  swell why pod/shop/web-abc --ledger ledger
  swell why node/ip-10-0-0-2 --ledger - --at 2026-11-23T09:00:00Z`,
		Args: func(cmd *cobra.Command, args []string) error {
			if !f.story(args) {
				if _, _, err := f.consumer(args); err != nil {
					return usageError{fmt.Errorf("%s: %w", cmd.CommandPath(), err)}
				}
			}
			return f.args(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if !f.story(args) {
				return runWhy(cmd, args, f, true)
			}
			if o, _ := explain.Parse(args[0]); o.Kind == explain.Consumer && len(f.ledgers) == 0 {
				return runWhy(cmd, []string{o.Name}, f, false)
			}
			return runStory(cmd, args[0], &f, false)
		},
	}
	f.register(c)
	return c
}

// story says that more than a QueueConsumer may be meant: a kind is named, or a ledger is to be looked through.
func (f *storyFlags) story(args []string) bool {
	if len(args) != 1 {
		return false
	}
	_, ok := explain.Parse(args[0])
	return ok || len(f.ledgers) > 0
}

// consumer is whom the arguments name; an empty namespace is that of the context.
func (f whyFlags) consumer(args []string) (namespace, name string, err error) {
	if len(args) == 1 {
		name = args[0]
		if before, after, ok := strings.Cut(args[0], "/"); ok {
			namespace, name = before, after
			if len(validation.IsDNS1123Label(namespace)) > 0 {
				name = ""
			}
		}
	}
	switch {
	case len(args) == 0:
		return "", "", errors.New("no object was named; give NAMESPACE/NAME of a QueueConsumer, or NAME and -n NAMESPACE, or another such as pod/NAMESPACE/NAME, node/NAME or pool/NAME")
	case len(validation.IsDNS1123Subdomain(name)) > 0:
		return "", "", fmt.Errorf("%q names nothing that swell knows; give NAMESPACE/NAME of a QueueConsumer, or NAME and -n NAMESPACE, or another such as pod/NAMESPACE/NAME, node/NAME or pool/NAME", strings.Join(args, " "))
	case namespace == "":
		return f.namespace, name, nil
	case f.namespace != "" && f.namespace != namespace:
		return "", "", fmt.Errorf("%s is not in namespace %s of -n; give one namespace", args[0], f.namespace)
	}
	return namespace, name, nil
}

// runWhy tells of a QueueConsumer; where there is none and the name is plain, of what else has it.
func runWhy(cmd *cobra.Command, args []string, f storyFlags, plain bool) error {
	api, inContext, err := newAPIReader(f.whyFlags)
	if err != nil {
		return usageError{fmt.Errorf("%s: %w; give --kubeconfig and --context of a cluster, or --ledger with the folder of a ledger", cmd.CommandPath(), err)}
	}
	namespace, name, err := f.consumer(args)
	if err != nil {
		return err
	}
	if namespace == "" {
		namespace = inContext
	}
	ctx := cmd.Context()
	q, err := api.queueConsumer(ctx, namespace, name)
	if err != nil {
		if others := api.find(namespace + "/" + name); plain && len(others) > 0 {
			return tell(cmd, &sources{api: &api, namespace: namespace}, others, &f, false)
		}
		return fmt.Errorf("%s: %w", cmd.CommandPath(), err)
	}
	out := aboutConsumer(q)
	out.TargetProblem = api.targetProblem(ctx, q)
	var parts externalv1beta1.ExternalMetricValueList
	if err := api.metric(ctx, &parts, q, metric.PartitionLag); err != nil {
		out.PartitionsProblem = err.Error()
	}
	out.addPartitions(parts.Items)
	if out.Lag != nil {
		out.LateProblem = api.unknownMetric(ctx, q, metric.LateMessages, out.LateMessages == nil && out.LateAfterSeconds > 0)
		out.SecondsProblem = api.unknownMetric(ctx, q, metric.LagSeconds, out.LagSeconds == nil)
	}
	out.age(time.Now())
	var hpas autoscalingv2.HorizontalPodAutoscalerList
	if err := api.read(ctx, &hpas, fmt.Sprintf("/apis/autoscaling/v2/namespaces/%s/horizontalpodautoscalers", namespace), ""); err != nil {
		out.HPAsProblem = err.Error()
	}
	out.HPAs = aboutHPAs(hpas.Items, q)
	if f.asJSON {
		return printJSON(cmd.OutOrStdout(), out)
	}
	return out.print(cmd.OutOrStdout())
}

// aboutConsumer is what the object itself says.
func aboutConsumer(q *v1alpha1.QueueConsumer) *whyOutput {
	s := &q.Status
	out := &whyOutput{Namespace: q.Namespace, Name: q.Name, Cluster: q.Spec.Kafka.Cluster, Group: q.Spec.Kafka.Group, Target: q.Spec.ScaleTargetRef,
		Lag: s.Lag, LateMessages: s.LateMessages, LateCount: s.LateCount, LateAfterSeconds: q.Spec.LateAfter.Seconds(), LagSeconds: s.LagSeconds,
		ProduceRate: s.ProduceRate, ConsumeRate: s.ConsumeRate, PerPodRate: s.PerPodRate, DesiredReplicas: s.DesiredReplicas, Why: s.Why,
		Partitions: s.Partitions, Conditions: s.Conditions, WorstPartitions: []partitionLag{}, HPAs: []hpaOutput{}}
	if out.Conditions == nil {
		out.Conditions = []metav1.Condition{}
	}
	if s.SampledAt != nil {
		out.SampledAt = &s.SampledAt.Time
	}
	if s.PerPodRate != nil {
		out.PerPodRateFrom = "Learned"
		if learn := q.Spec.PerPodRate.Learn; learn != nil && !*learn || sameNumber(*s.PerPodRate, q.Spec.PerPodRate.Initial) {
			out.PerPodRateFrom = "Declared"
		}
	}
	if s.Lag == nil || s.DesiredReplicas == nil {
		out.Unknown = "nothing was written into its status yet: does swell-metrics run, and does one replica hold its lease?"
		for _, c := range s.Conditions {
			if c.Type == "Ready" && c.Status != metav1.ConditionTrue {
				out.Unknown = c.Message
			}
		}
	}
	return out
}

func sameNumber(a, b v1alpha1.Decimal) bool {
	trim := func(d v1alpha1.Decimal) string {
		s := string(d)
		if strings.Contains(s, ".") {
			s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
		}
		return s
	}
	return trim(a) == trim(b)
}

// addPartitions takes in the items of the metric by partition.
func (o *whyOutput) addPartitions(items []externalv1beta1.ExternalMetricValue) {
	var sum int64
	var oldest time.Time
	for _, i := range items {
		sum += i.Value.Value()
		o.WorstPartitions = append(o.WorstPartitions, partitionLag{Topic: i.MetricLabels["topic"], Partition: i.MetricLabels["partition"], Lag: i.Value.Value()})
		if at := i.Timestamp.Time; oldest.IsZero() || at.Before(oldest) {
			oldest = at
		}
	}
	if !oldest.IsZero() && (o.SampledAt == nil || oldest.After(*o.SampledAt)) {
		o.SampledAt = &oldest
	}
	for i := range o.WorstPartitions {
		if sum > 0 {
			o.WorstPartitions[i].Share = float64(o.WorstPartitions[i].Lag) / float64(sum)
		}
	}
	slices.SortFunc(o.WorstPartitions, func(a, b partitionLag) int {
		return cmp.Or(cmp.Compare(b.Lag, a.Lag), cmp.Compare(a.Topic, b.Topic), cmp.Compare(len(a.Partition), len(b.Partition)), cmp.Compare(a.Partition, b.Partition))
	})
	o.WorstPartitions = o.WorstPartitions[:min(worstShown, len(o.WorstPartitions))]
}

func (o *whyOutput) age(now time.Time) {
	if o.SampledAt != nil {
		age := max(0, now.Sub(*o.SampledAt).Seconds())
		o.AgeSeconds = &age
	}
}
