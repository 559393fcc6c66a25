package history_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"swell/scaler/forecast"
	"swell/scaler/history"
	"swell/scaler/series"
)

var leads = []time.Duration{time.Minute, 4 * time.Minute, 15 * time.Minute, time.Hour}

func alike(t *testing.T, a, b *history.Workload, now time.Time, within float64) {
	t.Helper()
	for _, lead := range leads {
		x, y := a.AtLead(now, lead, 0.95), b.AtLead(now, lead, 0.95)
		if x.Ready != y.Ready || !(math.Abs(math.Log(x.Point/y.Point)) <= within) || !(math.Abs(math.Log(x.Upper/y.Upper)) <= within) {
			t.Errorf("%v ahead: %.2f ≤ %.2f (%t %s), and the other says %.2f ≤ %.2f (%t %s)", lead, x.Point, x.Upper, x.Ready, x.Reason, y.Point, y.Upper, y.Ready, y.Reason)
		}
	}
}

// through is a record after a checkpoint.
func through(t *testing.T, r *history.Record) *history.Record {
	t.Helper()
	raw, err := history.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	back, err := history.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	return back
}

func learned(t *testing.T, o forecast.Options, r *history.Record) *history.Workload {
	t.Helper()
	w, err := history.NewWorkload(o, nil, r)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestWhoTakesOverForecastsTheSame(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 5))
	first := &history.Record{}
	first.Fill(officePast(random, 28))
	one := learned(t, forecast.Options{}, through(t, first))
	p := &player{Workload: one, t: t, now: monday, share: 1}
	saved := through(t, first)
	for minute := range 2*1440 + 10*60 {
		change := func(r *history.Reading) {}
		if minute > 1000 && minute < 1020 {
			change = func(r *history.Reading) { r.Rollout = "a rollout" }
		}
		p.take(noisy(random, office(p.now)), change)
		if minute%5 == 0 { // checkpoints, a part each time
			tail := one.Tail()
			saved.Add(tail)
			one.Saved(tail)
			if one.Tail().Len() != 0 {
				t.Fatal("what was saved is still to be saved")
			}
		}
	}
	one.AtLead(p.now, time.Minute, 0.95) // completes the last row
	saved.Add(one.Tail())
	alike(t, one, learned(t, forecast.Options{}, through(t, saved)), p.now, 1e-9)

	// once the live minutes are five minutes in the record, it is nearly so
	for minute := range 12 * 1440 {
		p.take(noisy(random, office(p.now)), nil)
		if minute%300 == 0 {
			tail := one.Tail()
			saved.Add(tail)
			one.Saved(tail)
		}
	}
	one.AtLead(p.now, time.Minute, 0.95)
	saved.Add(one.Tail())
	alike(t, one, learned(t, forecast.Options{}, through(t, saved)), p.now, math.Log(1.06))
}

func TestWhatIsSampledWhileThePastIsReadIsKept(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	r := &history.Record{}
	r.Fill(officePast(random, 28))
	whole, interim := learned(t, forecast.Options{}, through(t, r)), newPlayer(t)
	straight := &player{Workload: whole, t: t, now: monday, share: 1}
	for range 30 {
		v := noisy(random, office(interim.now))
		interim.take(v, nil)
		straight.take(v, nil)
	}
	late := learned(t, forecast.Options{}, through(t, r))
	late.Adopt(interim.Workload)
	alike(t, whole, late, straight.now, 1e-9)
	if a, b := whole.Tail(), late.Tail(); a.Len() != b.Len() {
		t.Errorf("%d rows are to be saved: want %d", b.Len(), a.Len())
	}
}

// wall is a load that lives by the local clock: a steep morning from 8 to 9.
func wall(zone *time.Location) func(time.Time) float64 {
	return func(at time.Time) float64 {
		l := at.In(zone)
		h := float64(l.Hour()) + float64(l.Minute())/60
		return 20 + 200/(1+math.Exp(-(h-8.5)*8)) - 180/(1+math.Exp(-(h-18)*4))
	}
}

// The clock change of spring leaves out an hour, that of autumn repeats one; the morning after both is the one to forecast.
func TestTheMorningAfterAClockChangeIsForecastByTheLocalClock(t *testing.T) {
	for _, tc := range []struct {
		zone   string
		sunday time.Time // of the change
	}{
		{"Europe/Paris", time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC)},
		{"Europe/Paris", time.Date(2026, 10, 25, 0, 0, 0, 0, time.UTC)},
		{"America/New_York", time.Date(2026, 3, 8, 0, 0, 0, 0, time.UTC)},
		{"America/New_York", time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)},
	} {
		t.Run(tc.zone+tc.sunday.Format(" January"), func(t *testing.T) {
			zone, err := time.LoadLocation(tc.zone)
			if err != nil {
				t.Fatal(err)
			}
			load, random := wall(zone), rand.New(rand.NewPCG(9, 9))
			past := series.Series{Start: tc.sunday.AddDate(0, 0, -28), Step: 5 * time.Minute}
			for past.End().Before(tc.sunday) {
				past.Append(noisy(random, load(past.End())), 0)
			}
			r := &history.Record{}
			r.Fill(past)
			w := learned(t, forecast.Options{Location: zone}, through(t, r))
			p := &player{Workload: w, t: t, now: past.End(), share: 1}
			monday := tc.sunday.AddDate(0, 0, 1)
			off, rows := 0.0, 0.0
			for p.now.Before(monday.AddDate(0, 0, 1)) {
				at := p.now
				if s := p.take(noisy(random, load(at)), nil); s.Class != history.Known {
					t.Fatalf("%s: %+v", at.In(zone), s)
				}
				if l := at.In(zone); !at.Before(monday) && l.Hour() == 7 && l.Minute() >= 45 || l.Hour() == 8 && l.Minute() < 45 {
					a := w.AtLead(p.now, 15*time.Minute, 0.95)
					actual := 0.0
					for m := range 15 {
						actual = max(actual, load(p.now.Add(time.Duration(m)*time.Minute)))
					}
					off, rows = off+math.Abs(a.Point-actual)/actual, rows+1
				}
			}
			if rows < 59 || off/rows > 0.15 {
				t.Errorf("in %g minutes of the morning the 15 minutes ahead were off by %.0f %% on average", rows, 100*off/rows)
			}
			t.Logf("off by %.1f %% on average of %g minutes", 100*off/rows, rows)
			s, _ := func() (series.Series, []history.Class) { r.Add(w.Tail()); return r.Minutes() }()
			if got := s.Len(); got != 2*1440-1 && got != 2*1440 {
				t.Errorf("two days have %d minutes, of which UTC knows 2880", got)
			}
		})
	}
}

func TestAWorkloadFitsInto64KiBBesideItsForecaster(t *testing.T) {
	if n := history.StateBytes(); n > 4<<10 {
		t.Errorf("a workload's own state takes %d bytes beside its forecaster: want at most 4 KiB", n)
	}
}
