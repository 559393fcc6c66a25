// Package traces holds recorded loads and finds the steep rises in them.
package traces

import (
	"bytes"
	"cmp"
	"compress/gzip"
	_ "embed"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"swell/scaler/series"
)

//go:embed nasa_http_requests_5m.csv.gz
var nasa []byte

//go:embed wikimedia_pageviews_1h.csv.gz
var wikimedia []byte

//go:embed worldcup98_requests_5m.csv.gz
var worldcup98 []byte

// The names of the traces kept with the project; SOURCES.md says where they are from.
const (
	NASA       = "nasa"
	Wikimedia  = "wikimedia"
	WorldCup98 = "worldcup98"
)

var kept = map[string]struct {
	csv  []byte // compressed
	zone string
}{
	NASA:       {nasa, "America/New_York"},
	Wikimedia:  {wikimedia, "UTC"},
	WorldCup98: {worldcup98, "Europe/Paris"},
}

// TimeZone is the local time of a trace's users.
func TimeZone(name string) string {
	if t, ok := kept[name]; ok {
		return t.zone
	}
	return "UTC"
}

// Names of the traces that Load knows, sorted.
func Names() []string { return slices.Sorted(maps.Keys(kept)) }

// Load is a trace by its name.
func Load(name string) (series.Series, error) {
	t, ok := kept[name]
	if !ok {
		return series.Series{}, fmt.Errorf("loading the trace %q: there is none of that name; give one of %s, or the path of a CSV file",
			name, strings.Join(Names(), ", "))
	}
	r, err := gzip.NewReader(bytes.NewReader(t.csv))
	if err != nil {
		return series.Series{}, fmt.Errorf("loading the trace %s: %w", name, err)
	}
	return series.Read(r, name)
}

// Rise is an hour in which the load grew at least twofold: from From, the row stamped Start, to To, the row stamped End.
type Rise struct {
	Start, End time.Time
	From, To   float64
}

// Growth is how many times the load grew.
func (r Rise) Growth() float64 { return r.To / r.From }

// HourBefore is the start of the hour before the rise.
func (r Rise) HourBefore() time.Time { return r.Start.Add(-time.Hour) }

// MinHistory is the history that a rise needs before it.
const MinHistory = 14 * 24 * time.Hour

// best is how many of the steepest rises Draw draws from.
const best = 12

// Rises are the steepest: those that gained most in an hour, in the trace's units, and at least doubled. The steepest
// is first; no two share any of the hour before, the hour of the rise and the hour after. Each has at least minHistory
// of the series before its HourBefore.
func Rises(s series.Series, minHistory time.Duration) []Rise {
	hour := int(time.Hour / max(s.Step, 1))
	if hour < 1 || s.Step <= 0 || time.Hour%s.Step != 0 {
		return nil
	}
	var all []Rise
	for i := int(minHistory/s.Step) + hour; i+2*hour < s.Len(); i++ {
		a, b := s.Values[i], s.Values[i+hour]
		if math.IsNaN(a) || math.IsNaN(b) || a <= 0 || b < 2*a {
			continue
		}
		all = append(all, Rise{s.Time(i), s.Time(i + hour), a, b})
	}
	slices.SortStableFunc(all, func(x, y Rise) int { return cmp.Compare(y.To-y.From, x.To-x.From) })
	var out []Rise
	for _, r := range all {
		apart := func(o Rise) bool { return r.Start.Sub(o.Start).Abs() >= 3*time.Hour }
		if !slices.ContainsFunc(out, func(o Rise) bool { return !apart(o) }) {
			out = append(out, r)
		}
	}
	return out
}

// Draw is one of the dozen steepest rises of a series with MinHistory before it: seed 1 is the steepest, 2 the next,
// and after the last it begins anew.
func Draw(s series.Series, seed int64) (Rise, error) {
	rises := Rises(s, MinHistory)
	if len(rises) == 0 {
		return Rise{}, fmt.Errorf("drawing a rise: the series never doubles within an hour after its first %v; give another trace", MinHistory)
	}
	n := int64(min(len(rises), best))
	return rises[((seed-1)%n+n)%n], nil
}
