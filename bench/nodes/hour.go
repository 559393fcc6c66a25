package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"swell/bench/measure"
)

const (
	// steps of the hour: a change of replicas every three minutes of it.
	steps = 20
	// quiet is what of the peak there is at the hour's ends.
	quiet = 0.2
	// scaleInAfter is swell's own default, in minutes of the hour.
	scaleInAfter = 10 * time.Minute
)

// level is the load at a step, a share of the peak: quiet, a steep rise, a plateau with a dip, and a slower fall.
func level(step int) float64 {
	at := float64(step) / steps
	switch {
	case at < 0.15:
		return quiet
	case at < 0.35:
		return quiet + (1-quiet)*(at-0.15+1.0/steps)/0.2
	case at < 0.6:
		return 1 - 0.15*math.Abs(math.Sin(20*at))
	case at < 0.85:
		return 1 - (1-quiet)*(at-0.6+1.0/steps)/0.25
	}
	return quiet
}

// spent is what an hour of load cost.
type spent struct {
	hours      map[string]float64
	cost       float64
	wait, slow float64 // quantiles of the pods' waits for a place, in seconds of the machine: 0.5 and 0.99
	pods       int
}

// hours plays the same hour, shortened, to both peers. Nothing but the load and swell's scaleIn.after, which it would otherwise
// never reach, is shortened: boots and all waits of both peers are of the machine's time.
func (b *bench) hours(ctx context.Context) error {
	var errs []error
	for _, peer := range []string{swell, karpenter} {
		b.say("%s: an hour in %s, up to %d pods", peer, b.hour, b.peak)
		r, err := b.play(ctx, peer)
		if err != nil {
			return fmt.Errorf("%s: %w", peer, err)
		}
		labels := func(more ...string) map[string]string {
			l := map[string]string{"pods": strconv.Itoa(b.peak), "hour_s": fmt.Sprint(b.hour.Seconds()), "boot_s": fmt.Sprint(b.hourBoot().Seconds())}
			if peer != swell {
				l["peer"] = peer
			}
			for i := 0; i < len(more); i += 2 {
				l[more[i]] = more[i+1]
			}
			return l
		}
		// an hour that takes ten minutes has six times fewer node-hours than the hour it stands for
		scale := time.Hour.Hours() / b.hour.Hours()
		for _, market := range []string{spot, onDemand} {
			errs = append(errs, b.add("node_hours", "h", scale*r.hours[market], labels("market", market)))
		}
		errs = append(errs, b.add("cost", "currency", scale*r.cost, labels()), b.add("pod_wait_p50_s", "s", r.wait, labels()),
			b.add("pod_wait_p99_s", "s", r.slow, labels()), b.add("pods_made", "pods", float64(r.pods), labels()))
		b.say("%s: %.1f node-hours, cost %.2f, pods wait %.1f s (median) and %.1f s (p99), %d pods were made", peer,
			scale*(r.hours[spot]+r.hours[onDemand]), scale*r.cost, r.wait, r.slow, r.pods)
	}
	return errors.Join(errs...)
}

// hourBoot is the boot of the hour's instances: a minute of the hour at ten minutes an hour.
func (b *bench) hourBoot() time.Duration { return max(2*time.Second, (b.hour / 60).Round(time.Second)) }

func (b *bench) play(ctx context.Context, peer string) (r spent, err error) {
	after := time.Duration(float64(scaleInAfter) * b.hour.Hours()).Round(time.Second)
	s, err := b.open(ctx, peer, b.hourBoot(), after)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, b.close(s, "hour")) }()
	if err := s.makeWorkloads(ctx); err != nil {
		return r, err
	}
	want, err := s.scale(ctx, int(quiet*float64(b.peak)))
	if err != nil {
		return r, err
	}
	if _, err := s.pods.wait(ctx, want, patience); err != nil {
		return r, err
	}
	began := time.Now()
	for step := range steps {
		if want, err = s.scale(ctx, int(level(step)*float64(b.peak))); err != nil {
			return r, err
		}
		if err := sleep(ctx, time.Until(began.Add(time.Duration(step+1)*b.hour/steps))); err != nil {
			return r, err
		}
	}
	ended := began.Add(b.hour)
	if r.hours, r.cost, err = s.nodes.bill(b.hourBoot(), began, ended); err != nil {
		return r, err
	}
	if _, err := s.pods.wait(ctx, want, time.Minute); err != nil {
		return r, err
	}
	return r, r.waits(s.Cluster.AuditLog(), began, ended)
}

// waits reads how long the pods that were made in a stretch of time waited for a place.
func (r *spent) waits(auditLog string, from, to time.Time) error {
	pods, _, err := measure.ReadAudit(auditLog)
	if err != nil {
		return err
	}
	var waits []float64
	for _, p := range pods {
		if p.Namespace != namespace || p.Created.Before(from) || p.Created.After(to) {
			continue
		}
		r.pods++
		end := to
		for _, t := range []time.Time{p.Bound, p.Deleted} {
			if !t.IsZero() && t.Before(end) {
				end = t
			}
		}
		waits = append(waits, max(0, end.Sub(p.Created).Seconds()))
	}
	slices.Sort(waits)
	if middle, high := measure.Quantile(waits, 0.5), measure.Quantile(waits, 0.99); middle != nil {
		r.wait, r.slow = *middle, *high
	}
	return nil
}
