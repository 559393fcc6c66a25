// Package figure is the form in which all benchmarks print what they measure: one JSON line each.
package figure

// Figure is one measured value.
type Figure struct {
	Bench  string  `json:"bench"`
	Metric string  `json:"metric"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	// Labels say what it is of; a peer's figure has the label peer.
	Labels map[string]string `json:"labels"`
}
