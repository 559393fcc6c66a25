package act

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"swell/nodegroups"
	"swell/scaler/ledger"
	"swell/scaler/plan"
)

// lost makes the answers to the next n writes be lost after their effect.
func lost(kube *fake.Clientset, verb, resource string, n int) {
	kube.PrependReactor(verb, resource, func(action clienttesting.Action) (bool, runtime.Object, error) {
		if n == 0 {
			return false, nil, nil
		}
		n--
		if u, ok := action.(clienttesting.UpdateAction); ok {
			if err := kube.Tracker().Update(action.GetResource(), u.GetObject(), action.GetNamespace()); err != nil {
				return true, nil, err
			}
		}
		return true, nil, errors.New("i/o timeout")
	})
}

func actorOf(t *testing.T, kube *fake.Clientset, c Cloud) *Actor {
	t.Helper()
	in, _, err := TakeOver(t.Context(), kube, "swell-system", intentsName, "first")
	if err != nil {
		t.Fatal(err)
	}
	book, err := ledger.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { book.Close() })
	return New(nil, kube, c, in, book, Options{Clock: clock, Log: slog.New(slog.DiscardHandler)})
}

// A declaration whose answer is lost stands in the ConfigMap though nothing was called for: a successor would launch it beside
// what was planned since.
func TestADeclarationWhoseAnswerIsLostIsTakenBack(t *testing.T) {
	kube := fake.NewClientset()
	a := actorOf(t, kube, nil)
	lost(kube, "update", "configmaps", 1)
	if out := a.Carry(t.Context(), 1, launches(1)); len(out.Errors) == 0 {
		t.Fatal("the declaration did not fail")
	}
	if _, open := fenceOf(t, kube, "swell-system"); len(open) > 1 {
		t.Fatalf("the fence has %v", open)
	}
	a.Carry(t.Context(), 2, plan.Plan{})
	if _, open := fenceOf(t, kube, "swell-system"); len(open) != 0 {
		t.Errorf("the fence still has %v, which nobody called for", open)
	}
}

// An uncordoning that fails is repeated, and what a scaler that was overtaken cordons afterwards is taken back too; a node
// that this scaler drains is not.
func TestWhatAPredecessorCordonedIsTakenBackWhenTheAPIServerAnswersAgain(t *testing.T) {
	node := func(name string) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{plan.DrainingAnnotation: "true"}}, Spec: corev1.NodeSpec{ProviderID: "aws:///a/i-" + name, Unschedulable: true}}
	}
	list := []*corev1.Node{node("theirs"), node("also-theirs"), node("ours"), node("ours-soon")}
	kube := fake.NewClientset(list[0], list[1], list[2], list[3])
	a := actorOf(t, kube, nil)
	a.noteBegun("i-ours", func(*begun) {})
	ended := make(chan struct{})
	defer close(ended)
	a.inBackground(t.Context(), plan.Termination{Node: "ours-soon", InstanceID: "i-ours-soon"}, true, func(context.Context) error { <-ended; return nil }) // it has not cordoned yet
	lost(kube, "patch", "nodes", 1)
	if err := a.UncordonLeftovers(t.Context(), list); err == nil || !strings.Contains(err.Error(), "theirs") {
		t.Fatalf("%v: want the failed one named", err)
	}
	if err := a.UncordonLeftovers(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	for _, n := range list {
		got, err := kube.CoreV1().Nodes().Get(t.Context(), n.Name, metav1.GetOptions{})
		if err != nil || got.Spec.Unschedulable != strings.HasPrefix(n.Name, "ours") {
			t.Errorf("%s is cordoned: %t, %v", n.Name, got.Spec.Unschedulable, err)
		}
	}
}

// slowRaises may not launch by token, and their answers are lost until told.
type slowRaises struct {
	mu      sync.Mutex
	desired int
	lose    bool
	ended   []int // the desired capacity at each return
}

func (s *slowRaises) Launch(_ context.Context, _, _ string, count int, _ string) (nodegroups.Launched, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return nodegroups.Launched{RaiseFrom: s.desired, RaiseTo: s.desired + count, RaiseMost: 10}, nil
}

func (s *slowRaises) Raise(_ context.Context, _ string, target int) (nodegroups.Launched, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	by := max(0, target-s.desired)
	s.desired += by
	if s.lose {
		return nodegroups.Launched{}, errors.New("i/o timeout")
	}
	return nodegroups.Launched{Raised: by}, nil
}

func (s *slowRaises) Terminate(context.Context, string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.desired--
	s.ended = append(s.ended, s.desired)
	return nil
}

// A raise that is repeated asks for an absolute number: a return between the two would be undone by it.
func TestAnInstanceIsNotReturnedWhileARaiseOfItsGroupIsUnanswered(t *testing.T) {
	c := &slowRaises{desired: 2, lose: true}
	a := actorOf(t, fake.NewClientset(), c)
	a.Carry(t.Context(), 1, launches(1))
	a.Carry(t.Context(), 2, plan.Plan{Terminations: []plan.Termination{{Group: group, InstanceID: "i-1"}}})
	time.Sleep(clock.Wait(2 * retryCall))
	c.mu.Lock()
	early := len(c.ended)
	c.lose = false
	c.mu.Unlock()
	if early > 0 {
		t.Error("the instance was returned between a raise and its repetition")
	}
	out := a.Carry(t.Context(), 3, plan.Plan{})
	if want := []nodegroups.Raise{{By: 1, To: 3}}; !slices.Equal(out.Raised[group], want) {
		t.Errorf("the outcome has raised %v: want %v, for the next plan to count", out.Raised, want)
	}
	until(t, "the return", func() (bool, string) {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.ended) == 1 && c.desired == 2, ""
	})
}
