package sim

import (
	"encoding/json"
	"maps"
	"slices"

	"swell/nodegroups"
	"swell/scaler/act"
	"swell/scaler/plan"
)

// leftFor is how many turns the scaler that acts may let be what it has to end.
const leftFor = 5

// checkLeft is made after each turn of the scaler that acts, where that saw the cluster as it was: a drain that another began
// is taken back, unless a notice stands on its node, and a launch that was answered is open no more.
func (w *world) checkLeft(by string) {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	left := map[string]string{}
	for _, n := range w.store.sortedNodes() {
		if began := w.cordoned[n.Name]; n.Annotations[plan.DrainingAnnotation] != "" && n.Annotations[nodegroups.InterruptionAnnotation] == "" && began != by {
			left[by+" leaves behind: node "+n.Name] = "is still being drained as " + began + " began, which acts no more"
		}
	}
	var open []act.Intent
	if raw := w.store.maps[intentsName].Data["launches"]; raw != "" {
		if err := json.Unmarshal([]byte(raw), &open); err != nil {
			w.violate("the fence cannot be read: %v", err)
		}
	}
	w.mu.Lock()
	for _, in := range open {
		if w.answered[in.Token] == by {
			left[by+" leaves behind: launch "+in.Token+" in "+in.Group] = "is still open in the fence, and was answered"
		}
	}
	w.mu.Unlock()
	for what := range w.left {
		if left[what] == "" {
			delete(w.left, what)
		}
	}
	for _, what := range slices.Sorted(maps.Keys(left)) {
		w.left[what]++
		if w.left[what] == leftFor {
			w.violate("%s %s, %d turns later", what, left[what], leftFor)
		}
	}
}
