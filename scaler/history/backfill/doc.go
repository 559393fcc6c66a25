// Package backfill reads the demand of the past from where metrics are kept: Prometheus and what speaks its API, or Datadog.
package backfill

import (
	"context"
	"fmt"
	"strings"
	"time"

	"swell/scaler/history"
	"swell/scaler/series"
)

// Source is a store of metrics.
type Source interface {
	// Range is what a query gives from a time to another, in rows of a step; unknown rows are NaN. More or less than one series
	// is an error.
	Range(ctx context.Context, query string, from, to time.Time, step time.Duration) (series.Series, error)
}

// Past asks for all that a record keeps, eight weeks in five minutes and three days in one, in pods of perPod each.
func Past(ctx context.Context, s Source, query string, perPod float64, now time.Time) (coarse, minutes series.Series, err error) {
	get := func(keep, step time.Duration) series.Series {
		if err != nil {
			return series.Series{}
		}
		to := now.Truncate(step)
		var out series.Series
		if out, err = s.Range(ctx, query, to.Add(-keep), to, step); err != nil {
			return series.Series{}
		}
		for i := range out.Values {
			out.Values[i] /= perPod
		}
		return out
	}
	coarse = get(history.KeepCoarse, history.CoarseStep)
	minutes = get(history.KeepMinutes, history.MinuteStep)
	return coarse, minutes, err
}

// Fill replaces {{name}} and the like in a query. A placeholder that values lack is an error.
func Fill(query string, values map[string]string) (string, error) {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(query, "{{")
		b.WriteString(before)
		if !ok {
			return b.String(), nil
		}
		key, after, ok := strings.Cut(rest, "}}")
		value, known := values[strings.TrimSpace(key)]
		if !ok || !known {
			return "", fmt.Errorf("filling the query: {{%s}} is not known; use {{namespace}}, {{name}}, {{balloon}} or {{hpa}}", clip(key))
		}
		b.WriteString(value)
		query = after
	}
}

func clip(s string) string {
	if len(s) > 200 {
		return s[:197] + "..."
	}
	return s
}
