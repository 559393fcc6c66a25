package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	externalv1beta1 "k8s.io/metrics/pkg/apis/external_metrics/v1beta1"

	"swell/api/v1alpha1"
)

// What the metrics API calls what is asked for here.
const (
	metricPartitionLag    = "kafka_consumergroup_partition_lag"
	metricDesiredReplicas = "kafka_consumergroup_desired_replicas"
	metricLate            = "kafka_consumergroup_late_messages"
	metricSeconds         = "kafka_consumergroup_lag_seconds"
)

const (
	// worstShown is how many partitions are listed.
	worstShown = 10
	// whyTimeout is how long the API server may take for each answer.
	whyTimeout = 20 * time.Second
)

// whyFlags say which API server is asked, as kubectl's flags of these names do.
type whyFlags struct {
	kubeconfig, context string
	asJSON              bool
}

// whyOutput is what is known of a QueueConsumer; null is unknown.
type whyOutput struct {
	Namespace string               `json:"namespace"`
	Name      string               `json:"name"`
	Cluster   string               `json:"cluster"`
	Group     string               `json:"group"`
	Target    v1alpha1.ScaleTarget `json:"scaleTargetRef"`
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
	var f whyFlags
	c := &cobra.Command{
		Use:   "why NAMESPACE/NAME",
		Short: "Say what the replicas of a QueueConsumer are counted from, and whether its HPA follows",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if namespace, name, ok := strings.Cut(args[0], "/"); ok && len(validation.IsDNS1123Label(namespace)) == 0 && len(validation.IsDNS1123Subdomain(name)) == 0 {
					return nil
				}
			}
			return usageError{fmt.Errorf("%s: %q names no QueueConsumer; give NAMESPACE/NAME", cmd.CommandPath(), strings.Join(args, " "))}
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runWhy(cmd, args[0], f) },
	}
	c.Flags().StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig file; absent: as kubectl finds it")
	c.Flags().StringVar(&f.context, "context", "", "context of the kubeconfig; absent: its current one")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON document")
	return c
}

func runWhy(cmd *cobra.Command, consumer string, f whyFlags) error {
	api, err := newAPIReader(f)
	if err != nil {
		return usageError{fmt.Errorf("%s: %w; give --kubeconfig and --context of a cluster", cmd.CommandPath(), err)}
	}
	namespace, name, _ := strings.Cut(consumer, "/")
	var q v1alpha1.QueueConsumer
	if err := api.read(cmd.Context(), &q, fmt.Sprintf("/apis/%s/namespaces/%s/queueconsumers/%s", v1alpha1.GroupVersion, namespace, name), ""); err != nil {
		return fmt.Errorf("%s: read QueueConsumer %s: %w", cmd.CommandPath(), consumer, err)
	}
	out := aboutConsumer(&q)
	var parts externalv1beta1.ExternalMetricValueList
	if err := api.metric(cmd.Context(), &parts, &q, metricPartitionLag); err != nil {
		out.PartitionsProblem = err.Error()
	}
	out.addPartitions(parts.Items)
	if out.Lag != nil {
		out.LateProblem = api.unknownMetric(cmd.Context(), &q, metricLate, out.LateMessages == nil && out.LateAfterSeconds > 0)
		out.SecondsProblem = api.unknownMetric(cmd.Context(), &q, metricSeconds, out.LagSeconds == nil)
	}
	out.age(time.Now())
	var hpas autoscalingv2.HorizontalPodAutoscalerList
	if err := api.read(cmd.Context(), &hpas, fmt.Sprintf("/apis/autoscaling/v2/namespaces/%s/horizontalpodautoscalers", namespace), ""); err != nil {
		out.HPAsProblem = err.Error()
	}
	out.HPAs = aboutHPAs(hpas.Items, &q)
	if f.asJSON {
		return printJSON(cmd.OutOrStdout(), out)
	}
	return out.print(cmd.OutOrStdout())
}

// apiReader reads objects from an API server.
type apiReader struct{ client *rest.RESTClient }

func newAPIReader(f whyFlags) (apiReader, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = f.kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: f.context}).ClientConfig()
	if err != nil {
		return apiReader{}, fmt.Errorf("read the kubeconfig: %w", err)
	}
	config.NegotiatedSerializer = serializer.NewCodecFactory(runtime.NewScheme()).WithoutConversion()
	client, err := rest.UnversionedRESTClientFor(config)
	if err != nil {
		return apiReader{}, fmt.Errorf("read the kubeconfig: %w", err)
	}
	return apiReader{client}, nil
}

// read decodes what is at a path; an error has the server's own words.
func (r apiReader) read(ctx context.Context, into any, path, selector string) error {
	ctx, cancel := context.WithTimeout(ctx, whyTimeout)
	defer cancel()
	request := r.client.Get().AbsPath(path)
	if selector != "" {
		request = request.Param("labelSelector", selector)
	}
	body, err := request.DoRaw(ctx)
	if err != nil {
		var status metav1.Status
		if json.Unmarshal(body, &status) == nil && status.Message != "" {
			return fmt.Errorf("%s", status.Message)
		}
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("decode the answer of %s: %w", path, err)
	}
	return nil
}

// metric reads an external metric of a consumer.
func (r apiReader) metric(ctx context.Context, into *externalv1beta1.ExternalMetricValueList, q *v1alpha1.QueueConsumer, name string) error {
	return r.read(ctx, into, fmt.Sprintf("/apis/%s/namespaces/%s/%s", externalv1beta1.SchemeGroupVersion, q.Namespace, name), "consumer="+q.Name)
}

// unknownMetric is why a metric that the status lacks is not served; empty where it was not missing, or is served by now.
func (r apiReader) unknownMetric(ctx context.Context, q *v1alpha1.QueueConsumer, name string, missing bool) string {
	if !missing {
		return ""
	}
	if err := r.metric(ctx, &externalv1beta1.ExternalMetricValueList{}, q, name); err != nil {
		return err.Error()
	}
	return ""
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

// aboutHPAs are those that name the consumer or scale its workload.
func aboutHPAs(all []autoscalingv2.HorizontalPodAutoscaler, q *v1alpha1.QueueConsumer) []hpaOutput {
	out := []hpaOutput{}
	for _, h := range all {
		var names, notes []string
		for _, m := range h.Spec.Metrics {
			name, target, ok := metricOf(m, q)
			if !ok {
				continue
			}
			names = append(names, name)
			notes = append(notes, metricNotes(name, target, h.Spec.Behavior)...)
		}
		ref := h.Spec.ScaleTargetRef
		scales := ref.Kind == q.Spec.ScaleTargetRef.Kind && ref.Name == q.Spec.ScaleTargetRef.Name
		if !scales && len(names) == 0 {
			continue
		}
		switch {
		case !scales:
			notes = append(notes, fmt.Sprintf("it scales %s %s, not the consumer's %s %s", ref.Kind, ref.Name, q.Spec.ScaleTargetRef.Kind, q.Spec.ScaleTargetRef.Name))
		case len(names) == 0:
			notes = append(notes, fmt.Sprintf("it scales the workload and names no metric of this consumer: give it External metric %s with selector consumer: %s", metricDesiredReplicas, q.Name))
		}
		if want := q.Status.DesiredReplicas; want != nil && *want > h.Spec.MaxReplicas {
			notes = append(notes, fmt.Sprintf("%d replicas are needed, and maxReplicas is %d", *want, h.Spec.MaxReplicas))
		}
		for _, c := range h.Status.Conditions {
			if c.Type == autoscalingv2.ScalingActive && c.Status != "True" {
				notes = append(notes, fmt.Sprintf("it holds: %s: %s", c.Reason, c.Message))
			}
		}
		one := hpaOutput{Name: h.Name, Names: names, Current: h.Status.CurrentReplicas, Desired: h.Status.DesiredReplicas, Min: 1, Max: h.Spec.MaxReplicas,
			Conditions: h.Status.Conditions, Notes: notes}
		if h.Spec.MinReplicas != nil {
			one.Min = *h.Spec.MinReplicas
		}
		out = append(out, one)
	}
	return out
}

// metricOf is the name and target of a metric that asks about the consumer or its group.
func metricOf(m autoscalingv2.MetricSpec, q *v1alpha1.QueueConsumer) (name string, target autoscalingv2.MetricTarget, ok bool) {
	switch {
	case m.Object != nil:
		o := m.Object.DescribedObject
		return m.Object.Metric.Name, m.Object.Target, o.Kind == "QueueConsumer" && o.Name == q.Name
	case m.External != nil:
		selector, err := metav1.LabelSelectorAsSelector(m.External.Metric.Selector)
		if err != nil || selector.Empty() || !strings.HasPrefix(m.External.Metric.Name, "kafka_") {
			return "", target, false
		}
		// A selector by group may name any of its topics.
		byName := selector.Matches(labels.Set{"consumer": q.Name})
		byGroup := true
		requirements, _ := selector.Requirements()
		for _, r := range requirements {
			byGroup = byGroup && (r.Key() == "topic" || r.Matches(labels.Set{"cluster": q.Spec.Kafka.Cluster, "group": q.Spec.Kafka.Group}))
		}
		return m.External.Metric.Name, m.External.Target, byName || byGroup
	}
	return "", target, false
}

// metricNotes are what in an HPA's metric keeps it from following.
func metricNotes(name string, target autoscalingv2.MetricTarget, b *autoscalingv2.HorizontalPodAutoscalerBehavior) []string {
	var notes []string
	if target.Type != autoscalingv2.AverageValueMetricType {
		notes = append(notes, fmt.Sprintf("%s has target type %s, which compounds: give AverageValue", name, target.Type))
	}
	if name != metricDesiredReplicas {
		return notes
	}
	if target.AverageValue != nil && target.AverageValue.AsApproximateFloat64() != 1 {
		notes = append(notes, fmt.Sprintf("%s has averageValue %s: give 1, it counts replicas", name, target.AverageValue))
	}
	if b == nil || b.ScaleUp == nil || b.ScaleUp.Tolerance == nil || !b.ScaleUp.Tolerance.IsZero() {
		notes = append(notes, "up to a tenth more replicas than there are is tolerated: set behavior.scaleUp.tolerance to 0")
	}
	return notes
}

// print writes for people.
func (o *whyOutput) print(to io.Writer) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "QueueConsumer %s/%s: group %s in Kafka cluster %s, %s %s\n\n", o.Namespace, o.Name, o.Group, o.Cluster, o.Target.Kind, o.Target.Name)
	if o.AgeSeconds != nil {
		fmt.Fprintf(w, "sampled\t%s ago, %s\n", time.Duration(*o.AgeSeconds*float64(time.Second)).Round(time.Second), o.SampledAt.UTC().Format(time.RFC3339))
	} else {
		fmt.Fprintf(w, "sampled\tnever\n")
	}
	known := ""
	if o.Partitions != nil {
		known = fmt.Sprintf(" (%d of %d partitions are known)", o.Partitions.Known, o.Partitions.Total)
	}
	atLeast := ""
	if o.LateCount == v1alpha1.LateAtLeast {
		atLeast = ", at least: producers stamp them"
	}
	fmt.Fprintf(w, "lag\t%s%s\n", orUnknown(o.Lag, " messages"), known)
	fmt.Fprintf(w, "late\t%s\n", because(orUnknown(o.LateMessages, fmt.Sprintf(" messages are older than %gs%s", o.LateAfterSeconds, atLeast)), o.LateProblem))
	fmt.Fprintf(w, "oldest unread\t%s\n", because(orUnknown(o.LagSeconds, " s"), o.SecondsProblem))
	fmt.Fprintf(w, "λ produced\t%s\n", orUnknown(o.ProduceRate, " messages/s"))
	fmt.Fprintf(w, "consumed\t%s\n", orUnknown(o.ConsumeRate, " messages/s"))
	fmt.Fprintf(w, "μ a pod\t%s\n", orUnknown(o.PerPodRate, " messages/s, "+strings.ToLower(o.PerPodRateFrom)))
	fmt.Fprintf(w, "desired\t%s\n", orUnknown(o.DesiredReplicas, " replicas"))
	if o.Why != "" {
		fmt.Fprintf(w, "because\t%s\n", o.Why)
	}
	if o.Unknown != "" {
		fmt.Fprintf(w, "unknown\t%s\n", o.Unknown)
	}
	o.printConditions(w)
	o.printPartitions(w)
	o.printHPAs(w)
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

func orUnknown[T any](v *T, unit string) string {
	if v == nil {
		return "unknown"
	}
	return fmt.Sprintf("%v%s", *v, unit)
}

func because(value, problem string) string {
	if problem == "" {
		return value
	}
	return value + ": " + problem
}

func (o *whyOutput) printConditions(w io.Writer) {
	fmt.Fprintln(w)
	for _, c := range o.Conditions {
		fmt.Fprintf(w, "%s\t%s since %s, %s: %s\n", c.Type, c.Status, c.LastTransitionTime.UTC().Format(time.RFC3339), c.Reason, c.Message)
	}
}

func (o *whyOutput) printPartitions(w io.Writer) {
	if o.PartitionsProblem != "" {
		fmt.Fprintf(w, "\npartitions\tunknown: %s\n", o.PartitionsProblem)
		return
	}
	fmt.Fprintf(w, "\npartition\tlag\tshare\n")
	for _, p := range o.WorstPartitions {
		fmt.Fprintf(w, "%s/%s\t%d\t%.1f %%\n", p.Topic, p.Partition, p.Lag, 100*p.Share)
	}
}

func (o *whyOutput) printHPAs(w io.Writer) {
	fmt.Fprintln(w)
	if o.HPAsProblem != "" {
		fmt.Fprintf(w, "HPA\tunknown: %s\n", o.HPAsProblem)
		return
	}
	if len(o.HPAs) == 0 {
		fmt.Fprintf(w, "HPA\tnone names this consumer or scales its workload\n")
	}
	for _, h := range o.HPAs {
		fmt.Fprintf(w, "HPA %s\t%d replicas, wants %d, %d to %d allowed\n", h.Name, h.Current, h.Desired, h.Min, h.Max)
		for _, c := range h.Conditions {
			fmt.Fprintf(w, "  %s\t%s, %s: %s\n", c.Type, c.Status, c.Reason, c.Message)
		}
		for _, n := range h.Notes {
			fmt.Fprintf(w, "  note\t%s\n", n)
		}
	}
}
