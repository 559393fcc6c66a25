package apply_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/v1alpha1"
	"swell/balloon"
	"swell/balloon/apply"
	"swell/bench/testbed/controlplane"
)

// booted is the one control plane of this package's tests; it starts with the first test that asks for it.
var booted struct {
	once    sync.Once
	cluster *controlplane.Cluster
	kube    kubernetes.Interface
	client  client.Client
	err     error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if booted.cluster != nil {
		if err := booted.cluster.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func cluster(t *testing.T) (kubernetes.Interface, client.Client) {
	t.Helper()
	binary := controlplane.BinaryForTest(t)
	booted.once.Do(func() { booted.err = boot(binary, t.TempDir()) })
	if booted.err != nil {
		t.Fatal(booted.err)
	}
	return booted.kube, booted.client
}

func boot(binary, dir string) (err error) {
	ctx := context.Background()
	if booted.cluster, err = controlplane.Start(ctx, controlplane.Options{Binary: binary}); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "flocks.yaml"), []byte(flocks), 0o600); err != nil {
		return err
	}
	for _, kinds := range []string{dir, "testdata/crds", "../../charts/swell/crds"} {
		if err := booted.cluster.InstallCRDs(ctx, kinds); err != nil {
			return err
		}
	}
	if booted.kube, err = kubernetes.NewForConfig(booted.cluster.AdminConfig()); err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return err
	}
	if booted.client, err = client.New(booted.cluster.AdminConfig(), client.Options{Scheme: scheme}); err != nil {
		return err
	}
	never := corev1.PreemptNever
	return booted.client.Create(ctx, &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: balloon.PriorityClass}, Value: balloon.Priority, PreemptionPolicy: &never})
}

// flocks are a kind as Argo's Rollout is one: with a scale subresource and a pod template.
const flocks = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: flocks.test.swell}
spec:
  group: test.swell
  scope: Namespaced
  names: {plural: flocks, singular: flock, kind: Flock, listKind: FlockList}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true, properties: {
      spec: {type: object, x-kubernetes-preserve-unknown-fields: true, properties: {replicas: {type: integer}}},
      status: {type: object, x-kubernetes-preserve-unknown-fields: true}}}}
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas, labelSelectorPath: .status.selector}
`

func addNamespace(t *testing.T, kube kubernetes.Interface) string {
	t.Helper()
	ns, err := kube.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "apply-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return ns.Name
}

func until(t *testing.T, what string, done func() (bool, string)) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		ok, state := done()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not so: %s", what, state)
		}
	}
}

func template() corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}}, Spec: corev1.PodSpec{
		Containers: []corev1.Container{{Name: "app", Image: "app", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse("750m")}}}}}}
}

func flock(ns, name string, spec, status map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "test.swell/v1", "kind": "Flock",
		"metadata": map[string]any{"namespace": ns, "name": name}, "spec": spec, "status": status}}
}

// podTemplate is template as a custom resource holds it.
var podTemplate = map[string]any{
	"metadata": map[string]any{"labels": map[string]any{"app": "web"}},
	"spec": map[string]any{"containers": []any{map[string]any{"name": "app", "image": "app",
		"resources": map[string]any{"requests": map[string]any{"cpu": "750m"}}}}},
}

// referring is a status and spec as an Argo Rollout has them that takes its template from a Deployment.
func referring(kind, name string) (spec, status map[string]any) {
	return map[string]any{"replicas": int64(4), "selector": map[string]any{"matchLabels": map[string]any{"app": "web"}},
			"workloadRef": map[string]any{"apiVersion": "apps/v1", "kind": kind, "name": name}},
		map[string]any{"replicas": int64(2), "selector": "app=web"}
}

func create(t *testing.T, c client.Client, o client.Object) {
	t.Helper()
	if err := c.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

func createFlock(t *testing.T, c client.Client, o *unstructured.Unstructured) {
	t.Helper()
	status := o.Object["status"]
	create(t, c, o)
	o.Object["status"] = status
	if status == nil {
		return
	}
	if err := c.Status().Update(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

func TestAnythingWithAScaleAndATemplateIsATarget(t *testing.T) {
	kube, c := cluster(t)
	ns := addNamespace(t, kube)
	four, selector := int32(4), &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	meta := metav1.ObjectMeta{Namespace: ns, Name: "web"}
	create(t, c, &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Replicas: &four, Selector: selector, Template: template()}})
	create(t, c, &appsv1.StatefulSet{ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{Replicas: &four, Selector: selector, Template: template()}})
	createFlock(t, c, flock(ns, "web", map[string]any{"replicas": int64(4), "template": podTemplate}, map[string]any{"replicas": int64(2), "selector": "app=web"}))
	spec, status := referring("Deployment", "web")
	createFlock(t, c, flock(ns, "rollout", spec, status))
	spec, status = referring("StatefulSet", "web")
	spec["template"] = map[string]any{"spec": map[string]any{"containers": nil}} // as its controller writes it back
	createFlock(t, c, flock(ns, "written-back", spec, status))
	for _, ref := range []v1alpha1.ScaleTarget{
		{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"},
		{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "web"},
		{APIVersion: "test.swell/v1", Kind: "Flock", Name: "web"},
		{APIVersion: "test.swell/v1", Kind: "Flock", Name: "rollout"},
		{APIVersion: "test.swell/v1", Kind: "Flock", Name: "written-back"},
	} {
		t.Run(ref.Kind+" "+ref.Name, func(t *testing.T) {
			got, err := apply.ReadTarget(t.Context(), c, ns, ref)
			if err != nil {
				t.Fatal(err)
			}
			if got.Replicas != 4 {
				t.Errorf("%d replicas: want the 4 that it was given", got.Replicas)
			}
			if !got.Selector.Matches(labels.Set{"app": "web"}) || got.Selector.Matches(labels.Set{"app": "other"}) || got.Selector.Matches(labels.Set{}) {
				t.Errorf("selector %q: want app=web", got.Selector)
			}
			if cpu := got.Template.Spec.Containers[0].Resources.Requests.Cpu().MilliValue(); cpu != 750 || got.Template.Labels["app"] != "web" {
				t.Errorf("template %+v: want 750m and its label", got.Template)
			}
		})
	}
}

func TestAWorkloadThatCannotBeReadIsNamedWithTheMend(t *testing.T) {
	kube, c := cluster(t)
	ns := addNamespace(t, kube)
	create(t, c, &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "everywhere"},
		Spec: appsv1.DaemonSetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}, Template: template()}})
	selected := map[string]any{"replicas": int64(1), "selector": "app=web"}
	createFlock(t, c, flock(ns, "bald", map[string]any{"replicas": int64(1)}, selected))
	createFlock(t, c, flock(ns, "odd", map[string]any{"replicas": int64(1), "template": "a string"}, selected))
	createFlock(t, c, flock(ns, "crooked", map[string]any{"replicas": int64(1), "template": podTemplate}, map[string]any{"replicas": int64(1), "selector": "app in (web"}))
	createFlock(t, c, flock(ns, "young", map[string]any{"replicas": int64(1), "template": podTemplate}, nil))
	spec, status := referring("Deployment", "gone")
	createFlock(t, c, flock(ns, "lost", spec, status))
	for _, x := range []struct{ apiVersion, kind, name, mend string }{
		{"test.swell/v1", "Flock", "lost", "Deployment " + ns + "/gone"},
		{"apps/v1", "Deployment", "missing", "scaleTargetRef names it"},
		{"apps/v1", "StatefulSet", "missing", "scaleTargetRef names it"},
		{"nobody.swell/v1", "Herd", "missing", "scaleTargetRef names it"},
		{"a/b/c", "Deployment", "web", "group/version"},
		{"apps/v1", "DaemonSet", "everywhere", "scale subresource"},
		{"test.swell/v1", "Flock", "bald", "spec.template"},
		{"test.swell/v1", "Flock", "odd", "spec.template"},
		{"test.swell/v1", "Flock", "crooked", "app in (web"},
		{"test.swell/v1", "Flock", "young", "selector"},
	} {
		t.Run(x.kind+" "+x.name, func(t *testing.T) {
			got, err := apply.ReadTarget(t.Context(), c, ns, v1alpha1.ScaleTarget{APIVersion: x.apiVersion, Kind: x.kind, Name: x.name})
			if err == nil {
				t.Fatalf("%+v was read", got)
			}
			for _, want := range []string{x.kind + " " + ns + "/" + x.name, x.mend} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

func balloonPod(ns string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Labels: map[string]string{v1alpha1.BalloonLabel: "web"}}, Spec: template().Spec}
	p.Spec.NodeSelector = map[string]string{"zone": "none"}
	return p
}

func TestBalloonPodsAreMadeUnderTheirOwnNamesAndDeletedOnce(t *testing.T) {
	kube, _ := cluster(t)
	ns := addNamespace(t, kube)
	like := balloonPod(ns)
	made, err := apply.Create(t.Context(), kube, "web", "ap-northeast-1a", like, 40)
	if err != nil || made != 40 {
		t.Fatalf("made %d, %v: want 40", made, err)
	}
	if like.Name != "" {
		t.Errorf("the given pod is named %s now", like.Name)
	}
	list, err := kube.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{LabelSelector: v1alpha1.BalloonLabel + "=web"})
	if err != nil || len(list.Items) != 40 {
		t.Fatalf("%d pods, %v: want 40", len(list.Items), err)
	}
	for _, p := range list.Items {
		if !strings.HasPrefix(p.Name, "web-1a-") {
			t.Errorf("a pod of Balloon web in zone ap-northeast-1a is named %s", p.Name)
		}
	}
	name := list.Items[0].Name
	for range 2 { // one that is gone is as wanted
		if err := apply.Delete(t.Context(), kube, ns, name); err != nil {
			t.Fatal(err)
		}
		until(t, "the pod is gone", func() (bool, string) {
			left, err := kube.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{})
			if err != nil {
				return false, err.Error()
			}
			return len(left.Items) == 39, fmt.Sprintf("%d are left", len(left.Items))
		})
	}
}

func TestPodsThatAreRefusedAreCountedAndNamed(t *testing.T) {
	kube, _ := cluster(t)
	ns := addNamespace(t, kube)
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "few"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"pods": resource.MustParse("3")}}}
	if _, err := kube.CoreV1().ResourceQuotas(ns).Create(t.Context(), quota, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "the quota counts", func() (bool, string) {
		q, err := kube.CoreV1().ResourceQuotas(ns).Get(t.Context(), "few", metav1.GetOptions{})
		return err == nil && len(q.Status.Hard) > 0, fmt.Sprint(err)
	})
	made, err := apply.Create(t.Context(), kube, "web", "ap-northeast-1a", balloonPod(ns), 5)
	if made > 3 || err == nil || !strings.Contains(err.Error(), ns+"/web-1a-") || !strings.Contains(err.Error(), "ResourceQuota") {
		t.Errorf("made %d, %v: want at most 3, and the namespace and the mend", made, err)
	}
	list, listErr := kube.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{})
	if listErr != nil || len(list.Items) != made {
		t.Errorf("%d pods, %v: want the %d that were said to be made", len(list.Items), listErr, made)
	}
	classless := balloonPod(ns)
	classless.Spec.PriorityClassName = "swell-missing"
	if made, err := apply.Create(t.Context(), kube, "web", "ap-northeast-1a", classless, 1); made != 0 || err == nil || !strings.Contains(err.Error(), "the class swell-missing must exist") {
		t.Errorf("made %d, %v: want the missing class's name", made, err)
	}
	cut, cancel := context.WithCancel(t.Context())
	cancel()
	if err := apply.Delete(cut, kube, ns, "web-1a-x"); err == nil || !strings.Contains(err.Error(), ns+"/web-1a-x") {
		t.Errorf("%v: want the pod's name", err)
	}
}

func TestEachCallsForAllAndForFewAtOnce(t *testing.T) {
	for _, n := range []int{0, 1, 16, 100} {
		called := make([]atomic.Int32, n)
		var now, most atomic.Int32
		apply.Each(n, func(i int) {
			most.Store(max(most.Load(), now.Add(1)))
			called[i].Add(1)
			time.Sleep(time.Millisecond) // so that calls overlap
			now.Add(-1)
		})
		for i := range called {
			if c := called[i].Load(); c != 1 {
				t.Errorf("of %d, number %d was called %d times", n, i, c)
			}
		}
		if most.Load() > 16 {
			t.Errorf("of %d, %d were called at once", n, most.Load())
		}
	}
}
