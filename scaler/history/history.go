package history

import (
	"fmt"
	"math"
	"time"

	"swell/scaler/forecast"
	"swell/scaler/series"
)

// keepLive bounds what a checkpoint holds of the samples taken live.
const keepLive = 3 * 24 * time.Hour

// Workload is the demand of one guarded workload and the forecaster that learns it. It is not safe for concurrent use.
type Workload struct {
	forecaster *forecast.Forecaster
	live       series.Series
}

// NewWorkload is a workload with the given past, which may be empty. The past's and the live samples' step are both
// learned; live ones go into the checkpoint.
func NewWorkload(o forecast.Options, past []series.Series) (*Workload, error) {
	f, err := forecast.New(o)
	if err != nil {
		return nil, fmt.Errorf("making a forecaster: %w", err)
	}
	for _, p := range past {
		if p.Len() == 0 {
			continue
		}
		if err := f.Backfill(p); err != nil {
			return nil, fmt.Errorf("learning the past from %s: %w", p.Start.Format(time.RFC3339), err)
		}
	}
	return &Workload{forecaster: f, live: series.Series{Step: o.Step}}, nil
}

// Sample takes the demand at a time, in pods; NaN where it is unknown.
func (w *Workload) Sample(now time.Time, pods float64) error {
	if err := w.forecaster.Observe(now, pods); err != nil {
		return fmt.Errorf("sampling demand at %s: %w", now.Format(time.RFC3339), err)
	}
	stamp := now.UTC().Truncate(w.live.Step)
	switch n := w.live.Len(); {
	case n == 0 || stamp.Before(w.live.Start):
		w.live.Start, w.live.Values = stamp, []float64{pods}
	case stamp.Before(w.live.End()):
		w.live.Values[n-1] = pods
	default:
		for w.live.End().Before(stamp) {
			w.append(math.NaN())
		}
		w.append(pods)
	}
	return nil
}

func (w *Workload) append(v float64) { w.live.Append(v, int(keepLive/w.live.Step)) }

// Live are the samples that were taken live, one a step.
func (w *Workload) Live() series.Series { return w.live }

// Continue takes over the live samples of a checkpoint, which the forecaster has learned already.
func (w *Workload) Continue(live series.Series) { w.live = live }

// AtLead is the forecast of the demand when what is ordered now serves, a lead from now, in pods, and its quantile.
func (w *Workload) AtLead(now time.Time, lead time.Duration, tau float64) forecast.Answer {
	return w.forecaster.AtLead(now, lead, tau)
}
