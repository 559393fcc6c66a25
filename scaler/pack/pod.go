package pack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"unique"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

// Pod is a pod made ready to be placed. It may be used with several packers, one after the other.
type Pod struct {
	*corev1.Pod
	// At is the node that the pod is bound to, which is where it is and no demand of where it must be.
	At      string
	info    *framework.PodInfo
	class   unique.Handle[string]
	refused string
	claims  []string
	// tells says that its anti-affinity may tell apart what is of one class.
	tells bool
	// cpu and memory requested, in millicores and bytes.
	cpu, memory int64
	// movable is the pod as it would come to another node, once that was asked.
	movable *Pod
}

// NewPod prepares a pod. A pod without a UID gets its namespace and name for one, so that it can be taken back.
// It fails only on affinity terms that the API server would not have let pass.
func NewPod(pod *corev1.Pod) (*Pod, error) {
	if pod.UID == "" {
		copied := *pod
		copied.UID = types.UID(pod.Namespace + "/" + pod.Name)
		pod = &copied
	}
	info, err := framework.NewPodInfo(pod)
	if err != nil {
		return nil, fmt.Errorf("reading the affinity of pod %s/%s: %w; correct its selectors", pod.Namespace, pod.Name, err)
	}
	r := info.CalculateResource().Resource
	return &Pod{Pod: pod, At: pod.Spec.NodeName, info: info, refused: refusal(pod), claims: claimsOf(pod),
		tells: excludesNumbered(info.RequiredAntiAffinityTerms), cpu: r.GetMilliCPU(), memory: r.GetMemory()}, nil
}

// free is the pod as the scheduler would see it come: bound nowhere, and asking for what its spec says, not for what it was
// granted in place.
func (p *Pod) free() *Pod {
	if p.At == "" {
		return p
	}
	if p.movable == nil {
		copied := *p.Pod
		copied.Spec.NodeName, copied.Status = "", corev1.PodStatus{}
		moved, err := NewPod(&copied)
		if err != nil { // its affinity was read before
			moved = p
		}
		p.movable = moved
	}
	return p.movable
}

// infoAt is the pod as it counts on a node: by what it was granted where it runs, by what it asks for elsewhere.
func (p *Pod) infoAt(node string) *framework.PodInfo {
	if p.At == "" || p.At == node {
		return p.info
	}
	return p.free().info
}

// Key is namespace/name.
func (p *Pod) Key() string { return p.Namespace + "/" + p.Name }

// Requests are the pod's requests of CPU in millicores and of memory in bytes, overhead included.
func (p *Pod) Requests() (milliCPU, bytes int64) { return p.cpu, p.memory }

// Refused is why the pod cannot be planned for, as refusal says; empty where it can.
func (p *Pod) Refused() string { return p.refused }

// Beside says whether the pod must be where other pods are.
func (p *Pod) Beside() bool { return len(p.info.RequiredAffinityTerms) > 0 }

// Class is equal for pods that the filters cannot tell apart, unless another's anti-affinity names a label that numbers them.
func (p *Pod) Class() string {
	if p.class == (unique.Handle[string]{}) {
		p.class = unique.Make(classOf(p.Pod))
	}
	return p.class.Value()
}

// refusal is why a pod cannot be planned for, empty where it can: what is not modelled is never assumed to fit.
func refusal(pod *corev1.Pod) string {
	if len(pod.Spec.ResourceClaims) > 0 {
		return "it uses dynamic resource claims, which are not planned for"
	}
	return ""
}

// classOf describes what filters read of a pod: two pods of one ReplicaSet differ in the name of their token's
// volume, and must not differ here.
func classOf(pod *corev1.Pod) string {
	s := &pod.Spec
	seen := corev1.PodSpec{NodeSelector: s.NodeSelector, Affinity: s.Affinity, Tolerations: s.Tolerations,
		TopologySpreadConstraints: s.TopologySpreadConstraints, Overhead: s.Overhead, Resources: s.Resources, HostNetwork: s.HostNetwork,
		HostUsers: s.HostUsers, OS: s.OS, SecurityContext: s.SecurityContext}
	for _, c := range s.InitContainers {
		seen.InitContainers = append(seen.InitContainers, seenContainer(c))
	}
	for _, c := range s.Containers {
		seen.Containers = append(seen.Containers, seenContainer(c))
	}
	owner := ""
	for _, v := range s.Volumes {
		if v.GCEPersistentDisk != nil || v.AWSElasticBlockStore != nil || v.AzureDisk != nil || v.Cinder != nil || v.PortworxVolume != nil ||
			v.ISCSI != nil || v.RBD != nil || v.CSI != nil || v.PersistentVolumeClaim != nil || v.Ephemeral != nil {
			seen.Volumes = append(seen.Volumes, v)
		}
		if v.Ephemeral != nil {
			owner = pod.Name + "/" + string(pod.UID) // its claims carry its name and are its own
		}
	}
	// Maps are written in the order of their keys, so that equal pods have equal text.
	spec, err := json.Marshal(seen)
	if err != nil {
		return string(pod.UID)
	}
	text, err := json.Marshal(struct {
		Namespace string
		Labels    map[string]string
		Spec      json.RawMessage
		Owner     string
	}{pod.Namespace, seenLabels(pod, spec), spec, owner})
	if err != nil {
		return string(pod.UID)
	}
	return string(text)
}

// ownLabels are those that number the pods of one workload, each with its own.
var ownLabels = []string{appsv1.StatefulSetPodNameLabel, appsv1.PodIndexLabel, batchv1.JobCompletionIndexAnnotation}

// numbered are the pod's own labels.
func numbered(pod *corev1.Pod) []string {
	return slices.DeleteFunc(slices.Clone(ownLabels), func(l string) bool { _, has := pod.Labels[l]; return !has })
}

// seenLabels are the pod's labels without those that number it, if its spec does not name one: then its own terms cannot
// tell it from its siblings. Those of others are heeded in classFor.
func seenLabels(pod *corev1.Pod, spec []byte) map[string]string {
	own := numbered(pod)
	if len(own) == 0 || slices.ContainsFunc(own, func(l string) bool { return bytes.Contains(spec, []byte(l)) }) {
		return pod.Labels
	}
	out := maps.Clone(pod.Labels)
	for _, l := range own {
		delete(out, l)
	}
	return out
}

// excludesNumbered says whether a pod's anti-affinity may tell pods of one workload apart.
func excludesNumbered(terms []fwk.AffinityTerm) bool {
	for _, t := range terms {
		requirements, _ := t.Selector.Requirements()
		if slices.ContainsFunc(requirements, func(r labels.Requirement) bool { return slices.Contains(ownLabels, r.Key()) }) {
			return true
		}
	}
	return false
}

func seenContainer(c corev1.Container) corev1.Container {
	return corev1.Container{Name: c.Name, Resources: c.Resources, Ports: c.Ports, RestartPolicy: c.RestartPolicy,
		RestartPolicyRules: c.RestartPolicyRules, SecurityContext: c.SecurityContext}
}
