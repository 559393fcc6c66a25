package chart

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/bench/testbed/controlplane"
)

// bed is a control plane with namespaces that enforce restricted Pod Security, nodes, and stand-ins for others' kinds.
type bed struct {
	*controlplane.Cluster
	kube       kubernetes.Interface
	objects    dynamic.Interface
	api        client.Client
	kubeconfig string
}

func boot(t *testing.T) *bed {
	t.Helper()
	cluster, err := controlplane.Start(t.Context(), controlplane.Options{Binary: controlplane.BinaryForTest(t), Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	b := &bed{Cluster: cluster}
	config := cluster.AdminConfig()
	config.WarningHandler = rest.NoWarnings{}
	var errs [4]error
	b.kube, errs[0] = kubernetes.NewForConfig(config)
	b.objects, errs[1] = dynamic.NewForConfig(config)
	b.api, errs[2] = client.New(config, client.Options{FieldValidation: "Strict"})
	b.kubeconfig, errs[3] = cluster.Kubeconfig("helm", "system:masters")
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	if err := cluster.InstallCRDs(t.Context(), "testdata"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{home, "shop"} {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}}}
		if _, err := b.kube.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	size := corev1.ResourceList{"cpu": resource.MustParse("8"), "memory": resource.MustParse("32Gi"), "pods": resource.MustParse("110")}
	for i, zone := range []string{"a", "b", "c"} {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("node-%d", i), Labels: map[string]string{"topology.kubernetes.io/zone": zone, "kubernetes.io/hostname": fmt.Sprintf("node-%d", i), "swell/pool": "system"}},
			Status: corev1.NodeStatus{Capacity: size, Allocatable: size}}
		if _, err := b.kube.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// helm runs it against the control plane.
func (b *bed) helm(t *testing.T, args ...string) string {
	t.Helper()
	return mustHelm(t, append(args, "--kubeconfig", b.kubeconfig, "--namespace", home)...)
}

func TestTheAPIServerTakesEveryObject(t *testing.T) {
	helmBinary(t)
	b := boot(t)
	for _, values := range valuesFiles {
		all := render(t, values, "1.36")
		b.install(t, all)
		t.Logf("%s: %d objects applied", values, len(all))
	}
	lag := strings.Replace(hpa, "NAME", "kafka_consumergroup_lag", 1)
	b.warnsOf(t, "1.36", strings.Replace(hpa, "NAME", "kafka_consumergroup_desired_replicas", 1), "behavior.scaleUp.tolerance", lag)
	b.warnsOf(t, "1.34", pulls, "image volumes", strings.Replace(pulls, "prePullImages: true", "prePullImages: false", 1))
}

func rank(u *unstructured.Unstructured) int {
	if u.GetKind() == "CustomResourceDefinition" {
		return 0
	}
	return 1
}

// A release is installed, upgraded with a changed kind, rolled back and uninstalled. Its pods are admitted where Pod Security
// is restricted, and nothing is left but what docs/install.md says.
func TestAReleaseFromInstallToUninstall(t *testing.T) {
	helmBinary(t)
	b := boot(t)
	before := b.everything(t)
	b.helm(t, "install", "swell", chartDir(t), "--values", valuesFile(t, "observe"))
	b.podsRun(t, "swell-scaler", 2)
	b.podsRun(t, "swell-metrics", 2)

	b.helm(t, "upgrade", "swell", changedChart(t), "--values", valuesFile(t, "enforce"), "--set", "scaler.ledger.persistent=false")
	if got := b.columns(t); !strings.Contains(got, "Upgraded") {
		t.Errorf("after the upgrade the kind Balloon has the columns %s: the changed definition was not applied", got)
	}
	b.podsRun(t, "swell-scaler", 2)

	b.helm(t, "rollback", "swell", "1")
	if got := b.columns(t); strings.Contains(got, "Upgraded") {
		t.Errorf("after the rollback the kind Balloon has the columns %s", got)
	}
	b.podsRun(t, "swell-scaler", 2)

	schedule := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "capacity.swell/v1alpha1", "kind": "DiurnalSchedule",
		"metadata": map[string]any{"namespace": "shop", "name": "office"}, "spec": map[string]any{"timeZone": "Asia/Tokyo"}}}
	if err := b.api.Create(t.Context(), schedule); err != nil {
		t.Fatal(err)
	}
	b.helm(t, "uninstall", "swell")
	// the first is made by the API server for the kinds' group
	want := []string{"apiservices /v1alpha1.capacity.swell", "customresourcedefinitions /balloons.capacity.swell", "customresourcedefinitions /capacitypools.capacity.swell",
		"customresourcedefinitions /diurnalschedules.capacity.swell", "customresourcedefinitions /queueconsumers.capacity.swell",
		"diurnalschedules shop/office"}
	eventually(t, "nothing but the kinds and their objects is left", 2*time.Minute, func() error {
		var left []string
		for name := range b.everything(t) {
			if !before[name] {
				left = append(left, name)
			}
		}
		slices.Sort(left)
		if !slices.Equal(left, want) {
			return fmt.Errorf("left are\n%s\nwant\n%s", strings.Join(left, "\n"), strings.Join(want, "\n"))
		}
		return nil
	})
	// the kinds that are left are taken over by a new release, as another release could not
	b.helm(t, "install", "swell", chartDir(t), "--values", valuesFile(t, "observe"))
	b.podsRun(t, "swell-scaler", 2)
}

// The ledger's size is changed as docs/install.md says: the pods and their claims stay, and the claims stay after helm uninstall too.
func TestAPersistentLedgersSizeIsChanged(t *testing.T) {
	helmBinary(t)
	b := boot(t)
	set := []string{"--values", valuesFile(t, "observe"), "--set", "scaler.ledger.persistent=true,scaler.ledger.size="}
	with := func(size string) []string { return append(slices.Clone(set[:3]), set[3]+size) }
	b.helm(t, append([]string{"install", "swell", chartDir(t)}, with("10Gi")...)...)
	claims := func() string {
		all, err := b.kube.CoreV1().PersistentVolumeClaims(home).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, c := range all.Items {
			names = append(names, c.Name+" "+string(c.UID))
		}
		return strings.Join(names, ",")
	}
	eventually(t, "each replica has a claim", time.Minute, func() error {
		if got := claims(); strings.Count(got, "ledger-swell-scaler-") != 2 {
			return errors.New(got)
		}
		return nil
	})
	before := claims()
	if _, err := helm(t, append([]string{"upgrade", "swell", chartDir(t), "--kubeconfig", b.kubeconfig, "--namespace", home}, with("20Gi")...)...); err == nil || !strings.Contains(err.Error(), "orbidden") {
		t.Errorf("the size is changed without further ado: %v", err)
	}
	if err := b.kube.AppsV1().StatefulSets(home).Delete(t.Context(), "swell-scaler", metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationOrphan)}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the StatefulSet is gone", time.Minute, func() error {
		if _, err := b.kube.AppsV1().StatefulSets(home).Get(t.Context(), "swell-scaler", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("it is there: %w", err)
		}
		return nil
	})
	b.helm(t, append([]string{"upgrade", "swell", chartDir(t)}, with("20Gi")...)...)
	made, err := b.kube.AppsV1().StatefulSets(home).Get(t.Context(), "swell-scaler", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := made.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests.Storage().String(); got != "20Gi" {
		t.Errorf("new claims are of %s", got)
	}
	b.helm(t, "uninstall", "swell")
	if got := claims(); got != before {
		t.Errorf("the claims are %s, were %s", got, before)
	}
}

// changedChart is a copy whose kind Balloon has one more column.
func changedChart(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "swell")
	if err := os.CopyFS(dir, os.DirFS(chartDir(t))); err != nil {
		t.Fatal(err)
	}
	for path, change := range map[string][2]string{
		"Chart.yaml": {"version: 0.1.0", "version: 0.1.1"},
		"templates/crds/capacity.swell_balloons.yaml": {"additionalPrinterColumns:\n", "additionalPrinterColumns:\n    - jsonPath: .metadata.name\n      name: Upgraded\n      type: string\n"},
	} {
		path = filepath.Join(dir, path)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.Replace(string(text), change[0], change[1], 1)
		if changed == string(text) {
			t.Fatalf("%s has no %q", path, change[0])
		}
		if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// columns are the names of the kind Balloon's printer columns.
func (b *bed) columns(t *testing.T) string {
	t.Helper()
	kinds := schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	u, err := b.objects.Resource(kinds).Get(t.Context(), "balloons.capacity.swell", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	versions, _, _ := unstructured.NestedSlice(u.Object, "spec", "versions")
	return fmt.Sprint(versions[0].(map[string]any)["additionalPrinterColumns"])
}

// podsRun waits until all replicas of the newest template run, on nodes of their own.
func (b *bed) podsRun(t *testing.T, name string, want int32) {
	t.Helper()
	eventually(t, "the pods of "+name+" run", 2*time.Minute, func() error {
		d, err := b.kube.AppsV1().Deployments(home).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if d.Status.ObservedGeneration != d.Generation || d.Status.UpdatedReplicas != want || d.Status.ReadyReplicas != want || d.Status.Replicas != want {
			return fmt.Errorf("%s: %v", d.Status.String(), d.Status.Conditions)
		}
		return nil
	})
	pods, err := b.kube.CoreV1().Pods(home).List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=" + name, FieldSelector: "status.phase=Running"})
	if err != nil {
		t.Fatal(err)
	}
	nodes := map[string]bool{}
	for _, p := range pods.Items {
		if p.DeletionTimestamp == nil {
			nodes[p.Spec.NodeName] = true
		}
		if p.Spec.ServiceAccountName != name {
			t.Errorf("pod %s runs as %s", p.Name, p.Spec.ServiceAccountName)
		}
	}
	if len(nodes) != int(want) {
		t.Errorf("the pods of %s are on %v, want %d nodes", name, nodes, want)
	}
}

// everything is each object of the cluster, by "resource namespace/name", but what comes and goes by itself.
func (b *bed) everything(t *testing.T) map[string]bool {
	t.Helper()
	lists, err := discovery.NewDiscoveryClient(b.kube.Discovery().RESTClient()).ServerPreferredResources()
	if err != nil && !discovery.IsGroupDiscoveryFailedError(err) {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list.APIResources {
			if !slices.Contains(r.Verbs, "list") || r.Kind == "Event" || r.Kind == "Lease" || r.Kind == "IPAddress" || gv.Group == "metrics.k8s.io" {
				continue
			}
			all, err := b.objects.Resource(gv.WithResource(r.Name)).List(t.Context(), metav1.ListOptions{})
			if err != nil {
				continue // a kind that is on its way out
			}
			for _, u := range all.Items {
				found[fmt.Sprintf("%s %s/%s", r.Name, u.GetNamespace(), u.GetName())] = true
			}
		}
	}
	return found
}

// eventually polls until ask is nil; the limit only turns a hang into a failure.
func eventually(t *testing.T, what string, limit time.Duration, ask func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
