package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"text/template"
	"time"

	"swell/api/config"
	"swell/bench/testbed/aws"
	"swell/bench/testbed/load"
	"swell/bench/traces"
	"swell/scaler/series"
)

// What the hour is scaled to, and what its parts are.
const (
	webPeak    = 450.0 // pods that the web workload needs at the hour's peak
	ordersPeak = 40.0  // pods that read the queue at the hour's peak
	perPodRate = 5.0   // messages a second that one of them reads
	planned    = 0.8   // share of it that is planned for
	webTarget  = 0.5   // share of its CPU request that a web pod should use
	partitions = 120

	podsPerNode  = 15
	instanceType = "m6i.4xlarge"
	region       = "ap-northeast-1"
	// Prices of an m6i.4xlarge in ap-northeast-1 in US dollars an hour; spot at 35 % of on-demand.
	onDemandPrice = 0.992
	spotPrice     = 0.347

	warmUp = 7 * time.Minute
	// leastWarmUp must be left when the load begins, for the HPAs and the forecast to settle.
	leastWarmUp = 4 * time.Minute

	history = 28 * 24 * time.Hour
)

var zones = []string{"ap-northeast-1a", "ap-northeast-1c", "ap-northeast-1d"}

//go:embed manifests/shop.yaml
var shopManifest string

// scenario is one hour of a trace, scaled to the testbed.
type scenario struct {
	name     string // of the trace
	timeZone string
	trace    series.Series
	rise     time.Time // model time at which the rise begins
	from     time.Time // and the played hour
	length   time.Duration
	webScale float64 // pods a unit of the trace
	ordScale float64
}

// draw picks the hour around a steep rise of the trace: ten minutes before it and what follows.
func draw(name string, trace series.Series, timeZone string, seed int64, length time.Duration) (scenario, error) {
	rise, err := traces.Draw(trace, seed)
	if err != nil {
		return scenario{}, fmt.Errorf("drawing a rise of %s: %w", name, err)
	}
	s := scenario{name: name, timeZone: timeZone, trace: trace, rise: rise.Start, from: rise.Start.Add(-length / 6).Truncate(trace.Step), length: length}
	peak := 0.0
	for t := s.begin().Add(-trace.Step); !t.After(s.from.Add(length + trace.Step)); t = t.Add(trace.Step) {
		v, known := trace.At(t)
		if !known {
			return scenario{}, fmt.Errorf("drawing a rise of %s: its row of %s is missing or empty, within the hour that is played; fill it, or draw another with --seed", name, t.Truncate(trace.Step).Format(time.RFC3339))
		}
		if !t.Before(s.from) && t.Before(s.from.Add(length)) {
			peak = math.Max(peak, v)
		}
	}
	s.webScale, s.ordScale = webPeak/peak, ordersPeak/peak
	return s, nil
}

// begin is the model time at which the load begins.
func (s scenario) begin() time.Time { return s.from.Add(-warmUp) }

// curve is the played part of the trace, times scale.
func (s scenario) curve(scale float64) (load.Curve, error) {
	played := s.trace.Slice(s.begin().Add(-s.trace.Step), s.from.Add(s.length+s.trace.Step+1))
	return load.FromSeries(played.Start, played.Step, played.Values, scale)
}

// start is the number of pods that each workload has when the load begins.
func (s scenario) start() (web, orders int) {
	v, _ := s.trace.At(s.begin())
	return int(math.Ceil(v * s.webScale)), int(math.Ceil(v * s.ordScale))
}

// writeHistory writes the days before as demand in pods, as the scaler would have seen it.
func (s scenario) writeHistory(dir string) ([]config.HistoryFile, error) {
	// whole rows only: one that reaches into the played part would tell of it
	past := s.trace.Slice(s.begin().Add(-history), s.begin().Add(1-s.trace.Step))
	var files []config.HistoryFile
	for name, scale := range map[string]float64{"web": s.webScale, "orders": s.ordScale} {
		pods := series.Series{Start: past.Start, Step: past.Step}
		for _, v := range past.Values {
			pods.Values = append(pods.Values, v*scale)
		}
		path := filepath.Join(dir, "history-"+name+".csv")
		var b bytes.Buffer
		if err := series.Write(&b, pods); err != nil {
			return nil, fmt.Errorf("writing the history of %s: %w", name, err)
		}
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			return nil, fmt.Errorf("writing the history of %s: %w", name, err)
		}
		files = append(files, config.HistoryFile{Namespace: "shop", Balloon: name, File: path})
	}
	return files, nil
}

// fleet is one group per zone and market; it begins with what the first pods need and a tenth.
func (s scenario) fleet() aws.Fleet {
	web, orders := s.start()
	nodes := int(math.Ceil(float64(web+orders) * 1.1 / podsPerNode))
	f := aws.Fleet{
		Region: region,
		InstanceTypes: map[string]aws.InstanceType{instanceType: {
			VCPU: 16, MemoryMiB: 64 << 10,
			Allocatable: map[string]string{"cpu": "15500m", "memory": "60Gi", "pods": "110", "ephemeral-storage": "100Gi"},
		}},
		Prices: map[string]aws.Price{instanceType: {OnDemand: onDemandPrice, Spot: spotPrice}},
	}
	onDemand := onDemandBase + int(math.Ceil(float64(max(0, nodes-onDemandBase))*(1-spotMax)))
	for i, zone := range zones {
		for _, market := range []string{"on-demand", "spot"} {
			g := aws.Group{
				Name: "general-" + zone[len(zone)-2:] + "-" + market, Zone: zone, Market: market, Max: groupMax,
				InstanceTypes: []string{instanceType}, LaunchTemplate: "general",
				Labels: map[string]string{"swell/market": market},
				Tags:   map[string]string{"swell/pool": "general", "swell/market": market},
			}
			if market == "on-demand" {
				g.Min, g.Desired = 1, shareOf(onDemand, i)
			} else {
				g.Desired = shareOf(nodes-onDemand, i)
			}
			f.Groups = append(f.Groups, g)
		}
	}
	return f
}

const (
	groupMax = 30
	// What the pool's purchase policy says; the fleet begins as it would have it.
	onDemandBase = 3
	spotMax      = 0.7
)

// shareOf is the i-th zone's part of n nodes.
func shareOf(n, i int) int {
	return (n + len(zones) - 1 - i) / len(zones)
}

// manifest is the workloads with their HPAs and swell's kinds.
func (s scenario) manifest(speed float64, balloonMode string) ([]byte, error) {
	t, err := template.New("shop.yaml").Option("missingkey=error").Parse(shopManifest)
	if err != nil {
		return nil, err
	}
	web, orders := s.start()
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{
		"Web": map[string]int{"Replicas": web}, "Orders": map[string]int{"Replicas": orders},
		"Partitions": partitions, "PerPodRate": perPodRate, "BalloonMode": balloonMode,
		"PolicyPeriod": max(1, int(15/speed)),
	})
	return b.Bytes(), err
}
