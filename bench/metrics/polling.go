package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"swell/api/config"
)

// measurePoller measures a poll for each of what is asked for, then once more while some groups stand still.
func (b *bench) measurePoller(ctx context.Context, at *site) error {
	for _, asks := range b.asks {
		if _, err := b.pollFor(ctx, at, at.size, asks, 0); err != nil {
			return err
		}
	}
	standing, err := at.load.stand(ctx, true)
	if err != nil || standing == 0 {
		return err
	}
	for _, asks := range b.asks {
		if asks == asksLate {
			continue
		}
		if _, err := b.pollFor(ctx, at, at.size, asks, standing); err != nil {
			return err
		}
	}
	_, err = at.load.stand(ctx, false)
	return err
}

// pollFor measures polls and writes their figures. The promises are for groups that are read: one that stands still has its
// state looked at.
func (b *bench) pollFor(ctx context.Context, at *site, s size, asks string, standing int) (pollerReport, error) {
	b.say("poller: %d polls of %s for %s, %d groups stand still", b.polls+1, s, asks, standing)
	r, err := b.poll(ctx, at.broker, s, asks)
	if err != nil {
		return r, fmt.Errorf("poll for %s: %w", asks, err)
	}
	l := b.sized(s).with("asks", asks, "polls", r.Polls, "standing", standing)
	b.add("requests_per_poll", "requests", r.requests(), l)
	b.add("first_poll_requests", "requests", float64(r.First.Requests), l)
	b.add("poll_bytes", "B", float64(r.Rest.bytes())/float64(r.Polls), l)
	b.add("poll_cpu_ms", "ms", r.CPU, l)
	b.add("poll_wall_ms", "ms", r.Wall, l)
	b.add("poll_wall_max_ms", "ms", r.Longest, l)
	b.add("heap_mib", "MiB", r.Heap, l)
	b.add("rss_mib", "MiB", r.Memory.RSS, l.with("process", "poller"))
	b.say("  %.2f requests a poll (%s), first poll %d (%s)", r.requests(), kinds(r.Rest), r.First.Requests, kinds(r.First))
	b.say("  a poll: CPU %.2f ms, %.2f ms long, %.0f KiB; live heap %.1f MiB", r.CPU, r.Wall, float64(r.Rest.bytes())/float64(r.Polls)/1024, r.Heap)
	if standing > 0 {
		return r, nil
	}
	if asks == asksLag {
		b.lag[s] = r
	}
	if limit, promised := map[string]int{asksLag: 2*b.brokers + 1, asksLate: 4*b.brokers + 1}[asks]; promised {
		b.atMost("requests_per_poll for "+asks, r.requests(), float64(limit))
	}
	return r, nil
}

// requests is how many a poll takes on average.
func (r pollerReport) requests() float64 { return float64(r.Rest.Requests) / float64(r.Polls) }

// sized are the labels of a size.
func (b *bench) sized(s size) labels {
	return labels{}.with("brokers", b.brokers, "groups", s.groups, "partitions", s.total())
}

// kinds are the requests by name, sorted.
func kinds(t Traffic) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(t.ByKind)) {
		all = append(all, fmt.Sprintf("%s %d", name, t.ByKind[name]))
	}
	return strings.Join(all, ", ")
}

// poll runs the poller in a process of its own.
func (b *bench) poll(ctx context.Context, kafka *broker, s size, asks string) (pollerReport, error) {
	var report pollerReport
	now := time.Now()
	configured, err := b.writeConfig("poller.yaml", config.Metrics{
		Clock:    config.Clock{Speed: b.speed, Real: now, Model: now},
		Clusters: []config.KafkaCluster{{Name: "main", Brokers: kafka.addresses}},
	})
	if err != nil {
		return report, err
	}
	out := filepath.Join(b.dir, "poller.json")
	p, err := startPart(ctx, partPoller, b.log(fmt.Sprintf("poller-%d-%s", s.groups, asks)), "--groups", fmt.Sprint(s.groups), "--partitions", fmt.Sprint(s.partitions),
		"--polls", fmt.Sprint(b.polls), "--asks", asks, "--counts", kafka.countsURL, "--config", configured, "--out", out)
	if err != nil {
		return report, err
	}
	if exit := p.Wait(); exit.Err != nil {
		return report, exit
	}
	text, err := os.ReadFile(out)
	if err != nil {
		return report, fmt.Errorf("read the poller's report: %w", err)
	}
	if err := json.Unmarshal(text, &report); err != nil {
		return report, fmt.Errorf("read the poller's report: %w", err)
	}
	if want := s.total(); report.Partitions != want {
		return report, fmt.Errorf("%d of %d partitions are known at the end", report.Partitions, want)
	}
	return report, nil
}

func (b *bench) writeConfig(name string, m config.Metrics) (string, error) {
	text, err := yaml.Marshal(m)
	if err != nil {
		return "", fmt.Errorf("write %s: %w", name, err)
	}
	path := filepath.Join(b.dir, name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return "", fmt.Errorf("write %s: %w", name, err)
	}
	return path, nil
}

func duration(d time.Duration) metav1.Duration { return metav1.Duration{Duration: d} }
