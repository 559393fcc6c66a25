package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/v1alpha1"
	"swell/metrics/provider"
)

const (
	// balloonsRetry is the time between two attempts to watch Balloons, balloonsWithin how long a question waits for the first
	// list; the machine's time.
	balloonsRetry  = 10 * time.Second
	balloonsWithin = 3 * time.Second
	// hpasFor is how long the HPAs of a namespace are remembered, in the machine's time. It is short: an HPA that has just lost its other
	// metric must not be told that the prediction adds nothing.
	hpasFor = time.Second
)

// balloons watches Balloons from the first question about one on. It has a cache of its own, so that without the kind, or the
// right to list it, nothing else waits.
type balloons struct {
	config *rest.Config
	scheme *runtime.Scheme
	live   client.Reader
	log    *slog.Logger

	ctx   context.Context // of the server's run; set before anything is asked
	begin sync.Once
	ready chan struct{} // closed when cache is listed

	mu      sync.Mutex
	cache   cache.Cache
	problem error // why there is no cache yet

	listing sync.Mutex
	hpas    map[string]seenHPAs
}

// seenHPAs are a namespace's, by what they ask of Balloons: what is wrong with it, nil where nothing is.
type seenHPAs struct {
	at      time.Time
	balloon map[string]error
}

func newBalloons(config *rest.Config, scheme *runtime.Scheme, live client.Reader, log *slog.Logger) *balloons {
	return &balloons{config: config, scheme: scheme, live: live, log: log, ctx: context.Background(), ready: make(chan struct{}), hpas: map[string]seenHPAs{}}
}

// want begins the watch. It never blocks.
func (b *balloons) want() { b.begin.Do(func() { go b.watch() }) }

func (b *balloons) watch() {
	for {
		err := b.try()
		if b.ctx.Err() != nil {
			return
		}
		b.mu.Lock()
		said := b.problem != nil && b.problem.Error() == err.Error()
		b.problem = err
		b.mu.Unlock()
		if !said {
			b.log.Warn("watch Balloons", "error", err)
		}
		select {
		case <-b.ctx.Done():
			return
		case <-time.After(balloonsRetry):
		}
	}
}

// try watches until the context ends, or says why it cannot begin.
func (b *balloons) try() error {
	c, err := cache.New(b.config, cache.Options{Scheme: b.scheme})
	if err != nil {
		return err
	}
	if _, err := c.GetInformer(b.ctx, &v1alpha1.Balloon{}, cache.BlockUntilSynced(false)); err != nil {
		return fmt.Errorf("%w: install the CRDs of charts/swell/crds", err)
	}
	b.mu.Lock()
	b.cache, b.problem = c, errors.New("they are not listed yet: let swell-metrics list and watch balloons.capacity.swell")
	b.mu.Unlock()
	go func() {
		if c.WaitForCacheSync(b.ctx) {
			close(b.ready)
		}
	}()
	return c.Start(b.ctx)
}

// listed is the cache when the Balloons are in it.
func (b *balloons) listed(ctx context.Context) (client.Reader, error) {
	b.want()
	select {
	case <-b.ready:
		return b.cache, nil
	default:
	}
	t := time.NewTimer(balloonsWithin)
	defer t.Stop()
	select {
	case <-b.ready:
		return b.cache, nil
	case <-ctx.Done():
	case <-t.C:
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.problem != nil {
		return nil, fmt.Errorf("watch Balloons: %w", b.problem)
	}
	return nil, errors.New("watch Balloons: they are not listed yet: ask again")
}

// Get is a Balloon as it was last seen.
func (b *balloons) Get(ctx context.Context, name types.NamespacedName) (*v1alpha1.Balloon, error) {
	c, err := b.listed(ctx)
	if err != nil {
		return nil, err
	}
	var one v1alpha1.Balloon
	if err := c.Get(ctx, name, &one); apierrors.IsNotFound(err) {
		return nil, provider.ErrNoBalloon
	} else if err != nil {
		return nil, err
	}
	return &one, nil
}

// In are the Balloons of a namespace.
func (b *balloons) In(ctx context.Context, namespace string) ([]v1alpha1.Balloon, error) {
	c, err := b.listed(ctx)
	if err != nil {
		return nil, err
	}
	var list v1alpha1.BalloonList
	if err := c.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return nil, err
	}
	return list.Items, nil
}

// OthersDecide looks at the HPAs that ask for a Balloon's prediction.
func (b *balloons) OthersDecide(ctx context.Context, name types.NamespacedName) error {
	b.listing.Lock()
	defer b.listing.Unlock()
	seen, ok := b.hpas[name.Namespace]
	if !ok || time.Since(seen.at) > hpasFor {
		ctx, cancel := context.WithTimeout(ctx, autoscalersWithin)
		defer cancel()
		var list autoscalingv2.HorizontalPodAutoscalerList
		if err := b.live.List(ctx, &list, client.InNamespace(name.Namespace)); err != nil {
			return fmt.Errorf("its HPAs cannot be listed: %w: let swell-metrics list them", err)
		}
		seen = seenHPAs{time.Now(), map[string]error{}}
		for i := range list.Items {
			noteAsked(&list.Items[i], seen.balloon)
		}
		b.hpas[name.Namespace] = seen
	}
	problem, asked := seen.balloon[name.Name]
	if !asked {
		return fmt.Errorf("no HPA in namespace %s asks for it", name.Namespace)
	}
	return problem
}

// noteAsked notes what an HPA asks of Balloons, and whether it has another metric to go by.
func noteAsked(h *autoscalingv2.HorizontalPodAutoscaler, into map[string]error) {
	asked, others := predictionsAsked(h)
	for _, name := range asked {
		if problem := into[name]; problem != nil {
			continue
		}
		into[name] = nil
		if others == 0 {
			into[name] = fmt.Errorf("HPA %s has no other metric to go by: give it one, such as CPU", h.Name)
		}
	}
}

// predictionsAsked are the Balloons whose prediction an HPA asks for, and how many other metrics it has.
func predictionsAsked(h *autoscalingv2.HorizontalPodAutoscaler) (names []string, others int) {
	for _, m := range h.Spec.Metrics {
		switch {
		case m.Type == autoscalingv2.ExternalMetricSourceType && m.External != nil && m.External.Metric.Name == provider.PredictedReplicas:
			selector, err := metav1.LabelSelectorAsSelector(m.External.Metric.Selector)
			if err != nil {
				continue
			}
			if name, err := provider.SelectedBalloon(selector); err == nil {
				names = append(names, name)
			}
		case m.Type == autoscalingv2.ObjectMetricSourceType && m.Object != nil && m.Object.Metric.Name == provider.PredictedReplicas:
			names = append(names, m.Object.DescribedObject.Name)
		default:
			others++
		}
	}
	return names, others
}
