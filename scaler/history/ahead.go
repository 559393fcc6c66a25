package history

import (
	"time"

	"swell/scaler/forecast"
)

// Forecast is the demand of all clusters that lies a time ahead, in pods, and its quantile.
func (w *Workload) Forecast(now time.Time, ahead time.Duration, tau float64) forecast.Answer {
	w.flush(floorDiv(now.Unix(), minuteSeconds))
	return w.forecaster.Forecast(now, ahead, tau)
}
