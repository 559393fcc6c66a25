package act

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"swell/nodegroups"
	"swell/scaler/plan"
)

// gives has an instance for every launch, or none and lets the group be raised.
type gives struct {
	raises bool
	fail   error
}

func (g gives) Launch(_ context.Context, _, zone string, count int, token string) (nodegroups.Launched, error) {
	if g.raises {
		return nodegroups.Launched{RaiseFrom: 2, RaiseTo: 2 + count, RaiseMost: 10}, g.fail
	}
	var got nodegroups.Launched
	for n := range count {
		got.Instances = append(got.Instances, nodegroups.Instance{ID: fmt.Sprintf("i-%s-%d", token, n), Type: "m6i.large", Zone: zone})
	}
	return got, g.fail
}

func (g gives) Raise(context.Context, string, int) (nodegroups.Launched, error) {
	return nodegroups.Launched{Raised: 2}, g.fail
}

func (gives) Terminate(context.Context, string) error { return nil }

// successor takes the fence over, and again for a third scaler, and returns what that knows.
func successor(t *testing.T, kube *fake.Clientset) []Late {
	t.Helper()
	var late []Late
	for _, holder := range []string{"second", "third"} {
		in, open, err := TakeOver(t.Context(), kube, "swell-system", intentsName, holder)
		if err != nil || len(open) > 0 {
			t.Fatalf("%v, %v", open, err)
		}
		if err := in.Declare(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		late = New(nil, kube, nil, in, nil, Options{Clock: clock}).Answered()
	}
	return late
}

// A scaler that takes over may read the groups from an answer that is older than its predecessor's launch, and would buy it again.
func TestASuccessorKnowsWhatItsPredecessorHasJustLaunched(t *testing.T) {
	kube := fake.NewClientset()
	before := clock.Now()
	out := actorOf(t, kube, gives{}).Carry(t.Context(), 1, launches(2))
	late := successor(t, kube)
	if len(out.Launched[group]) != 2 || len(late) != 1 || len(late[0].Launched[group]) != 2 || len(late[0].Raised) != 0 {
		t.Fatalf("%+v, %+v: want the two instances that were launched", out, late)
	}
	got := late[0].Launched[group][0]
	if want := out.Launched[group][0].ID; got.ID != want || got.Zone != zone || got.Type != "m6i.large" || got.ProviderID != nodegroups.ProviderID(zone, want) || got.Lifecycle != nodegroups.Pending {
		t.Errorf("%+v: want %s as AWS would list it", got, want)
	}
	if at := late[0].At; at.Before(before) || at.After(clock.Now()) {
		t.Errorf("answered at %s: want the model time of the answer", at)
	}
}

func TestASuccessorKnowsWhatItsPredecessorHasJustRaised(t *testing.T) {
	kube := fake.NewClientset()
	actorOf(t, kube, gives{raises: true}).Carry(t.Context(), 1, launches(2))
	late := successor(t, kube)
	if len(late) != 1 || len(late[0].Raised[group]) != 1 || late[0].Raised[group][0] != (nodegroups.Raise{By: 2, To: 4}) || len(late[0].Launched) != 0 {
		t.Fatalf("%+v: want the raise by 2 to 4", late)
	}
}

// One that was not answered stays open, and is asked for again by its token alone.
func TestALaunchWithoutAnAnswerIsOpenAndNotAnswered(t *testing.T) {
	kube := fake.NewClientset()
	a := actorOf(t, kube, gives{fail: errors.New("i/o timeout")})
	a.Carry(t.Context(), 1, launches(2))
	if late := a.Answered(); len(late) != 0 {
		t.Errorf("%+v is answered", late)
	}
	if _, open := fenceOf(t, kube, "swell-system"); len(open) != 1 {
		t.Errorf("open are %v: want the one", open)
	}
}

// A write that fails leaves the launch open in the ConfigMap, or answered there: with either a successor counts it once.
func TestAnAnswerThatCouldNotBeWrittenIsWrittenWithTheNextPlan(t *testing.T) {
	kube := fake.NewClientset()
	a := actorOf(t, kube, gives{})
	if err := a.intents.Declare(t.Context(), []Intent{intent("t1")}); err != nil {
		t.Fatal(err)
	}
	done := intent("t1")
	done.AnsweredAt, done.Instances = time.Now(), []Instance{{ID: "i-1"}}
	lost(kube, "update", "configmaps", 1)
	if err := a.intents.Forget(t.Context(), []Intent{done}); err == nil {
		t.Fatal("the write did not fail")
	}
	a.Carry(t.Context(), 2, plan.Plan{})
	if late := successor(t, kube); len(late) != 1 || len(late[0].Launched[group]) != 1 {
		t.Errorf("%+v: want the one instance", late)
	}
}

func TestAnsweredLaunchesAreForgottenAndBounded(t *testing.T) {
	kube := fake.NewClientset()
	a := actorOf(t, kube, gives{})
	done := func(token string, ago time.Duration, instances int) Intent {
		in := intent(token)
		in.AnsweredAt = time.Now().Add(-ago)
		for n := range instances {
			in.Instances = append(in.Instances, Instance{ID: fmt.Sprintf("i-0123456789abc%04d", n), Type: "m6i.24xlarge", Zone: zone})
		}
		return in
	}
	if err := a.intents.Forget(t.Context(), []Intent{done("new", time.Minute, 1), done("old", nodegroups.ListedWithin+time.Second, 1), done("nothing", 0, 0)}); err != nil {
		t.Fatal(err)
	}
	if late := a.intents.answered(); tokens(late) != "new" {
		t.Errorf("answered are %q: want the new one", tokens(late))
	}
	var many []Intent
	for n := range 100 {
		many = append(many, done(fmt.Sprintf("t%02d", n), time.Minute-time.Duration(n)*time.Millisecond, mostPerCall))
	}
	if err := a.intents.Forget(t.Context(), many); err != nil {
		t.Fatal(err)
	}
	late := a.intents.answered()
	if n := len(late); n != mostLate/(mostPerCall+1) || late[n-1].Token != "t99" {
		t.Errorf("%d launches are kept: want the newest", n)
	}
	m, err := kube.CoreV1().ConfigMaps("swell-system").Get(t.Context(), intentsName, metav1.GetOptions{})
	if size := len(m.Data[lateKey]); err != nil || size < 1000 || size > 512<<10 {
		t.Errorf("they take %d bytes, %v", size, err)
	}
}
