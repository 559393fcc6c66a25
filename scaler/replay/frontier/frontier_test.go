package frontier_test

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"regexp"
	"strconv"
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

func TestAPolicyLooksTheSameInAllPictures(t *testing.T) {
	static := frontier.Line{Name: "static", Points: []frontier.Point{{Label: "static:5", Unserved: 1e-3, Cost: 1.2}}}
	marker := func(lines ...frontier.Line) string {
		_, rest, _ := strings.Cut(frontier.Picture{Lines: append(lines, static), Main: "swell"}.SVG(), "<title>static:5")
		_, rest, _ = strings.Cut(rest, "<rect ")
		_, colour, _ := strings.Cut(rest, "fill=")
		return strings.SplitN(colour, `"`, 3)[1]
	}
	alone := marker()
	if among := marker(frontier.Line{Name: "hourly"}, frontier.Line{Name: "other"}); alone == "" || among != alone {
		t.Fatalf("%q alone, %q among others", alone, among)
	}
}

func TestLabelsDoNotLieOnEachOther(t *testing.T) {
	var lines []frontier.Line
	for i, name := range []string{"swell", "static", "rule"} {
		l := frontier.Line{Name: name}
		for k, setting := range []string{"0.95", "0.97", "0.99"} {
			l.Points = append(l.Points, frontier.Point{Label: name + ":" + setting, Cost: 1.1 + 0.001*float64(i+3*k), Named: true})
		}
		lines = append(lines, l)
	}
	svg := frontier.Picture{Lines: lines, Main: "swell"}.SVG()
	type place struct{ x, y float64 }
	var placed []place
	for _, m := range regexp.MustCompile(`<text class="small" x="([0-9.]+)" y="([0-9.]+)"`).FindAllStringSubmatch(svg, -1) {
		x, _ := strconv.ParseFloat(m[1], 64)
		y, _ := strconv.ParseFloat(m[2], 64)
		for _, p := range placed {
			if math.Abs(p.x-x) < 20 && math.Abs(p.y-y) < 7.9 {
				t.Errorf("labels at %v and %v, %v", p, x, y)
			}
		}
		placed = append(placed, place{x, y})
	}
	if len(placed) < 3 {
		t.Fatalf("%d labels", len(placed))
	}
}

func TestWhatIsNamedIsDrawn(t *testing.T) {
	runs := []replay.Result{{Policy: "clairvoyant", CostOverClairvoyant: 1}, {Policy: "reactive", Unserved: 0.01, CostOverClairvoyant: 1.01},
		{Policy: "static:0", Unserved: 0.01, CostOverClairvoyant: 1.01}, {Policy: "static:20", CostOverClairvoyant: 1.2}, {Policy: "static:60", CostOverClairvoyant: 1.6}}
	if svg := (frontier.Picture{Lines: frontier.OfRuns(runs)}).SVG(); strings.Contains(svg, "static:60") || strings.Contains(svg, "reactive: ") {
		t.Error("what nobody named is drawn")
	}
	svg := frontier.Picture{Lines: frontier.OfRuns(runs, "static:60", "reactive", "clairvoyant")}.SVG()
	for _, want := range []string{"static:60: ", "reactive: ", "clairvoyant: "} {
		if !strings.Contains(svg, want) {
			t.Errorf("%s is not drawn", want)
		}
	}
}
