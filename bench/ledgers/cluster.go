// Package ledgers makes ledgers of clusters that never were, the same for the same seed: what reports are tried and measured on.
package ledgers

import (
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"swell/scaler/ledger"
)

// Cluster is a cluster with a daily swing. The zero value of a field takes its default.
type Cluster struct {
	Start time.Time // default Monday 2 November 2026, 00:00 UTC
	Days  int       // default 30
	Peak  int       // nodes at the busiest hour, about; default 200
	// Workloads of five pools; default 60, of which each third has a Balloon.
	Workloads int
	Every     time.Duration // between samples; default 5m, as the scaler's
	Seed      uint64
	// Unpriced leaves the prices of one pool's instances out.
	Unpriced bool
}

var zones = []string{"ap-northeast-1a", "ap-northeast-1c", "ap-northeast-1d"}

type poolKind struct {
	name, instanceType string
	cores, memory      float64 // allocatable of a node
	onDemand, spot     float64 // an hour
	base, spotMax      int
	size               float64 // share of the cluster's peak
}

var pools = []poolKind{
	{"general", "m6i.4xlarge", 15.5, 58, 0.992, 0.3472, 6, 70, 0.40},
	{"web", "c6i.4xlarge", 15.5, 28, 0.856, 0.2996, 6, 80, 0.30},
	{"memory", "r6i.2xlarge", 7.5, 59, 0.608, 0.2128, 3, 60, 0.15},
	{"batch", "m5.4xlarge", 15.5, 58, 0.992, 0.3274, 0, 100, 0.10},
	{"tools", "m6i.xlarge", 3.8, 14, 0.248, 0.0921, 2, 50, 0.05},
}

type workload struct {
	namespace, name string
	pool            int
	pods, phase     float64 // at its peak; hours that it is late
	cores, memory   float64 // of a pod
	balloon         bool
}

type node struct {
	ledger.Instance
	readyAt time.Time
}

// maker is a ledger while it is made.
type maker struct {
	Cluster
	random    *rand.Rand
	yield     func(ledger.Entry) bool
	stopped   bool
	workloads []workload
	nodes     map[string][]*node // by pool, zone and market
	ids, tick int
	until     map[string]time.Time // no spot in a pool and zone before
}

// Entries are the ledger's, in their order.
func (c Cluster) Entries() iter.Seq[ledger.Entry] {
	if c.Start.IsZero() {
		c.Start = time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)
	}
	c.Days, c.Peak, c.Workloads, c.Every = cmp.Or(c.Days, 30), cmp.Or(c.Peak, 200), cmp.Or(c.Workloads, 60), cmp.Or(c.Every, ledger.SampleEvery)
	return func(yield func(ledger.Entry) bool) {
		m := &maker{Cluster: c, random: rand.New(rand.NewPCG(c.Seed, 1)), yield: yield, nodes: map[string][]*node{}, until: map[string]time.Time{}}
		m.begin()
		end := c.Start.Add(time.Duration(c.Days) * 24 * time.Hour)
		for t := c.Start; !t.After(end) && !m.stopped; t = t.Add(c.Every) {
			m.step(t)
		}
	}
}

func (m *maker) put(at time.Time, e ledger.Entry) {
	if m.stopped {
		return
	}
	e.At, e.Model, e.Tick, e.Phase = at, at, int64(m.tick), cmp.Or(e.Phase, ledger.Note)
	m.stopped = !m.yield(e)
}

// begin writes the policies.
func (m *maker) begin() {
	m.put(m.Start, ledger.Entry{Action: "start", Object: "swell-scaler-0"})
	for _, p := range pools {
		spec := fmt.Sprintf(`{"purchase":{"onDemandBase":%d,"spotMax":"%d%%","fallback":"OnDemand"}}`, p.base, p.spotMax)
		m.put(m.Start, ledger.Entry{Action: "policy", Object: p.name, Policy: &ledger.Policy{Kind: "CapacityPool", Name: p.name, Generation: 1, Spec: json.RawMessage(spec)}})
	}
	namespaces := []string{"shop", "chat", "search", "payments", "media", "platform"}
	share := map[int]float64{}
	for n := range m.Workloads {
		w := workload{namespace: namespaces[n%len(namespaces)], name: fmt.Sprintf("app-%02d", n), pool: n % len(pools), phase: 2 * m.random.Float64(),
			cores: 0.5 + float64(n%4)*0.5, memory: 1 + float64(n%3)*2, balloon: n%3 == 0 && n%len(pools) != 3}
		w.pods = 0.3 + m.random.Float64()
		share[w.pool] += w.pods * w.cores
		m.workloads = append(m.workloads, w)
	}
	for i := range m.workloads {
		w := &m.workloads[i]
		p := pools[w.pool]
		room := float64(m.Peak) * p.size * p.cores * 0.72 // of the pool's peak that pods ask for
		w.pods = math.Max(6, w.pods/share[w.pool]*room)
		if !w.balloon {
			continue
		}
		target := `{"quantile":"0.99"}`
		if i%6 == 0 {
			target = `{"missCostPerPodMinute":"0.02"}`
		}
		m.put(m.Start, ledger.Entry{Action: "policy", Object: w.namespace + "/" + w.name, Policy: &ledger.Policy{Kind: "Balloon", Name: w.namespace + "/" + w.name, Generation: 1,
			Spec: json.RawMessage(`{"scaleTargetRef":{"kind":"Deployment","name":"` + w.name + `"},"target":` + target + `}`)}})
	}
}

// demand of a workload in pods, without noise.
func (w workload) demand(t time.Time) float64 {
	local := t.Add(9 * time.Hour) // the users live in Tokyo
	h := float64(local.Hour()) + float64(local.Minute())/60 - w.phase
	day := 1 / (1 + math.Exp(-2.2*(h-8.6))) * (1 - 0.75/(1+math.Exp(-0.9*(h-20))))
	if d := local.Weekday(); d == time.Saturday || d == time.Sunday {
		day *= 0.55
	}
	return w.pods * (0.22 + 0.78*day)
}

// step is one sample's time: sizes, launches and returns, and the sample.
func (m *maker) step(t time.Time) {
	m.tick++
	asked, held := map[string]ledger.Resources{}, map[string]ledger.Resources{}
	running, room := make([]float64, len(m.workloads)), make([]float64, len(m.workloads))
	for i, w := range m.workloads {
		running[i] = math.Round(w.demand(t) * (1 + 0.015*m.random.NormFloat64()))
		if w.balloon {
			room[i] = m.size(t, w, running[i])
		}
		p := pools[w.pool].name
		asked[p] = plus(asked[p], w, running[i])
		held[p] = plus(held[p], w, room[i])
	}
	for _, p := range pools {
		for _, zone := range zones {
			m.follow(t, p, zone, (asked[p.name].Cores+held[p.name].Cores)/3, (asked[p.name].Memory+held[p.name].Memory)/3)
		}
	}
	m.sample(t, running, room)
}

func plus(r ledger.Resources, w workload, pods float64) ledger.Resources {
	return ledger.Resources{Cores: r.Cores + w.cores*pods, Memory: r.Memory + w.memory*pods}
}

const (
	leadSeconds = 420
	chunk       = 2.5
)

// size writes one Balloon's decision and returns the pods that its balloons hold the places of.
func (m *maker) size(t time.Time, w workload, now float64) float64 {
	then := w.demand(t.Add(leadSeconds * time.Second))
	point := then * (1 + 0.02*m.random.NormFloat64())
	upper := point * 1.12
	total := max(0, int(math.Ceil((upper-now)/chunk)))
	s := ledger.Sizing{Balloon: w.namespace + "/" + w.name, Workload: "Deployment/" + w.name, Demand: &now, Running: int(now), Point: &point, Upper: &upper, Lead: leadSeconds,
		Tau: 0.99, Share: 1, Chunk: chunk, Pod: ledger.Resources{Cores: w.cores, Memory: w.memory}, Zones: map[string]int{}, Total: total, Why: "forecast", Output: "Pods", Mode: "Enforce"}
	for i, z := range zones {
		s.Zones[z] = (total + i) / 3
	}
	m.put(t, ledger.Entry{Action: "size", Object: s.Balloon, Sizing: &s})
	return float64(total) * chunk
}

// follow launches and returns a pool's nodes in a zone.
func (m *maker) follow(t time.Time, p poolKind, zone string, cores, memory float64) {
	want := int(math.Ceil(max(cores/p.cores, memory/p.memory) / 0.94))
	base := p.base / len(zones)
	spotKey, demandKey := p.name+zone+"spot", p.name+zone+"on-demand"
	wantSpot := (want - base) * p.spotMax / 100
	if m.random.Float64() < 0.0012 {
		m.until[spotKey] = t.Add(40 * time.Minute)
		m.put(t, ledger.Entry{Action: "shortfall", Object: p.name + "-" + zone + "-spot", Shortfall: &ledger.Shortfall{Group: p.name + "-" + zone + "-spot", Pool: p.name, Zone: zone, Market: "spot",
			Type: p.instanceType, Code: "InsufficientInstanceCapacity", Until: m.until[spotKey]}})
	}
	for _, n := range m.nodes[spotKey] {
		if m.random.Float64() < 0.00008 {
			m.put(t, ledger.Entry{Action: "notice", Object: n.ID, Notice: &ledger.Notice{Kind: "spot", Instance: n.ID, Node: n.Node, Group: n.Group, Pool: p.name, Zone: zone, Market: "spot"}})
			m.end(t.Add(2*time.Minute), spotKey, n, "interrupted")
			break
		}
	}
	fallback := 0
	if more := wantSpot - len(m.nodes[spotKey]); more > 0 && m.until[spotKey].After(t) {
		fallback = more
		wantSpot = len(m.nodes[spotKey])
	}
	m.to(t, p, zone, "spot", spotKey, wantSpot, 0)
	m.to(t, p, zone, "on-demand", demandKey, max(base, want-max(0, (want-base)*p.spotMax/100))+fallback, fallback)
}

// to brings a group to a number of nodes; one that is not needed goes when two are not.
func (m *maker) to(t time.Time, p poolKind, zone, market, key string, want, fallback int) {
	have := len(m.nodes[key])
	if want > have {
		token := fmt.Sprintf("%s-%d", key, m.tick)
		var ids []string
		for n := range want - have {
			ids = append(ids, m.launch(t, p, zone, market, key, token, have+n < p.base/len(zones), n < fallback).ID)
		}
		m.put(t, ledger.Entry{Phase: ledger.Done, Action: "launch", Object: p.name + "-" + zone + "-" + market, Count: len(ids), Token: token, Instances: ids})
	}
	for len(m.nodes[key]) > want+1 {
		list := m.nodes[key]
		m.end(t, key, list[len(list)-1], "returned")
	}
}

func (m *maker) launch(t time.Time, p poolKind, zone, market, key, token string, base, fallback bool) *node {
	m.ids++
	at := t.Add(time.Duration(m.random.IntN(60)) * time.Second)
	boot := time.Duration(55 * math.Exp(0.45*m.random.NormFloat64()) * float64(time.Second))
	ready := at.Add(boot.Truncate(time.Second))
	hourly, list := p.onDemand, p.onDemand
	if market == "spot" {
		hourly = math.Round(p.spot*(0.95+0.05*float64(slices.Index(zones, zone)))*1e4) / 1e4
	}
	n := &node{readyAt: ready, Instance: ledger.Instance{ID: fmt.Sprintf("i-0%016x", m.random.Uint64()), Group: p.name + "-" + zone + "-" + market, Pool: p.name, Zone: zone, Market: market, Type: p.instanceType,
		Token: token, LaunchedAt: at, Base: base && market == "on-demand", Fallback: fallback && market == "on-demand", Hourly: &hourly, OnDemandHourly: &list}}
	if m.Unpriced && p.name == "tools" {
		n.Hourly, n.OnDemandHourly = nil, nil
	}
	m.note(at, n)
	n.Node, n.RegisteredAt, n.ReadyAt = fmt.Sprintf("ip-10-0-%d-%d", m.ids/250, m.ids%250), &ready, &ready
	m.note(ready, n)
	m.nodes[key] = append(m.nodes[key], n)
	return n
}

func (m *maker) note(t time.Time, n *node) {
	is := n.Instance
	m.put(t, ledger.Entry{Action: "instance", Object: n.ID, Instance: &is})
}

func (m *maker) end(t time.Time, key string, n *node, why string) {
	gone := t.Add(time.Duration(m.random.IntN(90)) * time.Second)
	if least := n.readyAt.Add(time.Minute); gone.Before(least) {
		gone = least
	}
	n.GoneAt, n.End = &gone, why
	m.note(gone, n)
	m.nodes[key] = slices.DeleteFunc(m.nodes[key], func(o *node) bool { return o == n })
}

// sample spreads what runs over each pool's nodes.
func (m *maker) sample(t time.Time, running, room []float64) {
	s := ledger.Sample{}
	place := map[string]int{} // of the group
	nodesOf := map[string]int{}
	for _, p := range pools {
		for _, zone := range zones {
			for _, market := range []string{"on-demand", "spot"} {
				key := p.name + zone + market
				g := ledger.GroupUse{Group: p.name + "-" + zone + "-" + market, Pool: p.name, Zone: zone, Market: market}
				for _, n := range m.nodes[key] {
					if n.readyAt.After(t) {
						g.Booting++
						continue
					}
					g.Nodes++
				}
				if g.Nodes+g.Booting == 0 {
					continue
				}
				g.Allocatable = ledger.Resources{Cores: p.cores * float64(g.Nodes), Memory: p.memory * float64(g.Nodes)}
				nodesOf[p.name] += g.Nodes
				place[key] = len(s.Groups)
				s.Groups = append(s.Groups, g)
			}
		}
	}
	for i, w := range m.workloads {
		p := pools[w.pool]
		for _, zone := range zones {
			for _, market := range []string{"on-demand", "spot"} {
				at, ok := place[p.name+zone+market]
				if !ok || s.Groups[at].Nodes == 0 {
					continue
				}
				g := &s.Groups[at]
				share := float64(g.Nodes) / float64(nodesOf[p.name])
				u := ledger.WorkloadUse{Namespace: w.namespace, Workload: "Deployment/" + w.name, Pool: p.name, Zone: zone, Market: market, Pods: int(math.Round(running[i] * share)),
					Asked: plus(ledger.Resources{}, w, running[i]*share), Held: plus(ledger.Resources{}, w, room[i]*share)}
				used := ledger.Resources{Cores: 0.47 * u.Asked.Cores, Memory: 0.68 * u.Asked.Memory}
				u.Used = &used
				g.Asked = ledger.Resources{Cores: g.Asked.Cores + u.Asked.Cores, Memory: g.Asked.Memory + u.Asked.Memory}
				g.Held = ledger.Resources{Cores: g.Held.Cores + u.Held.Cores, Memory: g.Held.Memory + u.Held.Memory}
				s.Workloads = append(s.Workloads, u)
			}
		}
	}
	for i := range s.Groups {
		g := &s.Groups[i]
		g.Used = &ledger.Resources{Cores: 0.5 * g.Asked.Cores, Memory: 0.7 * g.Asked.Memory}
	}
	m.put(t, ledger.Entry{Action: "sample", Object: "cluster", Sample: &s})
}
