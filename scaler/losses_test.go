package scaler_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"swell/bench/testbed/aws"
)

// order tells the emulator of AWS what goes wrong.
func (w world) order(what string, o aws.Order) {
	w.t.Helper()
	raw, err := json.Marshal(o)
	if err != nil {
		w.t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.AWSEndpoint()+"/_control/"+what, bytes.NewReader(raw))
	if err != nil {
		w.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusOK {
		w.t.Fatalf("%s: %d %s %v", what, response.StatusCode, body, err)
	}
}

func (w world) gone(id string) bool {
	w.t.Helper()
	for _, i := range w.instances() {
		if i.ID == id {
			return !i.Terminated.IsZero()
		}
	}
	return false
}

// noted waits until the notice of an instance stands on a Node.
func (w world) noted() {
	w.t.Helper()
	w.until("the notice stands on a Node", func() (bool, string) {
		nodes, err := w.Kube.CoreV1().Nodes().List(w.t.Context(), metav1.ListOptions{})
		if err != nil {
			return false, err.Error()
		}
		for _, n := range nodes.Items {
			if n.Annotations["capacity.swell/interruption"] != "" {
				return true, ""
			}
		}
		return false, fmt.Sprintf("none of %d Nodes has one", len(nodes.Items))
	})
}

// end has a group end one of its instances, which it replaces.
func (w world) end(id string) {
	w.t.Helper()
	endpoint, keep := w.AWSEndpoint(), false
	client := autoscaling.New(autoscaling.Options{Region: "ap-northeast-1", BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
	if _, err := client.TerminateInstanceInAutoScalingGroup(w.t.Context(), &autoscaling.TerminateInstanceInAutoScalingGroupInput{InstanceId: &id, ShouldDecrementDesiredCapacity: &keep}); err != nil {
		w.t.Fatal(err)
	}
}

// ended is how many calls of an action succeeded.
func (w world) ended(action string) int {
	n := 0
	for _, c := range w.calls() {
		if c.Action == action && c.Status == 200 {
			n++
		}
	}
	return n
}

// An acknowledged notice is in no queue any more: the scaler that follows the one which was told reads it from the Node, and
// replaces and drains the instance all the same, once.
func TestASuccessorActsOnANoticeThatWasAcknowledged(t *testing.T) {
	w := start(t, fleet(2), 80, 0, 0)
	w.settled(0)
	before := w.launched()
	w.order("capacity", aws.Order{}) // nothing can be launched, so the first scaler only notes
	lost := w.instances()[0].ID
	w.order("rebalance", aws.Order{Instances: []string{lost}}) // a successor waits longer for the Lease than a spot notice lasts at ten times life
	w.noted()
	w.until("the queue is empty", func() (bool, string) { return w.ended("DeleteMessageBatch") > 0, "nothing was acknowledged" })
	w.Scaler.Kill()
	w.order("reset", aws.Order{})
	if err := w.Scaler.Restart(); err != nil {
		t.Fatal(err)
	}
	w.until("the interrupted instance is gone", func() (bool, string) { return w.gone(lost), "it is still there" })
	w.until("all pods run", func() (bool, string) {
		n := w.bound("app=web")
		return n == 80, fmt.Sprintf("%d of 80 pods are bound", n)
	})
	w.settled(0)
	if n := w.launched() - before; n != 1 {
		t.Errorf("%d instances were launched for one that was lost: want 1", n)
	}
	w.evictedOnly()
}

// An instance that its group ends by itself waits by a lifecycle hook until its pods are gone by eviction, and is kept waiting by
// heartbeats while a disruption budget holds them. The group replaces it by itself, or has lowered itself: swell returns
// nothing.
func TestALifecycleHookIsDrainedBeforeItsInstanceEnds(t *testing.T) {
	f := fleet(2)
	for i := range f.Groups {
		f.Groups[i].Hooks = []aws.Hook{{Name: "swell-drain", Transition: "terminating", Heartbeat: time.Hour, Result: "CONTINUE"}}
	}
	w := start(t, f, 80, 0, 0)
	w.settled(0)
	zero := intstr.FromInt32(0)
	pdb := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: policyv1.PodDisruptionBudgetSpec{MaxUnavailable: &zero,
		Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}}}
	if _, err := w.Kube.PolicyV1().PodDisruptionBudgets("shop").Create(t.Context(), pdb, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	before := w.launched()
	id := w.instances()[0].ID
	w.end(id)
	w.noted()
	w.until("the action is kept waiting", func() (bool, string) {
		n := w.ended("RecordLifecycleActionHeartbeat")
		return n >= 2, fmt.Sprintf("%d heartbeats", n)
	})
	if n := w.ended("CompleteLifecycleAction"); n != 0 || w.gone(id) || w.bound("app=web") != 80 {
		t.Fatalf("%d actions were completed against a disruption budget, %d pods are bound", n, w.bound("app=web"))
	}
	if err := w.Kube.PolicyV1().PodDisruptionBudgets("shop").Delete(t.Context(), "web", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.until("the instance is gone", func() (bool, string) { return w.gone(id), "it is still there" })
	w.until("all pods run", func() (bool, string) {
		n := w.bound("app=web")
		return n == 80, fmt.Sprintf("%d of 80 pods are bound", n)
	})
	w.settled(0)
	if n := w.ended("CompleteLifecycleAction"); n != 1 {
		t.Errorf("%d lifecycle actions were completed: want 1", n)
	}
	if n := w.ended("TerminateInstanceInAutoScalingGroup"); n != 1 {
		t.Errorf("%d instances were ended, the test's own included: want no second, as the group had counted it out", n)
	}
	if n := w.launched() - before; n != 1 {
		t.Errorf("%d instances were launched for one: want the group's own alone", n)
	}
	w.evictedOnly()
}
