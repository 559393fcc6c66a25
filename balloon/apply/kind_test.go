package apply_test

import (
	"strings"
	"testing"

	"swell/api/v1alpha1"
)

// The API server refuses a Balloon that makes no sense, and names the field.
func TestABalloonThatMakesNoSenseIsRefused(t *testing.T) {
	kube, c := cluster(t)
	ns := addNamespace(t, kube)
	for field, change := range map[string]func(*v1alpha1.Balloon){
		"spec.chunk":                       func(b *v1alpha1.Balloon) { b.Spec.Chunk = "0.0" },
		"max must be at least min":         func(b *v1alpha1.Balloon) { b.Spec.Min = 20 },
		"spec.target.quantile":             func(b *v1alpha1.Balloon) { b.Spec.Target.Quantile = "1" },
		"spec.target.missCostPerPodMinute": func(b *v1alpha1.Balloon) { b.Spec.Target = v1alpha1.BalloonTarget{MissCostPerPodMinute: "0"} },
		"give quantile or miss":            func(b *v1alpha1.Balloon) { b.Spec.Target.MissCostPerPodMinute = "1" },
		"spec.share":                       func(b *v1alpha1.Balloon) { b.Spec.Share = "100.5%" },
		"spec.schedules[1]: Duplicate":     func(b *v1alpha1.Balloon) { b.Spec.Schedules = []string{"a", "a"} },
		"spec.schedules[0]":                func(b *v1alpha1.Balloon) { b.Spec.Schedules = []string{""} },
		"spec.output":                      func(b *v1alpha1.Balloon) { b.Spec.Output = "Nodes" },
		"spec.mode":                        func(b *v1alpha1.Balloon) { b.Spec.Mode = "Dry" },
		"spec.zones.survive":               func(b *v1alpha1.Balloon) { b.Spec.Zones.Survive = "Two" },
		"at most 63 characters":            func(b *v1alpha1.Balloon) { b.Name = strings.Repeat("w", 64) },
	} {
		b := &v1alpha1.Balloon{Spec: v1alpha1.BalloonSpec{ScaleTargetRef: v1alpha1.ScaleTarget{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"},
			Max: 10, Chunk: "2.5", Target: v1alpha1.BalloonTarget{Quantile: "0.99"}}}
		b.Namespace, b.Name = ns, "web"
		change(b)
		if err := c.Create(t.Context(), b); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%v: want an error that names %s", err, field)
		}
	}
}
