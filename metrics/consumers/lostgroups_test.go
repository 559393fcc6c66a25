package consumers

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"swell/metrics/lag"
	"swell/metrics/store"
)

func TestAGroupThatBecomesUnknownIsLoggedOnce(t *testing.T) {
	c, st := newConsumers()
	var log bytes.Buffer
	c.opts.Log = slog.New(slog.NewTextHandler(&log, nil))
	for _, namespace := range []string{"shop", "store"} {
		_, _ = c.Ask(Question{Cluster: "main", Group: "orders", Topics: "orders", Namespace: namespace})
	}
	for i, step := range []struct {
		ago           int
		problem, says string
	}{
		{40, "broker 2 (b:9092): EOF", "level=WARN"}, {39, "broker 2 (b:9092): EOF again", ""}, {2, "", "level=INFO"}, {1, "", ""},
	} {
		log.Reset()
		at := time.Now().Add(-time.Duration(step.ago) * time.Second)
		r := lag.Reading{Topic: "orders", At: at, Commit: 0, End: 60, Stable: 60, Problem: step.problem}
		st.Record(store.Key{Cluster: "main", Group: "orders"}, store.Poll{At: at, Readings: []lag.Reading{r}})
		c.Evaluate("main")
		got := log.String()
		if strings.Count(got, "\n") != min(1, len(step.says)) || !strings.Contains(got, step.says) || step.says != "" && !strings.Contains(got, "count=1 groups=[orders/orders]") {
			t.Errorf("poll %d: %q, want one line with %q", i, got, step.says)
		}
	}
	c.Evaluate("other")
	if log.Len() > 0 {
		t.Errorf("another cluster's poll: %q", log.String())
	}
}
