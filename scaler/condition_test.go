package scaler_test

import (
	"encoding/json"

	"swell/api/v1alpha1"
)

// conditionOf is the status and message of a CapacityPool's Ready condition.
func conditionOf(raw []byte) string {
	var pool v1alpha1.CapacityPool
	if err := json.Unmarshal(raw, &pool); err != nil {
		return err.Error()
	}
	for _, c := range pool.Status.Conditions {
		if c.Type == "Ready" {
			return string(c.Status) + " " + c.Message
		}
	}
	return "no condition yet"
}
