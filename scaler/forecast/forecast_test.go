package forecast_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"swell/scaler/forecast"
	"swell/scaler/series"
)

var day0 = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC) // a Monday

// swing is a load with a working day's shape in Paris, less at weekends, and some noise.
func swing(days int, step time.Duration, seed uint64) series.Series {
	r := rand.New(rand.NewPCG(seed, 1))
	paris, _ := time.LoadLocation("Europe/Paris")
	s := series.Series{Start: day0, Step: step}
	for i := range days * int(24*time.Hour/step) {
		t := s.Time(i).In(paris)
		x := float64(t.Hour()) + float64(t.Minute())/60
		v := 100 + 80*math.Sin((x-9)/24*2*math.Pi)
		if wd := t.Weekday(); wd == time.Saturday || wd == time.Sunday {
			v *= 0.6
		}
		s.Values = append(s.Values, v*math.Exp(0.05*r.NormFloat64()))
	}
	return s
}

func feed(t testing.TB, opts forecast.Options, s series.Series) *forecast.Forecaster {
	t.Helper()
	f, err := forecast.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Backfill(s); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestNothingLaterTouchesAForecast(t *testing.T) {
	s := swing(20, 15*time.Minute, 7)
	paris, _ := time.LoadLocation("Europe/Paris")
	opts := forecast.Options{Location: paris}
	cut := 15 * 96
	scrambled := series.Series{Start: s.Start, Step: s.Step, Values: append([]float64(nil), s.Values...)}
	r := rand.New(rand.NewPCG(3, 3))
	for i := cut; i < s.Len(); i++ {
		scrambled.Values[i] = r.Float64() * 1e6
		if i%7 == 0 {
			scrambled.Values[i] = math.NaN()
		}
	}
	const h = time.Hour
	type test func(series.Series, forecast.Options, time.Duration, float64, int) ([]forecast.Row, error)
	for name, run := range map[string]test{"row": forecast.Backtest, "max": forecast.BacktestMax} {
		a, err := run(s, opts, h, 0.99, 96)
		if err != nil {
			t.Fatal(err)
		}
		b, err := run(scrambled, opts, h, 0.99, 96)
		if err != nil {
			t.Fatal(err)
		}
		at := map[time.Time]forecast.Row{}
		for _, x := range b {
			at[x.Target] = x
		}
		same := 0
		for _, x := range a {
			if !x.Origin.Before(s.Time(cut)) {
				break
			}
			y, ok := at[x.Target]
			if !ok {
				continue // an unknown target
			}
			if x.Forecast != y.Forecast || x.Upper != y.Upper {
				t.Fatalf("%s: %v is forecast as %v ≤ %v, and as %v ≤ %v when the future is another", name, x.Target, x.Forecast, x.Upper, y.Forecast, y.Upper)
			}
			same++
		}
		if same < 1000 {
			t.Fatalf("%s: only %d rows were compared", name, same)
		}
	}
}

func TestAFileCutAtTheOriginGivesTheBacktestsRow(t *testing.T) {
	s := swing(18, 15*time.Minute, 9)
	const h, tau = 45 * time.Minute, 0.95
	rows, err := forecast.Backtest(s, forecast.Options{}, h, tau, 2*s.Len()/3)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []forecast.Row{rows[0], rows[101], rows[len(rows)-1]} {
		f := feed(t, forecast.Options{Step: s.Step, Horizons: []time.Duration{h}, Leads: []time.Duration{}}, s.Slice(s.Start, r.Origin.Add(time.Second)))
		a := f.ForecastAfter(r.Origin.Add(s.Step), h, tau)
		if a.Point != r.Forecast || a.Upper != r.Upper || !a.Target.Equal(r.Target) || !a.Origin.Equal(r.Origin.Add(s.Step)) {
			t.Fatalf("cut at %v: got %+v, the back-test said %+v", r.Origin, a, r)
		}
	}
}

func TestTheShapeIsLearnedAndCovered(t *testing.T) {
	s := swing(35, 15*time.Minute, 1)
	paris, _ := time.LoadLocation("Europe/Paris")
	for _, tau := range []float64{0.9, 0.95, 0.99} {
		rows, err := forecast.Backtest(s, forecast.Options{Location: paris}, time.Hour, tau, 2*s.Len()/3)
		if err != nil {
			t.Fatal(err)
		}
		sc := forecast.ScoreOf(rows, tau)
		// The noise alone is 4 % (0.05·√(2/π)); the clocks change on day 27. Neighbouring rows are not independent, so
		// coverage may be off by three deviations of half as many.
		off := 3 * math.Sqrt(tau*(1-tau)/float64(sc.Rows/2))
		if sc.WAPE > 0.055 || math.Abs(sc.Coverage-tau) > off || sc.NotReady != 0 {
			t.Errorf("τ %v: %+v", tau, sc)
		}
		rows, err = forecast.BacktestMax(s, forecast.Options{Location: paris}, time.Hour, tau, 2*s.Len()/3)
		if err != nil {
			t.Fatal(err)
		}
		if sc := forecast.ScoreOf(rows, tau); math.Abs(sc.Coverage-tau) > off || sc.Over > 0.25 {
			t.Errorf("maximum, τ %v: %+v", tau, sc)
		}
	}
}

func TestTooLittleHistoryYieldsToTheLastValue(t *testing.T) {
	f, err := forecast.New(forecast.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if a := f.MaxOver(day0, 5*time.Minute, 0.99); a.Ready || a.Reason == "" || !math.IsNaN(a.Upper) {
		t.Fatalf("nothing was seen: %+v", a)
	}
	for i := range 60 {
		if err := f.Observe(day0.Add(time.Duration(i)*time.Minute), float64(10+i)); err != nil {
			t.Fatal(err)
		}
	}
	now := day0.Add(time.Hour)
	for _, a := range []forecast.Answer{f.Forecast(now, 5*time.Minute, 0.5), f.MaxOver(now, 5*time.Minute, 0.99)} {
		if a.Ready || !strings.Contains(a.Reason, "less than 24h of history yet") || a.Upper != 69 || a.Point != 69 {
			t.Fatalf("an hour was seen: %+v", a)
		}
	}
}

func TestUnknownIsNotZero(t *testing.T) {
	s := swing(14, 5*time.Minute, 5)
	holed := series.Series{Start: s.Start, Step: s.Step, Values: append([]float64(nil), s.Values...)}
	for i := 9 * 288; i < 9*288+200; i++ {
		holed.Values[i] = math.NaN()
	}
	a := feed(t, forecast.Options{Step: s.Step}, holed).MaxOver(s.End(), 30*time.Minute, 0.95)
	b := feed(t, forecast.Options{Step: s.Step}, s).MaxOver(s.End(), 30*time.Minute, 0.95)
	if !a.Ready || math.Abs(a.Upper/b.Upper-1) > 0.1 {
		t.Fatalf("a gap of 16 h, five days ago, moves the bound from %v to %v (%s)", b.Upper, a.Upper, a.Reason)
	}
	gone := feed(t, forecast.Options{Step: s.Step}, s)
	if a := gone.MaxOver(s.End().Add(3*time.Hour), 30*time.Minute, 0.95); a.Ready {
		t.Fatalf("nothing is known of three hours: %+v", a)
	}
	if err := gone.Observe(s.Start, 1); err == nil {
		t.Fatal("a sample of the past was taken")
	}
	if err := gone.Observe(s.End().Add(4*time.Hour), -1); err == nil {
		t.Fatal("a load below zero was taken")
	}
	if err := gone.Observe(s.End().Add(4*time.Hour), 1e18); err == nil {
		t.Fatal("a load that no series can hold was taken")
	}
	// A clock that jumps by a year starts anew rather than learning a year of nothing.
	later := s.End().Add(365 * 24 * time.Hour)
	if err := gone.Observe(later, 50); err != nil {
		t.Fatal(err)
	}
	if a := gone.MaxOver(later.Add(s.Step), 30*time.Minute, 0.95); a.Ready || a.Upper != 50 {
		t.Fatalf("after a year: %+v", a)
	}
}

func TestCoarseHistoryThenLiveMinutes(t *testing.T) {
	coarse := swing(21, 5*time.Minute, 2)
	f := feed(t, forecast.Options{}, coarse)
	r := rand.New(rand.NewPCG(4, 4))
	truth := swing(22, time.Minute, 8) // the same shape with its own noise each minute
	missed, n := 0, 0
	for i := 21 * 1440; i+5 < truth.Len(); i++ {
		// Four samples a minute, as a scaler takes them.
		for k := range 4 {
			if err := f.Observe(truth.Time(i).Add(time.Duration(15*k)*time.Second), truth.Values[i]*math.Exp(0.01*r.NormFloat64())); err != nil {
				t.Fatal(err)
			}
		}
		a := f.MaxOver(truth.Time(i+1), 5*time.Minute, 0.95)
		if !a.Ready || len(a.Experts) == 0 {
			t.Fatalf("row %d: %s, %d experts", i, a.Reason, len(a.Experts))
		}
		between := f.MaxOver(truth.Time(i+1), 4*time.Minute, 0.95).Upper
		three := f.MaxOver(truth.Time(i+1), 150*time.Second, 0.95).Upper
		if math.Abs(between-(three+a.Upper)/2) > 1e-9 {
			t.Fatalf("four minutes are bound by %v, three by %v and five by %v", between, three, a.Upper)
		}
		top := 0.0
		for _, v := range truth.Values[i+1 : i+6] {
			top = max(top, v)
		}
		n++
		if top > a.Upper {
			missed++
		}
	}
	if share := float64(missed) / float64(n); share > 0.12 {
		t.Fatalf("%.1f %% of the live maxima are above the 0.95 bound, which minutes of interpolated history must not cause", share*100)
	}
}

func TestAnswersAreSane(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, err := forecast.New(forecast.Options{Step: 30 * time.Minute, MinHistory: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		now := day0
		load := rapid.SampledFrom([]float64{0, 1e-9, 1, 50, 5000, 1e12, 1e17, math.NaN()})
		for range rapid.IntRange(1, 300).Draw(t, "rows") {
			if err := f.Observe(now, load.Draw(t, "load")); err != nil {
				t.Fatal(err)
			}
			now = now.Add(time.Duration(rapid.IntRange(1, 90).Draw(t, "minutes")) * time.Minute)
		}
		last, ordered := math.Inf(-1), math.Inf(-1)
		for _, tau := range []float64{0.5, 0.8, 0.95, 0.99} {
			o := f.AtLead(now, 5*time.Minute, tau)
			if math.IsInf(o.Upper, 0) || o.Upper < 0 || o.Ready && (math.IsNaN(o.Upper) || o.Upper < ordered*(1-1e-12)) {
				t.Fatalf("τ %v: an order of %+v, of the next lower one %v", tau, o, ordered)
			}
			if o.Ready {
				ordered = o.Upper
			}
			a := f.MaxOver(now, time.Hour, tau)
			if math.IsInf(a.Upper, 0) || a.Upper < 0 || a.Ready && math.IsNaN(a.Upper) {
				t.Fatalf("τ %v: %+v", tau, a)
			}
			if a.Ready {
				if a.Upper < last*(1-1e-12) {
					t.Fatalf("the bound falls from %v to %v as τ rises to %v", last, a.Upper, tau)
				}
				last = a.Upper
			}
		}
	})
}

func TestOptionsAreChecked(t *testing.T) {
	for want, o := range map[string]forecast.Options{
		"Step":     {Step: 90 * time.Minute},
		"Horizons": {Horizons: []time.Duration{90 * time.Second}},
		"Leads":    {Leads: []time.Duration{-time.Minute}},
		"Orders":   {Orders: []time.Duration{49 * time.Hour}},
	} {
		if _, err := forecast.New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error about %s", err, want)
		}
	}
}
