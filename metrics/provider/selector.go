package provider

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"swell/metrics/consumers"
)

// Labels that a selector may name, and that values carry.
const (
	labelCluster   = "cluster"
	labelGroup     = "group"
	labelTopic     = "topic"
	labelConsumer  = "consumer"
	labelLateAfter = "late_after"
	labelPartition = "partition"
	labelLateCount = "late_count"
)

// asked is what a selector of an external metric means.
type asked struct {
	// consumer is a QueueConsumer in the asker's namespace; empty: question is meant.
	consumer string
	question consumers.Question
	// labels are the selector's, as they are given back with the value.
	labels map[string]string
}

// ParseSelector reads label = value requirements for a metric; topic may also be one of several. A selector that
// names a consumer asks no question of its own. The question's Namespace is left to the caller.
func ParseSelector(metric string, selector labels.Selector) (consumer string, question consumers.Question, err error) {
	a, err := parseSelector(metric, selector)
	return a.consumer, a.question, err
}

func parseSelector(metric string, selector labels.Selector) (asked, error) {
	requirements, selectable := selector.Requirements()
	if !selectable {
		return asked{}, fmt.Errorf("the selector selects nothing: give labels cluster and group, or consumer")
	}
	a := asked{labels: make(map[string]string, len(requirements))}
	for _, r := range requirements {
		value, err := valueOf(r)
		if err != nil {
			return asked{}, err
		}
		if _, twice := a.labels[r.Key()]; twice {
			return asked{}, fmt.Errorf("selector label %s is there twice: give it once", r.Key())
		}
		a.labels[r.Key()] = value
	}
	if a.consumer = a.labels[labelConsumer]; a.consumer != "" {
		if len(a.labels) > 1 {
			return asked{}, fmt.Errorf("selector label consumer stands with others: give it alone, or cluster, group and topic")
		}
		return a, nil
	}
	a.question = consumers.Question{Cluster: a.labels[labelCluster], Group: a.labels[labelGroup], Topics: a.labels[labelTopic], Ages: metric == LagSeconds}
	switch q := a.question; {
	case q.Group == "":
		return asked{}, fmt.Errorf("the selector names no group: give labels cluster and group, or consumer")
	case q.Cluster == "":
		return asked{}, fmt.Errorf("the selector names no cluster: give label cluster, a name under clusters in swell-metrics' configuration")
	}
	var err error
	a.question.LateAfter, err = lateAfter(metric, a.labels)
	return a, err
}

// valueOf is what one label must be; several topics are joined by commas.
func valueOf(r labels.Requirement) (string, error) {
	values := r.Values().UnsortedList()
	slices.Sort(values)
	switch r.Key() {
	case labelTopic:
	case labelCluster, labelGroup, labelConsumer, labelLateAfter:
		if len(values) != 1 {
			return "", fmt.Errorf("selector label %s has %d values: give one", r.Key(), len(values))
		}
	default:
		return "", fmt.Errorf("selector label %q is not known: give cluster, group and topic, or consumer", r.Key())
	}
	if op := r.Operator(); op != selection.Equals && op != selection.DoubleEquals && op != selection.In {
		return "", fmt.Errorf("selector label %s has operator %q: give = or in", r.Key(), op)
	}
	if slices.Contains(values, "") {
		return "", fmt.Errorf("selector label %s is empty: give a value, or leave it out", r.Key())
	}
	return strings.Join(values, ","), nil
}

func lateAfter(metric string, given map[string]string) (time.Duration, error) {
	text, ok := given[labelLateAfter]
	switch {
	case metric != LateMessages && ok:
		return 0, fmt.Errorf("selector label %s is given, and %s does not use it: leave it out", labelLateAfter, metric)
	case metric != LateMessages:
		return 0, nil
	case !ok:
		return consumers.DefaultLateAfter, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("selector label %s is %q: give a duration above zero, such as 30s", labelLateAfter, text)
	}
	return d, nil
}

// partitionLabels are what tells a value of one partition from the others.
func partitionLabels(of map[string]string, topic string, partition int32) map[string]string {
	l := make(map[string]string, len(of)+2)
	maps.Copy(l, of)
	l[labelTopic], l[labelPartition] = topic, fmt.Sprint(partition)
	return l
}
