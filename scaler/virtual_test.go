package scaler

import (
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/balloon"
	"swell/scaler/observe"
	"swell/scaler/plan"
)

// virtualBalloon is a Balloon that holds its room in memory, and was read with two balloons in a zone.
func virtualBalloon() *v1alpha1.Balloon {
	b := &v1alpha1.Balloon{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}
	b.Spec.Output = v1alpha1.OutputVirtual
	b.Spec.ScaleTargetRef = v1alpha1.ScaleTarget{APIVersion: "apps/v1", Kind: "Deployment", Name: "gone"}
	b.Status.Zones = []v1alpha1.BalloonZoneStatus{{Zone: "1a", Balloons: 2, Running: 2}}
	return b
}

// Room in memory is kept, with its nodes, while its workload cannot be read; so are the zones in the status, from which a
// successor learns what was held.
func TestVirtualRoomOutlivesAnError(t *testing.T) {
	b := virtualBalloon()
	l := &Loop{outputs: map[string]*output{}}
	world := &observe.World{}
	s := size{balloon: b, decision: balloon.Decision{Zones: []balloon.ZoneBalloons{{Zone: "1a", Balloons: 3}}}}
	pods := map[string]*corev1.Pod{"1a": {ObjectMeta: metav1.ObjectMeta{Name: "like"}}}
	l.outputOf(b).demands(&s, pods, true)

	failed := size{balloon: b}
	demands := l.cannotSize(world, &failed, errors.New("reading the workload"))
	held := 0
	for _, d := range demands {
		if d.Want > 0 && (!d.Virtual || d.Pod == nil || d.Zone != "1a") {
			t.Errorf("%+v: want room in memory in 1a, of a known size", d)
		}
		held += d.Want
	}
	if held != 3 {
		t.Errorf("%d virtual balloons are kept, want 3", held)
	}
	fillVirtual([]size{failed}, []plan.VirtualRoom{{Namespace: "shop", Name: "web", Zone: "1a", Count: 3}})
	status := balloonStatus(failed, *world, config.Clock{}, time.Unix(0, 0))
	if len(status.Zones) != 1 || status.Zones[0].Balloons != 2 {
		t.Errorf("the status has the zones %+v, want the two balloons that it had", status.Zones)
	}
}

// A scaler that starts while a workload cannot be read knows from the status what was held.
func TestWhatWasHeldIsReadBeforeAnError(t *testing.T) {
	b := virtualBalloon()
	l := &Loop{outputs: map[string]*output{}}
	l.cannotSize(&observe.World{}, &size{balloon: b}, errors.New("reading the workload"))
	b.Status.Zones = nil
	if o := l.outputOf(b); o.held["1a"] != 2 {
		t.Errorf("%v was held, want two in 1a", o.held)
	}
}

// Nothing is held for a Balloon that was told to observe, or whose workload another one guards.
func TestVirtualRoomGoesWithItsMode(t *testing.T) {
	b := virtualBalloon()
	l := &Loop{outputs: map[string]*output{}}
	s := size{balloon: b, decision: balloon.Decision{Zones: []balloon.ZoneBalloons{{Zone: "1a", Balloons: 3}}}}
	l.outputOf(b).demands(&s, map[string]*corev1.Pod{"1a": {}}, true)
	b.Spec.Mode = v1alpha1.Observe
	for _, d := range l.keep(b, &observe.World{}) {
		if d.Want > 0 {
			t.Errorf("%+v is wanted of a Balloon that observes", d)
		}
	}
}
