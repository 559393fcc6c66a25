package apply_test

import (
	"maps"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	appsv1 "k8s.io/api/apps/v1"

	"swell/api/v1alpha1"
	"swell/balloon"
	"swell/balloon/apply"
)

func restricted(t *testing.T, kube kubernetes.Interface) string {
	t.Helper()
	ns, err := kube.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "restricted-",
		Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/enforce-version": "latest"}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return ns.Name
}

// The API server takes a balloon of every kind of workload in a namespace that is restricted, and makes of it what it
// was meant to be.
func TestARestrictedNamespaceTakesBalloons(t *testing.T) {
	kube, c := cluster(t)
	ns := restricted(t, kube)
	b := guard(t, c, ns)
	plain := template()
	port := template()
	port.Spec.HostNetwork = true
	port.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 80, HostPort: 80}}
	device := template()
	device.Spec.Containers[0].Resources.Requests["nvidia.com/gpu"] = resource.MustParse("1")
	device.Spec.Containers[0].Resources.Requests["hugepages-2Mi"] = resource.MustParse("2Mi")
	for name, w := range map[string]balloon.Workload{
		"plain":       {Chunk: 2.5, Template: plain},
		"with images": {Chunk: 1, Template: plain, PullImages: true},
		"with a port": {Chunk: 1, Template: port},
		"of devices":  {Chunk: 2.5, Template: device},
	} {
		pod, err := balloon.PodFor(*b, "ap-northeast-1a", w)
		if err != nil {
			t.Fatal(err)
		}
		pod.GenerateName = "web-1a-"
		got, err := kube.CoreV1().Pods(ns).Create(t.Context(), pod, metav1.CreateOptions{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if *got.Spec.Priority != -10 || *got.Spec.PreemptionPolicy != corev1.PreemptNever || got.Status.QOSClass == corev1.PodQOSBestEffort ||
			*got.Spec.TerminationGracePeriodSeconds != 0 || !metav1.IsControlledBy(got, b) || !maps.Equal(got.Labels, pod.Labels) {
			t.Errorf("%s: became %+v", name, got)
		}
		if w.PullImages && (len(got.Spec.Volumes) != 1 || got.Spec.Volumes[0].Image == nil || got.Spec.Volumes[0].Image.Reference != "app") {
			t.Errorf("%s: the server made %+v of its volumes", name, got.Spec.Volumes)
		}
	}
}

// A class of the balloons' name that preempts, or ranks them higher, would let them take nodes from pods: the API server
// refuses them, and says why.
func TestAClassOfAnotherKindIsRefused(t *testing.T) {
	kube, c := cluster(t)
	ns := addNamespace(t, kube)
	b := guard(t, c, ns)
	create(t, c, &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: "swell-wrong"}, Value: 1000})
	pod, err := balloon.PodFor(*b, "ap-northeast-1a", balloon.Workload{Chunk: 1, Template: template()})
	if err != nil {
		t.Fatal(err)
	}
	pod.Spec.PriorityClassName = "swell-wrong"
	made, err := apply.Create(t.Context(), kube, "web", "ap-northeast-1a", pod, 40)
	if made != 0 || err == nil || !strings.Contains(err.Error(), "-10") {
		t.Errorf("made %d, %v: want none, and the priority that does not fit", made, err)
	}
}

// What a RuntimeClass adds to the workload's pods counts for its balloons, which run in no sandbox themselves.
func TestARuntimeClassCounts(t *testing.T) {
	kube, c := cluster(t)
	ns := addNamespace(t, kube)
	create(t, c, &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: "sandbox"}, Handler: "kata",
		Overhead:   &nodev1.Overhead{PodFixed: corev1.ResourceList{"cpu": resource.MustParse("250m")}},
		Scheduling: &nodev1.Scheduling{NodeSelector: map[string]string{"sandbox": "yes"}, Tolerations: []corev1.Toleration{{Key: "sandbox", Operator: corev1.TolerationOpExists}}}})
	sandboxed, unknown := template(), template()
	sandbox, missing := "sandbox", "missing"
	sandboxed.Spec.RuntimeClassName, unknown.Spec.RuntimeClassName = &sandbox, &missing
	for name, x := range map[string]corev1.PodTemplateSpec{"web": sandboxed, "lost": unknown} {
		create(t, c, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}, Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}, Template: x}})
	}
	got, err := apply.ReadTarget(t.Context(), c, ns, v1alpha1.ScaleTarget{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"})
	if err != nil {
		t.Fatal(err)
	}
	pod, err := balloon.PodFor(v1alpha1.Balloon{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "web", UID: "u1"}}, "ap-northeast-1a", balloon.Workload{Chunk: 2, Template: got.Template})
	if err != nil {
		t.Fatal(err)
	}
	if cpu := pod.Spec.Containers[0].Resources.Requests.Cpu().MilliValue(); cpu != 2000 || pod.Spec.RuntimeClassName != nil ||
		pod.Spec.NodeSelector["sandbox"] != "yes" || len(pod.Spec.Tolerations) != 1 {
		t.Errorf("a balloon of two asks for %d m, with %+v: want 2 × (750 + 250) m, the class's nodes, and no sandbox", cpu, pod.Spec)
	}
	_, err = apply.ReadTarget(t.Context(), c, ns, v1alpha1.ScaleTarget{APIVersion: "apps/v1", Kind: "Deployment", Name: "lost"})
	if err == nil || !strings.Contains(err.Error(), "RuntimeClass missing") {
		t.Errorf("%v: want the class that is missing", err)
	}
}

// A workload with a volume can only be where the volume is.
func TestVolumesOfAWorkloadAreRead(t *testing.T) {
	kube, c := cluster(t)
	ns := addNamespace(t, kube)
	mode, size := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, corev1.ResourceList{"storage": resource.MustParse("1Gi")}
	class := ""
	create(t, c, &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: ns}, Spec: corev1.PersistentVolumeSpec{
		AccessModes: mode, Capacity: size, PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/x"}}}})
	create(t, c, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "data"}, Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: mode, Resources: corev1.VolumeResourceRequirements{Requests: size}, VolumeName: ns, StorageClassName: &class}})
	x := template()
	x.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}}
	create(t, c, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "web"}, Spec: appsv1.DeploymentSpec{
		Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}, Template: x}})
	ref := v1alpha1.ScaleTarget{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"}
	got, err := apply.ReadTarget(t.Context(), c, ns, ref)
	if err != nil || len(got.Volumes) != 1 || got.Volumes[0].Name != ns {
		t.Errorf("%+v, %v: want the claim's volume", got.Volumes, err)
	}
	if err := c.DeleteAllOf(t.Context(), &corev1.PersistentVolumeClaim{}, client.InNamespace(ns), client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	until(t, "the claim's absence is named", func() (bool, string) {
		_, err := apply.ReadTarget(t.Context(), c, ns, ref)
		return err != nil && strings.Contains(err.Error(), "PersistentVolumeClaim data"), "it is read"
	})
}
