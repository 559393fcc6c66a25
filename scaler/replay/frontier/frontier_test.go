package frontier_test

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"swell/scaler/replay"
	"swell/scaler/replay/frontier"
)

func TestCostsLieOnTheLogarithm(t *testing.T) {
	l := frontier.Line{Name: "static", Points: []frontier.Point{{Unserved: 1e-2, Cost: 1.1}, {Unserved: 1e-4, Cost: 1.3}, {Unserved: 0, Cost: 1.7}}}
	for _, c := range []struct{ unserved, want float64 }{
		{1e-2, 1.1}, {1e-3, 1.2}, {1e-4, 1.3}, {1e-5, 1.5}, {1e-6, 1.7}, {0, 1.7}, {1, 1.1},
	} {
		if got, ok := l.CostAt(c.unserved); !ok || math.Abs(got-c.want) > 1e-9 {
			t.Errorf("at %g: %g, %v; want %g", c.unserved, got, ok, c.want)
		}
	}
	l.Points = l.Points[:2]
	if _, ok := l.CostAt(5e-5); ok {
		t.Error("a line that ends before a share has a cost there")
	}
	if _, ok := (frontier.Line{}).CostAt(1); ok {
		t.Error("an empty line has a cost")
	}
}

func TestTheBestOpponentIsTheCheapestThatGoesAsFar(t *testing.T) {
	static := frontier.Line{Name: "static", Points: []frontier.Point{{Unserved: 1e-2, Cost: 1.1}, {Unserved: 1e-4, Cost: 1.3}}}
	slope := frontier.Line{Name: "slope", Points: []frontier.Point{{Unserved: 1e-2, Cost: 1.02}}} // ends before
	c := frontier.Compare(frontier.Point{Unserved: 1e-3, Cost: 1.15}, []frontier.Line{slope, static})
	if c.Best != "static" || math.Abs(c.Ratio-0.75) > 1e-9 {
		t.Fatalf("%+v", c)
	}
	if c := frontier.Compare(frontier.Point{Unserved: 1e-9, Cost: 1.15}, []frontier.Line{slope, static}); c.Best != "" || !math.IsNaN(c.Ratio) {
		t.Fatalf("nobody goes as far: %+v", c)
	}
	if m := frontier.GeometricMean([]float64{0.5, 2}); math.Abs(m-1) > 1e-12 {
		t.Fatal(m)
	}
}

func TestLessUnservedIsNeverCheaperOnALine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l frontier.Line
		for range rapid.IntRange(1, 8).Draw(t, "n") {
			l.Points = append(l.Points, frontier.Point{Unserved: math.Pow(10, rapid.Float64Range(-8, 0).Draw(t, "u")), Cost: rapid.Float64Range(1, 3).Draw(t, "cost")})
		}
		a := math.Pow(10, rapid.Float64Range(-8, 0).Draw(t, "a"))
		for _, p := range l.Points {
			if got, ok := l.CostAt(p.Unserved); !ok || got > p.Cost+1e-9 {
				t.Fatalf("at its own point %+v the line pays %g", p, got)
			}
		}
		if got, ok := l.CostAt(a); ok && !(got >= 1 && got <= 3) {
			t.Fatalf("at %g: %g", a, got)
		}
	})
}

func TestRunsBecomeLines(t *testing.T) {
	got := frontier.OfRuns([]replay.Result{{Policy: "clairvoyant"}, {Policy: "reactive"}, {Policy: "static:0"}, {Policy: "swell"}, {Policy: "static:5"}})
	if len(got) != 2 || got[0].Name != "static" || len(got[0].Points) != 2 || got[1].Name != "swell" {
		t.Fatalf("%+v", got)
	}
}

func TestThePictureIsWellFormedAndHasAllPoints(t *testing.T) {
	lines := []frontier.Line{
		{Name: "swell", Unit: "quantile", Points: []frontier.Point{{Label: "swell:0.9", Unserved: 1e-3, Cost: 1.2}, {Label: "swell:0.99", Unserved: 0, Cost: 1.4}}},
		{Name: "a<b", Points: []frontier.Point{{Label: "a<b", Unserved: 0.5, Cost: 0.9}}},
	}
	svg := frontier.Picture{Title: "T & T", Lines: lines, Main: "swell", Limit: 1e-3}.SVG()
	d := xml.NewDecoder(strings.NewReader(svg))
	titles := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "title" {
			titles++
		}
	}
	if titles != 3 || strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") || strings.Contains(svg, "href") {
		t.Fatalf("%d points in\n%s", titles, svg)
	}
}
