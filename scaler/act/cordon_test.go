package act

import (
	"maps"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	clientfake "sigs.k8s.io/controller-runtime/pkg/client/fake"

	"swell/nodegroups"
	"swell/scaler/ledger"
	"swell/scaler/plan"
)

func (e *emptied) node() *corev1.Node {
	e.t.Helper()
	n, err := e.kube.CoreV1().Nodes().Get(e.t.Context(), "node-1", metav1.GetOptions{})
	if err != nil {
		e.t.Fatal(err)
	}
	return n
}

// A load balancer's controller takes a node out by its label while it is drained, however often that is begun; a label that
// somebody else has set stays.
func TestADrainedNodeIsTakenOutOfLoadBalancers(t *testing.T) {
	for name, labels := range map[string]map[string]string{
		"by swell":  {"a": "b"},
		"by others": {"a": "b", corev1.LabelNodeExcludeBalancers: "by-hand"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEmptied(t)
			e.unread = true
			n := e.node()
			n.Labels = maps.Clone(labels)
			if _, err := e.kube.CoreV1().Nodes().Update(t.Context(), n, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				e.carry(plan.Plan{Replacements: []plan.Termination{e.lost}})
				if n := e.node(); n.Labels[corev1.LabelNodeExcludeBalancers] == "" || !n.Spec.Unschedulable || n.Annotations[plan.DrainingAnnotation] == "" {
					t.Fatalf("it has labels %v and annotations %v, and is unschedulable: %t", n.Labels, n.Annotations, n.Spec.Unschedulable)
				}
				e.blocked = map[string]retry{}
			}
			e.carry(plan.Plan{})
			if n := e.node(); !maps.Equal(n.Labels, labels) || n.Spec.Unschedulable || n.Annotations[plan.DrainingAnnotation] != "" {
				t.Errorf("taken back it has labels %v and annotations %v, and is unschedulable: %t", n.Labels, n.Annotations, n.Spec.Unschedulable)
			}
		})
	}
}

// A successor takes back what its predecessor drained, but for the nodes that are about to be lost: pods would be bound to them.
func TestAFailOverLeavesADyingNodeCordoned(t *testing.T) {
	e := newEmptied(t)
	n := e.node()
	n.Spec.Unschedulable = true
	n.Annotations = map[string]string{plan.DrainingAnnotation: "true", nodegroups.InterruptionAnnotation: `{"kind":"spot interruption"}`}
	if _, err := e.kube.CoreV1().Nodes().Update(t.Context(), n, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if e.takeBackLeftovers(); !e.cordoned() {
		t.Fatal("it takes pods again, and dies")
	}
	n = e.node()
	delete(n.Annotations, nodegroups.InterruptionAnnotation)
	if _, err := e.kube.CoreV1().Nodes().Update(t.Context(), n, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if e.takeBackLeftovers(); e.cordoned() {
		t.Error("it stays cordoned though its notice was withdrawn")
	}
}

// withVolume has a pod with a claim evicted from a node whose volume is attached to it still.
func withVolume(t *testing.T, e *endless, c Cloud) (*Actor, client.Client) {
	t.Helper()
	volume := "pv-1"
	e.claim = "data"
	a := e.against(t, c, 10)
	objects := clientfake.NewClientBuilder().WithObjects(
		&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "data"}, Spec: corev1.PersistentVolumeClaimSpec{VolumeName: volume}},
		&storagev1.VolumeAttachment{ObjectMeta: metav1.ObjectMeta{Name: "ours"}, Spec: storagev1.VolumeAttachmentSpec{NodeName: "node-1", Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &volume}}},
		&storagev1.VolumeAttachment{ObjectMeta: metav1.ObjectMeta{Name: "elsewhere"}, Spec: storagev1.VolumeAttachmentSpec{NodeName: "node-2", Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &volume}}},
	).Build()
	a.client = objects
	return a, objects
}

// An instance ends when its pods' volumes are detached from it, and tells what it waits for.
func TestAnInstanceIsReturnedWhenItsVolumesAreDetached(t *testing.T) {
	e, c := &endless{perNode: 1}, &ending{}
	a, objects := withVolume(t, e, c)
	a.startDrain(t.Context(), 1, returning{Termination: unneeded(0)})
	until(t, "its pod is evicted", func() (bool, string) { return e.count("evict") == 1, "" })
	e.change(func() { e.over = true })
	waits := func() bool {
		for _, x := range (scaler{Actor: a, t: t, dir: e.dir}).entries("drain", ledger.Note) {
			if x.Count == 1 {
				return true
			}
		}
		return false
	}
	until(t, "the wait is told of", func() (bool, string) { return waits(), "" })
	if c.terminated.Load() != 0 {
		t.Fatal("the instance was ended with a volume attached")
	}
	if err := objects.Delete(t.Context(), &storagev1.VolumeAttachment{ObjectMeta: metav1.ObjectMeta{Name: "ours"}}); err != nil {
		t.Fatal(err)
	}
	until(t, "the instance is returned", func() (bool, string) { return c.terminated.Load() == 1, "" })
}
