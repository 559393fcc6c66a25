package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/bench/measure"
	"swell/bench/testbed/process"
	"swell/bench/testbed/stack"
)

// parts are how many are killed, and leastChaos is the machine's time that this takes.
const (
	parts      = 4
	leastChaos = 5 * time.Minute
)

// down is how long a killed part stays down, in the machine's time.
const down = 20 * time.Second

// fault is one part that is killed, and how it is seen to work again.
type fault struct {
	target string
	kill   func()
	start  func(context.Context) error
	works  func(ctx context.Context, since time.Time) (bool, error)
}

// chaos kills one part after the other, evenly over the hour, and measures how long each takes to do its work again.
func (g *game) chaos(ctx context.Context) error {
	faults := g.targets()
	for i, f := range faults {
		at := g.clock.RealTime(g.scenario.from.Add(g.scenario.length * time.Duration(i*2+1) / time.Duration(len(faults)*2+1)))
		if !wait(ctx, time.Until(at)) {
			return nil
		}
		record := measure.Fault{Target: f.target, KilledAt: g.clock.Now().Format(time.RFC3339)}
		killed := time.Now()
		f.kill()
		g.say("killed " + f.target)
		g.faults = append(g.faults, record)
		last := &g.faults[len(g.faults)-1]
		if !wait(ctx, down) {
			return nil
		}
		started := time.Now()
		if err := f.start(ctx); err != nil {
			return fmt.Errorf("starting %s again: %w", f.target, err)
		}
		last.Down = started.Sub(killed).Seconds()
		if err := stack.Poll(ctx, "waiting for "+f.target, time.Minute, func(ctx context.Context) (bool, error) { return f.works(ctx, started) }); err != nil {
			g.say(err.Error())
		} else {
			took := time.Since(started).Seconds()
			last.Recovered = &took
			g.say(fmt.Sprintf("%s does its work again %.1f s after it was started", f.target, took))
		}
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func (g *game) targets() []fault {
	restart := func(p *process.Process) func(context.Context) error {
		return func(context.Context) error { return p.Restart() }
	}
	kill := func(p *process.Process) func() {
		return func() { p.Kill() }
	}
	st := g.stack
	return []fault{
		{"swell-scaler", kill(st.Scaler), restart(st.Scaler), g.leads},
		{"swell-metrics", kill(st.Metrics), restart(st.Metrics), g.servesLag},
		{"aws", kill(st.AWS), restart(st.AWS), g.awsAnswers},
		{"kafka", st.Kafka.Kill, st.Kafka.Start, g.servesLag},
	}
}

// leads says that the scaler's Lease was renewed since.
func (g *game) leads(ctx context.Context, since time.Time) (bool, error) {
	lease, err := g.stack.Kube.CoordinationV1().Leases("swell-system").Get(ctx, "swell-scaler", metav1.GetOptions{})
	if err != nil {
		return false, err
	}
	return lease.Spec.AcquireTime != nil && lease.Spec.AcquireTime.After(since), nil
}

// servesLag says that the API server gives a lag that was sampled since.
func (g *game) servesLag(ctx context.Context, since time.Time) (bool, error) {
	raw, err := g.stack.Kube.Discovery().RESTClient().Get().
		AbsPath("/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/kafka_consumergroup_lag").
		Param("labelSelector", "consumer=orders").DoRaw(ctx)
	if err != nil {
		return false, err
	}
	var list struct {
		Items []struct {
			Timestamp metav1.Time `json:"timestamp"`
		} `json:"items"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return false, err
	}
	return len(list.Items) == 1 && list.Items[0].Timestamp.After(since), nil
}

// awsAnswers says that a call of the scaler's succeeded since.
func (g *game) awsAnswers(_ context.Context, since time.Time) (bool, error) {
	raw, err := os.ReadFile(filepath.Join(g.stack.AWSDir(), "calls.jsonl"))
	if err != nil {
		return false, err
	}
	lines := bytes.Split(bytes.TrimSpace(raw), []byte("\n"))
	var last measure.Call
	if err := json.Unmarshal(lines[len(lines)-1], &last); err != nil {
		return false, err
	}
	return last.Status == 200 && last.At.After(since), nil
}
