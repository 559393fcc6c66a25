package backfill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"swell/api/config"
	"swell/scaler/series"
)

// Datadog is the metrics query API of a Datadog site (GET /api/v1/query).
type Datadog struct {
	client *http.Client
	base   string
	time   time.Duration
}

// NewDatadog reads no file; keys are read for each request, so that they may rotate.
func NewDatadog(c config.Datadog) *Datadog {
	base := c.URL
	if base == "" {
		base = "https://api." + c.Site
	}
	t := &transport{next: http.DefaultTransport.(*http.Transport).Clone(), timeout: c.Timeout.Duration, wait: datadogReset, sleep: sleep, prepare: func(r *http.Request) error {
		for header, file := range map[string]string{"DD-API-KEY": c.APIKeyFile, "DD-APPLICATION-KEY": c.AppKeyFile} {
			key, err := os.ReadFile(file)
			if err != nil {
				return fmt.Errorf("reading a key of history.datadog: %w", err)
			}
			r.Header.Set(header, strings.TrimSpace(string(key)))
		}
		return nil
	}}
	return &Datadog{client: &http.Client{Transport: t}, base: strings.TrimRight(base, "/"), time: c.Timeout.Duration}
}

// datadogReset is the seconds until requests count anew.
func datadogReset(h http.Header) time.Duration {
	return max(seconds(h.Get("X-RateLimit-Reset")), retryAfter(h))
}

// datadogAnswer is the part of the answer that is needed.
type datadogAnswer struct {
	Status string   `json:"status"`
	Error  string   `json:"error"`
	Errors []string `json:"errors"`
	Series []struct {
		Scope     string        `json:"scope"`
		Interval  int64         `json:"interval"`  // seconds
		Pointlist [][2]*float64 `json:"pointlist"` // milliseconds, value
	} `json:"series"`
}

// windowOf is how much is asked for at once: Datadog rolls longer windows up to longer intervals.
func windowOf(step time.Duration) time.Duration {
	if step < 5*time.Minute {
		return 4 * time.Hour
	}
	return 24 * time.Hour
}

// Range pages through the time. A row is the mean of the points that lie in it.
func (d *Datadog) Range(ctx context.Context, query string, from, to time.Time, step time.Duration) (series.Series, error) {
	n := max(int(to.Sub(from)/step), 0)
	sum, count := make([]float64, n), make([]float64, n)
	out := series.Series{Start: from.UTC(), Step: step, Values: make([]float64, n)}
	for at := from; at.Before(to); at = at.Add(windowOf(step)) {
		end := at.Add(windowOf(step))
		if end.After(to) {
			end = to
		}
		a, err := d.ask(ctx, query, at, end)
		if err == nil {
			err = addPoints(a, out, at, end, sum, count)
		}
		if err != nil {
			return series.Series{}, fmt.Errorf("asking Datadog for %s to %s: %w", at.UTC().Format(time.RFC3339), end.UTC().Format(time.RFC3339), err)
		}
	}
	seen := false
	for i := range out.Values {
		out.Values[i] = math.NaN()
		if count[i] > 0 {
			out.Values[i], seen = sum[i]/count[i], true
		}
	}
	if !seen {
		return series.Series{}, errors.New("asking Datadog: the query gave nothing in all that time; see that its metric and tags exist")
	}
	return out, nil
}

func addPoints(a datadogAnswer, out series.Series, from, to time.Time, sum, count []float64) error {
	switch {
	case len(a.Series) == 0:
		return nil
	case len(a.Series) > 1:
		return severalSeries(len(a.Series), a.Series[0].Scope, a.Series[1].Scope)
	case time.Duration(a.Series[0].Interval)*time.Second > out.Step:
		return fmt.Errorf("the points are %d s apart, more than %v; add .rollup(avg, %.0f) to the query", a.Series[0].Interval, out.Step, out.Step.Seconds())
	}
	for _, p := range a.Series[0].Pointlist {
		if p[0] == nil || p[1] == nil || !(*p[1] >= 0) {
			continue
		}
		t := time.UnixMilli(int64(*p[0]))
		if i, ok := out.Index(t); ok && !t.Before(from) && t.Before(to) {
			sum[i], count[i] = sum[i]+*p[1], count[i]+1
		}
	}
	return nil
}

func (d *Datadog) ask(ctx context.Context, query string, from, to time.Time) (datadogAnswer, error) {
	var a datadogAnswer
	ctx, cancel := context.WithTimeout(ctx, tries*(d.time+retryMost))
	defer cancel()
	values := url.Values{"query": {query}, "from": {strconv.FormatInt(from.Unix(), 10)}, "to": {strconv.FormatInt(to.Unix(), 10)}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, d.base+"/api/v1/query?"+values.Encode(), nil)
	if err != nil {
		return a, err
	}
	response, err := d.client.Do(r)
	if err != nil {
		return a, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return a, err
	}
	decoded := json.Unmarshal(body, &a)
	said := strings.Join(append(a.Errors, a.Error), " ")
	switch {
	case response.StatusCode != http.StatusOK:
		return a, statusError(response.StatusCode, strings.TrimSpace(said))
	case decoded != nil:
		return a, fmt.Errorf("decoding its answer: %w", decoded)
	case a.Status != "ok":
		return a, fmt.Errorf("it says %q: %s; correct the query", a.Status, clip(strings.TrimSpace(said)))
	}
	return a, nil
}
