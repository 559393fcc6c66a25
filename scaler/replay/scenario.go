package replay

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Scenario is a cluster and the work that it is given.
type Scenario struct {
	Name   string `json:"name"`
	Demand Demand `json:"demand"`
	// NodePods is how many pods a node holds. Default 15.
	NodePods int `json:"nodePods,omitempty"`
	// Lead is from the launch of a node until it serves. Default 5m.
	Lead metav1.Duration `json:"lead,omitempty"`
	// HPADelay is how old the desired replicas are that a policy sees. Default 30s.
	HPADelay metav1.Duration `json:"hpaDelay,omitempty"`
	// Scan is how often policies decide and the cluster is looked at. Default 15s.
	Scan metav1.Duration `json:"scan,omitempty"`
	// ScaleInAfter is how long a node was not wanted before it goes. Default 10m.
	ScaleInAfter metav1.Duration `json:"scaleInAfter,omitempty"`
}

// Demand is what is played.
type Demand struct {
	// Mean of the trace's last third, in pods. Default 300.
	Mean float64 `json:"mean,omitempty"`
	// Noise is the deviation of a minute's demand, as a share of it. Default 0.02.
	Noise float64 `json:"noise,omitempty"`
	// Play is the most of the last third that is played. Default 504h.
	Play metav1.Duration `json:"play,omitempty"`
	// History is how much of the trace before that policies may learn from. Default 672h.
	History metav1.Duration `json:"history,omitempty"`
}

const day = 24 * time.Hour

// Names of the built-in scenarios.
const (
	Core300 = "core-300"
	Core120 = "core-120"
)

// BuiltIn is a scenario by its name.
func BuiltIn(name string) (Scenario, bool) {
	switch name {
	case Core300:
		return Scenario{Name: name}.withDefaults(), true
	case Core120:
		return Scenario{Name: name, Lead: metav1.Duration{Duration: 2 * time.Minute}}.withDefaults(), true
	}
	return Scenario{}, false
}

// BuiltInNames are the names that BuiltIn knows, sorted.
func BuiltInNames() []string { return slices.Sorted(slices.Values([]string{Core300, Core120})) }

func (s Scenario) withDefaults() Scenario {
	or := func(d *metav1.Duration, def time.Duration) {
		if d.Duration == 0 {
			d.Duration = def
		}
	}
	or(&s.Lead, 5*time.Minute)
	or(&s.HPADelay, 30*time.Second)
	or(&s.Scan, 15*time.Second)
	or(&s.ScaleInAfter, 10*time.Minute)
	or(&s.Demand.Play, 21*day)
	or(&s.Demand.History, 28*day)
	if s.NodePods == 0 {
		s.NodePods = 15
	}
	if s.Demand.Mean == 0 {
		s.Demand.Mean = 300
	}
	if s.Demand.Noise == 0 {
		s.Demand.Noise = 0.02
	}
	return s
}

func seconds(d metav1.Duration) int64 { return int64(d.Duration / time.Second) }

func ceilDiv(a, b int) int { return (a + b - 1) / b }

var _ = fmt.Sprintf
