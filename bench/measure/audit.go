package measure

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/v1alpha1"
)

// BalloonLabel marks balloon pods; its value is the Balloon's name.
const BalloonLabel = v1alpha1.BalloonLabel

// Pod is the life of one pod as the audit log shows it; zero times are unknown or have not come.
type Pod struct {
	Namespace, Name string
	// Workload that owns it: a ReplicaSet's name without the template's hash, or the owner's own name.
	Workload string
	// Balloon is the Balloon that it belongs to, empty for other pods.
	Balloon string
	// CPU that its containers request, in cores.
	CPU  float64
	Node string // empty where the log does not tell
	// Created is when the request arrived, Unschedulable when the scheduler's first such patch arrived,
	// Bound when the binding was complete, Deleted when the first delete or eviction was complete.
	Created, Unschedulable, Bound, Deleted time.Time
}

// auditEvent is what is used of an audit.k8s.io/v1 event.
type auditEvent struct {
	Kind      string `json:"kind"`
	Stage     string `json:"stage"`
	Verb      string `json:"verb"`
	ObjectRef *struct {
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	ResponseStatus *struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
	RequestObject  json.RawMessage  `json:"requestObject"`
	ResponseObject json.RawMessage  `json:"responseObject"`
	Received       metav1.MicroTime `json:"requestReceivedTimestamp"`
	Staged         metav1.MicroTime `json:"stageTimestamp"`
}

// ReadAudit reads the lives of pods from audit logs, sorted by creation, and counts torn last lines.
func ReadAudit(paths ...string) (pods []Pod, torn int, err error) {
	var events []auditEvent
	for _, path := range paths {
		n, err := readLines(path, func(e auditEvent) error {
			if e.Kind != "Event" || e.Stage == "" {
				return errors.New("this is no audit event: give the API server's log in JSON lines of audit.k8s.io/v1")
			}
			if e.wanted() {
				events = append(events, e)
			}
			return nil
		})
		if err != nil {
			return nil, 0, err
		}
		torn += n
	}
	// a line is written when its request ends, so a pod may be bound in the log before it is created
	slices.SortStableFunc(events, func(a, b auditEvent) int { return a.Received.Compare(b.Received.Time) })
	lives := lives{current: map[string]int{}}
	for _, e := range events {
		if err := lives.take(e); err != nil {
			return nil, 0, err
		}
	}
	return lives.pods, torn, nil
}

func (e auditEvent) wanted() bool {
	return e.Stage == "ResponseComplete" && e.ObjectRef != nil && e.ObjectRef.Resource == "pods" &&
		e.ResponseStatus != nil && e.ResponseStatus.Code >= 200 && e.ResponseStatus.Code < 300
}

// lives collects pods; current is the index of the pod that has a namespace/name now.
type lives struct {
	pods    []Pod
	current map[string]int
}

func (l *lives) take(e auditEvent) error {
	ref := e.ObjectRef
	if e.Verb == "create" && ref.Subresource == "" {
		return l.create(e)
	}
	if e.Verb == "deletecollection" {
		for i := range l.pods {
			if l.pods[i].Namespace == ref.Namespace {
				l.pods[i].delete(e.Staged.Time)
			}
		}
		return nil
	}
	i, ok := l.current[ref.Namespace+"/"+ref.Name]
	if !ok {
		return nil // created before the log began
	}
	pod := &l.pods[i]
	switch {
	case ref.Subresource == "binding" && e.Verb == "create":
		pod.Bound = e.Staged.Time
		var binding corev1.Binding
		if len(e.RequestObject) > 0 && json.Unmarshal(e.RequestObject, &binding) == nil {
			pod.Node = binding.Target.Name
		}
	case e.Verb == "delete" && ref.Subresource == "", ref.Subresource == "eviction" && e.Verb == "create":
		pod.delete(e.Staged.Time)
	case ref.Subresource == "status" && (e.Verb == "patch" || e.Verb == "update"):
		if pod.Unschedulable.IsZero() && pod.Bound.IsZero() && unschedulable(e.RequestObject) {
			pod.Unschedulable = e.Received.Time
		}
	}
	return nil
}

func (p *Pod) delete(at time.Time) {
	if p.Deleted.IsZero() {
		p.Deleted = at
	}
}

func (l *lives) create(e auditEvent) error {
	var object corev1.Pod
	body := e.ResponseObject
	if len(body) == 0 {
		body = e.RequestObject
	}
	if len(body) == 0 {
		return fmt.Errorf("a create of a pod in namespace %s at %s has no object: log pod creates at level RequestResponse", e.ObjectRef.Namespace, e.Received.Format(time.RFC3339Nano))
	}
	if err := json.Unmarshal(body, &object); err != nil {
		return fmt.Errorf("reading the pod that was created in namespace %s at %s: %w; is it a v1 Pod?", e.ObjectRef.Namespace, e.Received.Format(time.RFC3339Nano), err)
	}
	pod := Pod{Namespace: e.ObjectRef.Namespace, Name: object.Name, Workload: workload(object), Balloon: object.Labels[BalloonLabel],
		Node: object.Spec.NodeName, Created: e.Received.Time}
	if pod.Name == "" {
		pod.Name = e.ObjectRef.Name
	}
	if pod.Node != "" {
		pod.Bound = e.Staged.Time
	}
	for _, c := range object.Spec.Containers {
		pod.CPU += c.Resources.Requests.Cpu().AsApproximateFloat64()
	}
	l.current[pod.Namespace+"/"+pod.Name] = len(l.pods)
	l.pods = append(l.pods, pod)
	return nil
}

// workload is the name of what owns a pod; for a ReplicaSet that of its Deployment.
func workload(pod corev1.Pod) string {
	for _, owner := range pod.OwnerReferences {
		if owner.Kind == "ReplicaSet" {
			return strings.TrimSuffix(owner.Name, "-"+pod.Labels["pod-template-hash"])
		}
		if owner.Controller != nil && *owner.Controller {
			return owner.Name
		}
	}
	for _, key := range []string{"app.kubernetes.io/name", "app"} {
		if pod.Labels[key] != "" {
			return pod.Labels[key]
		}
	}
	return ""
}

func unschedulable(body json.RawMessage) bool {
	var pod corev1.Pod
	if !bytes.Contains(body, []byte(corev1.PodReasonUnschedulable)) || json.Unmarshal(body, &pod) != nil {
		return false
	}
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable
	})
}
