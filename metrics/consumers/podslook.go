package consumers

import (
	"context"
	"iter"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	operator "k8s.io/apimachinery/pkg/selection"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// podsSeen are the pods as one judging sees them: a namespace's are listed once, however many targets it has. It belongs to one goroutine.
type podsSeen map[string]*podIndex

type podsKey struct{}

// withPods lets all counting below see the same pods.
func withPods(ctx context.Context) context.Context {
	return context.WithValue(ctx, podsKey{}, podsSeen{})
}

// podsOf are the pods that a context sees, or one of its own.
func podsOf(ctx context.Context) podsSeen {
	if l, ok := ctx.Value(podsKey{}).(podsSeen); ok {
		return l
	}
	return podsSeen{}
}

func (l podsSeen) index(ctx context.Context, cached client.Reader, namespace string) (*podIndex, error) {
	if x := l[namespace]; x != nil {
		return x, nil
	}
	var list corev1.PodList
	if err := cached.List(ctx, &list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	x := &podIndex{pods: list.Items, by: map[string]map[string][]*corev1.Pod{}}
	l[namespace] = x
	return x, nil
}

// podIndex finds the pods of a namespace by the labels that selectors ask for.
type podIndex struct {
	pods []corev1.Pod
	by   map[string]map[string][]*corev1.Pod
}

// with are the pods that have a label.
func (x *podIndex) with(key, value string) []*corev1.Pod {
	values, known := x.by[key]
	if !known {
		values = map[string][]*corev1.Pod{}
		for i := range x.pods {
			if v, has := x.pods[i].Labels[key]; has {
				values[v] = append(values[v], &x.pods[i])
			}
		}
		x.by[key] = values
	}
	return values[value]
}

// selected are the pods that a selector selects.
func (x *podIndex) selected(s labels.Selector) iter.Seq[*corev1.Pod] {
	return func(yield func(*corev1.Pod) bool) {
		few, found := x.fewest(s)
		if !found {
			for i := range x.pods {
				if s.Matches(labels.Set(x.pods[i].Labels)) && !yield(&x.pods[i]) {
					return
				}
			}
			return
		}
		for _, pod := range few {
			if s.Matches(labels.Set(pod.Labels)) && !yield(pod) {
				return
			}
		}
	}
}

// fewest are the pods of the rarest label that a selector demands; none is found where it demands no single value.
func (x *podIndex) fewest(s labels.Selector) (few []*corev1.Pod, found bool) {
	requirements, _ := s.Requirements()
	for _, r := range requirements {
		op, values := r.Operator(), r.ValuesUnsorted()
		if op != operator.Equals && op != operator.DoubleEquals && op != operator.In || len(values) != 1 {
			continue
		}
		if pods := x.with(r.Key(), values[0]); !found || len(pods) < len(few) {
			few, found = pods, true
		}
	}
	return few, found
}
