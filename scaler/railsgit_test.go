package scaler_test

import (
	"bufio"
	"context"
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"swell/api/v1alpha1"
	"swell/scaler/guardrail"
)

// git keeps the pool's maxNodes at 3 as Argo CD with selfHeal does, by watching: what is put back is there again before the scaler looks.
// It counts how often it had to, and does something else each time.
func (w world) git(too func()) *atomic.Int32 {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	w.t.Cleanup(func() { cancel(); <-done })
	stream, err := w.Kube.Discovery().RESTClient().Get().AbsPath("/apis/capacity.swell/v1alpha1/capacitypools").Param("watch", "true").Stream(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	healed := &atomic.Int32{}
	go func() {
		defer close(done)
		defer stream.Close()
		lines := bufio.NewScanner(stream)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var e struct{ Object v1alpha1.CapacityPool }
			if json.Unmarshal(lines.Bytes(), &e) != nil || e.Object.Spec.Limits.MaxNodes == 3 || e.Object.Annotations[guardrail.RolledBackAnnotation] == "" {
				continue
			}
			too()
			healed.Add(1)
			_ = w.Kube.Discovery().RESTClient().Patch(types.MergePatchType).AbsPath(poolsPath).Param("fieldManager", "argocd-controller").Body([]byte(`{"spec":{"limits":{"maxNodes":3}}}`)).Do(ctx).Error()
		}
	}()
	return healed
}

// Git that reverts a roll-back within milliseconds is not fought, however often: people are told instead.
func TestGitThatRevertsAtOnceIsNotFought(t *testing.T) {
	w, h := guarded(t, v1alpha1.Enforce)
	w.bounds("misses<=1%,for=10m")
	w.patchPool(`{"spec":{"limits":{"maxNodes":3}}}`)
	w.phase(guardrail.Watching)
	healed := w.git(func() {})
	w.scale(90)
	w.phase(guardrail.Fought)
	w.until("both are told", func() (bool, string) {
		text := h.texts()
		return strings.Contains(text, "generation 2 was rolled back to the spec of generation 1: ") &&
			strings.Contains(text, "is the spec that was rolled back as generation 2, applied by argocd-controller; it is not rolled back a second time"), text
	})
	time.Sleep(10 * time.Second) // more than retryLeast at ten times life
	if n := healed.Load(); n != 1 {
		t.Errorf("Git healed %d times: want once", n)
	}
	if r := w.railRecord(); r.Phase != guardrail.Fought || w.pool().Spec.Limits.MaxNodes != 3 {
		t.Errorf("%+v", r)
	}
}

// A scaler that dies in the moment between its patch and the record of it, which Git reverts meanwhile, leaves a note that its successor
// knows the roll-back by.
func TestAScalerThatDiesAfterItsPatchDoesNotRepeatIt(t *testing.T) {
	w, h := guarded(t, v1alpha1.Enforce)
	w.bounds("misses<=1%,for=10m")
	w.patchPool(`{"spec":{"limits":{"maxNodes":3}}}`)
	w.phase(guardrail.Watching)
	healed := w.git(func() { w.Scaler.Kill() })
	w.scale(90)
	w.until("Git has reverted a roll-back", func() (bool, string) { return healed.Load() > 0, "" })
	w.phase(guardrail.RollingBack)
	if err := w.Scaler.Restart(); err != nil {
		t.Fatal(err)
	}
	w.phase(guardrail.Fought)
	w.until("it is told", func() (bool, string) {
		text := h.texts()
		return strings.Contains(text, "is the spec that was rolled back as generation 2, applied by argocd-controller; it is not rolled back a second time"), text
	})
	time.Sleep(10 * time.Second)
	if n := healed.Load(); n != 1 {
		t.Errorf("Git healed %d times: want once", n)
	}
}
