package scaler

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"swell/api/config"
	"swell/scaler/ledger"
	"swell/scaler/observe"
	"swell/scaler/plan"
)

// What was too much to be told between two plans is counted, logged once, and said in the next notice.
func TestWhatIsNotHeardIsTold(t *testing.T) {
	var log bytes.Buffer
	l := &Loop{options: Options{Log: slog.New(slog.NewTextHandler(&log, nil))}}
	l.telling = newTelling(config.Scaler{}, l)
	before := testutil.ToFloat64(noticesTold.WithLabelValues("unheard"))
	for range 5000 { // what nobody is told takes no place
		l.telling.hear(ledger.Entry{Action: "sample", Phase: ledger.Note})
	}
	for i := range mostHeard + 300 {
		l.telling.hear(ledger.Entry{Action: "launch", Phase: ledger.Failed, Object: fmt.Sprint("spot-", i%7), Error: "no capacity"})
	}
	l.tellPeople(t.Context(), publishedAt, &observe.World{}, plan.Plan{})
	if n := testutil.ToFloat64(noticesTold.WithLabelValues("unheard")) - before; n != 300 {
		t.Errorf("%g were counted as not heard: want 300", n)
	}
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "launch") || !strings.Contains(text, "300") {
		t.Errorf("the log says %q: want one line with what was dropped, and how much", text)
	}
	m, due := l.telling.teller.Due(publishedAt.Add(time.Hour))
	told := 0
	for _, line := range m.Lines {
		told += line.Count
	}
	if !due || told != mostHeard || m.More != 300 {
		t.Errorf("%d are told and %d more: want %d and 300", told, m.More, mostHeard)
	}
	l.tellPeople(t.Context(), publishedAt.Add(time.Minute), &observe.World{}, plan.Plan{})
	if strings.Count(log.String(), "\n") != 1 {
		t.Errorf("it is logged again: %s", log.String())
	}
}

// Events go by a client of their own: those of many pods wait for each other, and what the loop asks for waits for none of them.
func TestEventsHaveABudgetOfTheirOwn(t *testing.T) {
	var mu sync.Mutex
	took := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		took[r.UserAgent()+" "+r.Method]++
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"kind":"Event","apiVersion":"events.k8s.io/v1"}`)
	}))
	defer server.Close()
	client := func(name string) kubernetes.Interface {
		kube, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL, UserAgent: name, QPS: 1000, Burst: 1000})
		if err != nil {
			t.Fatal(err)
		}
		return kube
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l := &Loop{kube: client("usual"), options: Options{Events: client("events")}}
	stop, err := l.startEvents(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for i := range 30 {
		l.eventf(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprint("web-", i)}}, waitsForNode, "Waiting", "it waits")
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		mu.Lock()
		events, usual := took["events POST"], took["usual POST"]
		mu.Unlock()
		if usual > 0 {
			t.Fatalf("%d Events took of the loop's own budget", usual)
		}
		if events == 30 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d of 30 Events arrived", events)
		}
	}
}
