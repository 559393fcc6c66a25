package scaler_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/config"
	"swell/bench/testbed/stack"
	"swell/scaler/series"
)

// hook is a webhook that keeps the texts it was told.
type hook struct {
	*httptest.Server
	file string
	mu   sync.Mutex
	told []string
	// down has it answer 503; refused are the texts that it was told meanwhile.
	down    bool
	refused []string
}

const hookSecret = "/services/T0HOOK/B0HOOK/cAnArYcAnArY"

func listen(t *testing.T) *hook {
	h := &hook{file: filepath.Join(t.TempDir(), "address")}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var m struct{ Text string }
		if err != nil || json.Unmarshal(body, &m) != nil || r.URL.Path != hookSecret {
			t.Errorf("%s was posted %s: %v", r.URL.Path, body, err)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.down {
			h.refused = append(h.refused, m.Text)
			http.Error(w, "not now", http.StatusServiceUnavailable)
			return
		}
		h.told = append(h.told, m.Text)
	}))
	t.Cleanup(h.Close)
	if err := os.WriteFile(h.file, []byte(h.URL+hookSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *hook) texts() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.told, "\n")
}

// turn takes it down, or up again, and gives what it refused.
func (h *hook) turn(down bool) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.down = down
	return strings.Join(h.refused, "\n")
}

func (h *hook) options(every time.Duration) config.Notify {
	return config.Notify{WebhookFile: h.file, MinSeverity: "Info", Every: metav1.Duration{Duration: every}, PageURL: "https://swell.example/page"}
}

// tells says whether a webhook was told a text.
func (w world) tells(h *hook, text string) func(context.Context) (bool, error) {
	return func(context.Context) (bool, error) { return strings.Contains(h.texts(), text), errors.New(h.texts()) }
}

// eventsOn are the Events with a reason on an object.
func (w world) eventsOn(namespace, kind, name, reason string) []eventsv1.Event {
	w.t.Helper()
	all, err := w.Kube.EventsV1().Events(namespace).List(w.t.Context(), metav1.ListOptions{FieldSelector: "reason=" + reason})
	if err != nil {
		w.t.Fatal(err)
	}
	var out []eventsv1.Event
	for _, e := range all.Items {
		if e.Regarding.Kind == kind && e.Regarding.Name == name {
			out = append(out, e)
		}
	}
	return out
}

// What was bought and what is wrong is told once, by the webhook and by Events on the pool, and what is mended as well. A scaler that
// starts again does not tell it a second time. The webhook's address is written nowhere.
func TestPeopleAreToldOnce(t *testing.T) {
	h := listen(t)
	w := startConfigured(t, fleet(1), 15, series.Series{}, `{"min": 0}`, stack.ScalerOptions{Notify: h.options(2 * time.Minute)})
	w.apply(strings.Replace(fmt.Sprintf(pool, "nowhere"), "name: general", "name: lost", 1))
	w.scale(60)
	told := func(text string) {
		t.Helper()
		w.until("it is told: "+text, func() (bool, string) { return strings.Contains(h.texts(), text), h.texts() })
	}
	told("was bought: ")
	told("CapacityPool lost: ")
	w.until("there are Events", func() (bool, string) {
		bought, wrong := w.eventsOn("default", "CapacityPool", "general", "Launched"), w.eventsOn("default", "CapacityPool", "lost", "Problem")
		if len(bought) == 0 || len(wrong) == 0 {
			return false, fmt.Sprintf("%d and %d", len(bought), len(wrong))
		}
		return strings.HasSuffix(wrong[0].Note, "; see https://swell.example/page") && wrong[0].Type == "Warning" && bought[0].Regarding.UID != "", wrong[0].Note
	})
	w.until("what was told is kept", func() (bool, string) {
		kept, err := w.Kube.CoreV1().ConfigMaps("swell-system").Get(t.Context(), "swell-scaler-told", metav1.GetOptions{})
		return err == nil && strings.Contains(kept.Data["told"], "CapacityPool lost"), fmt.Sprint(kept.Data, err)
	})
	w.Scaler.Kill()
	if err := w.Scaler.Restart(); err != nil {
		t.Fatal(err)
	}
	w.until("the successor has taken over", func() (bool, string) {
		return strings.Count(h.texts(), "has taken over") == 2, h.texts()
	})
	time.Sleep(15 * time.Second) // more than the least time between two messages, and than a problem must last
	if n := strings.Count(h.texts(), "CapacityPool lost: "); n != 1 {
		t.Errorf("the pool's problem was told %d times: want once\n%s", n, h.texts())
	}
	if err := w.Kube.Discovery().RESTClient().Delete().AbsPath("/apis/capacity.swell/v1alpha1/capacitypools/lost").Do(t.Context()).Error(); err != nil {
		t.Fatal(err)
	}
	told("2 recovered") // the pool has no groups, and no group has its tags
	for _, file := range []string{filepath.Join(w.Dir(), "swell-scaler.log"), filepath.Join(w.LedgerDir(), "ledger.jsonl"), w.Cluster.AuditLog()} {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(raw), "cAnArY") {
			t.Errorf("%s has the webhook's address", file)
		}
	}
}

// What the webhook did not take before its scaler ended is told by the successor: only what was delivered counts as told.
func TestWhatWasNotDeliveredIsToldByTheSuccessor(t *testing.T) {
	h := listen(t)
	w := startConfigured(t, fleet(1), 15, series.Series{}, `{"min": 0}`, stack.ScalerOptions{Notify: h.options(2 * time.Minute)})
	w.until("the webhook works", func() (bool, string) { return strings.Contains(h.texts(), "has taken over"), h.texts() })
	h.turn(true)
	w.apply(strings.Replace(fmt.Sprintf(pool, "nowhere"), "name: general", "name: lost", 1))
	w.until("the webhook refuses it", func() (bool, string) {
		refused := h.turn(true)
		return strings.Contains(refused, "CapacityPool lost: "), refused
	})
	time.Sleep(3 * time.Second) // it would be kept by now
	w.Scaler.Kill()
	h.turn(false)
	if err := w.Scaler.Restart(); err != nil {
		t.Fatal(err)
	}
	w.until("the successor tells it", func() (bool, string) { return strings.Contains(h.texts(), "CapacityPool lost: "), h.texts() })
}
