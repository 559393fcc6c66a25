package controlplane_test

import (
	"fmt"
	"testing"
	"time"
	"os/exec"
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	authv1 "k8s.io/api/authentication/v1"

	"swell/bench/testbed/controlplane"
)

func TestZZ(t *testing.T) {
	start := 2*time.Second
	cluster, client := boot(t, controlplane.Options{PodStart: start, HPASyncPeriod: 1500*time.Millisecond, HPADownscaleStabilization: 30*time.Second, HPACPUInitializationPeriod: 30*time.Second, HPAInitialReadinessDelay: 3*time.Second})
	tok, err := client.CoreV1().ServiceAccounts("default").CreateToken(t.Context(), "default", &authv1.TokenRequest{}, metav1.CreateOptions{})
	t.Log(err, len(tok.Status.Token))
	addNodes(t, client, 30)
	began := time.Now()
	deploy(t, client, 300)
	go func() {
		for i := range 40 {
			pods, _ := client.CoreV1().Pods("default").List(context.Background(), metav1.ListOptions{Limit: 1})
			if pods == nil || len(pods.Items) == 0 { continue }
			client.CoreV1().Pods("default").Patch(context.Background(), pods.Items[0].Name, types.MergePatchType, []byte(fmt.Sprintf(`{"metadata":{"annotations":{"x":"%d"}}}`, i)), metav1.PatchOptions{})
			time.Sleep(200*time.Millisecond)
		}
	}()
	eventually(t, "pods", func() error {
		names, err := readyPods(t.Context(), client)
		if err == nil && len(names) != 300 { err = fmt.Errorf("%d", len(names)) }
		return err
	})
	t.Log("all running", time.Since(began))
	bound, ready := map[string]time.Time{}, map[string]time.Time{}
	for _, e := range readAudit(t, cluster.AuditLog()) {
		if e.ObjectRef.Subresource == "binding" { bound[e.ObjectRef.Name] = e.StageTimestamp.Time }
		if e.User.Username == "kwok" && e.ObjectRef.Subresource == "status" && e.ObjectRef.Resource == "pods" { ready[e.ObjectRef.Name] = e.StageTimestamp.Time }
	}
	var minD, maxD time.Duration = time.Hour, 0
	for n, r := range ready { d := r.Sub(bound[n]); minD = min(minD, d); maxD = max(maxD, d) }
	t.Log("ready after bound", minD, maxD)
	out, _ := exec.Command("ls", "-la", cluster.AuditLog()).CombinedOutput()
	t.Log(string(out))
	time.Sleep(10*time.Second)
	for n, pid := range cluster.PIDs() { o, _ := exec.Command("ps", "-o", "rss=,cputimes=", "-p", fmt.Sprint(pid)).Output(); t.Log(n, string(o)) }
	began = time.Now()
	cluster.Process("kube-apiserver").Kill()
	time.Sleep(5*time.Second)
	t.Log(cluster.Restart(t.Context(), "kube-apiserver"), time.Since(began))
	select { case e := <-cluster.Failures(): t.Error(e); default: }
}
