package backfill_test

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"swell/api/config"
	"swell/scaler/history"
	"swell/scaler/history/backfill"
)

const seven = `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1772409600,"7"]}]}}`

func TestACertificateIsChecked(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, seven) }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	ca := write(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	if v, err := open(t, config.Prometheus{URL: server.URL, CAFile: ca}).Instant(t.Context(), "up", end); err != nil || v != 7 {
		t.Errorf("%g, %v: want 7", v, err)
	}
	if _, err := backfill.NewPrometheus(t.Context(), config.Prometheus{URL: server.URL, CAFile: write(t, "no")}); err == nil || !strings.Contains(err.Error(), "caFile") {
		t.Errorf("%v: want the file named", err)
	}
	client := open(t, config.Prometheus{URL: strings.Replace(server.URL, "127.0.0.1", "localhost", 1), CAFile: ca})
	if _, err := client.Instant(t.Context(), "up", end); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("%v: want a certificate of another name refused", err)
	}
}

func TestRequestsToAmazonAreSigned(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_SESSION_TOKEN", "session")
	var asked atomic.Pointer[http.Request]
	var body atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		body.Store(string(b))
		asked.Store(r)
		fmt.Fprint(w, seven)
	}))
	defer server.Close()
	p := open(t, config.Prometheus{URL: server.URL + "/workspaces/ws-1", SigV4: &config.SigV4{Region: "eu-west-1"}})
	if v, err := p.Instant(t.Context(), "up", end); err != nil || v != 7 {
		t.Fatalf("%g, %v: want 7", v, err)
	}
	r := asked.Load()
	got := r.Header.Get("Authorization")
	for _, want := range []string{"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/", "/eu-west-1/aps/aws4_request", "SignedHeaders=", "host", "Signature="} {
		if !strings.Contains(got, want) {
			t.Errorf("Authorization %q: want %q", got, want)
		}
	}
	if r.URL.Path != "/workspaces/ws-1/api/v1/query" || r.Header.Get("X-Amz-Security-Token") != "session" || !strings.Contains(body.Load().(string), "query=up") {
		t.Errorf("%s with %q: want the workspace, the session and the signed body", r.URL.Path, body.Load())
	}
}

func TestAnAnswerWithoutEndIsRefused(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"status":"success","data":{"resultType":"matrix","result":[`)
		for range 40 {
			fmt.Fprint(w, strings.Repeat(" ", 1<<20))
		}
	}))
	defer server.Close()
	_, err := open(t, config.Prometheus{URL: server.URL}).Range(t.Context(), "up", end.Add(-history.KeepMinutes), end, history.MinuteStep)
	if err == nil || !strings.Contains(err.Error(), "16 MiB") {
		t.Errorf("%v: want the bound named", err)
	}
}

func TestPlaceholdersAreFilledOrNamed(t *testing.T) {
	values := map[string]string{"namespace": "shop", "name": "web"}
	if got, err := backfill.Fill(`x{ns="{{namespace}}",n="{{ name }}"}`, values); err != nil || got != `x{ns="shop",n="web"}` {
		t.Errorf("%q, %v", got, err)
	}
	for _, bad := range []string{`{{pod}}`, `{{name`} {
		if _, err := backfill.Fill(bad, values); err == nil || !strings.Contains(err.Error(), "use {{namespace}}") {
			t.Errorf("%s: %v: want the known ones named", bad, err)
		}
	}
}
