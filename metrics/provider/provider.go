// Package provider serves what swell knows of consumer groups as custom.metrics.k8s.io and
// external.metrics.k8s.io. A request reads memory only; names that are not swell's own may be passed on.
package provider

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	metrics "sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"swell/api/config"
	"swell/metrics/consumers"
	"swell/metrics/lag"
)

// Known is what is known of QueueConsumers.
type Known interface {
	// Get and All are their last results, Fresh whether one may still be served.
	Get(name types.NamespacedName) (consumers.Result, bool)
	All(namespace string) (map[types.NamespacedName]consumers.Result, error)
	Fresh(r consumers.Result) error
	// Partitions are the readings that a result rests on, sorted.
	Partitions(name types.NamespacedName) ([]lag.Reading, lag.Rules, error)
}

// Asked is what is known of groups without a QueueConsumer. An error that is consumers.ErrForbidden is the asker's.
type Asked interface {
	Ask(q consumers.Question) (lag.Sum, error)
	PartitionsOf(q consumers.Question) ([]lag.Reading, lag.Rules, error)
	// Rates are messages a second.
	Rates(q consumers.Question) (produce, consume float64, err error)
}

// Source is what is served.
type Source interface {
	Known
	Asked
}

// Provider serves both APIs.
type Provider struct {
	source Source
	clock  config.Clock
	others atomic.Pointer[PassOn]
	// balloons are nil where nobody watches them.
	balloons Balloons
}

// New makes a provider over a source.
func New(source Source, clock config.Clock) *Provider {
	p := &Provider{source: source, clock: clock}
	p.SetPassOn(PassOn{})
	return p
}

var _ metrics.MetricsProvider = (*Provider)(nil)

// result is a QueueConsumer's result where there is one.
func (p *Provider) result(name types.NamespacedName, metric string) (consumers.Result, error) {
	r, ok := p.source.Get(name)
	if !ok {
		return r, &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: http.StatusNotFound, Reason: metav1.StatusReasonNotFound,
			Message: fmt.Sprintf("serve %s: QueueConsumer %s is not there or not sampled yet: create it in the HPA's namespace, or wait for the next poll", metric, name)}}
	}
	return r, nil
}

// partitions are the readings of a QueueConsumer, each of them known.
func (p *Provider) partitions(name types.NamespacedName, r consumers.Result) ([]partitionLag, error) {
	if _, err := p.servable(name, PartitionLag, r); err != nil {
		return nil, err
	}
	readings, rules, err := p.source.Partitions(name)
	if err != nil {
		return nil, failure(PartitionLag, fmt.Errorf("QueueConsumer %s: %w", name, err))
	}
	return judgePartitions(fmt.Sprintf("QueueConsumer %s", name), readings, rules)
}

// partitionLag is one partition's part of a group's lag.
type partitionLag struct {
	topic     string
	partition int32
	messages  int64
	at        time.Time
}

// judgePartitions fails where one is unknown: the sum of the others would be too low.
func judgePartitions(who string, readings []lag.Reading, rules lag.Rules) ([]partitionLag, error) {
	if len(readings) == 0 {
		return nil, failure(PartitionLag, fmt.Errorf("%s: none of its partitions are known", who))
	}
	all := make([]partitionLag, 0, len(readings))
	for _, r := range readings {
		messages, problem := lag.Of(r, rules)
		if problem != "" {
			return nil, failure(PartitionLag, fmt.Errorf("%s: %s", who, lag.Problem{Topic: r.Topic, Partition: r.Partition, Text: problem, Since: r.Since}))
		}
		all = append(all, partitionLag{topic: r.Topic, partition: r.Partition, messages: messages, at: r.At})
	}
	return all, nil
}
