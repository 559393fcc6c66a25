package plan

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/scaler/pack"
)

// Annotations that swell shares with cluster-autoscaler and Karpenter, so that what was said to them still holds.
const (
	safeToEvict        = "cluster-autoscaler.kubernetes.io/safe-to-evict"
	safeToEvictVolumes = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"
	scaleDownDisabled  = "cluster-autoscaler.kubernetes.io/scale-down-disabled"
	karpenterKeep      = "karpenter.sh/do-not-disrupt"
	// KeepAnnotation on a pod or a Node, with the value true, keeps the node.
	KeepAnnotation = "capacity.swell/do-not-disrupt"
)

// podKeeps, daemonKeeps and nodeKeeps are the annotations, with their values, that keep a node.
var (
	podKeeps = [][2]string{{safeToEvict, "false"}, {KeepAnnotation, "true"}, {karpenterKeep, "true"}}
	// daemonKeeps are those that are heard of daemons and static pods too, as Karpenter does; cluster-autoscaler asks neither.
	daemonKeeps = [][2]string{{KeepAnnotation, "true"}, {karpenterKeep, "true"}}
	nodeKeeps   = [][2]string{{KeepAnnotation, "true"}, {scaleDownDisabled, "true"}, {karpenterKeep, "true"}}
)

func annotated(annotations map[string]string, keeps [][2]string) string {
	for _, k := range keeps {
		if annotations[k[0]] == k[1] {
			return k[0] + " is " + k[1]
		}
	}
	return ""
}

// podStays is why a pod keeps its node; empty is that it may be moved. Without a word of the pod's own it is what
// cluster-autoscaler does: what nobody would make again, what has data on the node, and what the system may not be
// without stays.
func (s *seller) podStays(p *pack.Pod) string {
	if why := annotated(p.Annotations, podKeeps); why != "" {
		return why
	}
	if why := p.Refused(); why != "" {
		return why
	}
	if p.Key() == s.r.w.policy.Self {
		return "it is the scaler itself"
	}
	if p.Annotations[safeToEvict] == "true" {
		return ""
	}
	if metav1.GetControllerOf(p.Pod) == nil {
		return "nothing would make it again: it has no controller"
	}
	if v := localVolume(p.Pod); v != "" {
		return fmt.Sprintf("its volume %s is on the node's own disk; annotate it with %s where that may be lost", v, safeToEvictVolumes)
	}
	if p.Namespace == metav1.NamespaceSystem && len(s.evictions.of(p)) == 0 {
		return "it is in kube-system and no PodDisruptionBudget covers it"
	}
	return ""
}

// keptByStaying is why a pod that does not move keeps its node.
func keptByStaying(pods []*pack.Pod) string {
	why := ""
	for _, p := range pods { // in an order that differs from plan to plan
		if p.DeletionTimestamp != nil || moves(p) {
			continue
		}
		if said := annotated(p.Annotations, daemonKeeps); said != "" {
			if said = "pod " + p.Key() + ": " + said; why == "" || said < why {
				why = said
			}
		}
	}
	return why
}

// localVolume is the name of a volume whose content goes with the node; memory is lost with the pod anyhow.
func localVolume(p *corev1.Pod) string {
	spared := strings.Split(p.Annotations[safeToEvictVolumes], ",")
	for _, v := range p.Spec.Volumes {
		local := v.HostPath != nil || v.EmptyDir != nil && v.EmptyDir.Medium != corev1.StorageMediumMemory
		if local && !slices.ContainsFunc(spared, func(name string) bool { return strings.TrimSpace(name) == v.Name }) {
			return v.Name
		}
	}
	return ""
}

// nodeStays is why a node is kept, whatever is on it.
func (s *seller) nodeStays(index int) string {
	st := s.r.w.nodes[index]
	g := st.group
	if why := annotated(s.r.w.real.Nodes()[index].Node().Annotations, nodeKeeps); why != "" {
		return "its annotation " + why
	}
	if why := keptByStaying(s.r.w.real.Nodes()[index].Pods()); why != "" {
		return why
	}
	if st.instance.Protected && !g.ProtectsNew {
		return "its instance is protected from scale-in, by another hand than its group's setting"
	}
	if why := g.frozen(); why != "" {
		return why + "; its nodes could not be had again"
	}
	return ""
}

// frozen is why nothing may be bought in a group until somebody has looked at it; empty is that it may.
func (g *group) frozen() string {
	if g.Unusable != "" {
		return "nothing can be bought in group " + g.Name + ": " + g.Unusable
	}
	if g.broken != "" {
		return "group " + g.Name + " is " + g.broken
	}
	if _, known := g.Template.Allocatable[corev1.ResourceCPU]; !known {
		return "the template of group " + g.Name + " could not be read"
	}
	return ""
}
