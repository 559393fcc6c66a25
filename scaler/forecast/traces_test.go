package forecast_test

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"swell/bench/traces"
	"swell/scaler/forecast"
	"swell/scaler/series"
)

// trace is a recorded load and what a simple baseline is known to reach on it.
type trace struct {
	file, zone string
	avg4r      float64 // WAPE at 60 min of the mean of four weeks scaled by the last hour, slots in UTC, %
	needed     float64 // WAPE at 60 min that must not be exceeded, %
	pin95      float64 // pinball at 60 min and 0.95 that must not be exceeded, %
	pin99      float64
}

var recorded = []trace{
	{"nasa_http_requests_5m", "America/New_York", 24.2, 21.3, 3.3, 1.0},
	{"nyc_taxi_passengers_30m", "America/New_York", 7.1, 4.8, 0.85, 0.31},
	{"uk_isp_traffic_5m", "Europe/London", 3.9, 3.2, 0.49, 0.145},
	{"wikimedia_pageviews_1h", "UTC", 1.9, 1.6, 0.30, 0.13},
	{"worldcup98_requests_5m", "Europe/Paris", 29.3, 24.0, 6.5, 2.9},
}

// load reads a trace from SWELL_TRACES or from shared/traces beside the module, and skips where there is neither.
func (c trace) load(t *testing.T) (series.Series, *time.Location) {
	t.Helper()
	dir := os.Getenv("SWELL_TRACES")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "traces")
	}
	path := filepath.Join(dir, c.file+".csv")
	if _, err := os.Stat(path); err != nil && c.file == "worldcup98_requests_5m" {
		return c.kept(t)
	} else if err != nil {
		if strings.Contains(os.Getenv("SWELL_REQUIRE"), "traces") {
			t.Fatal(err)
		}
		t.Skipf("skipped: %s is not there; set SWELL_TRACES to the folder of the recorded loads", path)
	}
	s, err := series.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	loc, err := time.LoadLocation(c.zone)
	if err != nil {
		t.Fatal(err)
	}
	return s, loc
}

// kept is the one trace that the project has itself.
func (c trace) kept(t *testing.T) (series.Series, *time.Location) {
	t.Helper()
	s, err := traces.Load(traces.WorldCup98)
	if err != nil {
		t.Fatal(err)
	}
	loc, err := time.LoadLocation(c.zone)
	if err != nil {
		t.Fatal(err)
	}
	return s, loc
}

func lastThird(s series.Series) int { return s.Len() - s.Len()/3 }

func TestTheHarnessGivesTheBaselinesNumbers(t *testing.T) {
	for _, c := range recorded {
		t.Run(c.file, func(t *testing.T) {
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
	for _, c := range recorded {
		t.Run(c.file, func(t *testing.T) {
			s, loc := c.load(t)
			for tau, limit := range map[float64]float64{0.95: c.pin95, 0.99: c.pin99} {
				rows, err := forecast.Backtest(s, forecast.Options{Location: loc}, time.Hour, tau, lastThird(s))
				if err != nil {
					t.Fatal(err)
				}
				sc := forecast.ScoreOf(rows, tau)
				t.Logf("60 min ahead, τ %.2f: WAPE %.2f %%, pinball %.3f %%, coverage %.2f %%, over %.1f %%, unserved %.3f %%",
					tau, sc.WAPE*100, sc.Pinball*100, sc.Coverage*100, sc.Over*100, sc.Unserved*100)
				if sc.WAPE*100 > c.needed || sc.Pinball*100 > limit || sc.Rows != s.Len()/3 {
					t.Errorf("worse than it was: %+v", sc)
				}
				if tau == 0.95 && math.Abs(sc.Coverage-tau) > 0.02 || tau == 0.99 && (sc.Coverage < 0.985 || sc.Coverage > 0.997) {
					t.Errorf("the bound does not hold what it promises: %+v", sc)
				}
			}
		})
	}
}

func TestMinutesOfAFlashCrowd(t *testing.T) {
	c := recorded[4]
	s, loc := c.load(t)
	cut := lastThird(s)
	r := rand.New(rand.NewPCG(1998, 6))
	for _, lead := range []time.Duration{3 * time.Minute, 5 * time.Minute} {
		f, err := forecast.New(forecast.Options{Location: loc, Leads: []time.Duration{lead}})
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
