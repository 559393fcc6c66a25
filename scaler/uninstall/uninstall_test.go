package uninstall_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"

	"swell/api/v1alpha1"
	emulator "swell/bench/testbed/aws"
	"swell/nodegroups"
	"swell/nodegroups/aws"
	"swell/scaler/plan"
	"swell/scaler/uninstall"
)

const namespace = "swell-system"

var wide = map[string]string{"swell/pool": "wide"}

// client of a region where the swell of a cluster uses groups that span zones.
func client(t *testing.T) *aws.Client {
	t.Helper()
	c, _ := suspending(t, "blue")
	return c
}

// of is a cluster's client of a region.
func of(t *testing.T, url, cluster string) *aws.Client {
	t.Helper()
	c, err := aws.New(t.Context(), aws.Options{Region: "ap-northeast-1", Endpoint: url, ClusterName: cluster, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// suspending is the client of a cluster that suspended AZRebalance, and the region's address.
func suspending(t *testing.T, cluster string) (*aws.Client, string) {
	t.Helper()
	fleet, err := emulator.ReadFleet("../../bench/testbed/aws/testdata/fleet.yaml")
	if err != nil {
		t.Fatal(err)
	}
	e, err := emulator.New(emulator.Options{Fleet: fleet, Seed: 1, Manual: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	c := of(t, server.URL, cluster)
	if _, _, err := c.Select(t.Context(), nodegroups.Selection{Pool: "wide", Tags: wide, MultiZone: true, MayChange: true}); err != nil {
		t.Fatal(err)
	}
	return c, server.URL
}

// remover of a cluster with a pool of multi-zone groups, a node that swell drains and one that somebody else cordoned.
func remover(c uninstall.Groups, more ...runtime.Object) *uninstall.Remover {
	drained := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "ours"}}
	if err := json.Unmarshal(plan.Cordon(drained), drained); err != nil {
		panic(err)
	}
	cordoned := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "theirs"}, Spec: corev1.NodeSpec{Unschedulable: true}}
	object := func(api, kind, name string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"apiVersion": api, "kind": kind, "metadata": map[string]any{"name": name}}}
	}
	pool := object("capacity.swell/v1alpha1", "CapacityPool", "wide")
	pool.Object["spec"] = map[string]any{"groups": map[string]any{"multiZone": "SuspendAZRebalance", "tags": map[string]any{"swell/pool": "wide"}}}
	kinds := map[schema.GroupVersionResource]string{
		{Group: "autoscaling.x-k8s.io", Version: "v1beta1", Resource: "capacitybuffers"}: "CapacityBufferList", {Version: "v1", Resource: "podtemplates"}: "PodTemplateList",
		{Group: "capacity.swell", Version: "v1alpha1", Resource: "capacitypools"}:             "CapacityPoolList",
		{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}: "CustomResourceDefinitionList",
	}
	definition := func(name string) *unstructured.Unstructured {
		return object("apiextensions.k8s.io/v1", "CustomResourceDefinition", name)
	}
	return &uninstall.Remover{Kube: fake.NewClientset(append(more, drained, cordoned)...), Groups: c, Options: uninstall.Options{Namespace: namespace},
		Dynamic: dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds, pool, definition("balloons.capacity.swell"), definition("others.example.com"))}
}

func (w world) suspended() int {
	w.t.Helper()
	found, err := w.c.Suspensions(w.t.Context(), wide)
	if err != nil {
		w.t.Fatal(err)
	}
	return len(found)
}

type world struct {
	t *testing.T
	c *aws.Client
}

func words(done []uninstall.Done) string { return fmt.Sprint(done) }

// Without swell's mark the process was suspended by somebody else, who has a reason for it.
func TestUninstallLeavesRebalanceThatOthersSuspended(t *testing.T) {
	c, endpoint := suspending(t, "blue")
	w := world{t, c}
	if err := w.c.Resume(t.Context(), "wide"); err != nil {
		t.Fatal(err)
	}
	group := "wide"
	plain := autoscaling.New(autoscaling.Options{Region: "ap-northeast-1", BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
	if _, err := plain.SuspendProcesses(t.Context(), &autoscaling.SuspendProcessesInput{AutoScalingGroupName: &group, ScalingProcesses: []string{"AZRebalance"}}); err != nil {
		t.Fatal(err)
	}
	done, err := remover(w.c).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := w.suspended(); n != 1 || strings.Contains(words(done), "resume AZRebalance") || !strings.Contains(words(done), "{keep AZRebalance suspended, without this cluster's mark wide}") {
		t.Errorf("%d groups are suspended after %v: want the other's left as it is, and said", n, done)
	}
}

func TestUninstallLeavesGroupsAndNodesAsAnotherScalerExpectsThem(t *testing.T) {
	w := world{t, client(t)}
	r := remover(w.c)
	r.Options.DryRun, r.Options.Definitions = true, true
	dry, err := r.Run(t.Context())
	if err != nil || w.suspended() != 1 {
		t.Fatalf("a dry run did something, or failed: %v, %d suspended", err, w.suspended())
	}
	r.Options.DryRun = false
	done, err := r.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if words(done) != words(dry) || !strings.Contains(words(done), "{resume AZRebalance of group wide}") || !strings.Contains(words(done), "balloons.capacity.swell") || strings.Contains(words(done), "others.example.com") {
		t.Errorf("done %v, the dry run said %v", done, dry)
	}
	if n := w.suspended(); n != 0 {
		t.Errorf("%d groups are still suspended", n)
	}
	for name, want := range map[string]bool{"ours": false, "theirs": true} {
		n, err := r.Kube.CoreV1().Nodes().Get(context.Background(), name, metav1.GetOptions{})
		if err != nil || n.Spec.Unschedulable != want || n.Annotations[plan.DrainingAnnotation] != "" || n.Labels[corev1.LabelNodeExcludeBalancers] != "" {
			t.Errorf("node %s: %+v, %v", name, n, err)
		}
	}
	if done, err := r.Run(t.Context()); err != nil || len(done) != 0 {
		t.Errorf("again: %v, %v", done, err)
	}
}

// A notice that is left on a Node would be acted on by a scaler that is installed later.
func TestNoNoticeIsLeftOnANode(t *testing.T) {
	r := remover(client(t), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "noticed", Annotations: map[string]string{nodegroups.InterruptionAnnotation: "{}", "other": "stays"}}})
	if _, err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	n, err := r.Kube.CoreV1().Nodes().Get(t.Context(), "noticed", metav1.GetOptions{})
	if err != nil || len(n.Annotations) != 1 || n.Annotations["other"] != "stays" {
		t.Errorf("left: %v, %v", n.Annotations, err)
	}
}

// Whose pool is deleted, or whose kinds are, is resumed by the name in its mark: by that cluster alone, and not where the mark
// names none.
func TestAGroupOfADeletedPoolDoesNotStaySuspended(t *testing.T) {
	for name, c := range map[string]struct {
		by, uninstalled string
		resumed         bool
		says            string
	}{
		"of this cluster":      {"blue", "blue", true, "{resume AZRebalance of group wide}"},
		"of another":           {"green", "blue", false, "[{uncordon node ours}]"},
		"of nobody knows whom": {"", "blue", false, "names no cluster wide}"},
		"to an unnamed one":    {"blue", "", false, "[{uncordon node ours}]"},
	} {
		t.Run(name, func(t *testing.T) {
			first, url := suspending(t, c.by)
			w := world{t, first}
			r := remover(of(t, url, c.uninstalled))
			if err := r.Dynamic.Resource(v1alpha1.GroupVersion.WithResource("capacitypools")).Delete(t.Context(), "wide", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			done, err := r.Run(t.Context())
			if err != nil || w.suspended() == 0 != c.resumed || !strings.Contains(words(done), c.says) {
				t.Errorf("%d groups stay suspended; done %v, %v: want %s", w.suspended(), done, err, c.says)
			}
		})
	}
}

// A pool's group that another cluster suspended is not this one's to resume.
func TestAGroupThatAnotherClusterSuspendedIsKept(t *testing.T) {
	first, url := suspending(t, "green")
	w := world{t, first}
	done, err := remover(of(t, url, "blue")).Run(t.Context())
	if err != nil || w.suspended() != 1 || !strings.Contains(words(done), "without this cluster's mark wide}") {
		t.Errorf("%d groups stay suspended; done %v, %v", w.suspended(), done, err)
	}
}

func TestUninstallIsRefusedWhileTheLeaseIsHeld(t *testing.T) {
	w := world{t, client(t)}
	holder, seconds := "pod-1", int32(15)
	for name, c := range map[string]struct {
		age     time.Duration
		dry     bool
		refused bool
	}{"held": {age: time.Second, refused: true}, "held, dry": {age: time.Second, dry: true}, "lapsed": {age: time.Minute}} {
		renewed := metav1.NewMicroTime(time.Now().Add(-c.age))
		r := remover(w.c, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "swell-scaler"},
			Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds, RenewTime: &renewed}})
		r.Options.DryRun = c.dry
		done, err := r.Run(t.Context())
		if errors.Is(err, uninstall.ErrRunning) != c.refused || c.refused && len(done) != 0 || !c.refused && err != nil {
			t.Errorf("%s: %v, %v", name, done, err)
		}
		if (r.Running != "") != c.dry || r.Note != "" {
			t.Errorf("%s: running is %q, the note %q", name, r.Running, r.Note)
		}
	}
	r := remover(w.c)
	if _, err := r.Run(t.Context()); err != nil || !strings.Contains(r.Note, "no Lease") {
		t.Errorf("without a Lease: %v, the note is %q", err, r.Note)
	}
}

func TestUninstallWithoutAWSIsRefusedWhereSomethingMayBeSuspended(t *testing.T) {
	r := remover(nil)
	if _, err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "--config") || !strings.Contains(err.Error(), "--keep-suspended") {
		t.Errorf("%v", err)
	}
	r.Options.KeepSuspended = true
	if _, err := r.Run(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestUninstallWithoutAWSSaysThatGroupsOfDeletedPoolsWereNotLookedFor(t *testing.T) {
	for name, c := range map[string]struct {
		groups uninstall.Groups
		keep   bool
		says   bool
	}{"without AWS": {says: true}, "kept by wish": {keep: true}, "with AWS": {groups: client(t)}} {
		r := remover(c.groups)
		r.Options.KeepSuspended = c.keep
		if err := r.Dynamic.Resource(v1alpha1.GroupVersion.WithResource("capacitypools")).Delete(t.Context(), "wide", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			_, err := r.Run(t.Context())
			if err != nil || strings.Count(r.Note, "--config") != map[bool]int{true: 1}[c.says] || strings.Contains(r.Note, "deleted pools") != c.says || !strings.Contains(r.Note, "no Lease") {
				t.Errorf("%s: %v, the note is %q", name, err, r.Note)
			}
		}
	}
}

// Of what the scaler keeps, only what it learned and the ledger's head outlive it, unless they are to go too; what is another's stays.
func TestUninstallTakesTheScalersConfigMaps(t *testing.T) {
	kept := func(name string, labels map[string]string) runtime.Object {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels}}
	}
	for histories, want := range map[bool]string{false: "[swell-history-shop-web-1 swell-metrics swell-scaler swell-scaler-boots swell-scaler-ledger]", true: "[swell-metrics swell-scaler]"} {
		r := remover(client(t), kept("swell-scaler-intents", nil), kept("swell-by-hand", nil), kept("swell-scaler-told", nil), kept("swell-scaler-guard-rails", nil),
			kept("swell-scaler-ledger", nil), kept("swell-scaler-boots", map[string]string{"capacity.swell/learned": "true"}),
			kept("swell-history-shop-web-1", map[string]string{"capacity.swell/history": "demand"}), kept("swell-metrics", nil), kept("swell-scaler", nil))
		r.Options.Histories = histories
		if _, err := r.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		list, err := r.Kube.CoreV1().ConfigMaps(namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var left []string
		for _, m := range list.Items {
			left = append(left, m.Name)
		}
		slices.Sort(left)
		if fmt.Sprint(left) != want {
			t.Errorf("histories %v: left are %v, want %s", histories, left, want)
		}
	}
}
