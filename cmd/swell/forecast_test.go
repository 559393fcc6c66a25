package main

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"swell/scaler/series"
)

// minutes is a file of a flat load by the minute.
func minutes(t *testing.T, rows int) string {
	t.Helper()
	s := series.Series{Start: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Step: time.Minute}
	for i := range rows {
		s.Values = append(s.Values, 15_163_600+float64(i%7))
	}
	var b bytes.Buffer
	if err := series.Write(&b, s); err != nil {
		t.Fatal(err)
	}
	return write(t, "flat.csv", b.String())
}

func TestABacktestSaysWhichTargetsWereNotReady(t *testing.T) {
	short := minutes(t, 4)
	_, stdout, stderr := swell(t, "backtest", "--series", short, "--horizon", "1m", "--json")
	if !strings.Contains(stdout, `"rows": 1,`) || !strings.Contains(stdout, `"not_ready": 1`) {
		t.Fatal(stdout, stderr)
	}
	_, stdout, _ = swell(t, "backtest", "--series", short, "--horizon", "1m")
	for _, want := range []string{"flat.csv, 4 rows of 1m\n", "\nhorizon   1m\n", "\nquantile  0.95\n", "\ntargets   2026-03-01T00:03:00Z to 2026-03-01T00:03:00Z\n",
		"\nrows      1\n", "\nnot ready 1: too little history", "\nwape      0.00 %\n"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%q is missing in\n%s", want, stdout)
		}
	}
	if _, stdout, _ = swell(t, "backtest", "--series", quarters(t, 1344), "--horizon", "1h"); strings.Contains(stdout, "not ready") {
		t.Errorf("all were ready:\n%s", stdout)
	}
}

func TestAForecastIsReadable(t *testing.T) {
	code, stdout, stderr := swell(t, "forecast", "--series", minutes(t, 1700), "--horizon", "5m")
	if code != 0 || strings.Contains(stdout, "e+") || !strings.Contains(stdout, "forecast  151636") || strings.Contains(stdout, "not ready") {
		t.Fatal(code, stdout, stderr)
	}
	code, stdout, _ = swell(t, "forecast", "--series", minutes(t, 1700), "--horizon", "5m", "--quantile", "0.99999")
	if code != 0 || !strings.Contains(stdout, "forecast  151636") || !strings.Contains(stdout, "upper     unknown") ||
		!strings.Contains(stdout, "are too few for the 0.99999 quantile") {
		t.Fatal(code, stdout)
	}
	for v, want := range map[float64]string{0: "0", 1.5: "1.5", 123456789: "123456789", 0.000123456: "0.000123456", 12.3456789: "12.3457", 2000: "2000"} {
		if got := decimal(number(v)); got != want {
			t.Errorf("%g is shown as %s", v, got)
		}
	}
	if got := decimal(number(math.NaN())); got != "unknown" {
		t.Error(got)
	}
}
