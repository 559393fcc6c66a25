// Package tick measures what one plan costs on a large cluster, by itself: no server, no cloud.
package tick

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"swell/nodegroups"
	"swell/scaler/plan"
)

// Options of a measured cluster.
type Options struct {
	Nodes   int // default 5,000
	Pods    int // default 100,000, spread over the nodes
	Pending int // default 2,000
	Classes int // of pending pods, default 250
	Rounds  int // plans that are timed, default 10
	// Full leaves no node room for a pending pod, so that all need launches.
	Full bool
}

func (o Options) withDefaults() Options {
	for _, f := range []struct {
		of *int
		is int
	}{{&o.Nodes, 5000}, {&o.Pods, 100_000}, {&o.Pending, 2000}, {&o.Classes, 250}, {&o.Rounds, 10}} {
		if *f.of == 0 {
			*f.of = f.is
		}
	}
	return o
}

// size of a bound pod: 20 on a node leave 3.5 of its 15.5 cores free, or less than any pending pod asks for.
func (o Options) size() string {
	if o.Full {
		return "740m"
	}
	return "600m"
}

var zones = []string{"ap-northeast-1a", "ap-northeast-1c", "ap-northeast-1d"}

// cluster is a snapshot that changes as a cluster does: an object that changes is another object.
type cluster struct {
	o      Options
	now    time.Time
	s      plan.Snapshot
	policy plan.Policy
	born   int
}

func newCluster(o Options) *cluster {
	c := &cluster{o: o, now: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC), policy: plan.Policy{MaxAge: time.Minute}}
	c.policy.Pools = []plan.Pool{{Name: "general", SpotMax: 0.7, OnDemandBase: 6, Fallback: true, ScaleInAfter: 10 * time.Minute,
		ScaleInBelow: 0.5, MaxUnavailable: 0.1, PriceCapacity: true}}
	for _, zone := range zones {
		for _, market := range []nodegroups.Market{nodegroups.Spot, nodegroups.OnDemand} {
			c.s.Groups = append(c.s.Groups, newGroup(zone, market))
		}
	}
	for i := range o.Nodes {
		c.addNode(&c.s.Groups[i%len(c.s.Groups)])
	}
	for i := range o.Pods {
		p := c.pod(fmt.Sprintf("team-%d", i%teams), fmt.Sprintf("app-%d", i%400), o.size())
		p.Spec.NodeName = c.s.Nodes[i%o.Nodes].Name
		p.Status.Phase = corev1.PodRunning
		c.s.Pods = append(c.s.Pods, p)
	}
	c.s.DaemonPods = []*corev1.Pod{c.daemon("logs"), c.daemon("network")}
	c.touch()
	return c
}

// touch is a new reading: lists of a cache are made anew for each.
func (c *cluster) touch() {
	c.s.PodsAt, c.s.GroupsAt = c.now, c.now
	c.s.Namespaces = nil
	for i := range teams {
		name := fmt.Sprintf("team-%d", i)
		c.s.Namespaces = append(c.s.Namespaces, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), ResourceVersion: "1",
			Labels: map[string]string{corev1.LabelMetadataName: name, "team": fmt.Sprint(i)}}})
	}
}

func newGroup(zone string, market nodegroups.Market) nodegroups.Group {
	price := map[nodegroups.Market]float64{nodegroups.Spot: 0.3, nodegroups.OnDemand: 0.8}[market]
	return nodegroups.Group{Name: "general-" + zone + "-" + string(market), Pool: "general", Zone: zone, Market: market, Max: 5000, HourlyPrice: price,
		InstanceTypes: []string{"m6i.4xlarge"}, Template: nodegroups.Template{
			Labels:      map[string]string{corev1.LabelTopologyZone: zone, corev1.LabelInstanceTypeStable: "m6i.4xlarge", "market": string(market)},
			Allocatable: corev1.ResourceList{"cpu": resource.MustParse("15500m"), "memory": resource.MustParse("58Gi"), "pods": resource.MustParse("110")}}}
}

func (c *cluster) addNode(g *nodegroups.Group) {
	c.born++
	id := fmt.Sprintf("i-%017d", c.born)
	i := nodegroups.Instance{ID: id, Type: "m6i.4xlarge", Zone: g.Zone, Lifecycle: nodegroups.InService, LaunchedAt: c.now.Add(-time.Hour), ProviderID: nodegroups.ProviderID(g.Zone, id)}
	g.Instances, g.Desired = append(g.Instances, i), g.Desired+1
	labels := map[string]string{corev1.LabelHostname: id}
	for k, v := range g.Template.Labels {
		labels[k] = v
	}
	c.s.Nodes = append(c.s.Nodes, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: id, UID: types.UID(id), ResourceVersion: "1", Labels: labels},
		Spec:   corev1.NodeSpec{ProviderID: i.ProviderID},
		Status: corev1.NodeStatus{Allocatable: g.Template.Allocatable, Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}})
	limit := int32(25)
	c.s.Volumes.Nodes = append(c.s.Volumes.Nodes, &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: id},
		Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{{Name: driver, NodeID: id, Allocatable: &storagev1.VolumeNodeResources{Count: &limit}}}}})
}

func (c *cluster) pod(namespace, app, cpu string) *corev1.Pod {
	c.born++
	yes := true
	name := fmt.Sprintf("%s-%06d", app, c.born)
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(name), ResourceVersion: "1",
		Labels:            map[string]string{"app": app, "pod-template-hash": "5c9d8f7b6"},
		CreationTimestamp: metav1.NewTime(c.now.Add(-time.Minute + time.Duration(c.born%1000)*time.Millisecond)),
		OwnerReferences:   []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: app, UID: types.UID(app), Controller: &yes}}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "registry.example/" + app, Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{"cpu": resource.MustParse(cpu), "memory": resource.MustParse("1Gi")}}}},
			Volumes: []corev1.Volume{{Name: "kube-api-access-" + name[len(name)-5:], VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{}}}}},
		Status: corev1.PodStatus{Phase: corev1.PodPending}}
}

func (c *cluster) daemon(name string) *corev1.Pod {
	p := c.pod("kube-system", name, "100m")
	p.Name, p.UID, p.OwnerReferences[0].Kind = name, "", "DaemonSet"
	return p
}

// teams are the namespaces.
const teams = 40

const driver = "ebs.csi.aws.com"

// addPending adds pods that wait, of so many classes: 30 % with spread over zones, 10 % one a node, 5 % with a volume of a zone.
func (c *cluster) addPending() {
	wait := storagev1.VolumeBindingWaitForFirstConsumer
	c.s.Volumes.Classes = []*storagev1.StorageClass{{ObjectMeta: metav1.ObjectMeta{Name: "gp3"}, Provisioner: driver, VolumeBindingMode: &wait}}
	for i := range c.o.Pending {
		class := i % c.o.Classes
		app := fmt.Sprintf("new-%d", class)
		p := c.pod(fmt.Sprintf("team-%d", class%teams), app, fmt.Sprintf("%dm", 1000+10*(class%50)))
		selector := &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}
		switch {
		case class*100 < 30*c.o.Classes:
			p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: corev1.LabelTopologyZone, WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: selector}}
		case class*100 < 40*c.o.Classes:
			p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{LabelSelector: selector, TopologyKey: corev1.LabelHostname}}}}
		case class*100 < 45*c.o.Classes:
			c.addVolume(p, zones[i%len(zones)])
		}
		c.s.Pods = append(c.s.Pods, p)
	}
}

// addVolume gives a pod a claim that is bound to a volume of a zone.
func (c *cluster) addVolume(p *corev1.Pod, zone string) {
	class := "gp3"
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: "data-" + p.Name, ResourceVersion: "1",
		Annotations: map[string]string{"pv.kubernetes.io/bind-completed": "yes"}},
		Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: &class, VolumeName: "pv-" + p.Name, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}}}
	volume := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv-" + p.Name, ResourceVersion: "1"}, Spec: corev1.PersistentVolumeSpec{StorageClassName: class,
		PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: driver, VolumeHandle: "vol-" + p.Name}},
		NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
			{Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpIn, Values: []string{zone}}}}}}}}}
	c.s.Volumes.Claims, c.s.Volumes.Volumes = append(c.s.Volumes.Claims, claim), append(c.s.Volumes.Volumes, volume)
	p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "data", VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim.Name}}})
}

// changeOne makes one pod and one node other than they were: the pod is another of its workload, the node has a new label.
func (c *cluster) changeOne(round int) {
	at := (round * 997) % c.o.Pods
	old := c.s.Pods[at]
	p := c.pod(old.Namespace, old.Labels["app"], c.o.size())
	p.Spec.NodeName, p.Status.Phase = old.Spec.NodeName, corev1.PodRunning
	c.s.Pods[at] = p
	i := (round * 991) % c.o.Nodes
	n := c.s.Nodes[i].DeepCopy()
	n.ResourceVersion, n.Labels["round"] = fmt.Sprint(round+2), fmt.Sprint(round)
	c.s.Nodes[i] = n
	c.now = c.now.Add(time.Second)
	c.touch()
}
