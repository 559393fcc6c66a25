package act

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	ktesting "k8s.io/client-go/testing"
	"k8s.io/kubernetes/pkg/apis/core"
	corev1defaults "k8s.io/kubernetes/pkg/apis/core/v1"
	"k8s.io/kubernetes/pkg/apis/core/validation"

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

// lateIntent is a launch that was answered some time ago, with instances.
func lateIntent(token string, ago time.Duration, instances int) Intent {
	in := intent(token)
	in.AnsweredAt = time.Now().Add(-ago)
	for n := range instances {
		in.Instances = append(in.Instances, Instance{ID: fmt.Sprintf("i-0123456789abc%04d", n), Type: "m6i.24xlarge", Zone: zone})
	}
	return in
}

func TestAnsweredLaunchesAreForgotten(t *testing.T) {
	a := actorOf(t, fake.NewClientset(), gives{})
	if err := a.intents.Forget(t.Context(), []Intent{lateIntent("new", time.Minute, 1), lateIntent("old", nodegroups.ListedWithin+time.Second, 1), lateIntent("nothing", 0, 0)}); err != nil {
		t.Fatal(err)
	}
	if late := a.intents.answered(); tokens(late) != "new" {
		t.Errorf("answered are %q: want the new one", tokens(late))
	}
}

// validated makes an API server's rules for ConfigMaps hold for updates of a fake one.
func validated(t *testing.T, kube *fake.Clientset) {
	kube.PrependReactor("update", "configmaps", func(a ktesting.Action) (bool, runtime.Object, error) {
		var m core.ConfigMap
		if err := corev1defaults.Convert_v1_ConfigMap_To_core_ConfigMap(a.(ktesting.UpdateAction).GetObject().(*corev1.ConfigMap), &m, nil); err != nil {
			t.Error(err)
		}
		return len(validation.ValidateConfigMap(&m)) > 0, nil, validation.ValidateConfigMap(&m).ToAggregate()
	})
}

// What was answered takes what a ConfigMap has left, be it of many launches or of many instances, and the newest answers are kept.
func TestAnsweredLaunchesFitAConfigMap(t *testing.T) {
	for name, instances := range map[string]int{"raises": 0, "instances": mostPerCall} {
		kube := fake.NewClientset()
		validated(t, kube)
		a := actorOf(t, kube, gives{})
		var open []Intent
		for n := range 100 {
			open = append(open, intent(fmt.Sprintf("open-%d", n)))
		}
		if err := a.intents.Declare(t.Context(), open); err != nil {
			t.Fatal(err)
		}
		var many []Intent
		bytes := 0
		for n := 0; bytes < 2*mostBytes; n++ {
			in := lateIntent(fmt.Sprintf("%064d", n), time.Minute-time.Duration(n)*time.Millisecond, instances)
			in.Target = 5
			text, err := json.Marshal(in)
			if err != nil {
				t.Fatal(err)
			}
			many, bytes = append(many, in), bytes+len(text)
		}
		if err := a.intents.Forget(t.Context(), many); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		late, last := a.intents.answered(), many[len(many)-1].Token
		if len(late) == 0 || late[len(late)-1].Token != last || late[0].Token != many[len(many)-len(late)].Token {
			t.Errorf("%s: %d of %d are kept: want the newest", name, len(late), len(many))
		}
		m, err := kube.CoreV1().ConfigMaps("swell-system").Get(t.Context(), intentsName, metav1.GetOptions{})
		if size := bytesOf(m); err != nil || size < mostBytes-16<<10 || size > mostBytes {
			t.Errorf("%s: the ConfigMap takes %d bytes, %v: want what it may, and no more", name, size, err)
		}
		if _, found := fenceOf(t, kube, "swell-system"); len(found) != len(open) {
			t.Errorf("%s: %d are open: want the %d", name, len(found), len(open))
		}
	}
}

// More launches than the fence has room for are not called for; fewer are.
func TestMoreIntentsThanAConfigMapHoldsAreNotDeclared(t *testing.T) {
	kube := fake.NewClientset()
	validated(t, kube)
	a := actorOf(t, kube, gives{})
	if err := a.intents.Forget(t.Context(), []Intent{lateIntent("late", time.Second, 1)}); err != nil {
		t.Fatal(err)
	}
	var many []Intent
	for n := range 10_000 {
		many = append(many, intent(fmt.Sprintf("%064d", n)))
	}
	if err := a.intents.Declare(t.Context(), many); err == nil || !strings.Contains(err.Error(), "the next plan") {
		t.Fatalf("%v: want it refused, with what follows", err)
	}
	if err := a.intents.Declare(t.Context(), many[:1000]); err != nil {
		t.Fatal(err)
	}
	if _, open := fenceOf(t, kube, "swell-system"); len(open) != 1000 {
		t.Errorf("%d are open, want the 1000", len(open))
	}
	if late := a.intents.answered(); tokens(late) != "late" {
		t.Errorf("answered are %q: want the one that was before", tokens(late))
	}
}
