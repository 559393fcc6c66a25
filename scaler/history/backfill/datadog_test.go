package backfill_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/config"
	"swell/scaler/history"
	"swell/scaler/history/backfill"
)

// fakeDatadog speaks the documented protocol of GET /api/v1/query: both keys, seconds in, milliseconds out, points rolled up to
// coarser intervals over longer windows, nulls where nothing is known, and rate limits by header.
type fakeDatadog struct {
	sync.Mutex
	asked   int
	limited int // this request is refused for its rate; 0 is none
	series  int
	load    func(time.Time) float64
}

func (f *fakeDatadog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.Lock()
	defer f.Unlock()
	f.asked++
	refuse := func(status int, text string) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"errors": []string{text}})
	}
	switch {
	case r.Method != http.MethodGet || r.URL.Path != "/api/v1/query":
		refuse(http.StatusNotFound, "Not found")
		return
	case r.Header.Get("DD-API-KEY") != "api" || r.Header.Get("DD-APPLICATION-KEY") != "app":
		refuse(http.StatusForbidden, "Forbidden")
		return
	case f.asked == f.limited:
		w.Header().Set("X-RateLimit-Limit", "1600")
		w.Header().Set("X-RateLimit-Period", "3600")
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.Header().Set("X-RateLimit-Reset", "1")
		refuse(http.StatusTooManyRequests, "Rate limit of 1600 requests in 3600 seconds reached")
		return
	}
	from, err1 := strconv.ParseInt(r.FormValue("from"), 10, 64)
	to, err2 := strconv.ParseInt(r.FormValue("to"), 10, 64)
	query := r.FormValue("query")
	if err1 != nil || err2 != nil || query == "" || !strings.Contains(query, "{") {
		refuse(http.StatusBadRequest, "Rule 'scope_expr' didn't match at '' (char 3)")
		return
	}
	interval := int64(3600)
	switch span := time.Duration(to-from) * time.Second; {
	case strings.Contains(query, "rollup(avg, 7200)"):
		interval = 7200
	case span <= 4*time.Hour:
		interval = 60
	case span <= 24*time.Hour:
		interval = 300
	}
	all := []any{}
	for i := range f.series {
		var points [][2]any
		for at := from / interval * interval; at <= to; at += interval {
			if v := f.load(time.Unix(at, 0)); math.IsNaN(v) {
				points = append(points, [2]any{float64(at * 1000), nil})
			} else {
				points = append(points, [2]any{float64(at * 1000), v})
			}
		}
		all = append(all, map[string]any{"metric": "requests", "scope": fmt.Sprintf("host:%d", i), "interval": interval, "length": len(points), "pointlist": points})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "ok", "res_type": "time_series", "from_date": from * 1000, "to_date": to * 1000, "query": query, "series": all})
}

func TestThePastComesFromDatadog(t *testing.T) {
	gap := func(at time.Time) bool { return at.After(end.AddDate(0, 0, -10)) && at.Before(end.AddDate(0, 0, -9)) }
	fake := &fakeDatadog{series: 1, limited: 5, load: func(at time.Time) float64 {
		if gap(at) {
			return math.NaN()
		}
		return 100 * demand(at)
	}}
	server := httptest.NewServer(fake)
	defer server.Close()
	api, app := write(t, "api\n"), write(t, "app\n")
	d := backfill.NewDatadog(config.Datadog{URL: server.URL, APIKeyFile: api, AppKeyFile: app, Timeout: metav1.Duration{Duration: 10 * time.Second}})
	coarse, minutes, err := backfill.Past(t.Context(), d, "sum:requests{app:web}", 100, end)
	if err != nil {
		t.Fatal(err)
	}
	if fake.asked != 56+18+1 {
		t.Errorf("%d requests: want 56 days, 18 times four hours, and one again", fake.asked)
	}
	if coarse.Len() != 56*288 || minutes.Len() != 3*1440 {
		t.Fatalf("%d coarse rows and %d minutes", coarse.Len(), minutes.Len())
	}
	for i, v := range coarse.Values {
		if at := coarse.Time(i); math.IsNaN(v) != gap(at) || !gap(at) && math.Abs(v-demand(at)) > 1e-6 {
			t.Fatalf("%s: %g pods: want %g", at, v, demand(at))
		}
	}
	for i, v := range minutes.Values {
		if math.Abs(v-demand(minutes.Time(i))) > 1e-6 {
			t.Fatalf("%s: %g pods", minutes.Time(i), v)
		}
	}
	ask := func(d *backfill.Datadog, query string) error {
		_, err := d.Range(t.Context(), query, end.Add(-history.KeepMinutes), end, history.CoarseStep)
		return err
	}
	wrong := backfill.NewDatadog(config.Datadog{URL: server.URL, APIKeyFile: api, AppKeyFile: api, Timeout: metav1.Duration{Duration: time.Second}})
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"keys":     {ask(wrong, "sum:requests{app:web}"), "refuses the credentials (403): Forbidden; correct them"},
		"query":    {ask(d, "sum"), "didn't match"},
		"interval": {ask(d, "sum:requests{app:web}.rollup(avg, 7200)"), "add .rollup(avg, 300)"},
	} {
		if tc.err == nil || !strings.Contains(tc.err.Error(), tc.want) {
			t.Errorf("%s: %v: want %q", name, tc.err, tc.want)
		}
	}
	fake.series = 2
	if err := ask(d, "sum:requests{app:web} by {host}"); err == nil || !strings.Contains(err.Error(), "aggregate them to one") {
		t.Errorf("%v: want several series refused", err)
	}
	fake.series = 0
	if err := ask(d, "sum:requests{app:wbe}"); err == nil || !strings.Contains(err.Error(), "tags exist") {
		t.Errorf("%v: want nothing to be an error", err)
	}
}
