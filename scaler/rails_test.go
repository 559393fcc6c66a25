package scaler_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/bench/testbed/stack"
	"swell/scaler/guardrail"
	"swell/scaler/series"
)

// mayPatch are the rights that the chart adds where the configuration has guardRails.mode: Enforce.
const mayPatch = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: guard-rails}
rules:
- apiGroups: [capacity.swell]
  resources: [balloons, capacitypools, diurnalschedules]
  verbs: [patch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: guard-rails}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: guard-rails}
subjects: [{kind: ServiceAccount, namespace: swell-system, name: swell-scaler}]
`

// guarded starts a scaler that tells a webhook, with guard rails in a mode.
func guarded(t *testing.T, mode v1alpha1.Mode) (world, *hook) {
	h := listen(t)
	w := startConfigured(t, fleet(1), 15, series.Series{}, `{"min": 0}`,
		stack.ScalerOptions{Notify: h.options(time.Minute), GuardRails: config.GuardRails{Mode: mode}})
	return w, h
}

const poolsPath = "/apis/capacity.swell/v1alpha1/capacitypools/general"

// policyPaths are where the API server has the objects that the tests change, by the name that guard rails have for them.
var policyPaths = map[string]string{
	"CapacityPool general":        poolsPath,
	"Balloon shop/web":            "/apis/capacity.swell/v1alpha1/namespaces/shop/balloons/web",
	"DiurnalSchedule shop/office": "/apis/capacity.swell/v1alpha1/namespaces/shop/diurnalschedules/office",
}

func (w world) pool() v1alpha1.CapacityPool {
	w.t.Helper()
	var p v1alpha1.CapacityPool
	w.policy("CapacityPool general", &p)
	return p
}

// policy reads an object that guard rails watch.
func (w world) policy(key string, into any) {
	w.t.Helper()
	raw, err := w.Kube.Discovery().RESTClient().Get().AbsPath(policyPaths[key]).DoRaw(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		w.t.Fatal(err)
	}
}

func (w world) patchPool(patch string) {
	w.t.Helper()
	w.patchPolicy("CapacityPool general", patch)
}

func (w world) patchPolicy(key, patch string) {
	w.t.Helper()
	if err := w.Kube.Discovery().RESTClient().Patch(types.MergePatchType).AbsPath(policyPaths[key]).Param("fieldManager", "git").Body([]byte(patch)).Do(w.t.Context()).Error(); err != nil {
		w.t.Fatal(err)
	}
}

// bounds puts the annotation on the pool, and waits until something is known of the time before a change.
func (w world) bounds(text string) {
	w.t.Helper()
	w.boundsOf("CapacityPool general", text)
}

func (w world) boundsOf(key, text string) {
	w.t.Helper()
	w.patchPolicy(key, fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, guardrail.BoundsAnnotation, text))
	w.until("half a minute of the past is known", func() (bool, string) {
		r := w.railRecordOf(key)
		return len(r.Past.Recent) > 0 && r.Past.Recent[len(r.Past.Recent)-1].Seconds > 20, fmt.Sprintf("%+v", r.Past)
	})
}

// railRecord is what the scaler keeps of the pool.
func (w world) railRecord() guardrail.Record {
	w.t.Helper()
	return w.railRecordOf("CapacityPool general")
}

func (w world) railRecordOf(key string) (r guardrail.Record) {
	w.t.Helper()
	m, err := w.Kube.CoreV1().ConfigMaps("swell-system").Get(w.t.Context(), "swell-scaler-guard-rails", metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		w.t.Fatal(err)
	}
	for name, text := range m.Data {
		var kept struct {
			Object string `json:"object"`
			guardrail.Record
		}
		if err := json.Unmarshal([]byte(text), &kept); err != nil {
			w.t.Fatalf("%s: %v", name, err)
		}
		if kept.Object == key {
			return kept.Record
		}
	}
	return guardrail.Record{}
}

func (w world) phase(want guardrail.Phase) {
	w.t.Helper()
	w.phaseOf("CapacityPool general", want)
}

func (w world) phaseOf(key string, want guardrail.Phase) {
	w.t.Helper()
	w.until(fmt.Sprintf("the phase of %s is %q", key, want), func() (bool, string) {
		r := w.railRecordOf(key)
		return r.Phase == want, fmt.Sprintf("%q", r.Phase)
	})
}

// A limit that is too low leaves pods without nodes. It is rolled back, which people are told and the pool's Events say, and the pods
// run. The scaler is killed in the middle of the watch. What Git then applies again is not fought over.
func TestAChangeThatBuysTooLittleIsRolledBack(t *testing.T) {
	w, h := guarded(t, v1alpha1.Enforce)
	w.bounds("misses<=1%,cost<=+500%,for=20m")
	w.patchPool(`{"spec":{"limits":{"maxNodes":3},"freeze":{"until":"2026-12-31T00:00:00Z","reason":"kept"}}}`)
	w.phase(guardrail.Watching)
	w.Scaler.Kill()
	if err := w.Scaler.Restart(); err != nil {
		t.Fatal(err)
	}
	w.scale(90) // 45 have room on three nodes
	w.until("the limit is rolled back", func() (bool, string) {
		p := w.pool()
		return p.Spec.Limits.MaxNodes == 0, fmt.Sprintf("limits %+v, %+v", p.Spec.Limits, w.railRecord().Watch)
	})
	p := w.pool()
	if why := p.Annotations[guardrail.RolledBackAnnotation]; !strings.HasPrefix(why, "generation 2 at 20") || !strings.Contains(why, "of pod-seconds were spent pending beyond 30s (bound 1%)") {
		t.Errorf("the pool says %q", why)
	}
	if p.Spec.Freeze == nil || p.Spec.Freeze.Reason != "kept" {
		t.Errorf("the freeze was rolled back too: %+v", p.Spec.Freeze)
	}
	w.until("all pods run", func() (bool, string) {
		n := w.bound("app=web")
		return n == 90, fmt.Sprintf("%d of 90 are bound", n)
	})
	w.until("it is told", func() (bool, string) {
		return strings.Contains(h.texts(), "generation 2 was rolled back to the spec of generation 1: "), h.texts()
	})
	w.until("there are Events", func() (bool, string) {
		n, m := len(w.eventsOn("default", "CapacityPool", "general", "GuardBreach")), len(w.eventsOn("default", "CapacityPool", "general", "GuardRolledBack"))
		return n == 1 && m == 1, fmt.Sprintf("%d of the breach, %d of the roll-back", n, m)
	})
	w.phase(guardrail.Settled)

	w.patchPool(`{"spec":{"limits":{"maxNodes":3}}}`)
	w.phase(guardrail.Fought)
	w.until("that is told", func() (bool, string) {
		return strings.Contains(h.texts(), "is the spec that was rolled back as generation 2, applied by git; it is not rolled back a second time"), h.texts()
	})
	w.scale(120)
	time.Sleep(10 * time.Second)
	if p := w.pool(); p.Spec.Limits.MaxNodes != 3 {
		t.Errorf("what came back was rolled back again: %+v", p.Spec.Limits)
	}
}

func TestAChangeThatIsGoodIsConfirmed(t *testing.T) {
	w, h := guarded(t, v1alpha1.Enforce)
	w.bounds("misses<=1%,for=10m")
	w.patchPool(`{"spec":{"limits":{"maxNodes":20}}}`)
	w.phase(guardrail.Watching)
	err := stack.Poll(t.Context(), "it is confirmed", 2*time.Minute, w.tells(h, "generation 2 kept to its bounds for 10m0s: 0% of pod-seconds"))
	if err != nil {
		t.Fatal(err)
	}
	w.phase(guardrail.Settled)
	if r := w.railRecord(); r.Generation != 2 || !strings.Contains(string(r.Good), `"maxNodes":20`) || w.pool().Spec.Limits.MaxNodes != 20 {
		t.Errorf("%d %s", r.Generation, r.Good)
	}
}

// Without leave nothing is changed, and the breach is told all the same.
func TestARollBackThatIsNotWantedIsOnlyTold(t *testing.T) {
	w, h := guarded(t, v1alpha1.Observe)
	w.bounds("misses<=1%,for=10m")
	w.patchPool(`{"spec":{"limits":{"maxNodes":3}}}`)
	w.phase(guardrail.Watching)
	w.scale(90)
	w.until("it is told", func() (bool, string) {
		return strings.Contains(h.texts(), "it is not rolled back: guardRails.mode in the scaler's configuration is Observe; give another spec"), h.texts()
	})
	w.phase(guardrail.Kept)
	if p := w.pool(); p.Generation != 2 || p.Spec.Limits.MaxNodes != 3 {
		t.Errorf("generation %d, %+v", p.Generation, p.Spec.Limits)
	}
}

// A scaler that may not patch the pool says which right it lacks, and does it once it has that.
func TestARollBackThatIsForbiddenIsAProblem(t *testing.T) {
	w, _ := guarded(t, v1alpha1.Enforce)
	if err := w.Kube.RbacV1().ClusterRoleBindings().Delete(t.Context(), "swell-scaler:guard-rails", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.bounds("misses<=1%,for=10m")
	w.patchPool(`{"spec":{"limits":{"maxNodes":3}}}`)
	w.phase(guardrail.Watching)
	w.scale(90)
	w.until("the problem names the right", func() (bool, string) {
		for _, e := range w.eventsOn("default", "CapacityPool", "general", "Problem") {
			if e.Type == corev1.EventTypeWarning && strings.Contains(e.Note, "cannot be put back") && strings.Contains(e.Note, "let swell-scaler patch capacitypools") {
				return true, ""
			}
		}
		return false, strings.Join(w.pool().Status.Problems, "\n")
	})
	w.apply(mayPatch)
	w.until("it is rolled back", func() (bool, string) {
		p := w.pool()
		return p.Spec.Limits.MaxNodes == 0, fmt.Sprintf("%+v", p.Spec.Limits)
	})
}
