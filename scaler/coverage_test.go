package scaler

import (
	"testing"
	"time"

	"swell/scaler/forecast"
	"swell/scaler/history"
)

func TestForecastsAreJudgedByTheDemandOfTheirTime(t *testing.T) {
	start := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	known := func(at time.Duration, pods float64) history.Sample {
		return history.Sample{At: start.Add(at), Demand: history.Demand{Pods: pods, Class: history.Known}}
	}
	for name, c := range map[string]struct {
		of              func(at time.Duration) history.Sample
		covered, missed int
	}{
		"below the quantile": {func(at time.Duration) history.Sample { return known(at, 40) }, 1, 0},
		"at the quantile":    {func(at time.Duration) history.Sample { return known(at, 50) }, 1, 0},
		"above, once in its four minutes": {func(at time.Duration) history.Sample {
			if at == 7*time.Minute {
				return known(at, 51)
			}
			return known(at, 40)
		}, 0, 1},
		"above, before its time only": {func(at time.Duration) history.Sample {
			if at < 5*time.Minute {
				return known(at, 60)
			}
			return known(at, 40)
		}, 1, 0},
		"above, after its time only": {func(at time.Duration) history.Sample {
			if at >= 9*time.Minute {
				return known(at, 60)
			}
			return known(at, 40)
		}, 1, 0},
		"unknown": {func(at time.Duration) history.Sample {
			return history.Sample{At: start.Add(at), Demand: history.Demand{Class: history.AtMaximum}}
		}, 0, 0},
	} {
		var d due
		d.expect(start, 5*time.Minute, forecast.Answer{Ready: true, Upper: 50})
		d.expect(start.Add(30*time.Second), 5*time.Minute, forecast.Answer{Ready: true, Upper: 50})
		d.expect(start.Add(2*time.Minute), 5*time.Minute, forecast.Answer{Ready: false, Upper: 50})
		covered, missed := 0, 0
		for at := time.Duration(0); at < 15*time.Minute; at += 15 * time.Second {
			c, m := d.take(c.of(at))
			covered, missed = covered+c, missed+m
		}
		if covered != c.covered || missed != c.missed || len(d.list) != 0 {
			t.Errorf("%s: %d covered, %d missed, %d left; want %d, %d, 0", name, covered, missed, len(d.list), c.covered, c.missed)
		}
	}
}
