package act

import (
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"swell/api/config"
	"swell/scaler/ledger"
	"swell/scaler/plan"
)

// clock is ten times as fast as the machine's.
var clock = config.Clock{Speed: 10, Real: time.Now(), Model: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}

const intentsName = "intents"

// scaler is one process's part that acts.
type scaler struct {
	*Actor
	t    *testing.T
	dir  string
	open []Intent // found at take-over
}

// takeOver starts a scaler with its own ledger.
func takeOver(t *testing.T, kube kubernetes.Interface, namespace, holder string, c Cloud) scaler {
	t.Helper()
	in, open, err := TakeOver(t.Context(), kube, namespace, intentsName, holder)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	book, err := ledger.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { book.Close() })
	return scaler{Actor: New(nil, kube, c, in, book, Options{Clock: clock, Log: slog.New(slog.DiscardHandler)}), t: t, dir: dir, open: open}
}

// entries of the ledger about an action, in its phases.
func (s scaler) entries(action string, phases ...ledger.Phase) []ledger.Entry {
	s.t.Helper()
	all, _, err := ledger.Read(s.dir)
	if err != nil {
		s.t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(e ledger.Entry) bool { return e.Action != action || !slices.Contains(phases, e.Phase) })
}

func fenceOf(t *testing.T, kube kubernetes.Interface, namespace string) (holder string, open []Intent) {
	t.Helper()
	m, err := kube.CoreV1().ConfigMaps(namespace).Get(t.Context(), intentsName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if raw := m.Data["launches"]; raw != "" {
		if err := json.Unmarshal([]byte(raw), &open); err != nil {
			t.Fatal(err)
		}
	}
	return m.Data["holder"], open
}

func tokens(in []Intent) string {
	var words []string
	for _, i := range in {
		words = append(words, i.Token)
	}
	slices.Sort(words)
	return strings.Join(words, " ")
}

func intent(token string) Intent {
	return Intent{Token: token, Group: group, Zone: zone, Count: 1, At: time.Now()}
}

func launches(count int) plan.Plan {
	return plan.Plan{Launches: []plan.Launch{{Group: group, Zone: zone, Count: count, Reason: "pods wait"}}}
}

func TestTakingOverMakesAndClaimsTheFence(t *testing.T) {
	_, kube := cluster(t)
	ns := addNamespace(t, kube)
	first, open, err := TakeOver(t.Context(), kube, ns, intentsName, "first")
	if err != nil || len(open) != 0 {
		t.Fatalf("%v, %v", open, err)
	}
	if holder, _ := fenceOf(t, kube, ns); holder != "first" {
		t.Fatalf("the holder is %q", holder)
	}
	if err := first.Declare(t.Context(), []Intent{intent("t2"), intent("t1")}); err != nil {
		t.Fatal(err)
	}
	if err := first.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, open, err = TakeOver(t.Context(), kube, ns, intentsName, "second")
	if err != nil || tokens(open) != "t1 t2" {
		t.Fatalf("the second found %v, %v: want what the first had begun", open, err)
	}
	if holder, open := fenceOf(t, kube, ns); holder != "second" || tokens(open) != "t1 t2" {
		t.Fatalf("%q holds %v", holder, open)
	}
	for what, err := range map[string]error{
		"declare": first.Declare(t.Context(), []Intent{intent("t3")}),
		"forget":  first.Forget(t.Context(), []Intent{intent("t1")}),
		"check":   first.Check(t.Context()),
	} {
		if !errors.Is(err, ErrNotLeader) || !strings.Contains(err.Error(), "second") {
			t.Errorf("%s of the first: %v: want ErrNotLeader that names who has it", what, err)
		}
	}
	if holder, open := fenceOf(t, kube, ns); holder != "second" || tokens(open) != "t1 t2" {
		t.Errorf("the first has changed what the second holds: %q, %v", holder, open)
	}
}

func TestAFenceThatCannotBeReadNamesItselfAndTheMend(t *testing.T) {
	_, kube := cluster(t)
	ns := addNamespace(t, kube)
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: intentsName}, Data: map[string]string{"launches": "{"}}
	if _, err := kube.CoreV1().ConfigMaps(ns).Create(t.Context(), m, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	_, _, err := TakeOver(t.Context(), kube, ns, intentsName, "first")
	if err == nil || !strings.Contains(err.Error(), ns+"/"+intentsName) || !strings.Contains(err.Error(), `delete its key "launches"`) {
		t.Fatalf("%v: want the ConfigMap and the mend", err)
	}
}

// A fence that was deleted says nothing about who holds it: its holder stops, and takes over anew when it is started again.
func TestADeletedFenceStopsItsHolder(t *testing.T) {
	_, kube := cluster(t)
	ns := addNamespace(t, kube)
	in, _, err := TakeOver(t.Context(), kube, ns, intentsName, "first")
	if err != nil {
		t.Fatal(err)
	}
	if err := kube.CoreV1().ConfigMaps(ns).Delete(t.Context(), intentsName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := in.Check(t.Context()); !errors.Is(err, ErrNotLeader) {
		t.Errorf("check: %v: want ErrNotLeader", err)
	}
	if err := in.Declare(t.Context(), []Intent{intent("t1")}); !errors.Is(err, ErrNotLeader) {
		t.Errorf("declare: %v: want ErrNotLeader", err)
	}
}

func TestAForgettingThatFailsIsRepeatedByTheNextWrite(t *testing.T) {
	c, kube := cluster(t)
	for name, broken := range map[string][2]int{"refused": {1, 0}, "answer lost": {0, 1}} {
		t.Run(name, func(t *testing.T) {
			ns := addNamespace(t, kube)
			w := &wire{}
			in, _, err := TakeOver(t.Context(), w.through(t, c), ns, intentsName, "first")
			if err != nil {
				t.Fatal(err)
			}
			if err := in.Declare(t.Context(), []Intent{intent("t1"), intent("t2")}); err != nil {
				t.Fatal(err)
			}
			w.breakNext("PUT", intentsName, broken[0], broken[1])
			if err := in.Forget(t.Context(), []Intent{intent("t1")}); err == nil || errors.Is(err, ErrNotLeader) {
				t.Fatalf("forgetting with a broken wire: %v", err)
			}
			if err := in.Declare(t.Context(), []Intent{intent("t3")}); err != nil {
				t.Fatal(err)
			}
			if _, open := fenceOf(t, kube, ns); tokens(open) != "t2 t3" {
				t.Errorf("the fence has %s: want t2 t3", tokens(open))
			}
		})
	}
}

// Launches that have ended would stay in the fence, and look begun to a successor, if writing them off waited for the next launch.
func TestAForgettingThatFailsIsRepeatedByAPlanThatLaunchesNothing(t *testing.T) {
	c, kube := cluster(t)
	ns := addNamespace(t, kube)
	w := &wire{}
	s := takeOver(t, w.through(t, c), ns, "first", startService(t).client())
	if err := s.intents.Declare(t.Context(), []Intent{intent("t1")}); err != nil {
		t.Fatal(err)
	}
	w.breakNext("PUT", intentsName, 1, 0)
	if err := s.intents.Forget(t.Context(), []Intent{intent("t1")}); err == nil {
		t.Fatal("the write did not fail")
	}
	if _, open := fenceOf(t, kube, ns); tokens(open) != "t1" {
		t.Fatalf("the fence has %q: want t1, whose writing off failed", tokens(open))
	}
	s.Carry(t.Context(), 1, plan.Plan{})
	if _, open := fenceOf(t, kube, ns); tokens(open) != "" {
		t.Errorf("the fence has %q after a plan that launches nothing: want nothing", tokens(open))
	}
}

// An intent whose declaration failed is not called for, and does not stay in the fence though it may have been written.
func TestADeclarationThatFailsLaunchesNothing(t *testing.T) {
	c, kube := cluster(t)
	for name, broken := range map[string][2]int{"refused": {1, 0}, "answer lost": {0, 1}} {
		t.Run(name, func(t *testing.T) {
			ns := addNamespace(t, kube)
			w, aws := &wire{}, startService(t)
			s := takeOver(t, w.through(t, c), ns, "first", aws.client())
			w.breakNext("PUT", intentsName, broken[0], broken[1])
			out := s.Carry(t.Context(), 1, launches(2))
			if len(out.Errors) == 0 || len(out.Launched) > 0 {
				t.Fatalf("%+v: want an error and no launch", out)
			}
			if n := len(aws.seen("LaunchInstances")); n != 0 {
				t.Fatalf("%d launches were called for without a fence", n)
			}
			if failed := s.entries("launch", ledger.Failed); len(failed) != 1 {
				t.Errorf("the ledger has %d failed launches: want 1", len(failed))
			}
			if out := s.Carry(t.Context(), 2, launches(3)); len(out.Errors) > 0 || len(out.Launched[group]) != 3 {
				t.Fatalf("%+v: want three instances once the wire is whole", out)
			}
			if _, open := fenceOf(t, kube, ns); len(open) != 0 {
				t.Errorf("the fence has %v after all was answered", open)
			}
			if n := len(aws.alive()); n != 4 {
				t.Errorf("%d instances are alive: want the first and three", n)
			}
		})
	}
}

func TestAHolderThatWakesTooLateCallsNothing(t *testing.T) {
	_, kube := cluster(t)
	for name, p := range map[string]plan.Plan{
		"launch":      launches(5),
		"terminate":   {Terminations: []plan.Termination{{InstanceID: "the first"}}},
		"replace":     {Replacements: []plan.Termination{{InstanceID: "the first", Placed: true}}},
		"asked again": {},
	} {
		t.Run(name, func(t *testing.T) {
			ns := addNamespace(t, kube)
			aws := startService(t)
			s := takeOver(t, kube, ns, "first", aws.client())
			if name == "asked again" {
				aws.loseAnswers(1)
				s.Carry(t.Context(), 1, launches(2))
			}
			for _, list := range [][]plan.Termination{p.Terminations, p.Replacements} {
				for i := range list {
					list[i].InstanceID = aws.first()
				}
			}
			takeOver(t, kube, ns, "second", aws.client())
			before := len(aws.seen("LaunchInstances"))
			out := s.Carry(t.Context(), 2, p)
			if !errors.Is(errors.Join(out.Errors...), ErrNotLeader) {
				t.Errorf("%v: want ErrNotLeader", out.Errors)
			}
			until(t, "no drain goes on", func() (bool, string) { return s.idle(), "" })
			if n := len(aws.seen("LaunchInstances")) - before; n != 0 {
				t.Errorf("%d launches were called for", n)
			}
			if n := len(aws.seen("TerminateInstanceInAutoScalingGroup")); n != 0 {
				t.Errorf("%d instances were returned", n)
			}
		})
	}
}

// idle says that no instance is being returned.
func (s scaler) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.draining) == 0
}
