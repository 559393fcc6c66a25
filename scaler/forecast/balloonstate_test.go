package forecast_test

import (
	"runtime"
	"testing"

	"swell/scaler/forecast"
)

func TestTheStateThatBalloonsNeedIsBounded(t *testing.T) {
	first := feed(t, forecast.ForBalloons(nil, nil), swing(16, fiveMinutes, 1))
	each, all := heapOf(t, 50, func(int) *forecast.Forecaster { return first.Clone() })
	t.Logf("a workload takes %.1f KiB", each/1024)
	if counted := all[0].StateSize(); each > stateMost || counted > stateMost {
		t.Errorf("a workload takes %.1f KiB, counted are %.1f; it may be %d", each/1024, float64(counted)/1024, stateMost/1024)
	}
	runtime.KeepAlive(all)
}
