package controlplane_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"swell/bench/testbed/controlplane"
)

func boot(t *testing.T, options controlplane.Options) (*controlplane.Cluster, kubernetes.Interface) {
	t.Helper()
	options.Binary = controlplane.BinaryForTest(t)
	options.Log = t.Output()
	cluster, err := controlplane.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	client, err := kubernetes.NewForConfig(cluster.AdminConfig())
	if err != nil {
		t.Fatal(err)
	}
	return cluster, client
}

// eventually polls until ask is nil; the limit only turns a hang into a failure.
func eventually(t *testing.T, what string, ask func() error) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func addNodes(t *testing.T, client kubernetes.Interface, n int) {
	t.Helper()
	for i := range n {
		size := corev1.ResourceList{"cpu": resource.MustParse("16"), "memory": resource.MustParse("64Gi"), "pods": resource.MustParse("110")}
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("node-%d", i)}, Status: corev1.NodeStatus{Capacity: size, Allocatable: size}}
		if _, err := client.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "nodes Ready", func() error {
		nodes, err := client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
		if err != nil {
			return err
		}
		ready := 0
		for _, node := range nodes.Items {
			for _, c := range node.Status.Conditions {
				if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue && len(node.Spec.Taints) == 0 {
					ready++
				}
			}
		}
		if ready != n {
			return fmt.Errorf("%d of %d ready and untainted", ready, n)
		}
		return nil
	})
}

func deploy(t *testing.T, client kubernetes.Interface, replicas int32) {
	t.Helper()
	labels := map[string]string{"app": "web"}
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{
				Containers: []corev1.Container{{Name: "web", Image: "web", Resources: corev1.ResourceRequirements{
					Requests: corev1.ResourceList{"cpu": resource.MustParse("1")}}}},
			}},
		},
	}
	if _, err := client.AppsV1().Deployments("default").Create(t.Context(), deployment, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func readyPods(ctx context.Context, client kubernetes.Interface) (names []string, err error) {
	pods, err := client.CoreV1().Pods("default").List(ctx, metav1.ListOptions{LabelSelector: "app=web"})
	if err != nil {
		return nil, err
	}
	for _, pod := range pods.Items {
		for _, c := range pod.Status.Conditions {
			if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue && pod.Status.Phase == corev1.PodRunning {
				names = append(names, pod.Name)
			}
		}
	}
	return names, nil
}

type auditEvent struct {
	Level, Verb              string
	StageTimestamp           metav1.MicroTime
	User                     struct{ Username string }
	ObjectRef                struct{ Resource, Subresource, Name string }
	RequestObject            json.RawMessage
	ResponseObject           struct{ Metadata metav1.ObjectMeta }
	RequestReceivedTimestamp metav1.MicroTime
}

func readAudit(t *testing.T, path string) []auditEvent {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var events []auditEvent
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var event auditEvent
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			t.Fatalf("audit log: %v in %.200s", err, lines.Text())
		}
		events = append(events, event)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return events
}

func TestPodsRunAndAreAudited(t *testing.T) {
	cluster, client := boot(t, controlplane.Options{})
	addNodes(t, client, 3)
	deploy(t, client, 20)
	var names []string
	eventually(t, "20 pods Ready", func() (err error) {
		if names, err = readyPods(t.Context(), client); err == nil && len(names) != 20 {
			err = fmt.Errorf("%d ready", len(names))
		}
		return err
	})

	seen := map[string]map[string]bool{"created": {}, "bound": {}, "ready": {}}
	for _, e := range readAudit(t, cluster.AuditLog()) {
		switch {
		case e.Verb == "create" && e.ObjectRef.Resource == "pods" && e.ObjectRef.Subresource == "":
			seen["created"][e.ResponseObject.Metadata.Name] = true
		case e.ObjectRef.Subresource == "binding" && strings.Contains(string(e.RequestObject), `"node-`):
			seen["bound"][e.ObjectRef.Name] = true
		case e.ObjectRef.Resource == "pods" && e.ObjectRef.Subresource == "status" && e.User.Username == "kwok" && strings.Contains(string(e.RequestObject), `"Ready"`):
			seen["ready"][e.ObjectRef.Name] = true
		}
		if e.Verb == "get" || e.Verb == "list" || e.Verb == "watch" {
			t.Errorf("audit log has a %s of %s", e.Verb, e.ObjectRef.Resource)
		}
	}
	for _, name := range names {
		for what, pods := range seen {
			if !pods[name] {
				t.Errorf("audit log does not say when pod %s was %s", name, what)
			}
		}
	}

	if err := client.AppsV1().Deployments("default").Delete(t.Context(), "web", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "deleted pods gone", func() error {
		pods, err := client.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{})
		if err == nil && len(pods.Items) > 0 {
			err = fmt.Errorf("%d left", len(pods.Items))
		}
		return err
	})

	dir, pids := cluster.Dir(), cluster.PIDs()
	if len(pids) != 5 {
		t.Errorf("components are %v, want 5", pids)
	}
	if err := cluster.Stop(); err != nil {
		t.Fatal(err)
	}
	for name, pid := range pids {
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("%s (pid %d) lives after Stop", name, pid)
		}
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("folder %s is there after Stop: %v", dir, err)
	}
}
