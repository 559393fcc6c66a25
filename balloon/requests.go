package balloon

import (
	"maps"
	"math"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"
)

// PodRequests is what the next pod of a workload will ask of a node: what its template asks for, or where the median of
// its running pods asks for more (a vertical autoscaler, a LimitRange or a resize in place changed them), that. Init
// containers, sidecars, pod-level resources and overhead count as they do for the scheduler.
func PodRequests(template corev1.PodTemplateSpec, running []*corev1.Pod) corev1.ResourceList {
	out := resourcehelper.PodRequests(&corev1.Pod{Spec: RequestsDefaulted(template.Spec)}, resourcehelper.PodResourcesOptions{})
	asked := map[corev1.ResourceName][]resource.Quantity{}
	for _, p := range running {
		for name, q := range resourcehelper.PodRequests(p, resourcehelper.PodResourcesOptions{}) {
			asked[name] = append(asked[name], q)
		}
	}
	for name, all := range asked {
		if 2*len(all) <= len(running) {
			continue // most have none of it
		}
		slices.SortFunc(all, func(a, b resource.Quantity) int { return a.Cmp(b) })
		if median, have := all[(len(all)-1)/2], out[name]; median.Cmp(have) > 0 {
			out[name] = median
		}
	}
	return out
}

// Requests are what a Balloon's pods hold the place of, kept from one decision to the next; the zero value is a new start.
type Requests struct {
	template, held corev1.ResourceList
}

// littleChange is the part of a request by which running pods may ask for more or less than is held before all balloons
// are made anew: a median moves with every pod.
const littleChange = 0.1

// Of is PodRequests, or what it was before where the template asks for the same and what runs for little else.
func (r *Requests) Of(template corev1.PodTemplateSpec, running []*corev1.Pod) corev1.ResourceList {
	base, asked := PodRequests(template, nil), PodRequests(template, running)
	if !within(r.template, base, 0) || !within(r.held, asked, littleChange) {
		r.template, r.held = base, asked
	}
	return r.held
}

// within says whether two lists name the same resources, with quantities that differ by at most a part of the first's.
func within(a, b corev1.ResourceList, part float64) bool {
	return maps.EqualFunc(a, b, func(x, y resource.Quantity) bool {
		return x.Cmp(y) == 0 || math.Abs(y.AsApproximateFloat64()-x.AsApproximateFloat64()) < part*x.AsApproximateFloat64()
	})
}

// RequestsDefaulted gives containers that name only limits these as their requests: the API server does so with a pod,
// and not with a template.
func RequestsDefaulted(spec corev1.PodSpec) corev1.PodSpec {
	fill := func(r corev1.ResourceRequirements) corev1.ResourceRequirements {
		requests := r.Requests.DeepCopy()
		for name, q := range r.Limits {
			if _, given := requests[name]; !given {
				if requests == nil {
					requests = corev1.ResourceList{}
				}
				requests[name] = q
			}
		}
		r.Requests = requests
		return r
	}
	containers := func(all []corev1.Container) []corev1.Container {
		all = slices.Clone(all)
		for i := range all {
			all[i].Resources = fill(all[i].Resources)
		}
		return all
	}
	spec.Containers, spec.InitContainers = containers(spec.Containers), containers(spec.InitContainers)
	if spec.Resources != nil {
		r := fill(*spec.Resources)
		spec.Resources = &r
	}
	return spec
}

// times multiplies requests, rounding up to milli-CPUs, to whole pages and to whole units of the rest.
func times(l corev1.ResourceList, chunk float64) corev1.ResourceList {
	out := corev1.ResourceList{}
	for name, q := range l {
		switch {
		case q.IsZero():
		case name == corev1.ResourceCPU:
			out[name] = *resource.NewMilliQuantity(int64(math.Ceil(float64(q.MilliValue())*chunk-1e-9)), q.Format)
		default:
			unit := pageSize(name)
			out[name] = *resource.NewQuantity(unit*int64(math.Ceil(float64(q.Value())*chunk/float64(unit)-1e-9)), q.Format)
		}
	}
	return out
}

// pageSize is what a resource is given out in: a page for hugepages-<size>, 1 for all others.
func pageSize(name corev1.ResourceName) int64 {
	size, huge := strings.CutPrefix(string(name), corev1.ResourceHugePagesPrefix)
	if !huge {
		return 1
	}
	q, err := resource.ParseQuantity(size)
	if err != nil || q.Value() < 1 {
		return 1
	}
	return q.Value()
}
