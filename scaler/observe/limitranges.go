package observe

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/scaler/plan"
)

// readLimitRanges reads the LimitRanges by namespace, in the order of their names. Where they cannot be read there are none, which
// is a problem. It fails only with ctx.
func (w *World) readLimitRanges(ctx context.Context, c client.Reader) (map[string][]corev1.LimitRange, error) {
	var list corev1.LimitRangeList
	if err := c.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("reading the cluster's LimitRanges: %w", ctx.Err())
		}
		w.Problems = append(w.Problems, plan.Problem{Object: "LimitRanges", What: fmt.Sprintf("reading them: %v", err),
			Mend: "allow list and watch of limitranges; until then the first pods of a template are taken to request what it names alone"})
		return nil, nil
	}
	out := map[string][]corev1.LimitRange{}
	for _, r := range list.Items {
		out[r.Namespace] = append(out[r.Namespace], r)
	}
	for _, ranges := range out {
		slices.SortFunc(ranges, func(a, b corev1.LimitRange) int { return cmp.Compare(a.Name, b.Name) })
	}
	return out, nil
}

// requestsIn is a pod's spec with the requests that the LimitRanges of its namespace give containers which name none: those of
// defaultRequest, which the API server fills from default, max and min. Of several LimitRanges the first counts; the API server
// promises no order.
func requestsIn(ranges []corev1.LimitRange, spec corev1.PodSpec) corev1.PodSpec {
	for _, r := range ranges {
		requests := corev1.ResourceList{}
		for _, limit := range r.Spec.Limits {
			if limit.Type != corev1.LimitTypeContainer {
				continue
			}
			for name, q := range limit.DefaultRequest {
				requests[name] = q
			}
		}
		spec.Containers, spec.InitContainers = requesting(spec.Containers, requests), requesting(spec.InitContainers, requests)
	}
	return spec
}

// requesting are the containers, each with those of the requests that it does not name.
func requesting(containers []corev1.Container, requests corev1.ResourceList) []corev1.Container {
	out := slices.Clone(containers)
	for i := range out {
		own := out[i].Resources.Requests.DeepCopy()
		if own == nil {
			own = corev1.ResourceList{}
		}
		for name, q := range requests {
			if _, named := own[name]; !named {
				own[name] = q.DeepCopy()
			}
		}
		out[i].Resources.Requests = own
	}
	return out
}
