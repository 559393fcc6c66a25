package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"swell/api/config"
	"swell/bench/testbed/aws"
)

const (
	region      = "ap-northeast-1"
	spot        = "spot"
	onDemand    = "on-demand"
	marketLabel = "swell/market"
)

var zones = []string{region + "a", region + "c", region + "d"}

// size is an instance type as both peers are given it, with its prices an hour.
type size struct {
	cores, gib, pods int
	onDemand, spot   float64
}

// sizes have on-demand prices of the order of Tokyo's, and spot ones of about a third.
var sizes = map[string]size{
	"c6i.2xlarge": {8, 16, 58, 0.428, 0.158},
	"c6i.4xlarge": {16, 32, 234, 0.856, 0.312},
	"m6i.2xlarge": {8, 32, 58, 0.496, 0.184},
	"m6i.4xlarge": {16, 64, 234, 0.992, 0.365},
	"r6i.2xlarge": {8, 64, 58, 0.608, 0.221},
}

func typeNames() []string { return slices.Sorted(maps.Keys(sizes)) }

func (s size) price(market string) float64 {
	if market == spot {
		return s.spot
	}
	return s.onDemand
}

// fleet is an account with a group for every type, zone and market, and no instance. What a node of a type gives is what
// Karpenter's kwok provider leaves of it: all but 100m and 10Mi.
func fleet(boot time.Duration) aws.Fleet {
	f := aws.Fleet{Region: region, InstanceTypes: map[string]aws.InstanceType{}, Prices: map[string]aws.Price{}, Boot: map[string]aws.Boot{}, TerminateTakes: time.Second}
	for name, s := range sizes {
		f.InstanceTypes[name] = aws.InstanceType{VCPU: s.cores, MemoryMiB: int64(s.gib) << 10, Allocatable: map[string]string{
			"cpu": fmt.Sprintf("%dm", s.cores*1000-100), "memory": fmt.Sprintf("%dMi", s.gib<<10-10), "pods": strconv.Itoa(s.pods), "ephemeral-storage": "80Gi"}}
		f.Prices[name] = aws.Price{OnDemand: s.onDemand, Spot: s.spot}
	}
	for _, zone := range zones {
		f.Boot[zone] = aws.Boot{P50: boot, P95: boot}
		for _, name := range typeNames() {
			for _, market := range []string{spot, onDemand} {
				f.Groups = append(f.Groups, aws.Group{Name: name + "-" + zone + "-" + market, Zone: zone, Market: market, Max: 1000, InstanceTypes: []string{name},
					Labels: map[string]string{marketLabel: market}, Tags: map[string]string{"swell/pool": "general", "swell/market": market}})
			}
		}
	}
	return f
}

func prices() map[string]config.Price {
	out := map[string]config.Price{}
	for name, s := range sizes {
		out[name] = config.Price{OnDemand: s.onDemand, Spot: s.spot}
	}
	return out
}

// karpenterTypes is the same for Karpenter's kwok provider, in its own form.
func karpenterTypes() ([]byte, error) {
	type requirement struct {
		Key      string   `json:"key"`
		Operator string   `json:"operator"`
		Values   []string `json:"values"`
	}
	type offering struct {
		Price        float64
		Available    bool
		Requirements []requirement
	}
	type instanceType struct {
		Name             string            `json:"name"`
		Offerings        []offering        `json:"offerings"`
		Architecture     string            `json:"architecture"`
		OperatingSystems []string          `json:"operatingSystems"`
		Resources        map[string]string `json:"resources"`
	}
	var out []instanceType
	for _, name := range typeNames() {
		s := sizes[name]
		t := instanceType{Name: name, Architecture: "amd64", OperatingSystems: []string{"linux"}, Resources: map[string]string{
			"cpu": strconv.Itoa(s.cores), "memory": fmt.Sprintf("%dGi", s.gib), "pods": strconv.Itoa(s.pods), "ephemeral-storage": "80Gi"}}
		for _, zone := range zones {
			for _, market := range []string{spot, onDemand} {
				t.Offerings = append(t.Offerings, offering{Price: s.price(market), Available: true, Requirements: []requirement{
					{"karpenter.sh/capacity-type", "In", []string{market}}, {"topology.kubernetes.io/zone", "In", []string{zone}}}})
			}
		}
		out = append(out, t)
	}
	raw, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("writing Karpenter's instance types: %w", err)
	}
	return raw, nil
}
