package tick

import (
	"os"
	"testing"

	"swell/bench/figure"
)

// TestMeasureGivesEveryFigure runs a small cluster.
func TestMeasureGivesEveryFigure(t *testing.T) {
	for _, full := range []bool{false, true} {
		figures, err := Measure(Options{Nodes: 60, Pods: 1200, Pending: 100, Classes: 20, Rounds: 2, Full: full})
		check(t, figures, err)
	}
}

func check(t *testing.T, figures []figure.Figure, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range figures {
		if f.Value <= 0 || f.Labels["nodes"] != "60" {
			t.Errorf("%+v: want a value above zero and the labels of its size", f)
		}
	}
	if len(figures) != 5 {
		t.Errorf("%d figures, want 5", len(figures))
	}
}

// BenchmarkLarge prints the figures of the large cluster.
func BenchmarkLarge(b *testing.B) {
	full := os.Getenv("TICK_FULL") != ""
	for b.Loop() {
		figures, err := Measure(Options{Full: full})
		if err != nil {
			b.Fatal(err)
		}
		for _, f := range figures {
			b.Logf("%s %.1f %s %v", f.Metric, f.Value, f.Unit, f.Labels)
		}
	}
}
