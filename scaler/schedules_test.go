package scaler

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"swell/api/v1alpha1"
	"swell/balloon"
	"swell/scaler/act"
	"swell/scaler/observe"
	"swell/scaler/plan"
)

// Schedules are a kind, and their room comes and goes without a write to what Git holds: a job that edited the Balloon would be
// undone by the next sync. What is written is the status, under swell's own field manager.
// karpenter#2711
func TestAScheduleWritesNothingThatGitHolds(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	held := &v1alpha1.Balloon{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}, Spec: v1alpha1.BalloonSpec{Chunk: "2.5", Max: 40, Schedules: []string{"office"}}}
	office := &v1alpha1.DiurnalSchedule{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "office"}, Spec: v1alpha1.DiurnalScheduleSpec{TimeZone: "UTC",
		Windows: []v1alpha1.Window{{Name: "morning", Days: []v1alpha1.DayRange{"Mon-Sun"}, From: "09:00", To: "12:00", MinHeadroom: "20"}}}}
	c := fake.NewClientBuilder().WithScheme(scheme).WithReturnManagedFields().WithStatusSubresource(&v1alpha1.Balloon{}).Build()
	for _, object := range []client.Object{held, office} {
		if err := c.Create(t.Context(), object, client.FieldOwner("argocd-controller")); err != nil {
			t.Fatal(err)
		}
	}
	spec, office0 := ownedByGit(t, c, held), office.ResourceVersion
	l := &Loop{client: c, actor: &act.Actor{}, written: map[string]string{}}
	world := observe.World{Balloons: []v1alpha1.Balloon{*held}, Schedules: map[string]v1alpha1.DiurnalSchedule{"shop/office": *office}}
	for _, at := range []struct {
		hour     int
		balloons int
	}{{8, 0}, {10, 8}, {13, 0}} { // of 2.5 pods
		now := time.Date(2026, 3, 2, at.hour, 0, 0, 0, time.UTC)
		s := size{balloon: held}
		room := l.headroom(now, time.Minute, &world, &s, nil)
		s.decision = balloon.Size(balloon.Input{Now: now, Chunk: 2.5, Max: 40, Share: 1, Demand: 0, Headroom: room.For(0), HeadroomWhy: room.Why, NotReady: "it is new", Zones: []balloon.Zone{{Name: "1a"}}})
		if s.decision.Total != at.balloons {
			t.Errorf("at %d:00 %d balloons are wanted, want %d: %s", at.hour, s.decision.Total, at.balloons, s.decision.Why)
		}
		l.statusAt = time.Time{}
		l.writeStatus(t.Context(), now, world, []size{s}, plan.Plan{}, plan.Policy{})
		if got := ownedByGit(t, c, held); got != spec {
			t.Errorf("at %d:00 the spec is %s, want %s as Git has it", at.hour, got, spec)
		}
	}
	if held.Status.Why == "" || !slices.ContainsFunc(held.ManagedFields, func(m metav1.ManagedFieldsEntry) bool { return m.Manager == "swell-scaler" }) {
		t.Errorf("the status %q is managed by %+v", held.Status.Why, held.ManagedFields)
	}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(office), office); err != nil || office.ResourceVersion != office0 {
		t.Errorf("the schedule was written: %v, version %s, was %s", err, office.ResourceVersion, office0)
	}
}

// ownedByGit reads a Balloon: its spec, and that Git alone holds anything of it beside the status.
func ownedByGit(t *testing.T, c client.Client, b *v1alpha1.Balloon) string {
	t.Helper()
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(b), b); err != nil {
		t.Fatal(err)
	}
	for _, m := range b.ManagedFields {
		var fields map[string]any
		if err := json.Unmarshal(m.FieldsV1.GetRawBytes(), &fields); err != nil {
			t.Fatal(err)
		}
		if _, status := fields["f:status"]; status != (m.Manager == "swell-scaler") || status && len(fields) > 1 {
			t.Errorf("%s holds %s: want the status to be swell's, and nothing else", m.Manager, m.FieldsV1)
		}
	}
	raw, err := json.Marshal(b.Spec)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
