package frontier

import (
	"slices"
	"strings"

	"swell/scaler/replay"
)

// units are what the settings of policies are, for a legend.
var units = map[string]string{"static": "%; 0 is reactive", "rule": "quantile", "slope": "deviations", "swell": "quantile"}

// OfRuns are the runs by policy, in their order. clairvoyant is left out, since all are compared to it, and so is reactive
// where static:0 is there, which is the same; both are kept where they are named, as the points of others that are.
func OfRuns(runs []replay.Result, named ...string) []Line {
	var out []Line
	at := map[string]int{}
	static0 := slices.ContainsFunc(runs, func(r replay.Result) bool { return r.Policy == "static:0" })
	for _, r := range runs {
		name, _, _ := strings.Cut(r.Policy, ":")
		asked := slices.Contains(named, r.Policy)
		if !asked && (name == "clairvoyant" || name == "reactive" && static0) {
			continue
		}
		if _, ok := at[name]; !ok {
			at[name] = len(out)
			out = append(out, Line{Name: name, Unit: units[name]})
		}
		l := &out[at[name]]
		l.Points = append(l.Points, Point{Label: r.Policy, Unserved: r.Unserved, Cost: r.CostOverClairvoyant, Named: asked})
	}
	return out
}
