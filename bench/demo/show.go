package main

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/bench/measure"
	"swell/bench/report"
)

const (
	sampleEvery = 15 * time.Second // of the load
	lineEvery   = time.Minute      // of the live table
)

// show samples the load and prints the live table.
func (g *game) show(ctx context.Context) error {
	fmt.Println(report.LiveHeader(zones))
	tick := time.NewTicker(g.clock.Wait(sampleEvery))
	defer tick.Stop()
	var printed time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := g.clock.Now()
		queue, web := g.consumers.Stats(), g.web.Stats()
		g.points = append(g.points, measure.LoadPoint{
			At: time.Now(), Rate: g.rate(now), Lag: float64(queue.Queue.Lag),
			LagSeconds: queue.Queue.LagNow.Seconds() * g.options.speed, WebDemand: web.Demand,
		})
		if now.Sub(printed) < lineEvery {
			continue
		}
		printed = now
		row, err := g.row(ctx, now)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			row.Note = err.Error()
		}
		fmt.Println(report.FormatLive(row))
	}
}

func (g *game) row(ctx context.Context, now time.Time) (report.Row, error) {
	queue, web := g.consumers.Stats(), g.web.Stats()
	last := g.points[len(g.points)-1]
	row := report.Row{
		At: now, Rate: last.Rate, Lag: last.Lag, LagSeconds: last.LagSeconds, WebDemand: web.Demand,
		WebReady: web.Ready, OrdersReady: queue.Ready, Cost: g.cost(),
	}
	pods, err := g.stack.Kube.CoreV1().Pods("shop").List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return row, fmt.Errorf("listing pods: %w", err)
	}
	for i := range pods.Items {
		p := &pods.Items[i]
		balloon := p.Labels[measure.BalloonLabel] != ""
		switch {
		case p.DeletionTimestamp != nil:
		case balloon && p.Spec.NodeName != "":
			row.Balloons++
		case !balloon && p.Spec.NodeName == "":
			row.Pending++
		}
	}
	deployments, err := g.stack.Kube.AppsV1().Deployments("shop").List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return row, fmt.Errorf("listing deployments: %w", err)
	}
	for _, d := range deployments.Items {
		if d.Name == "web" {
			row.WebWanted = int(*d.Spec.Replicas)
		} else {
			row.OrdersWanted = int(*d.Spec.Replicas)
		}
	}
	nodes, err := g.stack.Kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return row, fmt.Errorf("listing nodes: %w", err)
	}
	row.Zones = zoneNodes(nodes.Items)
	return row, nil
}

func zoneNodes(nodes []corev1.Node) []report.ZoneNodes {
	var out []report.ZoneNodes
	for _, zone := range zones {
		z := report.ZoneNodes{Zone: zone}
		for _, n := range nodes {
			if n.Labels[corev1.LabelTopologyZone] != zone {
				continue
			}
			if n.Labels["swell/market"] == "spot" {
				z.Spot++
			} else {
				z.OnDemand++
			}
		}
		out = append(out, z)
	}
	return out
}

// cost is what the emulator's log has billed since the window began.
func (g *game) cost() float64 {
	instances, _, err := measure.ReadInstances(filepath.Join(g.stack.AWSDir(), "instances.jsonl"))
	if err != nil {
		return math.NaN()
	}
	now, from := time.Now(), g.clock.RealTime(g.scenario.from)
	sum := 0.0
	for _, i := range instances {
		start, end := i.Launched, now
		if start.Before(from) {
			start = from
		}
		if !i.Terminated.IsZero() {
			end = i.Terminated
		}
		if i.PricePerHour != nil && end.After(start) {
			sum += end.Sub(start).Hours() * g.options.speed * *i.PricePerHour
		}
	}
	return sum
}
