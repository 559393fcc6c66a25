package balloon_test

import (
	"maps"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"swell/balloon"
)

func list(cpu, memory string) corev1.ResourceList {
	l := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}
	if memory != "" {
		l[corev1.ResourceMemory] = resource.MustParse(memory)
	}
	return l
}

func asks(requests, limits corev1.ResourceList) corev1.Container {
	return corev1.Container{Name: "c", Image: "i", Resources: corev1.ResourceRequirements{Requests: requests, Limits: limits}}
}

// A balloon holds what the scheduler would count for the workload's pods.
func TestABalloonHoldsWhatThePodsAskFor(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	sidecar := asks(list("200m", ""), nil)
	sidecar.RestartPolicy = &always
	for name, c := range map[string]struct {
		spec corev1.PodSpec
		want corev1.ResourceList
	}{
		"containers add up":        {corev1.PodSpec{Containers: []corev1.Container{asks(list("1", "1Gi"), nil), asks(list("500m", ""), nil)}}, list("3", "2Gi")},
		"limits stand in":          {corev1.PodSpec{Containers: []corev1.Container{asks(nil, list("1", "1Gi"))}}, list("2", "2Gi")},
		"a large init container":   {corev1.PodSpec{InitContainers: []corev1.Container{asks(list("4", ""), nil)}, Containers: []corev1.Container{asks(list("1", ""), nil)}}, list("8", "")},
		"a sidecar":                {corev1.PodSpec{InitContainers: []corev1.Container{sidecar}, Containers: []corev1.Container{asks(list("1", ""), nil)}}, list("2400m", "")},
		"pod-level resources":      {corev1.PodSpec{Resources: &corev1.ResourceRequirements{Requests: list("3", "4Gi")}, Containers: []corev1.Container{asks(list("1", ""), nil)}}, list("6", "8Gi")},
		"pod-level limits":         {corev1.PodSpec{Resources: &corev1.ResourceRequirements{Limits: list("3", "")}, Containers: []corev1.Container{asks(nil, nil)}}, list("6", "")},
		"overhead of its sandbox":  {corev1.PodSpec{Overhead: list("250m", "128Mi"), Containers: []corev1.Container{asks(list("1", ""), nil)}}, list("2500m", "256Mi")},
		"ephemeral storage":        {corev1.PodSpec{Containers: []corev1.Container{asks(corev1.ResourceList{"ephemeral-storage": resource.MustParse("1Gi")}, nil)}}, corev1.ResourceList{"ephemeral-storage": resource.MustParse("2Gi")}},
		"an extended resource":     {corev1.PodSpec{Containers: []corev1.Container{asks(corev1.ResourceList{"nvidia.com/gpu": resource.MustParse("1")}, nil)}}, corev1.ResourceList{"nvidia.com/gpu": resource.MustParse("2")}},
		"what is zero is left out": {corev1.PodSpec{Containers: []corev1.Container{asks(list("1", "0"), nil)}}, list("2", "")},
	} {
		p, err := podFor("1a", 2, corev1.PodTemplateSpec{Spec: c.spec})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		r := p.Spec.Containers[0].Resources
		if !maps.EqualFunc(r.Requests, c.want, func(a, b resource.Quantity) bool { return a.Cmp(b) == 0 }) {
			t.Errorf("%s: %v, want %v", name, r.Requests, c.want)
		}
		if gpu, has := c.want["nvidia.com/gpu"]; has && r.Limits.Name("nvidia.com/gpu", resource.DecimalSI).Cmp(gpu) != 0 {
			t.Errorf("%s: limits %v: extended resources need them", name, r.Limits)
		}
	}
}

func TestABalloonHoldsWholePagesAndDevices(t *testing.T) {
	spec := corev1.PodSpec{Containers: []corev1.Container{asks(corev1.ResourceList{"cpu": resource.MustParse("1"),
		"hugepages-2Mi": resource.MustParse("2Mi"), "nvidia.com/gpu": resource.MustParse("1")}, nil)}}
	p, err := podFor("1a", 2.5, corev1.PodTemplateSpec{Spec: spec})
	if err != nil {
		t.Fatal(err)
	}
	r := p.Spec.Containers[0].Resources
	for name, want := range map[corev1.ResourceName]string{"hugepages-2Mi": "6Mi", "nvidia.com/gpu": "3", "cpu": "2500m"} {
		if q := r.Requests[name]; q.Cmp(resource.MustParse(want)) != 0 {
			t.Errorf("%s: %s, want %s", name, q.String(), want)
		}
	}
}

// What an autoscaler, a LimitRange or a resize in place made larger counts where most pods have it, and nothing makes a
// balloon smaller than its workload's template.
func TestRunningPodsMakeABalloonLarger(t *testing.T) {
	template := corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{asks(list("1", ""), nil)}}}
	pods := func(cpus ...string) []*corev1.Pod {
		var out []*corev1.Pod
		for _, cpu := range cpus {
			out = append(out, &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{asks(list(cpu, ""), nil)}}})
		}
		return out
	}
	limited := pods("1", "1", "1")
	for _, p := range limited[:2] {
		p.Spec.Containers[0].Resources.Requests[corev1.ResourceMemory] = resource.MustParse("1Gi")
	}
	for name, c := range map[string]struct {
		running []*corev1.Pod
		want    corev1.ResourceList
	}{
		"none":            {nil, list("1", "")},
		"all larger":      {pods("2", "2", "3"), list("2", "")},
		"one larger":      {pods("1", "1", "4"), list("1", "")},
		"all smaller":     {pods("500m", "500m"), list("1", "")},
		"most have more":  {limited, list("1", "1Gi")},
		"few have more":   {append(limited, pods("1", "1")...), list("1", "")},
		"half are larger": {pods("1", "2"), list("1", "")},
	} {
		got := balloon.PodRequests(template, c.running)
		if !maps.EqualFunc(got, c.want, func(a, b resource.Quantity) bool { return a.Cmp(b) == 0 }) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// What running pods ask for moves all balloons only by a tenth or more, counted from what they hold; what the template
// asks for counts at once.
func TestALittleMoreOfRunningPodsChangesNoBalloon(t *testing.T) {
	var r balloon.Requests
	for i, step := range []struct{ template, running, want string }{
		{"1", "1200m", "1200m"},
		{"1", "1290m", "1200m"},
		{"1", "1110m", "1200m"},
		{"1", "1320m", "1320m"},
		{"1", "1250m", "1320m"},
		{"1010m", "1250m", "1250m"},
		{"1010m", "1", "1010m"},
	} {
		pods := []*corev1.Pod{{Spec: corev1.PodSpec{Containers: []corev1.Container{asks(list(step.running, ""), nil)}}}}
		got := r.Of(corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{asks(list(step.template, ""), nil)}}}, pods)
		if cpu := got[corev1.ResourceCPU]; cpu.Cmp(resource.MustParse(step.want)) != 0 {
			t.Errorf("step %d: %s where the template asks for %s and its pod for %s, want %s", i, cpu.String(), step.template, step.running, step.want)
		}
	}
}
