package forecast_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"swell/bench/traces"
	"swell/scaler/forecast"
	"swell/scaler/series"
)

// trace is a recorded load and what must be reached on it 60 minutes ahead, in %.
type trace struct {
	traces.Recorded
	avg4r        float64 // WAPE of the mean of four weeks scaled by the last hour, slots in UTC
	wape         float64
	pin95, pin99 float64
}

// recorded are all of them, by name.
func recorded() []trace {
	bars := map[string]trace{
		"nasa": {avg4r: 24.2, wape: 20.5, pin95: 3.06, pin99: 0.94}, "nyc_taxi": {avg4r: 7.1, wape: 4.8, pin95: 0.85, pin99: 0.31},
		"uk_isp": {avg4r: 3.9, wape: 3.2, pin95: 0.49, pin99: 0.137}, "wikimedia": {avg4r: 1.9, wape: 1.6, pin95: 0.277, pin99: 0.113},
		"worldcup98": {avg4r: 29.3, wape: 22.9, pin95: 6.3, pin99: 2.66},
	}
	var out []trace
	for _, r := range traces.All() {
		c := bars[r.Name]
		c.Recorded = r
		out = append(out, c)
	}
	return out
}

// load reads a trace, and skips where it is not there.
func (c trace) load(t *testing.T) (series.Series, forecast.Options) {
	t.Helper()
	location, holiday, err := c.Local()
	if err != nil {
		t.Fatal(err)
	}
	s := c.ForTest(t)
	return s, forecast.Options{Step: s.Step, Location: location, Holiday: holiday}
}

func lastThird(s series.Series) int { return s.Len() - s.Len()/3 }

func TestTheHarnessGivesTheBaselinesNumbers(t *testing.T) {
	for _, c := range recorded() {
		t.Run(c.File, func(t *testing.T) {
			s, _ := c.load(t)
			h := int(time.Hour / s.Step)
			week := int(7 * 24 * time.Hour / s.Step)
			avg4 := func(i int) float64 {
				v := s.Values
				return (v[i-week] + v[i-2*week] + v[i-3*week] + v[i-4*week]) / 4
			}
			var rows []forecast.Row
			for i := lastThird(s); i < s.Len(); i++ {
				seen, said := 0.0, 0.0
				for k := i - 2*h + 1; k <= i-h; k++ {
					seen, said = seen+s.Values[k], said+avg4(k)
				}
				p := avg4(i) * seen / said
				rows = append(rows, forecast.Row{Actual: s.Values[i], Forecast: p, Upper: p})
			}
			if got := forecast.ScoreOf(rows, 0.5).WAPE * 100; math.Abs(got-c.avg4r) > 0.05 {
				t.Fatalf("the baseline scores %.2f %%, known is %.1f", got, c.avg4r)
			}
		})
	}
}

func TestRecordedLoads(t *testing.T) {
	for _, c := range recorded() {
		t.Run(c.File, func(t *testing.T) {
			s, o := c.load(t)
			for tau, limit := range map[float64]float64{0.95: c.pin95, 0.99: c.pin99} {
				rows, err := forecast.Backtest(s, o, time.Hour, tau, lastThird(s))
				if err != nil {
					t.Fatal(err)
				}
				sc := forecast.ScoreOf(rows, tau)
				t.Logf("60 min ahead, τ %.2f: WAPE %.2f %%, pinball %.3f %%, coverage %.2f %%, over %.1f %%, unserved %.3f %%",
					tau, sc.WAPE*100, sc.Pinball*100, sc.Coverage*100, sc.Over*100, sc.Unserved*100)
				if sc.WAPE*100 > c.wape || sc.Pinball*100 > limit || sc.Rows != s.Len()/3 || sc.NotReady != 0 {
					t.Errorf("worse than needed: %+v", sc)
				}
				if tau == 0.95 && math.Abs(sc.Coverage-tau) > 0.01 || tau == 0.99 && (sc.Coverage < 0.985 || sc.Coverage > 0.997) {
					t.Errorf("the bound does not hold what it promises: %+v", sc)
				}
			}
		})
	}
}

// The answer from a series cut at the origin must be the back-test's row, to the last bit.
func TestNoRowKnowsItsFuture(t *testing.T) {
	const targets = 200
	for _, c := range recorded() {
		t.Run(c.File, func(t *testing.T) {
			s, o := c.load(t)
			const h, tau = time.Hour, 0.95
			from := lastThird(s)
			rows, err := forecast.Backtest(s, o, h, tau, from)
			if err != nil {
				t.Fatal(err)
			}
			n := int(h / s.Step)
			r := rand.New(rand.NewPCG(200, uint64(from)))
			at := map[int]bool{} // origins
			for len(at) < targets {
				at[from-n+r.IntN(len(rows))] = true
			}
			o.Horizons, o.Leads = []time.Duration{h}, []time.Duration{}
			f, err := forecast.New(o)
			if err != nil {
				t.Fatal(err)
			}
			for i := range s.Len() - n {
				if err := f.Observe(s.Time(i), s.Values[i]); err != nil {
					t.Fatal(err)
				}
				if !at[i] {
					continue
				}
				// All that f was given are the rows up to i: it is what a file cut there gives.
				a, row := f.ForecastAfter(s.Time(i+1), h, tau), rows[i+n-from]
				if a.Point != row.Forecast || a.Upper != row.Upper || !a.Target.Equal(row.Target) || !row.Origin.Equal(s.Time(i)) {
					t.Fatalf("cut at %v: got %v ≤ %v, the back-test said %+v", s.Time(i), a.Point, a.Upper, row)
				}
			}
		})
	}
}

// What a forecaster of all default horizons says while it runs is what the back-test of one of them says.
func TestALiveForecasterSaysWhatTheBacktestSays(t *testing.T) {
	s, o := recorded()[0].load(t)
	s = s.Slice(s.Start, s.Time(20*288))
	f, err := forecast.New(o)
	if err != nil {
		t.Fatal(err)
	}
	back := map[time.Duration]map[time.Time]forecast.Row{}
	for _, h := range []time.Duration{5 * time.Minute, 30 * time.Minute, 2 * time.Hour} {
		rows, err := forecast.Backtest(s, o, h, 0.99, 10*288)
		if err != nil {
			t.Fatal(err)
		}
		back[h] = map[time.Time]forecast.Row{}
		for _, r := range rows {
			back[h][r.Target] = r
		}
	}
	for i, v := range s.Values {
		if err := f.Observe(s.Time(i), v); err != nil {
			t.Fatal(err)
		}
		for h, rows := range back {
			a := f.ForecastAfter(s.Time(i+1), h, 0.99)
			if r, ok := rows[a.Target]; ok && (a.Point != r.Forecast || a.Upper != r.Upper) {
				t.Fatalf("%v ahead of %v: live %v ≤ %v, back-test %+v", h, s.Time(i), a.Point, a.Upper, r)
			}
		}
	}
}

func TestMinutesOfAFlashCrowd(t *testing.T) {
	c := recorded()[4]
	s, o := c.load(t)
	cut := lastThird(s)
	r := rand.New(rand.NewPCG(1998, 6))
	for _, lead := range []time.Duration{3 * time.Minute, 5 * time.Minute} {
		f, err := forecast.New(forecast.Options{Location: o.Location, Leads: []time.Duration{lead}})
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Backfill(s.Slice(s.Start, s.Time(cut))); err != nil {
			t.Fatal(err)
		}
		// Each minute's requests are drawn around the line between the five-minute counts.
		var live []float64
		for i := cut; i+1 < s.Len(); i++ {
			for j := range 5 {
				v := (s.Values[i] + (s.Values[i+1]-s.Values[i])*float64(j)/5) / 5
				live = append(live, max(v+math.Sqrt(v)*r.NormFloat64(), 0)*5)
			}
		}
		start := s.Time(cut)
		n := int(lead / time.Minute)
		var rows, steep []forecast.Row
		for i := 0; i+n < len(live); i++ {
			if err := f.Observe(start.Add(time.Duration(i)*time.Minute), live[i]); err != nil {
				t.Fatal(err)
			}
			a := f.MaxOver(start.Add(time.Duration(i+1)*time.Minute), lead, 0.99)
			row := forecast.Row{Actual: live[i+1], Forecast: a.Point, Upper: a.Upper}
			for _, v := range live[i+1 : i+1+n] {
				row.Actual = max(row.Actual, v)
			}
			rows = append(rows, row)
			if i >= 60 && live[i] > 1.5*live[i-60] && live[i] > 5e4 {
				steep = append(steep, row)
			}
		}
		all, up := forecast.ScoreOf(rows, 0.99), forecast.ScoreOf(steep, 0.99)
		t.Logf("maximum over %v, τ 0.99, minutes of the last third: coverage %.2f %%, over %.1f %%, unserved %.3f %%; where the load grew by half within the hour (%d minutes): coverage %.2f %%, over %.1f %%, unserved %.3f %%",
			lead, all.Coverage*100, all.Over*100, all.Unserved*100, up.Rows, up.Coverage*100, up.Over*100, up.Unserved*100)
		if all.Coverage < 0.98 || all.Over > 0.3 || up.Coverage < 0.9 {
			t.Errorf("worse than it was: %+v, steep %+v", all, up)
		}
	}
}
