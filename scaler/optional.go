package scaler

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	policyv1 "k8s.io/api/policy/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/v1alpha1"
	"swell/scaler/observe"
)

// errUnread says that a cache has nothing of a kind yet.
var errUnread = errors.New("the API server has not listed them to the scaler")

// readWithin is how long the first read of an optional kind waits for its cache; the machine's time.
const readWithin = 2 * time.Second

// optional reads kinds that only some Balloons need without ever waiting long: a cache waits for a kind that it may not
// list for as long as that is so, and with it every plan of the cluster would.
type optional struct {
	client.Client
	cache cache.Cache
	wait  time.Duration

	mu    sync.Mutex
	kinds map[reflect.Type]watched
	kick  func() // on a change of storage that may change a plan; nil is none
}

// watched is an optional kind, with until when its first readers wait.
type watched struct {
	cache.Informer
	until time.Time
}

func newOptional(c client.Client, caches cache.Cache) *optional {
	return &optional{Client: c, cache: caches, wait: readWithin, kinds: map[reflect.Type]watched{}}
}

func (o *optional) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	switch object.(type) {
	case *nodev1.RuntimeClass, *v1alpha1.QueueConsumer, *corev1.PersistentVolumeClaim, *corev1.PersistentVolume:
		if err := o.read(ctx, object); err != nil {
			return err
		}
	}
	return o.Client.Get(ctx, key, object, options...)
}

func (o *optional) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	kind := storageOf(list)
	switch list.(type) {
	case *corev1.ResourceQuotaList:
		kind = &corev1.ResourceQuota{}
	case *corev1.LimitRangeList:
		kind = &corev1.LimitRange{}
	case *policyv1.PodDisruptionBudgetList:
		kind = &policyv1.PodDisruptionBudget{}
	case *schedulingv1.PriorityClassList:
		kind = &schedulingv1.PriorityClass{}
	}
	if kind != nil {
		if err := o.read(ctx, kind); err != nil {
			return err
		}
	}
	return o.Client.List(ctx, list, options...)
}

// read is an error while the cache has not read the object's kind.
func (o *optional) read(ctx context.Context, object client.Object) error {
	kind := reflect.TypeOf(object)
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, asked := o.kinds[kind]; !asked {
		if err := o.watch(ctx, kind, object); err != nil {
			return err
		}
	}
	w := o.kinds[kind]
	for !w.HasSynced() && time.Now().Before(w.until) {
		if !sleep(ctx, 10*time.Millisecond) {
			return ctx.Err()
		}
	}
	if !w.HasSynced() {
		return fmt.Errorf("watching %ss: %w; give its role list and watch on them", kind.Elem().Name(), errUnread)
	}
	return nil
}

// watch begins to watch a kind, and with one of storage all of it, so that they are waited for together.
func (o *optional) watch(ctx context.Context, kind reflect.Type, object client.Object) error {
	all := []client.Object{object}
	if storageKinds[kind] {
		all = all[:0]
		for _, other := range observe.Storage() {
			all = append(all, other)
		}
	}
	until := time.Now().Add(o.wait)
	for _, x := range all {
		t := reflect.TypeOf(x)
		if _, asked := o.kinds[t]; asked {
			continue
		}
		informer, err := o.cache.GetInformer(ctx, x, cache.BlockUntilSynced(false))
		if err == nil && storageKinds[t] && o.kick != nil {
			err = kickOn(informer, o.kick)
		}
		if err != nil {
			return fmt.Errorf("watching %ss: %w", t.Elem().Name(), err)
		}
		o.kinds[t] = watched{informer, until}
	}
	return nil
}
