package tick

import "testing"

// TestMeasureGivesEveryFigure runs a small cluster.
func TestMeasureGivesEveryFigure(t *testing.T) {
	figures, err := Measure(Options{Nodes: 60, Pods: 1200, Pending: 100, Classes: 20, Rounds: 2})
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
	for b.Loop() {
		figures, err := Measure(Options{})
		if err != nil {
			b.Fatal(err)
		}
		for _, f := range figures {
			b.Logf("%s %.1f %s %v", f.Metric, f.Value, f.Unit, f.Labels)
		}
	}
}
