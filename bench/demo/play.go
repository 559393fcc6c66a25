package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/labels"

	"swell/api/config"
	"swell/bench/measure"
	"swell/bench/testbed/load"
	"swell/bench/testbed/process"
	"swell/bench/testbed/stack"
)

// game is one hour played under one policy.
type game struct {
	options  options
	scenario scenario
	policy   string
	stack    *stack.Stack
	clock    config.Clock
	began    time.Time

	rate      load.Curve // messages a model second
	pods      *load.PodWatch
	player    *load.Player
	consumers *load.Consumers
	web       *load.Web
	metrics   *load.ResourceMetrics
	points    []measure.LoadPoint
	faults    []measure.Fault
}

// play boots a testbed of its own, plays the hour and measures it. The logs stay in out/<policy>.
func play(ctx context.Context, o options, s scenario, policy string) (r measure.Run, line measure.Timeline, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g := &game{options: o, scenario: s, policy: policy, began: time.Now()}
	logs := filepath.Join(o.out, policy)
	if err := os.RemoveAll(logs); err != nil {
		return r, line, err
	}
	g.say("booting control plane, Kafka and AWS; logs go to " + logs)
	g.stack, err = stack.Start(ctx, stack.Options{
		Speed: o.speed, Fleet: s.fleet(), Topics: map[string]int{"orders": partitions}, Seed: uint64(o.seed),
		PodStart: 10 * time.Second, SaveLogs: logs, RealKafka: o.real,
	})
	if err != nil {
		return r, line, err
	}
	defer func() {
		err = errors.Join(err, g.stack.SaveLogs(logs), g.stack.Stop())
	}()
	if err := g.prepare(ctx); err != nil {
		return r, line, err
	}
	if err := g.hour(ctx); err != nil {
		return r, line, err
	}
	return g.measure(ctx)
}

func (g *game) say(what string) {
	fmt.Printf("%s  %-8s %s\n", time.Now().Format(time.TimeOnly), g.policy, what)
}

// prepare starts the workloads at the load of the beginning, then the load, then swell.
func (g *game) prepare(ctx context.Context) error {
	s, st := g.scenario, g.stack
	mode := "Enforce"
	if g.policy == "reactive" {
		mode = "Observe"
	}
	manifest, err := s.manifest(g.options.speed, mode)
	if err != nil {
		return err
	}
	if err := st.Apply(ctx, "the workloads", manifest); err != nil {
		return err
	}
	g.pods = load.WatchPods(st.Kube, "shop")
	if err := g.pods.Start(ctx); err != nil {
		return err
	}
	web, orders := s.start()
	g.say(fmt.Sprintf("starting %d web pods and %d consumers", web, orders))
	err = stack.Poll(ctx, "waiting for the first pods", time.Minute, func(context.Context) (bool, error) {
		n := len(g.pods.Ready(labels.Everything()))
		return n >= web+orders, fmt.Errorf("%d of %d are ready", n, web+orders)
	})
	if err != nil {
		return err
	}
	g.clock = config.Clock{Speed: g.options.speed, Real: time.Now(), Model: s.begin()}
	st.Clock = g.clock
	if err := g.makeLoad(ctx); err != nil {
		return err
	}
	return g.startSwell(ctx)
}

// makeLoad prepares producers, consumers and the web model.
func (g *game) makeLoad(ctx context.Context) (err error) {
	s, brokers := g.scenario, []string{g.stack.Kafka.Bootstrap}
	g.rate, err = s.curve(s.ordScale * perPodRate * planned)
	if err != nil {
		return err
	}
	demand, err := s.curve(s.webScale * webTarget)
	if err != nil {
		return err
	}
	book := load.NewLedger(partitions)
	g.player, err = load.NewPlayer(load.PlayerOptions{
		Brokers: brokers, Rate: g.rate, Clock: g.clock, Seed: uint64(g.options.seed), Tick: 200 * time.Millisecond,
	}, book)
	if err != nil {
		return err
	}
	if err := g.player.Prepare(ctx); err != nil {
		return err
	}
	g.consumers, err = load.NewConsumers(load.ConsumerOptions{
		Brokers: brokers, Selector: labels.SelectorFromSet(labels.Set{"app": "orders"}), PerPodRate: perPodRate, Clock: g.clock,
	}, book, g.pods)
	if err != nil {
		return err
	}
	g.web, err = load.NewWeb(load.WebOptions{
		Demand: demand, Selector: labels.SelectorFromSet(labels.Set{"app": "web"}), Target: webTarget, Burst: 2,
		Seed: uint64(g.options.seed), Clock: g.clock,
	}, g.pods)
	if err != nil {
		return err
	}
	g.metrics, err = load.NewResourceMetrics(load.ResourceMetricsOptions{Pods: g.pods, Use: g.web.Use, Default: webTarget, ServerNames: []string{g.stack.APIServiceHost("metrics.k8s.io/v1beta1")}})
	return err
}

func (g *game) startSwell(ctx context.Context) error {
	s, st := g.scenario, g.stack
	files, err := s.writeHistory(st.Dir())
	if err != nil {
		return err
	}
	g.say("starting swell-scaler and swell-metrics")
	if err := st.StartMetrics(ctx, stack.MetricsOptions{}); err != nil {
		return err
	}
	return st.StartScaler(ctx, stack.ScalerOptions{
		Files: files, TimeZone: s.timeZone, Region: region,
		Prices: map[string]config.Price{instanceType: {OnDemand: onDemandPrice, Spot: spotPrice}},
	})
}

// hour plays from now to the end of the window, all parts at once.
func (g *game) hour(ctx context.Context) error {
	if left := g.scenario.from.Sub(g.clock.Now()); left < leastWarmUp {
		return fmt.Errorf("starting swell took too long: %s of the warm-up are left, and it takes %s; use a less busy machine or a smaller --speed", left.Round(time.Second), leastWarmUp)
	}
	end := g.clock.RealTime(g.scenario.from.Add(g.scenario.length))
	g.say(fmt.Sprintf("playing %s from %s at %g times life; until %s", g.scenario.name, g.scenario.from.Format("2006-01-02 15:04"), g.options.speed, end.Format(time.TimeOnly)))
	playing, stop := context.WithDeadline(ctx, end)
	defer stop()
	all, during := errgroup.WithContext(playing)
	for _, part := range []func(context.Context) error{g.player.Run, g.consumers.Run, g.web.Run, g.metrics.Run, g.show, g.watchParts} {
		all.Go(func() error { return ended(part(during), playing) })
	}
	all.Go(func() error {
		return ended(g.stack.Cluster.RegisterAPIService(during, "metrics.k8s.io/v1beta1", g.metrics.Addr().Port, g.metrics.CABundle()), playing)
	})
	if g.options.chaos {
		all.Go(func() error { return ended(g.chaos(during), playing) })
	}
	if err := all.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// ended takes the end of the hour for no error.
func ended(err error, playing context.Context) error {
	if playing.Err() != nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)) {
		return nil
	}
	return err
}

// watchParts fails the run when a part ends that nobody asked to: figures of such a run say nothing.
func (g *game) watchParts(ctx context.Context) error {
	parts := []*process.Process{g.stack.Scaler, g.stack.Metrics, g.stack.AWS, g.stack.Kafka.Process()}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case exit := <-g.stack.Cluster.Failures():
			return exit
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for _, p := range parts {
			select {
			case <-p.Done():
				if exit := p.Wait(); !exit.Asked {
					return exit
				}
			default:
			}
		}
	}
}

// measure reads the logs of the API server and of AWS.
func (g *game) measure(ctx context.Context) (measure.Run, measure.Timeline, error) {
	s := g.scenario
	if err := g.player.Verify(ctx); err != nil {
		return measure.Run{}, measure.Timeline{}, err
	}
	totals := g.consumers.TotalsBetween(g.clock.RealTime(s.from), g.clock.RealTime(s.from.Add(s.length)))
	g.player.Close()
	g.consumers.Close()
	lagMax := totals.LagMax.Seconds() * g.options.speed
	web, err := s.curve(s.webScale)
	if err != nil {
		return measure.Run{}, measure.Timeline{}, err
	}
	orders, err := s.curve(s.ordScale)
	if err != nil {
		return measure.Run{}, measure.Timeline{}, err
	}
	most := map[string]int{}
	for _, group := range s.fleet().Groups {
		most[group.Name] = group.Max
	}
	return measure.Measure(measure.Options{
		Policy:    g.policy,
		AuditLogs: []string{g.stack.Cluster.AuditLog()},
		Instances: filepath.Join(g.stack.AWSDir(), "instances.jsonl"),
		Calls:     filepath.Join(g.stack.AWSDir(), "calls.jsonl"),
		Clock:     g.clock,
		From:      g.clock.RealTime(s.from), To: g.clock.RealTime(s.from.Add(s.length)),
		Demand:      map[string]func(time.Time) float64{"web": web, "orders": orders},
		PodsPerNode: podsPerNode, GroupMax: most, Load: g.points,
		LateMessages: &totals.Late, MessagesProduced: &totals.Produced, MessagesLost: &totals.Lost, MessagesTwice: &totals.Duplicate,
		LagSecondsMax: &lagMax, Faults: g.faults,
	})
}
