package kafka

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"swell/api/config"
	"swell/metrics/kafka/auth"
	"swell/metrics/store"
)

// problems keeps why a group was not read.
type problems struct {
	sinkhole
	last string
}

func (p *problems) Fail(_ store.Key, _ time.Time, problem string) { p.last = problem }

func TestPollSaysOfWhichKindAPortIs(t *testing.T) {
	plain, login := newBench(t, kfake.SeedTopics(1, "orders")), newBench(t, kfake.SeedTopics(1, "orders"), kfake.EnableSASL())
	for name, tc := range map[string]struct {
		at   *bench
		tls  *config.KafkaTLS
		want []string
	}{
		"TLS":      {plain, &config.KafkaTLS{}, []string{"it answers without TLS", "remove clusters[name=main].tls"}},
		"no login": {login, nil, []string{"its port wants a login, by PLAIN", "give clusters[name=main].sasl"}},
	} {
		t.Run(name, func(t *testing.T) {
			k := tc.at.cluster
			k.TLS, k.RequestTimeout.Duration = tc.tls, 3*time.Second
			identity, err := auth.New(k, nil)
			if err != nil {
				t.Fatal(err)
			}
			sink := &problems{}
			p, err := NewPoller(Options{Cluster: k, Sink: sink, Log: slog.New(slog.DiscardHandler), ClientOpts: identity.Options(), Explain: identity.Explain,
				Wanted: func(string) []Want { return []Want{{Group: "g", Topics: Topics{names: []string{"orders"}}}} }})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			err = p.Poll(t.Context())
			for _, want := range tc.want {
				if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(sink.last, want) {
					t.Errorf("%v, and the group %q, want %q", err, sink.last, want)
				}
			}
		})
	}
}
