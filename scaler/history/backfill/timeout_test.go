package backfill_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/config"
	"swell/scaler/history"
	"swell/scaler/history/backfill"
)

// A server that accepts and never answers costs one try its time-out; the next is answered. The test's own deadline is all that
// a try without one would meet.
func TestEachTryHasATimeOut(t *testing.T) {
	var requests atomic.Int32
	stop := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) == 1 {
			select {
			case <-stop:
			case <-r.Context().Done():
			}
			return
		}
		if strings.HasPrefix(r.URL.Path, "/api/v1/query") && r.URL.Query().Get("from") == "" {
			fmt.Fprintf(w, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[%d,"7"]]}]}}`, end.Add(-history.MinuteStep).Unix())
			return
		}
		fmt.Fprintf(w, `{"status":"ok","series":[{"scope":"*","interval":60,"pointlist":[[%d,7]]}]}`, end.Add(-history.MinuteStep).UnixMilli())
	}))
	defer server.Close()
	defer close(stop)
	second := metav1.Duration{Duration: time.Second}
	p, err := backfill.NewPrometheus(t.Context(), config.Prometheus{URL: server.URL, Timeout: second})
	if err != nil {
		t.Fatal(err)
	}
	key := write(t, "key")
	for name, source := range map[string]backfill.Source{
		"Prometheus": p, "Datadog": backfill.NewDatadog(config.Datadog{URL: server.URL, APIKeyFile: key, AppKeyFile: key, Timeout: second}),
	} {
		requests.Store(0)
		s, err := source.Range(t.Context(), "up", end.Add(-time.Hour), end, history.MinuteStep)
		if err != nil {
			t.Errorf("%s: %v: want the second try's answer", name, err)
			continue
		}
		if v := s.Values[s.Len()-1]; v != 7 || requests.Load() != 2 {
			t.Errorf("%s: %g after %d requests: want 7 after 2", name, v, requests.Load())
		}
	}
}

// Headers without a body are no answer: reading that is bounded, too.
func TestABodyThatNeverEndsIsATimeOut(t *testing.T) {
	stop := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		select {
		case <-stop:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(stop)
	p, err := backfill.NewPrometheus(t.Context(), config.Prometheus{URL: server.URL, Timeout: metav1.Duration{Duration: time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	go func() {
		_, err := p.Range(t.Context(), "up", end.Add(-time.Hour), end, history.MinuteStep)
		failed <- err
	}()
	select {
	case err := <-failed:
		if err == nil || errors.Is(err, t.Context().Err()) {
			t.Errorf("%v: want a time-out", err)
		}
	case <-time.After(time.Minute):
		t.Error("it still waits for a body after a minute: want a time-out")
	}
}
