package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-logr/logr"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/cluster"

	"swell/api/v1alpha1"
	"swell/metrics/consumers"
	"swell/metrics/provider"
)

// newObjects watches QueueConsumers and pods.
func newObjects(restConfig *rest.Config, log *slog.Logger) (cluster.Cluster, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme), autoscalingv1.AddToScheme(scheme), autoscalingv2.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("register the kinds: %w", err)
	}
	objects, err := cluster.New(restConfig, func(o *cluster.Options) {
		o.Scheme = scheme
		o.Logger = logr.FromSlogHandler(log.Handler())
		o.Cache = cache.Options{ByObject: map[client.Object]cache.ByObject{&corev1.Pod{}: {Transform: consumers.Slim}}}
	})
	if err != nil {
		return nil, fmt.Errorf("reach the Kubernetes API: %w", err)
	}
	return objects, nil
}

// awaitObjects waits until everything that is watched was listed once.
func awaitObjects(ctx context.Context, objects cluster.Cluster) error {
	if _, err := objects.GetCache().GetInformer(ctx, &v1alpha1.QueueConsumer{}); err != nil {
		return fmt.Errorf("watch QueueConsumers: %w: install the CRDs of charts/swell/crds, and let swell-metrics list and watch queueconsumers.capacity.swell", err)
	}
	if _, err := objects.GetCache().GetInformer(ctx, &corev1.Pod{}); err != nil {
		return fmt.Errorf("watch pods: %w: let swell-metrics list and watch pods", err)
	}
	if !objects.GetCache().WaitForCacheSync(ctx) {
		return errors.New("watch QueueConsumers and pods: stopped before they were listed")
	}
	return nil
}

const (
	// autoscalersWithin is how long the list of HorizontalPodAutoscalers may take, in the machine's time.
	autoscalersWithin = 15 * time.Second
	autoscalersPage   = 500
)

// askForAutoscalers makes the groups wanted that HorizontalPodAutoscalers select without a QueueConsumer: this replica has
// not been asked yet, and the first answer about a group that was never polled would be an error.
func askForAutoscalers(ctx context.Context, live client.Reader, known *consumers.Consumers, balloons *balloons) (groups int, err error) {
	ctx, cancel := context.WithTimeout(ctx, autoscalersWithin)
	defer cancel()
	for page := (&client.ListOptions{Limit: autoscalersPage}); ; {
		var list autoscalingv2.HorizontalPodAutoscalerList
		if err := live.List(ctx, &list, page); err != nil {
			return groups, fmt.Errorf("list HorizontalPodAutoscalers: %w: let swell-metrics list them, or a new replica's first answers about groups without a QueueConsumer are errors", err)
		}
		for i := range list.Items {
			groups += askFor(&list.Items[i], known)
			if names, _ := predictionsAsked(&list.Items[i]); len(names) > 0 {
				balloons.want()
			}
		}
		if page.Continue = list.Continue; page.Continue == "" {
			return groups, nil
		}
	}
}

// keepAsking asks for them again and again until the context ends: a replica that no request reaches would forget the groups, and take over
// from another without knowing them.
func keepAsking(ctx context.Context, live client.Reader, known *consumers.Consumers, balloons *balloons, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(consumers.AskedFor / 2):
		}
		if _, err := askForAutoscalers(ctx, live, known, balloons); err != nil && ctx.Err() == nil {
			log.Warn("groups that HorizontalPodAutoscalers select may be forgotten by this replica", "error", err)
		}
	}
}

// askFor asks once for what one of them selects. The answers are not there yet: asking is what counts.
func askFor(h *autoscalingv2.HorizontalPodAutoscaler, known *consumers.Consumers) (groups int) {
	for _, m := range h.Spec.Metrics {
		if m.Type != autoscalingv2.ExternalMetricSourceType || m.External == nil || !provider.Own(m.External.Metric.Name) {
			continue
		}
		selector, err := metav1.LabelSelectorAsSelector(m.External.Metric.Selector)
		if err != nil {
			continue
		}
		consumer, q, err := provider.ParseSelector(m.External.Metric.Name, selector)
		if err != nil || consumer != "" {
			continue
		}
		q.Namespace, q.Found = h.Namespace, true
		groups++
		switch m.External.Metric.Name {
		case provider.ProduceRate, provider.ConsumeRate:
			_, _, _ = known.Rates(q)
		default:
			_, _ = known.Ask(q)
		}
	}
	return groups
}
