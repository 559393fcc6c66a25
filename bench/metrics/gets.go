package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"k8s.io/client-go/rest"

	"swell/bench/measure"
	"swell/bench/testbed/stack"
)

// hpaUser is who the HPA controller is to the API server, whose built-in role may read both metrics APIs.
const hpaUser = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"

// asker GETs one metric of many consumers from one server.
type asker struct {
	client *http.Client
	urls   []string
}

// newAsker asks a server as a user, for each of so many HPAs its own question.
func newAsker(base string, c *rest.Config, hpas int, selector func(i int) string) (*asker, error) {
	c = rest.CopyConfig(c)
	c.Host = base
	h, err := rest.HTTPClientFor(c)
	if err != nil {
		return nil, fmt.Errorf("make a client of %s: %w", base, err)
	}
	a := &asker{client: h}
	for i := range hpas {
		a.urls = append(a.urls, base+"/apis/"+external+"/namespaces/"+namespace+"/kafka_consumergroup_lag?labelSelector="+url.QueryEscape(selector(i)))
	}
	return a, nil
}

// get asks one question.
func (a *asker) get(ctx context.Context, i int) (time.Duration, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.urls[i%len(a.urls)], nil)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	response, err := a.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	took := time.Since(began)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %s", request.URL, response.Status, body)
	}
	return took, err
}

// latencies are those of a run, or the first error.
type latencies struct {
	mu    sync.Mutex
	took  []time.Duration
	err   error
	spent time.Duration
}

func (l *latencies) note(took time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		if l.err == nil {
			l.err = err
		}
		return
	}
	l.took = append(l.took, took)
}

// spread asks each question once in every period, evenly spread and whether or not the one before was answered, as HPAs do
// that know nothing of each other. The first round is not counted: who may ask was just looked up for warming.
func (a *asker) spread(ctx context.Context, every time.Duration, rounds int) *latencies {
	l, began := &latencies{}, time.Now()
	var wg sync.WaitGroup
	n := len(a.urls)
	for i := range n * (rounds + 1) {
		time.Sleep(time.Until(began.Add(time.Duration(i) * every / time.Duration(n))))
		wg.Go(func() {
			if took, err := a.get(ctx, i); i >= n || err != nil {
				l.note(took, err)
			}
		})
	}
	wg.Wait()
	l.spent = time.Since(began) - every
	return l
}

// workers ask without a pause in a closed loop.
const workers = 8

// closed asks as fast as the answers come.
func (a *asker) closed(ctx context.Context, limit time.Duration) *latencies {
	l, began := &latencies{}, time.Now()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; time.Since(began) < limit && ctx.Err() == nil; i += workers {
				l.note(a.get(ctx, i))
			}
		})
	}
	wg.Wait()
	l.spent = time.Since(began)
	return l
}

// way is a server that is asked by somebody.
type way struct {
	base string
	user string
	// groups the user is in.
	groups []string
	// prefix and unit of its figures.
	prefix, unit string
	per          time.Duration
}

// measureGets asks straight and through the aggregator, for QueueConsumers and for selectors without one.
func (b *bench) measureGets(ctx context.Context, srv *server, s size) error {
	straight := way{srv.secure, hpaUser, nil, "get", "us", time.Microsecond}
	aggregated := way{srv.cluster.URL(), hpaUser, nil, "aggregated_get", "ms", time.Millisecond}
	// Nobody asks the API server what an administrator may do: what is left is swell-metrics' own time.
	administrator := straight
	administrator.user, administrator.groups = "admin", []string{"system:masters"}
	for _, asks := range []struct {
		name     string
		selector func(i int) string
		ways     []way
	}{
		{"consumer", func(i int) string { return "consumer=" + groupName(i) }, []way{administrator, straight, aggregated}},
		{"cluster,group", func(i int) string { return "cluster=main,group=" + groupName(i) }, []way{straight, aggregated}},
	} {
		for _, w := range asks.ways {
			l := b.sized(s).with("selects", asks.name, "user", w.user)
			if err := b.measureWay(ctx, srv, w, min(b.hpas, s.groups), asks.selector, l); err != nil {
				return fmt.Errorf("as %s, selecting %s: %w", w.user, asks.name, err)
			}
		}
	}
	return nil
}

// measureWay asks for so many HPAs at their pace, then as fast as the answers come.
func (b *bench) measureWay(ctx context.Context, srv *server, w way, hpas int, selector func(i int) string, l labels) error {
	config, err := srv.cluster.Config(w.user, w.groups...)
	if err != nil {
		return err
	}
	a, err := newAsker(w.base, config, hpas, selector)
	if err != nil {
		return err
	}
	defer a.client.CloseIdleConnections()
	if err := a.warm(ctx); err != nil {
		return err
	}
	b.say("%s: %d HPAs select %s, as %s", w.prefix, hpas, l["selects"], w.user)
	l = l.with("hpas", hpas)
	if err := b.getFigures(w, a.spread(ctx, b.syncEvery, b.rounds), l.with("loop", "each every "+b.syncEvery.String())); err != nil {
		return err
	}
	return b.getFigures(w, a.closed(ctx, b.closedFor), l.with("loop", fmt.Sprintf("closed, %d at a time", workers)))
}

// warm asks until everything is answered: what was never asked for is polled first.
func (a *asker) warm(ctx context.Context) error {
	return stack.Poll(ctx, "waiting for all answers", time.Minute, func(ctx context.Context) (bool, error) {
		var first error
		for i := range a.urls {
			if _, err := a.get(ctx, i); err != nil && first == nil {
				first = err
			}
		}
		return first == nil, first
	})
}

// getFigures writes the latencies of one run; a GET that failed fails the run.
func (b *bench) getFigures(w way, l *latencies, of labels) error {
	if l.err != nil {
		return l.err
	}
	values := make([]float64, len(l.took))
	for i, took := range l.took {
		values[i] = float64(took) / float64(w.per)
	}
	half, most := measure.Quantile(values, 0.5), measure.Quantile(values, 0.99)
	if half == nil {
		return fmt.Errorf("nothing was asked")
	}
	of = of.with("gets", len(values))
	b.add(w.prefix+"_p50_"+w.unit, w.unit, *half, of)
	b.add(w.prefix+"_p99_"+w.unit, w.unit, *most, of)
	rate := float64(len(values)) / l.spent.Seconds()
	b.add(w.prefix+"_per_s", "GETs/s", rate, of)
	b.say("  %s: p50 %.2f %s, p99 %.2f %s, %.0f a second, %d GETs", of["loop"], *half, w.unit, *most, w.unit, rate, len(values))
	return nil
}
