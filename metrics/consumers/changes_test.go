package consumers

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"swell/api/v1alpha1"
	"swell/metrics/lag"
	"swell/metrics/store"
)

func TestWhatBecomesUnknownIsLoggedOnce(t *testing.T) {
	var all []v1alpha1.QueueConsumer
	for _, letter := range strings.Split("abcdefghijklmno", "") {
		all = append(all, consumer("orders-"+letter, "main"))
	}
	c, st := newConsumers(all...)
	var log bytes.Buffer
	c.opts.Log = slog.New(slog.NewTextHandler(&log, nil))
	poll := func(ago time.Duration, problem string) string {
		log.Reset()
		at := time.Now().Add(-ago)
		for _, q := range all {
			r := lag.Reading{Topic: "orders", At: at, Commit: 0, End: 60, Stable: 60, Problem: problem}
			st.Record(store.Key{Cluster: "main", Group: q.Name}, store.Poll{At: at, Readings: []lag.Reading{r}})
		}
		c.Evaluate("main")
		return log.String()
	}
	lines := func(step, got string, want ...string) {
		t.Helper()
		if strings.Count(got, "\n") != min(len(want), 1) {
			t.Errorf("%s: %q", step, got)
		}
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%s: %q lacks %q", step, got, w)
			}
		}
	}
	c.Evaluate("main")
	lines("before the first poll", log.String())
	lines("a first poll that fails", poll(40*time.Second, "broker 2 (b:9092): EOF"), "level=WARN", "count=15", "shop/orders-a", "shop/orders-j", "broker 2 (b:9092): EOF")
	lines("again", poll(39*time.Second, "broker 2 (b:9092): EOF again"))
	lines("rates are not known yet", poll(9*time.Second, "")+poll(8*time.Second, ""))
	lines("known", poll(7*time.Second, ""), "level=INFO", "count=15", "shop/orders-a")
	if r, _ := c.Get(named("orders-a")); r.Problem != "" {
		t.Fatal(r.Problem)
	}
	lines("the same", poll(6*time.Second, ""))
	c.opts.Store.Keep("main", func(string) bool { return false })
	lines("forgotten", poll(5*time.Second, "broker 2 (b:9092): EOF"), "level=WARN", "count=15")
}
