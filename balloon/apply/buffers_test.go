package apply_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/v1alpha1"
	"swell/balloon"
	"swell/balloon/apply"
)

// guard makes a Balloon on the server, so that what it owns is owned by something that is there.
func guard(t *testing.T, c client.Client, ns string) *v1alpha1.Balloon {
	t.Helper()
	b := &v1alpha1.Balloon{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "web"}, Spec: v1alpha1.BalloonSpec{
		ScaleTargetRef: v1alpha1.ScaleTarget{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"}, Max: 10, Chunk: "2.5", Target: v1alpha1.BalloonTarget{Quantile: "0.99"}}}
	create(t, c, b)
	return b
}

func buffers(t *testing.T, b *v1alpha1.Balloon, replicas map[string]int) []apply.Buffer {
	t.Helper()
	var out []apply.Buffer
	for _, zone := range []string{"ap-northeast-1a", "ap-northeast-1c"} {
		n, wanted := replicas[zone]
		if !wanted {
			continue
		}
		pod, err := balloon.PodFor(*b, zone, balloon.Workload{Chunk: 2.5, Template: template()})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, apply.Buffer{Zone: zone, Replicas: n, Pod: pod})
	}
	return out
}

// versions are the resource versions of a namespace's CapacityBuffers and PodTemplates, by name.
func versions(t *testing.T, c client.Client, ns string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for kind, apiVersion := range map[string]string{"CapacityBuffer": "autoscaling.x-k8s.io/v1beta1", "PodTemplate": "v1"} {
		list := &unstructured.UnstructuredList{Object: map[string]any{"apiVersion": apiVersion, "kind": kind + "List"}}
		if err := c.List(t.Context(), list, client.InNamespace(ns)); err != nil {
			t.Fatal(err)
		}
		for _, x := range list.Items {
			out[kind+" "+x.GetName()] = x.GetResourceVersion()
		}
	}
	return out
}

func names(versions map[string]string) string {
	var out []string
	for name := range versions {
		out = append(out, name)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func bufferOf(t *testing.T, c client.Client, ns, name string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "autoscaling.x-k8s.io/v1beta1", "kind": "CapacityBuffer"}}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: name}, u); err != nil {
		t.Fatal(err)
	}
	return u
}

// isBuffered says whether a Balloon is among all that have buffers.
func isBuffered(t *testing.T, c client.Client, b *v1alpha1.Balloon) bool {
	t.Helper()
	all, err := apply.Buffered(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return all[client.ObjectKeyFromObject(b)]
}

func TestBuffersHoldTheRoomOfEachZone(t *testing.T) {
	kube, c := cluster(t)
	ns := addNamespace(t, kube)
	b := guard(t, c, ns)
	if err := apply.ApplyBuffers(t.Context(), c, b, buffers(t, b, map[string]int{"ap-northeast-1a": 3, "ap-northeast-1c": 2})); err != nil {
		t.Fatal(err)
	}
	u := bufferOf(t, c, ns, "web-ap-northeast-1a")
	replicas, _, _ := unstructured.NestedInt64(u.Object, "spec", "replicas")
	ref, _, _ := unstructured.NestedString(u.Object, "spec", "podTemplateRef", "name")
	if replicas != 3 || ref != "web-ap-northeast-1a" || !metav1.IsControlledBy(u, b) {
		t.Errorf("got %v: want 3 of PodTemplate web-ap-northeast-1a, owned by the Balloon", u.Object)
	}
	if m := u.GetManagedFields(); len(m) != 1 || m[0].Manager != apply.FieldManager || m[0].Operation != metav1.ManagedFieldsOperationApply {
		t.Errorf("managed by %+v: want swell-scaler's Apply alone", m)
	}
	pt, err := kube.CoreV1().PodTemplates(ns).Get(t.Context(), ref, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{Spec: pt.Template.Spec}
	if cpu := pod.Spec.Containers[0].Resources.Requests.Cpu().MilliValue(); cpu != 1875 || balloon.PinnedZone(pod) != "ap-northeast-1a" {
		t.Errorf("the template asks for %d m in %q: want 2.5 × 750 m in ap-northeast-1a", cpu, balloon.PinnedZone(pod))
	}
	before := versions(t, c, ns)
	if err := apply.ApplyBuffers(t.Context(), c, b, buffers(t, b, map[string]int{"ap-northeast-1a": 3, "ap-northeast-1c": 2})); err != nil {
		t.Fatal(err)
	}
	if after := versions(t, c, ns); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("the same again changed %v to %v", before, after)
	}
	if err := apply.ApplyBuffers(t.Context(), c, b, buffers(t, b, map[string]int{"ap-northeast-1a": 1})); err != nil {
		t.Fatal(err)
	}
	if got := names(versions(t, c, ns)); got != "CapacityBuffer web-ap-northeast-1a, PodTemplate web-ap-northeast-1a" || !isBuffered(t, c, b) {
		t.Errorf("left are %s: want those of the zone that is wanted", got)
	}
	if replicas, _, _ := unstructured.NestedInt64(bufferOf(t, c, ns, "web-ap-northeast-1a").Object, "spec", "replicas"); replicas != 1 {
		t.Errorf("%d replicas: want 1", replicas)
	}
	if err := apply.DeleteBuffers(t.Context(), c, b); err != nil {
		t.Fatal(err)
	}
	if got := names(versions(t, c, ns)); got != "" || isBuffered(t, c, b) {
		t.Errorf("left are %s: want none, also among all Balloons'", got)
	}
}

// What others hold is theirs: a field that another manager applied is not overwritten, and a buffer that is not the
// Balloon's own is not deleted.
func TestBuffersOfOthersAreLeftAlone(t *testing.T) {
	kube, c := cluster(t)
	ns := addNamespace(t, kube)
	b := guard(t, c, ns)
	wanted := buffers(t, b, map[string]int{"ap-northeast-1a": 3})
	theirs := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "autoscaling.x-k8s.io/v1beta1", "kind": "CapacityBuffer",
		"metadata": map[string]any{"namespace": ns, "name": "web-ap-northeast-1a"},
		"spec":     map[string]any{"replicas": int64(7), "podTemplateRef": map[string]any{"name": "web-ap-northeast-1a"}}}}
	if err := c.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(theirs), client.FieldOwner("argocd-controller")); err != nil {
		t.Fatal(err)
	}
	err := apply.ApplyBuffers(t.Context(), c, b, wanted)
	if err == nil || !strings.Contains(err.Error(), "argocd-controller") || !strings.Contains(err.Error(), "spec.replicas") {
		t.Errorf("%v: want the other manager and the field", err)
	}
	other := bufferOf(t, c, ns, "web-ap-northeast-1a")
	if replicas, _, _ := unstructured.NestedInt64(other.Object, "spec", "replicas"); replicas != 7 {
		t.Errorf("%d replicas: want the 7 that the other manager applied", replicas)
	}
	other.SetLabels(map[string]string{balloon.Label: "web"})
	if err := c.Update(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if err := apply.DeleteBuffers(t.Context(), c, b); err != nil {
		t.Fatal(err)
	}
	if got := names(versions(t, c, ns)); got != "CapacityBuffer web-ap-northeast-1a" {
		t.Errorf("left are %s: want the other's buffer alone", got)
	}
}

var buffersCRD = &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
	"metadata": map[string]any{"name": "capacitybuffers.autoscaling.x-k8s.io"}}}

// withoutBuffers takes the kind away for one test.
func withoutBuffers(t *testing.T, c client.Client, _ string) {
	t.Helper()
	if err := c.Delete(t.Context(), buffersCRD.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { restoreBuffers(t, c) })
	untilBuffersAreGone(t, c)
}

func untilBuffersAreGone(t *testing.T, c client.Client) {
	t.Helper()
	until(t, "the kind is gone", func() (bool, string) {
		err := c.Get(context.Background(), client.ObjectKeyFromObject(buffersCRD), buffersCRD.DeepCopy())
		return apierrors.IsNotFound(err), fmt.Sprint(err)
	})
}

func restoreBuffers(t *testing.T, c client.Client) {
	untilBuffersAreGone(t, c)
	if err := booted.cluster.InstallCRDs(context.Background(), "testdata/crds"); err != nil {
		t.Error(err)
	}
}

// whileBuffersGo takes the kind away for one test and keeps it from going: a buffer in the namespace has a finalizer.
func whileBuffersGo(t *testing.T, c client.Client, ns string) {
	t.Helper()
	held := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "autoscaling.x-k8s.io/v1beta1", "kind": "CapacityBuffer",
		"metadata": map[string]any{"namespace": ns, "name": "held", "finalizers": []any{"swell.test/held"}},
		"spec":     map[string]any{"podTemplateRef": map[string]any{"name": "held"}, "replicas": int64(1)}}}
	create(t, c, held)
	if err := c.Delete(t.Context(), buffersCRD.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Patch(context.Background(), held.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":[]}}`))); err != nil {
			t.Error(err)
		}
		restoreBuffers(t, c)
	})
	until(t, "the kind takes no more objects", func() (bool, string) {
		probe := held.DeepCopy()
		probe.SetName("probe")
		err := c.Create(t.Context(), probe, client.DryRunAll)
		return apierrors.IsForbidden(err), fmt.Sprint(err)
	})
}

func TestWithoutTheKindThereIsAMend(t *testing.T) {
	for name, take := range map[string]func(*testing.T, client.Client, string){"it is gone": withoutBuffers, "it is being deleted": whileBuffersGo} {
		t.Run(name, func(t *testing.T) {
			kube, c := cluster(t)
			ns := addNamespace(t, kube)
			take(t, c, ns)
			b := &v1alpha1.Balloon{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "web", UID: "u1"}}
			err := apply.ApplyBuffers(t.Context(), c, b, buffers(t, b, map[string]int{"ap-northeast-1a": 3}))
			if !errors.Is(err, apply.ErrNoBuffers) {
				t.Errorf("%v: want ErrNoBuffers", err)
			}
			if list, err := kube.CoreV1().PodTemplates(ns).List(t.Context(), metav1.ListOptions{}); err != nil || len(list.Items) != 0 {
				t.Errorf("%d PodTemplates, %v: want none left behind", len(list.Items), err)
			}
			if err := apply.DeleteBuffers(t.Context(), c, b); err != nil {
				t.Errorf("%v: there is nothing to delete", err)
			}
		})
	}
}
