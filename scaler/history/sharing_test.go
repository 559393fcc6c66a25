package history

import (
	"math"
	"testing"
	"time"

	"swell/scaler/forecast"
	"swell/scaler/series"
)

// Each case is what a cluster serves of an expected 100 pods in the minutes after its share went from one to another.
func TestTrafficIsFollowed(t *testing.T) {
	for name, tc := range map[string]struct {
		from, to, served float64
		minute           int // of the sample that is looked at
		class            Class
		pods             float64
	}{
		"at once, within the settling":  {1, 0.5, 50, 4, ShareChange, 0},
		"at once, and steady":           {1, 0.5, 50, 8, Known, 100},
		"not yet, within the settling":  {1, 0.5, 100, 4, ShareChange, 0},
		"not yet, for hours":            {1, 0.5, 104, 300, Known, 104},
		"between the two":               {1, 0.5, 72, 300, ShareChange, 0},
		"a little less, not followed":   {1, 0.9, 99, 300, Known, 99},
		"a little less, followed":       {1, 0.9, 90, 30, Known, 100},
		"from nothing, not yet":         {0, 0.5, 0, 300, ShareChange, 0},
		"from nothing, followed":        {0, 0.5, 52, 8, Known, 104},
		"to nothing":                    {0.5, 0, 0, 8, ShareZero, 0},
		"to nothing, not yet":           {0.5, 0, 50, 300, Known, 100},
		"anywhere, after a long time":   {1, 0.5, 30, 361, Known, 60},
		"back before anything followed": {1, 1, 100, 8, Known, 100},
	} {
		t.Run(name, func(t *testing.T) {
			var s sharing
			s.of(monday, tc.from*100, tc.from, 100)
			var d Demand
			for m := range tc.minute {
				d = s.of(monday.Add(time.Duration(m+1)*time.Minute), tc.served, tc.to, 100)
			}
			if d.Class != tc.class || d.Class == Known && math.Abs(d.Pods-tc.pods) > 1e-9 {
				t.Errorf("%+v: want %s, %g pods", d, tc.class, tc.pods)
			}
		})
	}
}

// Pods that are still there while their traffic goes to another cluster are no outage.
func TestTrafficThatIsSentElsewhereIsNoOutage(t *testing.T) {
	w, err := NewWorkload(forecast.Options{}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	now := monday
	take := func(pods, share float64) Sample {
		now = now.Add(time.Minute)
		return w.Take(Reading{At: now, Elapsed: time.Minute, Demand: known(pods, ""), Share: share, Replicas: 100})
	}
	for range 7 * 24 * 60 {
		take(100, 1)
	}
	for range 30 {
		if s := take(0, 0); s.Class != ShareChange && s.Class != ShareZero {
			t.Fatalf("%+v: want it for the share's", s)
		}
	}
}

func TestTheProfileLivesByTheLocalClock(t *testing.T) {
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	load := func(at time.Time) float64 { return 100 + 50*math.Sin(float64(at.In(paris).Hour())/24*2*math.Pi) }
	p := profile{location: paris}
	change := time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC)
	for at := change.AddDate(0, 0, -9); at.Before(change.Add(-12 * time.Hour)); at = at.Add(5 * time.Minute) {
		p.add(at, load(at))
	}
	for _, at := range []time.Time{change.Add(-11*time.Hour - 45*time.Minute), change.Add(8*time.Hour + 15*time.Minute), change.Add(32*time.Hour + 15*time.Minute)} {
		if v := p.at(at); math.Abs(v/load(at)-1) > 0.05 {
			t.Errorf("%s: %.1f: want %.1f", at.In(paris), v, load(at))
		}
	}
	if v := (&profile{location: paris}).at(change); !math.IsNaN(v) {
		t.Errorf("a profile of nothing says %g", v)
	}
}

// What is sampled while a past is being read is divided by the share that is asked for. Where the past says that the traffic had
// another, it is not learned, and no share is recorded: the traffic is followed from there.
func TestSamplesBeforeThePastIsReadAreOfTheTrafficThatItKnows(t *testing.T) {
	for name, tc := range map[string]struct {
		before, asked, served float64 // the share that the past ends with; pods
		learned               bool
	}{
		"a new cluster without traffic":          {0, 0.5, 0, false},
		"an old one whose traffic did not go":    {1, 0.5, 100, false},
		"one that goes on":                       {0.5, 0.5, 50, true},
		"one that goes on with all of the load":  {1, 1, 100, true},
		"one that nothing was ever recorded for": {math.NaN(), 0.5, 50, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Record{}
			if r.Fill(flat(monday.Add(-14*24*time.Hour), 14*288, 100)); !math.IsNaN(tc.before) {
				r.noteShare(floorDiv(monday.Add(-time.Hour).Unix(), minuteSeconds), tc.before)
			}
			reading, err := NewWorkload(forecast.Options{}, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			for m := range 4 {
				reading.Take(Reading{At: monday.Add(time.Duration(m) * time.Minute), Elapsed: time.Minute, Demand: known(tc.served, ""), Share: tc.asked, Replicas: 9})
			}
			w, err := NewWorkload(forecast.Options{}, nil, r)
			if err != nil {
				t.Fatal(err)
			}
			w.Adopt(reading)
			last := w.Take(Reading{At: monday.Add(4 * time.Minute), Elapsed: time.Minute, Demand: known(tc.served, ""), Share: tc.asked, Replicas: 9})
			r.Add(w.Tail())
			minutes, _ := r.Minutes()
			rows := 0
			for _, v := range minutes.Values {
				if !math.IsNaN(v) {
					rows++
				}
			}
			shares := r.Shares()
			if (rows > 0) != tc.learned || (last.Class == Known) != tc.learned || len(shares) != 1 || tc.learned == (shares[0].Share != tc.asked) {
				t.Errorf("%d minutes are learned, shares %v, and then %s: want them learned %t", rows, shares, last.Class, tc.learned)
			}
		})
	}
}

func flat(from time.Time, rows int, pods float64) series.Series {
	s := series.Series{Start: from, Step: CoarseStep}
	for range rows {
		s.Append(pods, 0)
	}
	return s
}
