package pack

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const ebs = "ebs.csi.aws.com"

// claim is one of a class; with a volume it is bound.
func claim(name, class, volume string) *corev1.PersistentVolumeClaim {
	c := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("claim " + name), ResourceVersion: "1"},
		Spec: corev1.PersistentVolumeClaimSpec{AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: &class, VolumeName: volume,
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{"storage": resource.MustParse("1Gi")}}}}
	if volume != "" {
		c.Annotations = map[string]string{"pv.kubernetes.io/bind-completed": "yes"}
	}
	return c
}

// volume is the zonal one that a claim is bound to.
func volume(name, zone string, of *corev1.PersistentVolumeClaim) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("volume " + name), ResourceVersion: "1"},
		Spec: corev1.PersistentVolumeSpec{Capacity: corev1.ResourceList{"storage": resource.MustParse("1Gi")}, AccessModes: of.Spec.AccessModes, StorageClassName: *of.Spec.StorageClassName,
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: ebs, VolumeHandle: name}},
			ClaimRef:               &corev1.ObjectReference{Namespace: of.Namespace, Name: of.Name, UID: of.UID},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
				{Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpIn, Values: []string{zone}}}}}}}}}
}

func storageClass(name string, mode storagev1.VolumeBindingMode, zones ...string) *storagev1.StorageClass {
	c := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: ebs, VolumeBindingMode: &mode}
	if len(zones) > 0 {
		c.AllowedTopologies = []corev1.TopologySelectorTerm{{MatchLabelExpressions: []corev1.TopologySelectorLabelRequirement{{Key: corev1.LabelTopologyZone, Values: zones}}}}
	}
	return c
}

func uses(claim string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: claim, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}}})
	}
}

func attaches(node string, most int32) *storagev1.CSINode {
	return &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: node}, Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{
		{Name: ebs, NodeID: node, Allocatable: &storagev1.VolumeNodeResources{Count: &most}}}}}
}

func twoZones() []*corev1.Node {
	return []*corev1.Node{testNode("n1", "z1", "4"), testNode("n2", "z2", "4")}
}

// where lists the nodes that a pod fits, or why it fits none.
func where(t *testing.T, p *Packer, pod *Pod) string {
	t.Helper()
	var fits, why []string
	for _, n := range p.Nodes() {
		ok, reason := p.Fits(pod, n)
		if ok {
			fits = append(fits, n.Name)
		} else {
			why = append(why, reason)
		}
	}
	if len(fits) == 0 {
		return strings.Join(why, "; ")
	}
	return strings.Join(fits, " ")
}

func TestClaimsPlaceTheirPods(t *testing.T) {
	bound := claim("bound", "late", "v")
	late, early := storageClass("late", storagev1.VolumeBindingWaitForFirstConsumer), storageClass("early", storagev1.VolumeBindingImmediate)
	narrow := storageClass("narrow", storagev1.VolumeBindingWaitForFirstConsumer, "z1")
	v := Volumes{Claims: []*corev1.PersistentVolumeClaim{bound, claim("free", "late", ""), claim("narrow", "narrow", ""), claim("early", "early", "")},
		Volumes: []*corev1.PersistentVolume{volume("v", "z2", bound)}, Classes: []*storagev1.StorageClass{late, early, narrow}}
	for name, want := range map[string]string{"bound": "n2", "free": "n1 n2", "narrow": "n1", "early": "pod has unbound immediate PersistentVolumeClaims",
		"absent": `persistentvolumeclaim "absent" not found`} {
		p := packer(t, twoZones())
		if err := p.SetVolumes(v); err != nil {
			t.Fatal(err)
		}
		if got := where(t, p, prepare(t, testPod("p", "app", "1", uses(name)))[0]); !strings.HasPrefix(got, want) || len(want) < 6 && got != want {
			t.Errorf("claim %s: %s; want %s", name, got, want)
		}
	}
}

func TestAnEphemeralVolumeIsPlacedBeforeItsClaimIsMade(t *testing.T) {
	p := packer(t, twoZones())
	if err := p.SetVolumes(Volumes{Classes: []*storagev1.StorageClass{storageClass("narrow", storagev1.VolumeBindingWaitForFirstConsumer, "z2")}}); err != nil {
		t.Fatal(err)
	}
	pod := prepare(t, testPod("p", "app", "1", func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "scratch", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{
			VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{Spec: claim("x", "narrow", "").Spec}}}}}
	}))[0]
	if got := where(t, p, pod); got != "n2" {
		t.Errorf("it fits %s; want n2, the zone of its class", got)
	}
}

func TestAttachLimitsHoldOnNodesThatAreAndThatCome(t *testing.T) {
	v := Volumes{Classes: []*storagev1.StorageClass{storageClass("late", storagev1.VolumeBindingWaitForFirstConsumer)}, Nodes: []*storagev1.CSINode{attaches("n1", 2)}}
	for i := range 8 {
		c := claim(fmt.Sprintf("c%d", i), "late", fmt.Sprintf("v%d", i))
		v.Claims, v.Volumes = append(v.Claims, c), append(v.Volumes, volume(c.Spec.VolumeName, "z1", c))
	}
	p := packer(t, []*corev1.Node{testNode("n1", "z1", "64")})
	if err := p.SetVolumes(v); err != nil {
		t.Fatal(err)
	}
	if err := p.AddNode(testNode("soon", "z1", "64"), attaches("n1", 3)); err != nil {
		t.Fatal(err)
	}
	on := map[string]int{}
	for i := range 8 {
		pod := prepare(t, testPod(fmt.Sprintf("p%d", i), "app", "1", uses(fmt.Sprintf("c%d", i))))[0]
		if at := p.Find(pod, anyNode); at != nil {
			p.Assume(pod, at)
			on[at.Name]++
		}
	}
	if on["n1"] != 2 || on["soon"] != 3 {
		t.Errorf("pods with a volume by node: %v; want 2 on n1 and 3 on soon", on)
	}
}

func TestReadWriteOncePodIsForOnePod(t *testing.T) {
	c := claim("one", "late", "v")
	c.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod}
	p := packer(t, []*corev1.Node{testNode("n1", "z1", "64")})
	if err := p.SetVolumes(Volumes{Claims: []*corev1.PersistentVolumeClaim{c}, Volumes: []*corev1.PersistentVolume{volume("v", "z1", c)},
		Classes: []*storagev1.StorageClass{storageClass("late", storagev1.VolumeBindingWaitForFirstConsumer)}}); err != nil {
		t.Fatal(err)
	}
	pods := prepare(t, testPod("a", "app", "1", uses("one")), testPod("b", "app", "1", uses("one")))
	p.Assume(pods[0], p.Node("n1"))
	if got := where(t, p, pods[1]); !strings.Contains(got, "ReadWriteOncePod") {
		t.Errorf("the second pod: %s", got)
	}
	p.Remove(pods[0])
	if got := where(t, p, pods[1]); got != "n1" {
		t.Errorf("the second pod once the first is gone: %s", got)
	}
}

func TestClaimsThatCannotBeReadAreNotGuessed(t *testing.T) {
	p := packer(t, twoZones())
	const why = "its claims cannot be read: allow list and watch of csinodes.storage.k8s.io"
	pods := prepare(t, testPod("a", "app", "1", uses("late")), testPod("b", "app", "1"))
	for range 2 {
		if err := p.SetVolumes(Volumes{Unread: why}); err != nil {
			t.Fatal(err)
		}
		if got := where(t, p, pods[0]); got != why+"; "+why {
			t.Errorf("with a claim: %s", got)
		}
		if got := where(t, p, pods[1]); got != "n1 n2" {
			t.Errorf("without one: %s", got)
		}
		if err := p.SetVolumes(Volumes{Claims: []*corev1.PersistentVolumeClaim{claim("late", "late", "")},
			Classes: []*storagev1.StorageClass{storageClass("late", storagev1.VolumeBindingWaitForFirstConsumer)}}); err != nil {
			t.Fatal(err)
		}
		if got := where(t, p, pods[0]); got != "n1 n2" {
			t.Errorf("once they are read: %s", got)
		}
	}
}

// Lists of a cache are made anew for every reading; what did not change costs nothing.
func TestStorageThatDidNotChangeRenewsNothing(t *testing.T) {
	p := packer(t, twoZones())
	read := func(version string) Volumes {
		c := claim("late", "late", "")
		c.ResourceVersion = version
		return Volumes{Claims: []*corev1.PersistentVolumeClaim{c}}
	}
	if err := p.SetVolumes(read("1")); err != nil {
		t.Fatal(err)
	}
	before := p.claimChanges
	if err := p.SetVolumes(read("1")); err != nil {
		t.Fatal(err)
	}
	if p.claimChanges != before {
		t.Error("the same version of a claim counted as a change")
	}
	if err := p.SetVolumes(read("2")); err != nil {
		t.Fatal(err)
	}
	if p.claimChanges == before {
		t.Error("another version of a claim counted as none")
	}
}

func TestAPodResizedInPlaceCountsByWhatItWasGranted(t *testing.T) {
	resized := testPod("big", "app", "1", on("n1"), func(p *corev1.Pod) {
		granted := corev1.ResourceList{"cpu": resource.MustParse("3"), "memory": resource.MustParse("1Gi")}
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "c", AllocatedResources: granted, Resources: &corev1.ResourceRequirements{Requests: granted}}}
	})
	p := packer(t, []*corev1.Node{testNode("n1", "z1", "4")}, resized)
	if cpu, _ := p.Node("n1").Requested(); cpu != 3000 {
		t.Errorf("n1 has %dm asked for; want 3000m, which its pod holds until the shrinking is done", cpu)
	}
	if got := where(t, p, prepare(t, testPod("x", "other", "2"))[0]); !strings.Contains(got, "Insufficient cpu") {
		t.Errorf("a pod of 2 cores beside it: %s", got)
	}
}

// A node whose zone, taints or size change is judged anew, and what counts by zone is counted in the new one.
func TestAChangedNodeIsJudgedAnew(t *testing.T) {
	p := packer(t, twoZones())
	spread := prepare(t, testPod("s0", "web", "1", zoneSpread, on("n1")), testPod("s1", "web", "1", zoneSpread))
	p.Assume(spread[0], p.Node("n1"))
	p.Settle()
	plain := prepare(t, testPod("x", "other", "1"))[0]
	if a, b := where(t, p, spread[1]), where(t, p, plain); a != "n2" || b != "n1 n2" {
		t.Fatalf("at first the spread pod fits %s and the other %s", a, b)
	}
	moved, tainted := testNode("n2", "z3", "4"), testNode("n1", "z1", "4")
	tainted.Spec.Taints = []corev1.Taint{{Key: "k", Effect: corev1.TaintEffectNoSchedule}}
	before := p.Chances(plain)
	if _, err := p.SetNodes([]*corev1.Node{testNode("n1", "z1", "4"), moved}); err != nil {
		t.Fatal(err)
	}
	if got := where(t, p, spread[1]); got != "n2" {
		t.Errorf("n2 is in a zone of its own that is counted: the spread pod fits %s; want n2", got)
	}
	if p.Chances(plain) == before {
		t.Error("a node that changed is no new chance for a pod that fitted nowhere")
	}
	if _, err := p.SetNodes([]*corev1.Node{tainted, moved}); err != nil {
		t.Fatal(err)
	}
	if got := where(t, p, plain); got != "n2" {
		t.Errorf("n1 has a taint: the plain pod fits %s", got)
	}
}
