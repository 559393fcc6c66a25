package handover

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"swell/scaler/forecast"
	"swell/scaler/history"
	"swell/scaler/series"
)

var now = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

func record(t *testing.T, from time.Time, rows int, pods float64) *history.Record {
	t.Helper()
	r := &history.Record{}
	s := series.Series{Start: from, Step: history.CoarseStep}
	for range rows {
		s.Append(pods, 0)
	}
	if r.Fill(s) == 0 {
		t.Fatal("nothing was filled")
	}
	return r
}

// recordWithShares is a month at each share.
func recordWithShares(t *testing.T, from time.Time, shares ...float64) *history.Record {
	t.Helper()
	r := &history.Record{}
	for i, share := range shares {
		w, err := history.NewWorkload(forecast.Options{}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		at := from.Add(time.Duration(i) * 30 * 24 * time.Hour)
		for m := range 3 {
			w.Take(history.Reading{At: at.Add(time.Duration(m) * time.Minute), Elapsed: time.Minute, Share: share, Demand: history.Demand{Pods: 10, Class: history.Known}})
		}
		r.Add(w.Tail())
	}
	if len(r.Shares()) != len(shares) {
		t.Fatalf("the record has shares %v", r.Shares())
	}
	return r
}

func sealed(t *testing.T) []byte {
	t.Helper()
	raw, err := history.Encode(record(t, now.Add(-24*time.Hour), 200, 12))
	if err != nil {
		t.Fatal(err)
	}
	f := File{At: now, TimeZone: "Asia/Tokyo", Balloons: []Balloon{{Namespace: "shop", Name: "web", Share: "60%", Demand: raw}}}
	if err := f.Seal(); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAFileThatIsNotWholeIsRefused(t *testing.T) {
	good := sealed(t)
	if _, err := Read(good); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		raw  []byte
		says string
	}{
		"cut":            {good[:len(good)/2], "whole"},
		"another kind":   {bytes.Replace(good, []byte(Kind), []byte("other"), 1), "kind"},
		"a newer one":    {bytes.Replace(good, []byte(`"version":1`), []byte(`"version":2`), 1), "version is 2"},
		"a changed one":  {bytes.Replace(good, []byte("60%"), []byte("70%"), 1), "sum"},
		"a changed name": {bytes.Replace(good, []byte("shop"), []byte("shup"), 1), "sum"},
	} {
		if _, err := Read(c.raw); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

func TestAnotherTimeZoneIsRefused(t *testing.T) {
	f := File{TimeZone: "Asia/Tokyo", Holidays: "JP"}
	for _, c := range [][2]string{{"UTC", "JP"}, {"Asia/Tokyo", ""}} {
		if f.Fits(c[0], c[1]) == nil {
			t.Errorf("%v was taken", c)
		}
	}
	if err := f.Fits("Asia/Tokyo", "JP"); err != nil {
		t.Error(err)
	}
}

// What the new cluster sampled itself stays, and a second import changes nothing.
func TestTakingAHistoryOverwritesNothing(t *testing.T) {
	here := record(t, now.Add(-2*time.Hour), 12, 50)
	old := record(t, now.Add(-24*time.Hour), 288, 12)
	if n := here.Take(old, now); n != 288-12 {
		t.Errorf("%d rows became known, want those that were not sampled here, %d", n, 288-12)
	}
	s, _ := here.Coarse()
	if v, ok := s.At(now.Add(-2 * time.Hour)); !ok || math.Abs(v-50) > 1 {
		t.Errorf("a row that was sampled here is %g now, %t", v, ok)
	}
	if n := here.Take(old, now); n != 0 {
		t.Errorf("a second time %d rows became known", n)
	}
}

// The old cluster was the new one once: its own way from 10 % to all of it is not the pace of the next.
func TestTheSharesOfTheOldClusterAreNotThePaceOfTheNew(t *testing.T) {
	here, old := &history.Record{}, recordWithShares(t, now.Add(-90*24*time.Hour), 0.1, 0.5, 1)
	here.Take(old, now.Add(-24*time.Hour))
	given := 0.2
	if got := Judge(now, now.Add(10*24*time.Hour), given, here.Shares()); got.State != NotBegun || got.Begun != nil {
		t.Errorf("before any traffic came: %+v, want %s", got, NotBegun)
	}
	shares := append(here.Shares(), history.SharePart{From: now.Add(-12 * time.Hour), Share: given})
	if got := Judge(now, now.Add(10*24*time.Hour), given, shares); got.State != OnTime || got.Begun == nil || now.Sub(*got.Begun) != 12*time.Hour {
		t.Errorf("12 hours after the first share: %+v, want %s since then", got, OnTime)
	}
}

func TestWhoIsBehind(t *testing.T) {
	begun := []history.SharePart{{From: now.Add(-10 * 24 * time.Hour), Share: 0.1}}
	deadline := now.Add(20 * 24 * time.Hour)
	for name, c := range map[string]struct {
		share  float64
		shares []history.SharePart
		at     time.Time
		want   State
	}{
		"a fifth in ten days":          {0.2, begun, now, Behind},
		"a half in ten days":           {0.5, begun, now, OnTime},
		"all":                          {1, begun, now, Done},
		"none":                         {0, nil, now, NotBegun},
		"not known":                    {math.NaN(), begun, now, Unknown},
		"a half, the deadline is over": {0.5, begun, deadline.Add(time.Hour), Behind},
	} {
		if got := Judge(c.at, deadline, c.share, c.shares); got.State != c.want {
			t.Errorf("%s: %+v, want %s", name, got, c.want)
		}
	}
}
