package report

import (
	"testing"
	"time"

	"swell/bench/ledgers"
)

func TestPrint(t *testing.T) {
	start := time.Now()
	r, err := Make(ledgers.Cluster{Days: 15}.Entries(), Options{From: time.Date(2026, 11, 9, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(time.Since(start))
	t.Log(r.Total.Cost.Total, r.Total.Cost.Headroom, r.Total.Cost.Idle, r.Total.Cost.Asked, r.Total.Cost.Booting, r.Total.Cost.NotSampled, r.Total.Hours, r.Before != nil)
	t.Logf("%+v", r.BalloonTotal)
	t.Logf("%v %v", *r.BalloonTotal.Accuracy.Coverage, *r.BalloonTotal.Accuracy.WAPE)
	for _, x := range r.Recommended {
		t.Logf("%+v", x)
	}
	t.Logf("%+v", r.Buys)
	for _, x := range r.Balloons[0].Quantiles {
		t.Logf("%+v", x)
	}
	for _, x := range r.ZoneLoss {
		t.Logf("%+v %v", x, x.Cost)
	}
}
