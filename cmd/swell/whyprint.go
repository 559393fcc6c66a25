package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"swell/api/v1alpha1"
)

// unknown is what is not known, by why.
type unknown struct {
	what   []string
	reason string
}

// unknowns tell each reason once.
type unknowns []unknown

// add takes in something that is not known; the reason may be empty.
func (u *unknowns) add(what, reason string) {
	for i := range *u {
		if one := &(*u)[i]; sameReason(one.reason, reason) {
			one.what = append(one.what, what)
			return
		}
	}
	*u = append(*u, unknown{[]string{what}, reason})
}

// short leaves out of a message what they tell already.
func (u unknowns) short(message string) string {
	for _, one := range u {
		reason := withoutMetric(one.reason)
		switch {
		case reason == "" || message == "":
		case strings.Contains(reason, message):
			return "as above"
		default:
			message = strings.ReplaceAll(message, reason, "as above")
		}
	}
	return message
}

// sameReason says that two reasons are one, or one is the other's end.
func sameReason(a, b string) bool {
	a, b = withoutMetric(a), withoutMetric(b)
	return a == b || a != "" && b != "" && (strings.Contains(a, b) || strings.Contains(b, a))
}

// withoutMetric is a reason without the metric's name that an error of the metrics API begins with.
func withoutMetric(reason string) string {
	if rest, ok := strings.CutPrefix(reason, "serve "); ok {
		if _, after, ok := strings.Cut(rest, ": "); ok {
			return after
		}
	}
	return reason
}

// print writes for people.
func (o *whyOutput) print(to io.Writer) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "QueueConsumer %s/%s: group %s in Kafka cluster %s, %s %s\n\n", o.Namespace, o.Name, o.Group, o.Cluster, o.Target.Kind, o.Target.Name)
	if o.AgeSeconds != nil {
		fmt.Fprintf(w, "sampled\t%s ago, %s\n", time.Duration(*o.AgeSeconds*float64(time.Second)).Round(time.Second), o.SampledAt.UTC().Format(time.RFC3339))
	} else {
		fmt.Fprintf(w, "sampled\tnot known now\n")
	}
	if o.TargetProblem != "" {
		fmt.Fprintf(w, "workload\t%s\n", o.TargetProblem)
	}
	why := o.printValues(w)
	for _, u := range why {
		text := strings.Join(u.what, ", ")
		if u.reason != "" {
			text += ": " + u.reason
		}
		fmt.Fprintf(w, "unknown\t%s\n", text)
	}
	o.printConditions(w, why)
	o.printPartitions(w)
	o.printHPAs(w, why)
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// printValues prints what is known, and gives what is not.
func (o *whyOutput) printValues(w io.Writer) unknowns {
	var why unknowns
	row := func(name, value string, known bool, reason string) {
		if known {
			fmt.Fprintf(w, "%s\t%s\n", name, value)
			return
		}
		if reason == "" {
			reason = o.Unknown
		}
		why.add(name, reason)
	}
	known := ""
	if o.Partitions != nil {
		known = fmt.Sprintf(" (%d of %d partitions are known)", o.Partitions.Known, o.Partitions.Total)
	}
	atLeast := ""
	if o.LateCount == v1alpha1.LateAtLeast {
		atLeast = ", at least: producers stamp them"
	}
	row("lag", counted(o.Lag, "message")+known, o.Lag != nil, "")
	if o.LateAfterSeconds > 0 {
		row("late", counted(o.LateMessages, "message")+fmt.Sprintf(" older than %gs%s", o.LateAfterSeconds, atLeast), o.LateMessages != nil, o.LateProblem)
	}
	row("oldest unread", text(o.LagSeconds)+" s", o.LagSeconds != nil, o.SecondsProblem)
	row("λ produced", text(o.ProduceRate)+" messages/s", o.ProduceRate != nil, "")
	row("consumed", text(o.ConsumeRate)+" messages/s", o.ConsumeRate != nil, "")
	row("μ a pod", text(o.PerPodRate)+" messages/s, "+strings.ToLower(o.PerPodRateFrom), o.PerPodRate != nil, "")
	row("desired", counted(o.DesiredReplicas, "replica"), o.DesiredReplicas != nil, "")
	if o.Why != "" {
		fmt.Fprintf(w, "because\t%s\n", o.Why)
	}
	if o.PartitionsProblem != "" {
		why.add("partitions", o.PartitionsProblem)
	}
	return why
}

// counted is a number of things; empty where it is not known.
func counted[T int32 | int64](n *T, thing string) string {
	switch {
	case n == nil:
		return ""
	case *n == 1:
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", *n, thing)
}

func text(d *v1alpha1.Decimal) string {
	if d == nil {
		return ""
	}
	return string(*d)
}

func (o *whyOutput) printConditions(w io.Writer, told unknowns) {
	fmt.Fprintln(w)
	for _, c := range o.Conditions {
		fmt.Fprintf(w, "%s\t%s since %s, %s: %s\n", c.Type, c.Status, c.LastTransitionTime.UTC().Format(time.RFC3339), c.Reason, told.short(c.Message))
	}
}

func (o *whyOutput) printPartitions(w io.Writer) {
	if o.PartitionsProblem != "" {
		return
	}
	fmt.Fprintf(w, "\npartition\tlag\tshare\n")
	for _, p := range o.WorstPartitions {
		fmt.Fprintf(w, "%s/%s\t%d\t%.1f %%\n", p.Topic, p.Partition, p.Lag, 100*p.Share)
	}
}

func (o *whyOutput) printHPAs(w io.Writer, told unknowns) {
	fmt.Fprintln(w)
	if o.HPAsProblem != "" {
		fmt.Fprintf(w, "HPA\tunknown: %s\n", o.HPAsProblem)
		return
	}
	if len(o.HPAs) == 0 {
		fmt.Fprintf(w, "HPA\tnone names this consumer or scales its workload\n")
	}
	for _, h := range o.HPAs {
		fmt.Fprintf(w, "HPA %s\t%s, wants %d, %d to %d allowed\n", h.Name, counted(&h.Current, "replica"), h.Desired, h.Min, h.Max)
		for _, c := range h.Conditions {
			fmt.Fprintf(w, "  %s\t%s, %s: %s\n", c.Type, c.Status, c.Reason, told.short(c.Message))
		}
		for _, n := range h.Notes {
			fmt.Fprintf(w, "  note\t%s\n", n)
		}
	}
}
