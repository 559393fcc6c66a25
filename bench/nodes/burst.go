package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// patience is how long a burst is waited for.
const patience = 5 * time.Minute

// met is how one peer met one burst.
type met struct {
	seconds, hourly float64
	nodes           int
}

// burst has all pods wait at once for nodes that do not exist, on a new control plane for every run, the peers taking turns at
// being first.
func (b *bench) burst(ctx context.Context) error {
	results := map[string][]met{}
	for i := range b.repeats {
		order := []string{swell, karpenter}
		if i%2 == 1 {
			slices.Reverse(order)
		}
		for _, peer := range order {
			m, err := b.meet(ctx, peer, i)
			if err != nil {
				return fmt.Errorf("%s: %w", peer, err)
			}
			results[peer] = append(results[peer], m)
			b.say("%d of %d, %s: all run after %.1f s, on %d nodes of %.3f an hour", i+1, b.repeats, peer, m.seconds, m.nodes, m.hourly)
		}
	}
	labels := func(peer string) map[string]string {
		l := map[string]string{"pods": strconv.Itoa(b.pods), "classes": strconv.Itoa(len(workloads)), "boot_s": fmt.Sprint(b.boot.Seconds()), "repeats": strconv.Itoa(b.repeats)}
		if peer != swell {
			l["peer"] = peer
		}
		return l
	}
	var errs []error
	for _, peer := range []string{swell, karpenter} {
		all := results[peer]
		errs = append(errs,
			b.add("all_running_s", "s", median(all, func(m met) float64 { return m.seconds }), labels(peer)),
			b.add("nodes", "nodes", median(all, func(m met) float64 { return float64(m.nodes) }), labels(peer)),
			b.add("cost_per_hour", "currency/h", median(all, func(m met) float64 { return m.hourly }), labels(peer)))
	}
	of := func(of func(met) float64) float64 { return median(results[swell], of) / median(results[karpenter], of) }
	errs = append(errs,
		b.add("all_running_ratio", "of karpenter's", of(func(m met) float64 { return m.seconds }), labels(swell)),
		b.add("cost_per_hour_ratio", "of karpenter's", of(func(m met) float64 { return m.hourly }), labels(swell)))
	return errors.Join(errs...)
}

func (b *bench) meet(ctx context.Context, peer string, turn int) (m met, err error) {
	s, err := b.open(ctx, peer, b.boot, 10*time.Minute)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, b.close(s, fmt.Sprintf("burst-%d", turn))) }()
	if err := s.makeWorkloads(ctx); err != nil {
		return m, err
	}
	if err := sleep(ctx, 5*time.Second); err != nil { // both have read everything by then
		return m, err
	}
	began := time.Now()
	want, err := s.scale(ctx, b.pods)
	if err != nil {
		return m, err
	}
	last, err := s.pods.wait(ctx, want, patience)
	if err != nil {
		return m, err
	}
	m.seconds = last.Sub(began).Seconds()
	m.nodes, m.hourly = s.nodes.standing()
	return m, nil
}

func median[T any](all []T, of func(T) float64) float64 {
	var values []float64
	for _, x := range all {
		values = append(values, of(x))
	}
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
