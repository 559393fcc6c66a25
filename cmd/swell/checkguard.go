package main

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"swell/api/v1alpha1"
	"swell/scaler/guardrail"
)

// guardedKinds are those whose changes are watched.
var guardedKinds = []string{"CapacityPool", "Balloon", "DiurnalSchedule"}

// checkGuard reads the annotations of guard rails, which the API server takes whatever they say.
func (k *kind) checkGuard(obj map[string]any) (errs field.ErrorList) {
	meta, _ := obj["metadata"].(map[string]any)
	annotations, _ := meta["annotations"].(map[string]any)
	at := field.NewPath("metadata", "annotations")
	for name, v := range annotations {
		text, _ := v.(string)
		var err error
		switch {
		case name == guardrail.RolledBackAnnotation, !strings.HasPrefix(name, v1alpha1.GroupVersion.Group+"/guard"):
			continue
		case !slices.Contains(guardedKinds, k.name):
			err = fmt.Errorf("changes of a %s are not watched; remove it", k.name)
		case name == guardrail.BoundsAnnotation:
			_, err = guardrail.Parse(text)
		case name == guardrail.OverrideAnnotation:
			_, err = guardrail.ParseOverride(text)
		default:
			err = fmt.Errorf("it is not known%s", meant(name, []string{guardrail.BoundsAnnotation, guardrail.OverrideAnnotation}))
		}
		if err != nil {
			errs = append(errs, &field.Error{Type: field.ErrorTypeInternal, Field: at.Key(name).String(), Detail: err.Error()})
		}
	}
	return errs
}
