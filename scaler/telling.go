package scaler

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"swell/api/config"
	"swell/api/version"
	"swell/scaler/ledger"
	"swell/scaler/notify"
	"swell/scaler/observe"
	"swell/scaler/plan"
	"swell/scaler/webhook"
)

const (
	// toldName is the ConfigMap with what was told, so that a successor does not tell it again.
	toldName = "swell-scaler-told"
	toldKey  = "told"
	// mostHeard bounds the ledger's entries that wait for the next plan.
	mostHeard = 2000
)

var (
	noticesTold = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "swell_notices_total",
		Help: "Messages to the webhook, by what became of them: sent, retried (calls), refused or dropped; event, those to the API server; and unheard, what was done and told nobody, as too much was done between two plans."}, []string{"outcome"})
	registerNotices = sync.OnceFunc(func() {
		metrics.Registry.MustRegister(noticesTold)
		for _, outcome := range []string{"sent", "retried", "refused", "dropped", "event", "unheard"} {
			noticesTold.WithLabelValues(outcome)
		}
	})
)

// telling is what people are told, through Events and the webhook.
type telling struct {
	teller *notify.Teller
	sender *webhook.Sender // nil without a webhook
	// unkept says that more was told than is kept, saving that it is being written.
	unkept, saving bool
	known          map[string]int64 // generations of policies, by kind and name
	// reasons of what is being done, by action and token or object: an outcome does not repeat its intent's.
	reasons map[string]string

	mu    sync.Mutex
	heard []ledger.Entry
	// unheard counts by action what was too much.
	unheard map[string]int
}

func newTelling(c config.Scaler, l *Loop) *telling {
	registerNotices()
	severity, _ := notify.ParseSeverity(c.Notify.MinSeverity) // was validated
	t := &telling{teller: notify.New(notify.Options{MinSeverity: severity, Every: c.Notify.Every.Duration}), known: map[string]int64{}, reasons: map[string]string{}}
	if c.Notify.WebhookFile != "" || c.Notify.WebhookEnv != "" {
		t.sender = webhook.New(webhook.Options{
			Address: func() (string, error) { return webhookAddress(c.Notify) },
			Render:  func(m notify.Message) ([]byte, error) { return m.Slack(c.ClusterName, c.Notify.PageURL) },
			Count: func(outcome string) {
				noticesTold.WithLabelValues(outcome).Inc()
				if outcome != "retried" {
					l.Kick() // what was told may be kept
				}
			},
			Log: l.options.Log, Agent: version.Get().Agent("swell-scaler"),
		})
	}
	return t
}

func webhookAddress(n config.Notify) (string, error) {
	if n.WebhookEnv != "" {
		address := os.Getenv(n.WebhookEnv)
		if address == "" {
			return "", fmt.Errorf("the environment variable %s that notify.webhookEnv names is empty; set it from a Secret", n.WebhookEnv)
		}
		return address, nil
	}
	raw, err := os.ReadFile(n.WebhookFile)
	if err != nil {
		return "", fmt.Errorf("%w; mount the Secret where notify.webhookFile says", err)
	}
	return string(raw), nil
}

// hear takes an entry of the ledger, for the next plan. It may be called beside the loop. What nobody is told of takes no place.
func (t *telling) hear(e ledger.Entry) {
	if !tellable(e) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.heard) < mostHeard {
		t.heard = append(t.heard, e)
		return
	}
	if t.unheard == nil {
		t.unheard = map[string]int{}
	}
	t.unheard[e.Action]++
	noticesTold.WithLabelValues("unheard").Inc()
}

// takeHeard gives what was heard, and how much was not, by action.
func (t *telling) takeHeard() (heard []ledger.Entry, unheard map[string]int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	heard, unheard = t.heard, t.unheard
	t.heard, t.unheard = nil, nil
	return heard, unheard
}

// startTelling takes over what a predecessor told, and delivers beside the loop.
func (l *Loop) startTelling(ctx context.Context, now time.Time) {
	if l.telling.sender == nil {
		return
	}
	go l.telling.sender.Run(ctx)
	data, err := l.toldMap().load(ctx)
	var told []notify.Open
	if raw := data[toldKey]; err == nil && raw != "" {
		err = json.Unmarshal([]byte(raw), &told)
	}
	if err != nil {
		l.options.Log.Warn("reading what was told; it may be told again", "error", err)
		return
	}
	l.telling.teller.Restore(now, told)
}

func (l *Loop) toldMap() kept {
	return kept{kube: l.kube, namespace: l.namespace(), name: toldName}
}

// problems are what keeps people from being told.
func (t *telling) problems() []plan.Problem {
	if t.sender == nil || t.sender.Problem() == "" {
		return nil
	}
	what, mend, _ := strings.Cut(t.sender.Problem(), "; ")
	return []plan.Problem{{Object: "webhook", What: what, Mend: cmp.Or(mend, "it is tried again with the next message")}}
}

// standing are the problems of what runs beside plans.
func (l *Loop) standing() []plan.Problem { return append(l.telling.problems(), l.rails.problems...) }

// tellPeople tells of a plan's problems and of what was done since the last.
func (l *Loop) tellPeople(ctx context.Context, now time.Time, world *observe.World, p plan.Plan) {
	t := l.telling
	about := newAbout(world)
	for _, f := range t.teller.See(now, problemFacts(p)) {
		l.event(about, f, "Problem", "Planning")
	}
	heard, unheard := t.takeHeard()
	if len(unheard) > 0 {
		l.options.Log.Warn("more was done between two plans than people are told of; the ledger has it all", "told", len(heard), "not told", unheard)
	}
	for _, n := range unheard {
		t.teller.Missed(n)
	}
	for _, e := range heard {
		f, reason, worth := t.factOf(e, about)
		if !worth {
			continue
		}
		t.teller.Happened(now, f)
		if reason != "" {
			l.event(about, f, reason, "Deciding")
		}
	}
	if t.sender == nil {
		return
	}
	if m, due := t.teller.Due(now); due {
		t.sender.Put(m)
		t.unkept = true
	}
	if t.unkept && !t.saving && t.sender.Idle() {
		l.keepTold(ctx)
	}
}

// keepTold writes what was told beside the loop, once it was delivered: a successor tells twice sooner than never.
func (l *Loop) keepTold(ctx context.Context) {
	raw, err := json.Marshal(l.telling.teller.Told())
	if err != nil {
		l.options.Log.Error("keeping what was told", "error", err)
		return
	}
	l.telling.saving, l.telling.unkept = true, false
	l.background(ctx, l.jobs.loads, func(ctx context.Context) func() {
		err := l.toldMap().save(ctx, map[string]string{toldKey: string(raw)})
		return func() {
			l.telling.saving = false
			if err != nil {
				l.telling.unkept = true
				l.options.Log.Warn("keeping what was told; it is tried again", "error", err)
			}
		}
	})
}
