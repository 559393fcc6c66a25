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

// office is a load of all clusters with a morning, a noon and a night, in pods.
func office(at time.Time) float64 {
	h := float64(at.Hour()) + float64(at.Minute())/60
	day := math.Exp(-math.Pow((h-10.5)/2.2, 2)) + 0.9*math.Exp(-math.Pow((h-15)/2.5, 2))
	if wd := at.Weekday(); wd == time.Saturday || wd == time.Sunday {
		day /= 3
	}
	return 40 + 400*day
}

func noisy(r *rand.Rand, v float64) float64 { return v * (1 + 0.03*r.NormFloat64()) }

func officePast(r *rand.Rand, days int) series.Series {
	past := series.Series{Start: monday.AddDate(0, 0, -days), Step: 5 * time.Minute}
	for range days * 288 {
		past.Append(noisy(r, office(past.End())), 0)
	}
	return past
}

// handOver is a blue cluster's day: its share goes down before its traffic, and up before it comes back.
type step struct {
	at             time.Duration // since midnight
	share, traffic float64       // below zero is unchanged
}

// 100→50→0→50→100 %, the traffic some time after the share each time, and once hours after it.
var handOver = []step{
	{7 * time.Hour, 0.5, -1}, {7*time.Hour + 20*time.Minute, -1, 0.5},
	{9 * time.Hour, 0, -1}, {11*time.Hour + 10*time.Minute, -1, 0},
	{15 * time.Hour, 0.5, -1}, {15*time.Hour + 15*time.Minute, -1, 0.5},
	{17 * time.Hour, 1, -1}, {17*time.Hour + 30*time.Minute, -1, 1},
}

// playDays gives a forecast each ten minutes, of all clusters.
func playDays(t *testing.T, days int, steps []step, seed uint64, watch func(at time.Time, p *player, s history.Sample)) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 7))
	p := newPlayer(t, officePast(r, 28))
	traffic := 1.0
	for minute := range days * 1440 {
		for _, s := range steps {
			if s.at == time.Duration(minute)*time.Minute {
				if s.share >= 0 {
					p.share = s.share
				}
				if s.traffic >= 0 {
					traffic = s.traffic
				}
			}
		}
		at := p.now
		s := p.take(noisy(r, office(at))*traffic, func(r *history.Reading) { r.Replicas = int(math.Ceil(r.Demand.Pods)) })
		watch(at, p, s)
	}
}

func TestAHandOverMovesHeadroomAsWrittenAndDoesNotBendTheNextDay(t *testing.T) {
	type at struct{ point, upper float64 }
	plain, handed := map[time.Time]at{}, map[time.Time]at{}
	collect := func(into map[time.Time]at) func(time.Time, *player, history.Sample) {
		return func(now time.Time, p *player, _ history.Sample) {
			if now.Minute()%10 == 0 {
				a := p.AtLead(now.Add(time.Minute), 5*time.Minute, 0.95)
				if !a.Ready {
					t.Fatalf("%s: no forecast at a share of %g: %s", now.Format("Mon 15:04"), p.share, a.Reason)
				}
				into[now] = at{a.Point, a.Upper}
			}
		}
	}
	playDays(t, 2, nil, 1, collect(plain))
	classes := map[history.Class]int{}
	watch := collect(handed)
	playDays(t, 2, handOver, 1, func(now time.Time, p *player, s history.Sample) {
		watch(now, p, s)
		classes[s.Class]++
		if s.Class == history.Known && math.Abs(math.Log(s.Pods/office(now))) > 0.3 {
			t.Errorf("%s: %.0f pods learned at a share of %g, and all clusters have %.0f", now.Format("Mon 15:04"), s.Pods, p.share, office(now))
		}
	})
	if classes[history.ShareChange] == 0 || classes[history.ShareZero] < 3*60 || classes[history.Outage] > 0 {
		t.Errorf("samples were taken for %v", classes)
	}
	var worst [2]float64
	for now, want := range plain {
		got := handed[now]
		day := min(int(now.Sub(monday).Hours()/24), 1)
		worst[day] = max(worst[day], math.Abs(math.Log(got.point/want.point)), math.Abs(math.Log(got.upper/want.upper)))
	}
	t.Logf("%v; the day's forecasts differ by at most %.1f %%, the next day's by %.1f %%", classes, 100*(math.Exp(worst[0])-1), 100*(math.Exp(worst[1])-1))
	// A share change moves headroom as written: the forecast of all clusters goes on as if nothing was, and is multiplied by the share.
	if worst[0] > math.Log(1.25) {
		t.Errorf("on the day forecasts of all clusters differ by a factor of %.2f", math.Exp(worst[0]))
	}
	if worst[1] > math.Log(1.05) {
		t.Errorf("the next day's differ by a factor of %.2f", math.Exp(worst[1]))
	}
}

func TestWhatFollowsNoShareIsNotLearnedForHours(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 7))
	p := newPlayer(t, officePast(r, 28))
	for range 9 * 60 {
		p.take(office(p.now), nil)
	}
	p.share = 0.5
	// a third of the traffic stays, which is neither
	for range 5*60 + 30 {
		if s := p.take(office(p.now)*0.33, nil); s.Class != history.ShareChange {
			t.Fatalf("%s: %+v: want it unknown", p.now.Format("15:04"), s)
		}
	}
	if s := p.minutes(60, office(p.now)*0.33, nil); s.Class != history.Known {
		t.Fatalf("%+v after six hours: want the share believed", s)
	}
}

func TestAQueryOfAllClustersIsNotDivided(t *testing.T) {
	p := newPlayer(t)
	p.share = 0.2
	if s := p.take(100, func(r *history.Reading) { r.AllClusters = true }); s.Class != history.Known || s.Pods != 100 {
		t.Errorf("%+v: want 100", s)
	}
	q := newPlayer(t)
	q.share = 0.2
	if s := q.take(100, nil); s.Class != history.Known || s.Pods != 500 || s.Share != 0.2 {
		t.Errorf("%+v: want 500, of a share of 0.2", s)
	}
	q.share = 0
	if s := q.minutes(8, 0, nil); s.Class == history.Known {
		t.Errorf("%+v at a share of nothing: want it unknown", s)
	}
}

// A cluster that was given the history of another, and a share, holds room for that until its traffic comes, be it days: that
// nothing is served yet is no demand of nothing.
func TestANewClusterDoesNotUnlearnWhileItsTrafficIsStillToCome(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 7))
	old, here := &history.Record{}, &history.Record{}
	old.Fill(officePast(r, 28))
	if here.Take(old, monday) == 0 {
		t.Fatal("nothing was taken")
	}
	w, err := history.NewWorkload(forecast.Options{}, nil, here)
	if err != nil {
		t.Fatal(err)
	}
	p := &player{Workload: w, t: t, now: monday, share: 0.5}
	idle := func(r *history.Reading) { r.Replicas = 2 }
	for range 2*24*60 + 10*60 {
		if s := p.take(0.1, idle); s.Class != history.ShareChange {
			t.Fatalf("%s: %+v: want it unknown", p.now.Format("Mon 15:04"), s)
		}
	}
	if a := p.AtLead(p.now, 5*time.Minute, 0.95); !a.Ready || math.Abs(math.Log(a.Point/office(p.now))) > math.Log(1.25) {
		t.Errorf("after two days the forecast of all clusters is %.0f pods, %s, want about %.0f", a.Point, a.Reason, office(p.now))
	}
	var last history.Sample
	for range 30 {
		last = p.take(noisy(r, office(p.now))*0.5, nil)
	}
	if last.Class != history.Known || last.Share != 0.5 || math.Abs(math.Log(last.Pods/office(p.now))) > 0.2 {
		t.Errorf("%+v after the traffic came: want all clusters' demand, %.0f", last, office(p.now))
	}
}
