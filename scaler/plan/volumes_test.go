package plan

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"swell/nodegroups"
)

const ebs = "ebs.csi.aws.com"

// claimed gives a pod a claim.
func claimed(name string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name}}}}
	}
}

// claim adds one of the class; a zone binds it to a volume there.
func (c *cluster) claim(name, class, zone string) *cluster {
	one := corev1.ResourceList{"storage": resource.MustParse("1Gi")}
	modes := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	pvc := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("claim " + name), ResourceVersion: "1"},
		Spec: corev1.PersistentVolumeClaimSpec{AccessModes: modes, StorageClassName: &class, Resources: corev1.VolumeResourceRequirements{Requests: one}}}
	c.s.Volumes.Claims = append(c.s.Volumes.Claims, pvc)
	if zone == "" {
		return c
	}
	pvc.Spec.VolumeName, pvc.Annotations = "v-"+name, map[string]string{"pv.kubernetes.io/bind-completed": "yes"}
	c.s.Volumes.Volumes = append(c.s.Volumes.Volumes, &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "v-" + name, UID: types.UID("volume " + name), ResourceVersion: "1"},
		Spec: corev1.PersistentVolumeSpec{Capacity: one, AccessModes: modes, StorageClassName: class,
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: ebs, VolumeHandle: name}},
			ClaimRef:               &corev1.ObjectReference{Namespace: "shop", Name: name, UID: pvc.UID},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
				{Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpIn, Values: []string{zone}}}}}}}}})
	return c
}

func (c *cluster) class(name string, mode storagev1.VolumeBindingMode, zones ...string) *cluster {
	s := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: ebs, VolumeBindingMode: &mode}
	if len(zones) > 0 {
		s.AllowedTopologies = []corev1.TopologySelectorTerm{{MatchLabelExpressions: []corev1.TopologySelectorLabelRequirement{{Key: corev1.LabelTopologyZone, Values: zones}}}}
	}
	c.s.Volumes.Classes = append(c.s.Volumes.Classes, s)
	return c
}

// zones is a cluster where 1a is cheaper than 1c, with storage classes.
func zones() *cluster {
	return newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).group("1c", nodegroups.Spot, 0.4).
		class("late", storagev1.VolumeBindingWaitForFirstConsumer).class("late-c", storagev1.VolumeBindingWaitForFirstConsumer, "1c").
		class("early", storagev1.VolumeBindingImmediate)
}

func TestAPodWithAClaimIsBoughtForWhereItsVolumeCanBe(t *testing.T) {
	for name, c := range map[string]struct{ class, zone, want string }{
		"bound in 1c":                   {"late", "1c", spotC},
		"first consumer":                {"late", "", spotA},
		"first consumer, topology 1c":   {"late-c", "", spotC},
		"immediate, bound in 1c by now": {"early", "1c", spotC},
	} {
		p := zones().claim("d", c.class, c.zone).pods("db", 1, "1", "", claimed("d")).plan()
		expect(t, p, len(p.Launches) == 1 && launched(p)[c.want] == 1, name+": want one node of "+c.want)
	}
	p := zones().up(spotA, 1).claim("d", "late", "1c").pods("db", 1, "1", "", claimed("d")).plan()
	expect(t, p, launched(p)[spotC] == 1, "an empty node in 1a is no place for a volume of 1c")
	p = zones().up(spotC, 1).claim("d", "late", "1c").pods("db", 1, "1", "", claimed("d")).plan()
	expect(t, p, len(p.Launches) == 0, "an empty node in 1c is")
}

func TestClaimsWithoutAPlaceAreReportedAndBuyNothing(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*cluster)
		want   string
	}{
		"immediate and unbound": {func(c *cluster) { c.claim("d", "early", "") }, "pod has unbound immediate PersistentVolumeClaims"},
		"unread": {func(c *cluster) {
			c.s.Volumes = Volumes{Unread: "its claims cannot be read: allow list and watch of csinodes"}
		}, "allow list and watch of csinodes"},
	} {
		k := zones().up(spotA, 1).pods("db", 1, "1", "", claimed("d")).pods("web", 1, "1", "")
		c.change(k)
		p := k.plan()
		expect(t, p, len(p.Launches) == 0 && len(p.Unplaced) == 1 && len(p.Unplaced[0].Reasons) > 0 && strings.Contains(p.Unplaced[0].Reasons[0].Reason, c.want), name)
	}
}

// A node to come attaches as many volumes as the group's nodes do.
func TestNodesToComeHaveTheAttachLimitOfTheirGroup(t *testing.T) {
	two := int32(2)
	c := zones().up(spotA, 1)
	c.s.Volumes.Nodes = []*storagev1.CSINode{{ObjectMeta: metav1.ObjectMeta{Name: "i-0001"}, Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{
		{Name: ebs, NodeID: "i-0001", Allocatable: &storagev1.VolumeNodeResources{Count: &two}}}}}}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		c.claim(name, "late", "1a").pods("db-"+name, 1, "1", "", claimed(name))
	}
	p := c.plan()
	expect(t, p, len(p.Launches) == 1 && launched(p)[spotA] == 2, "five volumes at two a node are one node that is there and two to come")
}

// ka#9568
func TestABootingInstanceIsOfItsOwnTypeAndNotOfTheGroupsLeast(t *testing.T) {
	large := nodegroups.Template{Labels: map[string]string{corev1.LabelTopologyZone: "1a"},
		Allocatable: corev1.ResourceList{"cpu": resource.MustParse("31"), "memory": resource.MustParse("120Gi"), "pods": resource.MustParse("110")}}
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2, func(g *nodegroups.Group) {
		g.InstanceTypes = append(g.InstanceTypes, "m6i.8xlarge")
		g.Templates = map[string]nodegroups.Template{"m6i.4xlarge": g.Template, "m6i.8xlarge": large}
	})
	c.launch(spotA, 1)
	c.pods("web", 31, "1", "")
	p := c.plan()
	expect(t, p, len(p.Launches) > 0, "an instance of unknown type is taken to be the least")
	c.byName(spotA).Instances[0].Type = "m6i.8xlarge"
	p = c.plan()
	expect(t, p, len(p.Launches) == 0, "31 pods of one core are for the 31 cores on their way")
}
