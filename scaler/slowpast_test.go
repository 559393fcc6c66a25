package scaler_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"swell/api/config"
	"swell/bench/testbed/stack"
	"swell/scaler/series"
)

// While a history is read, here from a pipe that nobody writes to yet, balloons are held by what is known without it: six of
// spec.min where there were four, which stay when it falls to none, since the forecast may want them.
func TestASlowHistoryHoldsUpNoBalloons(t *testing.T) {
	w := start(t, fleet(1), 15, 4, 0)
	w.settled(4)
	w.Scaler.Kill()
	pipe := filepath.Join(t.TempDir(), "past")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	w.patch("web", `{"min": 6}`)
	if err := w.StartScaler(t.Context(), stack.ScalerOptions{Region: "ap-northeast-1", Prices: prices,
		Files: []config.HistoryFile{{Namespace: "shop", Balloon: "web", File: pipe}}}); err != nil {
		t.Fatal(err)
	}
	w.settled(6)
	w.untilCondition("Ready", "TooLittleHistory: its demand history is still being read")
	w.patch("web", `{"min": 0}`)
	w.until("the six stay", func() (bool, string) {
		why := w.balloon("web").Status.Why
		return strings.Contains(why, "the 6 that exist stay"), why
	})
	file, err := os.OpenFile(pipe, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := series.Write(file, fortnight(func(time.Time) float64 { return 15 })); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	w.untilCondition("Ready", "Forecast")
	w.settled(0)
}
