package main

import (
	"context"
	"fmt"
	"time"

	"swell/bench/testbed/process"
	"swell/bench/testbed/stack"
)

const (
	// kedaClient is the client id that KEDA's Kafka library gives itself.
	kedaClient = "sarama"
	peerKEDA   = "keda"
	// pollsPerMinute is swell's own pace, every 5 s.
	pollsPerMinute = 12
	// kedaPerMinute is KEDA's own: its polling interval of 30 s, and once more at each of the HPA's syncs of 15 s.
	kedaPerMinute = 60/30 + 60/15
	// fewerTimes is how many times fewer requests than KEDA's are promised at 200 groups and equal freshness.
	fewerTimes       = 100
	fewerTimesGroups = 200
)

// kedaSpent is what KEDA's process tells of a command.
type kedaSpent struct {
	WallMS float64 `json:"wallMS"`
	CPUMS  float64 `json:"cpuMS"`
	Lag    float64 `json:"lag"`
}

// kedaReport is what KEDA's scalers cost; the averages are of one evaluation of them all.
type kedaReport struct {
	Start, First Traffic
	Rest         Traffic
	Evaluations  int
	CPU, Wall    float64
	Heap         float64
	Memory       memory
}

// compare measures KEDA's scaler and swell's poller on the same brokers at several numbers of groups.
func (b *bench) compare(ctx context.Context, at *site) error {
	for _, groups := range b.kedaGroups {
		s := size{min(groups, at.size.groups), at.size.partitions}
		own, ok := b.lag[s]
		if !ok {
			var err error
			if own, err = b.pollFor(ctx, at, s, asksLag, 0); err != nil {
				return err
			}
		}
		for _, full := range []bool{true, false} {
			b.say("KEDA: %d evaluations of %s, fullMetadata %t", b.evaluations+1, s, full)
			peer, err := b.evaluate(ctx, at.broker, s, full)
			if err != nil {
				return fmt.Errorf("measure KEDA: %w", err)
			}
			b.beside(s, full, own, peer)
		}
	}
	return nil
}

// beside writes KEDA's figures and those that compare.
func (b *bench) beside(s size, full bool, own pollerReport, peer kedaReport) {
	l := b.sized(s).with("peer", peerKEDA, "fullMetadata", full)
	perEvaluation := float64(peer.Rest.Requests) / float64(peer.Evaluations)
	b.add("requests_per_poll", "requests", perEvaluation, l.with("polls", peer.Evaluations))
	b.add("first_poll_requests", "requests", float64(peer.Start.Requests+peer.First.Requests), l)
	b.add("poll_bytes", "B", float64(peer.Rest.bytes())/float64(peer.Evaluations), l)
	b.add("poll_cpu_ms", "ms", peer.CPU, l)
	b.add("poll_wall_ms", "ms", peer.Wall, l)
	b.add("heap_mib", "MiB", peer.Heap, l)
	b.add("rss_mib", "MiB", peer.Memory.RSS, l)
	ownMinute := own.requests() * pollsPerMinute
	if full {
		b.add("requests_per_minute", "requests/min", ownMinute, b.sized(s).with("freshness", "5s"))
	}
	b.say("  %.0f requests an evaluation (%s), to start with %d", perEvaluation, kinds(peer.Rest), peer.Start.Requests+peer.First.Requests)
	for _, pace := range []struct {
		freshness string
		perMinute float64
	}{{"5s", pollsPerMinute}, {"its defaults", kedaPerMinute}} {
		minute := perEvaluation * pace.perMinute
		b.add("requests_per_minute", "requests/min", minute, l.with("freshness", pace.freshness))
		b.add("requests_ratio", "x", minute/ownMinute, l.with("freshness", pace.freshness))
		b.say("  freshness %s: %.0f requests a minute, %.2f x swell's %.0f", pace.freshness, minute, minute/ownMinute, ownMinute)
	}
	b.add("cpu_ratio", "x", peer.CPU/own.CPU, l)
	b.add("heap_ratio", "x", peer.Heap/own.Heap, l)
	b.say("  CPU a poll %.2f ms, %.2f x swell's %.2f; live heap %.1f MiB, %.2f x swell's %.1f", peer.CPU, peer.CPU/own.CPU, own.CPU, peer.Heap, peer.Heap/own.Heap, own.Heap)
	if s.groups == fewerTimesGroups && full {
		b.atLeast("requests_ratio at equal freshness", perEvaluation/own.requests(), fewerTimes)
	}
}

// evaluate runs KEDA's scalers in a process of their own.
func (b *bench) evaluate(ctx context.Context, kafka *broker, s size, full bool) (r kedaReport, err error) {
	port, err := process.FreePorts(1)
	if err != nil {
		return r, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	p, err := process.Start(ctx, process.Spec{Name: peerKEDA, Path: b.keda, Log: b.log(fmt.Sprintf("keda-%d-%t", s.groups, full)),
		Args: []string{"--listen", address, "--brokers", kafka.addresses[0], fmt.Sprintf("--full-metadata=%t", full)}})
	if err != nil {
		return r, err
	}
	defer p.Stop()
	url := "http://" + address
	err = stack.Poll(ctx, "waiting for KEDA's scalers", startTimeout, func(ctx context.Context) (bool, error) {
		_, err := do(ctx, "GET", url+"/healthz")
		return err == nil, ended(p, err)
	})
	if err != nil {
		return r, err
	}
	if err := b.drive(ctx, kafka, url, s.groups, &r); err != nil {
		return r, err
	}
	r.Memory, err = memoryOf(p.PID())
	return r, err
}

// drive makes the scalers, evaluates them once, then as often as is averaged, with a look at the brokers in between.
func (b *bench) drive(ctx context.Context, kafka *broker, url string, groups int, r *kedaReport) error {
	var before, after float64
	if err := getJSON(ctx, url+"/heap", &before); err != nil {
		return err
	}
	look := func(into *Traffic, work func() error) error {
		base, err := kafka.of(ctx, kedaClient)
		if err != nil {
			return err
		}
		if err := work(); err != nil {
			return err
		}
		last, err := kafka.of(ctx, kedaClient)
		*into = last.since(base)
		return err
	}
	command := func(path string, spent *kedaSpent) func() error {
		return func() error { return postJSON(ctx, url+path, spent) }
	}
	var spent kedaSpent
	if err := look(&r.Start, command(fmt.Sprintf("/start?groups=%d", groups), &spent)); err != nil {
		return err
	}
	if err := look(&r.First, command("/evaluate", &spent)); err != nil {
		return err
	}
	r.Evaluations = b.evaluations
	err := look(&r.Rest, func() error {
		for range b.evaluations {
			if err := command("/evaluate", &spent)(); err != nil {
				return err
			}
			if spent.Lag == 0 {
				return fmt.Errorf("KEDA's scalers say that nothing is behind, although some groups are")
			}
			r.CPU += spent.CPUMS / float64(b.evaluations)
			r.Wall += spent.WallMS / float64(b.evaluations)
			time.Sleep(100 * time.Millisecond) // the load moves on
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := getJSON(ctx, url+"/heap", &after); err != nil {
		return err
	}
	r.Heap = (after - before) / (1 << 20)
	return nil
}
