package scaler_test

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/v1alpha1"
	"swell/scaler/guardrail"
)

// full makes a change of an object while its workload's pods have no room that can be bought, and waits until it is rolled back.
func (w world) full(key, change string, restored func() bool) {
	w.t.Helper()
	w.patchPool(`{"spec":{"limits":{"maxNodes":3}}}`)
	w.boundsOf(key, "misses<=1%,for=10m")
	w.patchPolicy(key, change)
	w.phaseOf(key, guardrail.Watching)
	w.scale(90) // 45 have room on three nodes
	w.until(key+" is rolled back", func() (bool, string) { return restored(), fmt.Sprintf("%+v", w.railRecordOf(key).Watch) })
	w.phaseOf(key, guardrail.Settled)
	_, name, _ := strings.Cut(key, "/")
	w.until("its Events say so", func() (bool, string) {
		n := len(w.eventsOn("shop", strings.Fields(key)[0], name, "GuardRolledBack"))
		return n == 1, fmt.Sprintf("%d say so", n)
	})
	var o metav1.PartialObjectMetadata
	if w.policy(key, &o); !strings.Contains(o.Annotations[guardrail.RolledBackAnnotation], "of pod-seconds were spent pending beyond 30s (bound 1%)") {
		w.t.Errorf("%s says %q", key, o.Annotations)
	}
}

// A Balloon goes back by the chart's rules, and not before it has them.
func TestABalloonIsRolledBackByTheChartsRules(t *testing.T) {
	w, h := guarded(t, v1alpha1.Enforce)
	roles := w.Kube.RbacV1().ClusterRoleBindings()
	rules, err := roles.Get(t.Context(), "swell-scaler:guard-rails", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := roles.Delete(t.Context(), rules.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	refused := false
	w.full("Balloon shop/web", `{"spec":{"max":1}}`, func() bool {
		if max := w.balloon("web").Spec.Max; max != 1 {
			if !refused {
				t.Errorf("it was rolled back to %d by other rules than the chart's for guard rails", max)
			}
			return true
		}
		if !refused && strings.Contains(h.texts(), "let swell-scaler patch balloons (the chart's guardRails)") {
			refused = true
			rules.ResourceVersion = ""
			if _, err := roles.Create(t.Context(), rules, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		return false
	})
	if b := w.balloon("web"); b.Spec.Max != 20 {
		t.Errorf("the Balloon has at most %d", b.Spec.Max)
	}
}

const officeHours = `
apiVersion: capacity.swell/v1alpha1
kind: DiurnalSchedule
metadata: {name: office, namespace: shop}
spec:
  timeZone: UTC
  windows: [{name: morning, days: [Mon-Sun], from: "08:00", to: "20:00", minHeadroom: "10"}]
`

// A DiurnalSchedule is judged by the Balloons that name it, and goes back as a whole: its windows are a list.
func TestAScheduleIsRolledBack(t *testing.T) {
	w, _ := guarded(t, v1alpha1.Enforce)
	w.apply(officeHours)
	w.patch("web", `{"schedules": ["office"]}`)
	windows := func() []v1alpha1.Window {
		var d v1alpha1.DiurnalSchedule
		w.policy("DiurnalSchedule shop/office", &d)
		return d.Spec.Windows
	}
	w.full("DiurnalSchedule shop/office", `{"spec":{"windows":[{"name":"late","days":["Sat"],"from":"22:00","to":"23:00","minHeadroom":"0"}]}}`, func() bool { return windows()[0].Name == "morning" })
	if all := windows(); len(all) != 1 || all[0].MinHeadroom != "10" {
		t.Errorf("%+v", all)
	}
}
