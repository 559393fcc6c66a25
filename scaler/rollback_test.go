package scaler

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/bench/testbed/controlplane"
	"swell/scaler/act"
	"swell/scaler/guardrail"
	"swell/scaler/ledger"
)

// heldUp holds patches up, as an admission webhook does that does not answer.
type heldUp struct {
	http.RoundTripper
	patches chan string
	release chan struct{}
}

func (h heldUp) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPatch {
		h.patches <- r.URL.Path
		select {
		case <-h.release:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	return h.RoundTripper.RoundTrip(r)
}

// Roll-backs whose patches hang hold up neither the plan nor one another, and what was decided is kept before.
func TestRollBacksHangBesideTheLoop(t *testing.T) {
	l, held := loopWithHeldUpPatches(t)
	const pools = 3
	var all []leaving
	for i := range pools {
		all = append(all, l.leavingPool(t, fmt.Sprint("pool-", i)))
	}
	now := time.Now()
	l.rollBack(t.Context(), now, all)
	for range pools {
		select {
		case <-held.patches:
		case <-time.After(rollBackWithin):
			t.Fatal("the patches wait for one another")
		}
	}
	m, err := l.kube.CoreV1().ConfigMaps("default").Get(t.Context(), railsName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range all {
		if text := m.Data[railKey(w.key)]; !strings.Contains(text, w.record.Watch.Note) || w.record.Watch.Note == "" {
			t.Errorf("%s is being patched, and this is kept: %s", w.key, text)
		}
	}
	l.rollBack(t.Context(), now.Add(time.Hour), all) // those that are under way are not begun again
	close(held.release)
	for deadline := time.Now().Add(rollBackWithin); ; time.Sleep(10 * time.Millisecond) {
		l.collect()
		done := 0
		for _, w := range all {
			if w.record.Watch.Back == 2 {
				done++
			}
		}
		if done == pools {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d are rolled back", done, pools)
		}
	}
	if len(held.patches) > 0 {
		t.Error("one was patched twice")
	}
}

// A plan that writes the object's status meanwhile is in no roll-back's way; a change of what was judged is.
func TestARollBackMindsWhatWasJudged(t *testing.T) {
	l, held := loopWithHeldUpPatches(t)
	close(held.release)
	for name, c := range map[string]struct {
		change  func(*v1alpha1.CapacityPool) error
		refused bool
	}{
		"status": {func(p *v1alpha1.CapacityPool) error {
			p.Status.Problems = []string{"one"}
			return l.client.Status().Update(t.Context(), p)
		}, false},
		"bounds": {func(p *v1alpha1.CapacityPool) error {
			p.Annotations[guardrail.BoundsAnnotation] = "misses<=5%"
			return l.client.Update(t.Context(), p)
		}, true},
		"spec": {func(p *v1alpha1.CapacityPool) error {
			p.Spec.Groups.Tags["swell/pool"] = "another"
			return l.client.Update(t.Context(), p)
		}, true},
		"another": {func(p *v1alpha1.CapacityPool) error {
			if err := l.client.Delete(t.Context(), p.DeepCopy()); err != nil {
				return err
			}
			p.ResourceVersion, p.UID = "", ""
			return l.client.Create(t.Context(), p)
		}, true},
	} {
		w := l.leavingPool(t, name)
		if err := c.change(w.object.DeepCopyObject().(*v1alpha1.CapacityPool)); err != nil {
			t.Fatal(err)
		}
		l.rollBack(t.Context(), time.Now(), []leaving{w})
		try := l.rails.tries[w.key]
		for deadline := time.Now().Add(rollBackWithin); try.running && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
			l.collect()
		}
		if refused := try.problem != ""; refused != c.refused || (w.record.Watch.Back == 2) == c.refused {
			t.Errorf("%s: %+v, %+v", name, try, w.record.Watch)
		}
	}
}

// A ConfigMap that cannot be written is a problem, and no reason to leave what harms in force.
func TestARollBackGoesOnWhereItCannotBeKept(t *testing.T) {
	l, held := loopWithHeldUpPatches(t)
	close(held.release)
	immutable := true
	if _, err := l.kube.CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: railsName}, Immutable: &immutable,
		Data: map[string]string{"a": "b"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	taken(t, l.rails.store)
	w := l.leavingPool(t, "pool")
	l.rollBack(t.Context(), time.Now(), []leaving{w})
	l.keepRails(t.Context())
	for deadline := time.Now().Add(rollBackWithin); w.record.Watch.Back != 2 || l.rails.saveProblem == nil; time.Sleep(10 * time.Millisecond) {
		if l.collect(); time.Now().After(deadline) {
			t.Fatalf("%+v, %+v, %v", w.record.Watch, l.rails.tries[w.key], l.rails.saveProblem)
		}
	}
	problems := l.rails.keepProblems()
	if len(problems) != 1 || problems[0].Object != "guard rails" || !strings.Contains(problems[0].What, "field is immutable") || problems[0].Mend == "" {
		t.Errorf("%+v", problems)
	}
}

func loopWithHeldUpPatches(t *testing.T) (*Loop, heldUp) {
	t.Helper()
	cluster, kube, takeLead := apiServer(t)
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	if err := cluster.InstallCRDs(t.Context(), filepath.Join(root, "charts", "swell", "crds")); err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	held := heldUp{patches: make(chan string, 10), release: make(chan struct{})}
	through := rest.CopyConfig(cluster.AdminConfig())
	through.Wrap(func(to http.RoundTripper) http.RoundTripper {
		h := held
		h.RoundTripper = to
		return h
	})
	c, err := client.New(through, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	book, err := ledger.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { book.Close() })
	store, fence := takeLead("scaler")
	taken(t, store)
	l := &Loop{client: c, kube: kube, ledger: book, clock: config.Clock{Speed: 1}, jobs: newJobs(), rails: newRails(), options: Options{Log: slog.New(slog.DiscardHandler)}}
	l.actor = act.New(c, kube, nil, fence, book, act.Options{Log: l.options.Log})
	l.rails.store = store
	return l, held
}

// leavingPool makes a pool whose spec is to be rolled back.
func (l *Loop) leavingPool(t *testing.T, name string) leaving {
	t.Helper()
	pool := &v1alpha1.CapacityPool{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{guardrail.BoundsAnnotation: "misses<=1%"}},
		Spec: v1alpha1.CapacityPoolSpec{Groups: v1alpha1.PoolGroups{Tags: map[string]string{"swell/pool": "bad"}}}}
	if err := l.client.Create(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	s, err := specOf(pool, pool.Spec)
	if err != nil {
		t.Fatal(err)
	}
	key := "CapacityPool " + name
	l.rails.records[key] = &guardrail.Record{Good: json.RawMessage(`{"groups":{"tags":{"swell/pool":"good"}}}`), Generation: 1, UID: string(pool.UID), Seen: 1, Phase: guardrail.RollingBack,
		Watch: &guardrail.Watch{Generation: 1, Why: "too many misses"}}
	return leaving{railed{kind: "CapacityPool", key: key, object: pool, spec: s}, l.rails.records[key]}
}
