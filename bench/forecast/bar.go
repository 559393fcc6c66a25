package main

import "swell/bench/traces"

// load is a recorded load and the bar for forecasts of it. All settings but the time zone and the country are the same for all.
type load struct {
	traces.Recorded
	points []pointBar
	bounds []boundBar
}

// pointBar is the bar of the points one horizon ahead: WAPE in %. Beyond is 0 where none is set.
type pointBar struct {
	minutes                int
	simple, needed, beyond float64 // simple is the best of last value, same slot, and mean of four weeks scaled by the last hour
}

// boundBar is the bar of one quantile 60 minutes ahead: pinball in % of the mean load.
type boundBar struct {
	tau                    float64
	simple, needed, beyond float64
}

var bars = map[string]load{
	"nasa": {
		points: []pointBar{{5, 19.4, 19.4, 0}, {10, 20.8, 20.8, 0}, {30, 22.5, 19.7, 0}, {60, 23.53, 20.5, 19.3}},
		bounds: []boundBar{{0.95, 4.373, 3.06, 2.70}, {0.99, 1.655, 0.94, 0.78}},
	},
	"nyc_taxi": {
		points: []pointBar{{30, 4.8, 3.2, 0}, {60, 7.11, 4.8, 4.1}},
		bounds: []boundBar{{0.95, 1.628, 0.85, 0.68}, {0.99, 0.742, 0.31, 0.26}},
	},
	"uk_isp": {
		points: []pointBar{{5, 1.5, 1.5, 0}, {10, 2.2, 2.2, 0}, {30, 3.2, 2.5, 0}, {60, 3.86, 3.2, 2.8}},
		bounds: []boundBar{{0.95, 0.764, 0.49, 0.40}, {0.99, 0.273, 0.137, 0.106}},
	},
	"wikimedia": {
		points: []pointBar{{60, 1.92, 1.6, 1.35}},
		bounds: []boundBar{{0.95, 0.346, 0.277, 0.22}, {0.99, 0.149, 0.113, 0.085}},
	},
	"worldcup98": {
		points: []pointBar{{5, 5.0, 5.0, 0}, {10, 7.8, 7.8, 0}, {30, 16.5, 14.8, 0}, {60, 26.39, 22.9, 20.0}},
		bounds: []boundBar{{0.95, 8.705, 6.3, 4.8}, {0.99, 3.457, 2.66, 1.83}},
	},
}

// loads are the recorded ones with their bars.
func loads() []load {
	var out []load
	for _, r := range traces.All() {
		l := bars[r.Name]
		l.Recorded = r
		out = append(out, l)
	}
	return out
}

// Coverage that a bound may have, in %: a bar beside pinball.
func coverageBar(tau float64) (least, most float64) {
	if tau == 0.99 {
		return 98.5, 99.7
	}
	return tau*100 - 1, tau*100 + 1
}
