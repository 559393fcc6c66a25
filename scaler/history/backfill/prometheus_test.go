package backfill_test

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/config"
	"swell/bench/testbed/prometheus"
	"swell/scaler/history"
	"swell/scaler/history/backfill"
	"swell/scaler/series"
)

var end = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// demand is what the past has, in pods, at five-minute steps.
func demand(at time.Time) float64 {
	return math.Round(50 + 40*math.Sin(float64(at.Unix()%86400)/86400*2*math.Pi))
}

// outage is a stretch without samples.
func outage(at time.Time) bool {
	from := end.AddDate(0, 0, -20)
	return !at.Before(from) && at.Before(from.Add(2*time.Hour))
}

// past is what kube-state-metrics shows of the HPA web, for nine weeks: utilization of a target of 50 %, at its maximum of 80
// replicas for an hour a week ago.
func past() string {
	var b strings.Builder
	family := func(name, labels string, value func(time.Time) float64) {
		fmt.Fprintf(&b, "# TYPE %s gauge\n", name)
		for at := end.AddDate(0, 0, -63); at.Before(end.Add(time.Hour)); at = at.Add(time.Minute) {
			if v := value(at); !outage(at) && (at.Minute()%5 == 0 || at.After(end.AddDate(0, 0, -4))) {
				fmt.Fprintf(&b, "%s{namespace=\"shop\",horizontalpodautoscaler=\"web\"%s} %g %d\n", name, labels, v, at.Unix())
			}
		}
	}
	const cpu = `,metric_name="cpu",metric_target_type="utilization"`
	family("kube_horizontalpodautoscaler_status_target_metric", cpu, func(at time.Time) float64 { return demand(at) / 2 }) // of 100 replicas
	family("kube_horizontalpodautoscaler_spec_target_metric", cpu, func(time.Time) float64 { return 50 })
	family("kube_horizontalpodautoscaler_status_current_replicas", "", func(time.Time) float64 { return 100 })
	family("kube_horizontalpodautoscaler_spec_max_replicas", "", func(at time.Time) float64 {
		if censored(at) {
			return 100
		}
		return 200
	})
	b.WriteString("# EOF\n")
	return b.String()
}

func censored(at time.Time) bool {
	from := end.AddDate(0, 0, -7)
	return !at.Before(from) && at.Before(from.Add(time.Hour))
}

func open(t *testing.T, c config.Prometheus) *backfill.Prometheus {
	t.Helper()
	c.Timeout = metav1.Duration{Duration: 30 * time.Second}
	p, err := backfill.NewPrometheus(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestThePastComesFromARealPrometheus asks the real server, through a door that keeps what is asked.
func TestThePastComesFromARealPrometheus(t *testing.T) {
	server := prometheus.ForTest(t, prometheus.Options{Past: past()})
	target, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	var requests, refused atomic.Int32
	var tenant, token atomic.Value
	proxy := httputil.NewSingleHostReverseProxy(target)
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tenant.Store(r.Header.Get("X-Scope-OrgID"))
		token.Store(r.Header.Get("Authorization"))
		if requests.Add(1) == 2 { // once it is overloaded
			refused.Add(1)
			w.Header().Set("Retry-After", "1")
			http.Error(w, "overloaded", http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	defer door.Close()
	p := open(t, config.Prometheus{URL: door.URL, Headers: map[string]string{"X-Scope-OrgID": "shop"}, BearerTokenFile: write(t, "letmein\n")})

	query, err := backfill.Fill(config.DefaultHistoryQuery, map[string]string{"namespace": "shop", "hpa": "web"})
	if err != nil {
		t.Fatal(err)
	}
	coarse, minutes, err := backfill.Past(t.Context(), p, query, 1, end.Add(90*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if refused.Load() != 1 || requests.Load() != 4 { // two pages of five minutes, one of minutes, and one again
		t.Errorf("%d requests, of which %d were refused: want 4 and 1", requests.Load(), refused.Load())
	}
	if tenant.Load() != "shop" || token.Load() != "Bearer letmein" {
		t.Errorf("asked as tenant %q with %q", tenant.Load(), token.Load())
	}
	if coarse.Len() != 56*288 || !coarse.End().Equal(end) || minutes.Len() != 3*1440 || !minutes.End().Equal(end.Add(time.Minute)) {
		t.Fatalf("%d coarse rows to %s, %d minutes to %s", coarse.Len(), coarse.End(), minutes.Len(), minutes.End())
	}
	gaps, marked := checkPast(t, coarse)
	r := &history.Record{}
	// three days of the coarse rows come from the minutes, whose last one begins a row more, so that the oldest goes
	if n, want := r.Fill(minutes)+r.Fill(coarse), 4320+56*288-864-1-marked-gaps; n != want {
		t.Errorf("%d rows were filled: want %d", n, want)
	}
	v, err := p.Instant(t.Context(), `sum(kube_horizontalpodautoscaler_status_current_replicas)`, end)
	if err != nil || v != 100 {
		t.Errorf("an instant query gives %g, %v: want 100", v, err)
	}
	checkBadQueries(t, p)
}

// checkPast holds the rows against what was written.
func checkPast(t *testing.T, coarse series.Series) (gaps, marked int) {
	t.Helper()

	for i, v := range coarse.Values {
		at := coarse.Time(i)
		switch {
		case math.IsNaN(v) && censored(at):
			marked++
		case math.IsNaN(v):
			gaps++
		case math.Abs(v-demand(at)) > 1e-6 && !outage(at):
			t.Fatalf("%s: %g pods: want %g", at, v, demand(at))
		}
	}
	if marked != 12 || gaps < 22 || gaps > 24 { // what is looked back at fills five minutes
		t.Errorf("%d rows at the maximum and %d of the outage are unknown: want 12 and 23", marked, gaps)
	}
	return gaps, marked
}

func checkBadQueries(t *testing.T, p *backfill.Prometheus) {
	t.Helper()
	for name, tc := range map[string]struct{ query, want string }{
		"several series": {`{__name__=~"kube_horizontalpodautoscaler_.*"}`, "aggregate them to one"},
		"no series":      {`nothing_at_all`, "its metric and labels exist"},
		"bad query":      {`sum(`, "correct the query"},
	} {
		_, _, err := backfill.Past(t.Context(), p, tc.query, 1, end)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v: want %q", name, err, tc.want)
		}
		if _, err := p.Instant(t.Context(), tc.query, end); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s at an instant: %v: want %q", name, err, tc.want)
		}
	}
}

// webConfig lets the user reader in, whose password is sesame.
const webConfig = `basic_auth_users: {reader: "$2b$04$abcdefghijklmnopqrstuuinwY/tkBVrn3xrxQI/TgnMHhkvl85RW"}`

func TestARealPrometheusChecksThePassword(t *testing.T) {
	server := prometheus.ForTest(t, prometheus.Options{WebConfig: webConfig})
	right := open(t, config.Prometheus{URL: server.URL(), BasicAuth: &config.BasicAuth{Username: "reader", PasswordFile: write(t, "sesame\n")}})
	if v, err := right.Instant(t.Context(), "vector(7)", end); err != nil || v != 7 {
		t.Errorf("%g, %v: want 7", v, err)
	}
	wrong := open(t, config.Prometheus{URL: server.URL(), BasicAuth: &config.BasicAuth{Username: "reader", PasswordFile: write(t, "please")}})
	if _, err := wrong.Instant(t.Context(), "vector(7)", end); err == nil || !strings.Contains(err.Error(), "credentials") {
		t.Errorf("%v: want the credentials named", err)
	}
	missing := open(t, config.Prometheus{URL: server.URL(), BearerTokenFile: filepath.Join(t.TempDir(), "none")})
	if _, err := missing.Instant(t.Context(), "vector(7)", end); err == nil || !strings.Contains(err.Error(), "bearerTokenFile") {
		t.Errorf("%v: want the file named", err)
	}
}
