package observe

import (
	"context"
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kubernetes/pkg/apis/core"
	corev1defaults "k8s.io/kubernetes/pkg/apis/core/v1"
	"k8s.io/kubernetes/plugin/pkg/admission/limitranger"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func amounts(words ...string) corev1.ResourceList {
	out := corev1.ResourceList{}
	for i := 0; i < len(words); i += 2 {
		out[corev1.ResourceName(words[i])] = resource.MustParse(words[i+1])
	}
	return out
}

// limitRange is one as the API server gives it.
func limitRange(name string, items ...corev1.LimitRangeItem) *corev1.LimitRange {
	r := &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Spec: corev1.LimitRangeSpec{Limits: items}}
	corev1defaults.SetObjectDefaults_LimitRange(r)
	return r
}

// admitted is a template's pod as the API server's defaults and its LimitRanger make it.
func admitted(t *testing.T, template corev1.PodSpec, ranges []*corev1.LimitRange) corev1.PodSpec {
	t.Helper()
	pod := &corev1.Pod{Spec: *template.DeepCopy()}
	corev1defaults.SetObjectDefaults_Pod(pod)
	var internal core.Pod
	if err := corev1defaults.Convert_v1_Pod_To_core_Pod(pod, &internal, nil); err != nil {
		t.Fatal(err)
	}
	for _, r := range ranges {
		if err := limitranger.PodMutateLimitFunc(r, &internal); err != nil {
			t.Fatal(err)
		}
	}
	var out corev1.Pod
	if err := corev1defaults.Convert_core_Pod_To_v1_Pod(&internal, &out, nil); err != nil {
		t.Fatal(err)
	}
	return out.Spec
}

// The first pods of a template, and daemons on nodes to come, request what the API server's own LimitRanger gives them.
func TestPodsThatDoNotExistYetRequestWhatLimitRangesGiveThem(t *testing.T) {
	container, pod := corev1.LimitTypeContainer, corev1.LimitTypePod
	both := limitRange("b", corev1.LimitRangeItem{Type: container, DefaultRequest: amounts("cpu", "250m", "memory", "1Gi"), Default: amounts("cpu", "1")})
	elsewhere := both.DeepCopy()
	elsewhere.Namespace = "lab"
	for name, ranges := range map[string][]*corev1.LimitRange{
		"none":             nil,
		"requests":         {both},
		"limits alone":     {limitRange("b", corev1.LimitRangeItem{Type: container, Default: amounts("cpu", "500m")})},
		"a maximum":        {limitRange("b", corev1.LimitRangeItem{Type: container, Max: amounts("memory", "2Gi")})},
		"a minimum":        {limitRange("b", corev1.LimitRangeItem{Type: container, Min: amounts("cpu", "100m")})},
		"two items":        {limitRange("b", both.Spec.Limits[0], corev1.LimitRangeItem{Type: container, DefaultRequest: amounts("cpu", "300m")})},
		"two objects":      {limitRange("a", corev1.LimitRangeItem{Type: container, DefaultRequest: amounts("cpu", "300m")}), both},
		"of pods, a bound": {limitRange("b", corev1.LimitRangeItem{Type: pod, Max: amounts("cpu", "9")})},
	} {
		spec := corev1.PodSpec{InitContainers: []corev1.Container{{Name: "first"}}, Containers: []corev1.Container{{Name: "bare"},
			{Name: "asks", Resources: corev1.ResourceRequirements{Requests: amounts("cpu", "2")}},
			{Name: "limited", Resources: corev1.ResourceRequirements{Limits: amounts("cpu", "3")}}, {Name: "nothing", Resources: corev1.ResourceRequirements{Requests: amounts("cpu", "0")}}}}
		web, logs := deployment("web", 2), appsv1.DaemonSet{ObjectMeta: meta("logs")}
		web.Spec.Template.Spec, logs.Spec.Template.Spec = spec, spec
		objects := []client.Object{&web, &logs, elsewhere}
		for i := len(ranges) - 1; i >= 0; i-- {
			objects = append(objects, ranges[i])
		}
		w := read(t, objects...)
		want := admitted(t, spec, ranges)
		for _, got := range []*corev1.Pod{promisedPod(t, w), w.Snapshot.DaemonPods[0]} {
			if len(w.Problems) != 0 || requests(got.Spec) != requests(want) {
				t.Errorf("%s: %s requests %s, and the API server gives it %s; problems %v", name, got.Name, requests(got.Spec), requests(want), w.Problems)
			}
		}
	}
}

// requests of the containers that name CPU or memory.
func requests(s corev1.PodSpec) string {
	var out []string
	for _, c := range append(append([]corev1.Container(nil), s.InitContainers...), s.Containers...) {
		out = append(out, fmt.Sprintf("%s %s %s", c.Name, c.Resources.Requests.Cpu(), c.Resources.Requests.Memory()))
	}
	return fmt.Sprint(out)
}

// refusing is an API server whose role leaves LimitRanges out.
type refusing struct{ client.Client }

func (r refusing) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	if _, ranges := list.(*corev1.LimitRangeList); ranges {
		return apierrors.NewForbidden(schema.GroupResource{Resource: "limitranges"}, "", nil)
	}
	return r.Client.List(ctx, list, options...)
}

// Without the right to read them all else is planned, and it is said.
func TestLimitRangesThatCannotBeReadAreAProblem(t *testing.T) {
	d := deployment("web", 2)
	w, err := Read(t.Context(), refusing{cluster(t, &d)}, NewGroups(answers{}), new(Owed), at)
	if err != nil || len(w.Problems) != 1 || w.Problems[0].Object != "LimitRanges" {
		t.Fatalf("%v, problems %v: want one of the LimitRanges", err, w.Problems)
	}
	if p := w.Snapshot.Promised; len(p) != 1 || p[0].Count != 2 {
		t.Errorf("promised %v: want the two all the same", p)
	}
}
