package history

import (
	"time"

	"swell/scaler/forecast"
)

// Forecast is the demand that lies a time ahead, in pods, and its quantile.
func (w *Workload) Forecast(now time.Time, ahead time.Duration, tau float64) forecast.Answer {
	return w.forecaster.Forecast(now, ahead, tau)
}
