package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"swell/scaler/replay"
)

// What is needed of swell on the office's morning, on average over the seeds.
const (
	officeUnserved = 0.0005
	officeCost     = 1.10
)

var (
	officePolicies = []string{"swell", "reactive", "static:20", "scheduled", "rule:0.95", "slope:2", "karpenter", "hourly"}
	zonesPolicies  = []string{"swell", "reactive", "static:10", "rule:0.95", "karpenter"}
)

// spread of a value over the seeds.
type spread struct{ sum, least, most, n float64 }

func (s *spread) add(v float64) {
	if s.n == 0 {
		s.least, s.most = v, v
	}
	s.sum, s.n, s.least, s.most = s.sum+v, s.n+1, math.Min(s.least, v), math.Max(s.most, v)
}

func (s *spread) mean() float64 { return s.sum / s.n }

// text is the mean and, in brackets, the range.
func (s *spread) text(format string, factor float64) string {
	return fmt.Sprintf(format+" ("+format+"–"+format+")", s.mean()*factor, s.least*factor, s.most*factor)
}

// randomRun is what a policy reached over the seeds.
type randomRun struct {
	scenario, trace, policy string
	unserved, cost, wait    spread
	spot, onDemand          spread // cost by market
}

type randomRuns []*randomRun

func playRandom(found []readable, seeds int64, p *printer, log io.Writer) (randomRuns, error) {
	var out randomRuns
	play := func(in replay.Input, scenario, trace string, policies []string) error {
		in.Scenario, _ = replay.BuiltIn(scenario)
		runs := make(randomRuns, len(policies))
		for i, policy := range policies {
			runs[i] = &randomRun{scenario: scenario, trace: trace, policy: policy}
		}
		for seed := int64(1); seed <= seeds; seed++ {
			fmt.Fprintf(log, "%s  %s: %s seed %d\n", time.Now().Format(time.TimeOnly), scenario, trace, seed)
			in.Seed = seed
			results, err := replay.Run(in, policies)
			if err != nil {
				return err
			}
			for i, r := range results {
				runs[i].unserved.add(r.Unserved)
				runs[i].cost.add(r.CostOverClairvoyant)
				runs[i].wait.add(r.WaitP99S)
				runs[i].spot.add(r.Markets["spot"].Cost)
				runs[i].onDemand.add(r.Markets["on-demand"].Cost)
			}
		}
		for _, r := range runs {
			labels := []string{"scenario", scenario, "trace", trace, "policy", r.policy}
			p.print("unserved", r.unserved.mean(), "share", labels...)
			p.print("cost", r.cost.mean(), "clairvoyant", labels...)
			p.print("pod_wait_p99_s", r.wait.mean(), "s", labels...)
		}
		out = append(out, runs...)
		return nil
	}
	if err := play(replay.Input{}, "office-morning", "", officePolicies); err != nil {
		return nil, err
	}
	for _, r := range found {
		if err := play(r.in, "core-3z", r.Name, zonesPolicies); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (rs randomRuns) misses() error {
	var out []error
	for _, r := range rs {
		if r.policy != "swell" {
			continue
		}
		if u := r.unserved.mean(); r.scenario == "office-morning" && u > officeUnserved {
			out = append(out, fmt.Errorf("%s: %.4f %% unserved on average, at most %g %% is allowed", r.scenario, u*100, officeUnserved*100))
		}
		if c := r.cost.mean(); r.scenario == "office-morning" && c > officeCost {
			out = append(out, fmt.Errorf("%s: costs %.4f on average, at most %g is allowed", r.scenario, c, officeCost))
		}
		if u := r.unserved.mean(); r.scenario == "core-3z" && u > mostUnserved {
			out = append(out, fmt.Errorf("%s, %s: %.4f %% unserved on average, at most %g %% is allowed", r.scenario, r.trace, u*100, mostUnserved*100))
		}
	}
	return errors.Join(out...)
}

func (rs randomRuns) tables(seeds int64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "office-morning, mean and range over the seeds 1 to %d:\n\n| policy | unserved, %% | cost | wait p99, s |\n|---|---|---|---|\n", seeds)
	for _, r := range rs {
		if r.scenario == "office-morning" {
			fmt.Fprintf(&b, "| %s | %s | %s | %.0f |\n", r.policy, r.unserved.text("%.4f", 100), r.cost.text("%.4f", 1), r.wait.mean())
		}
	}
	fmt.Fprintf(&b, "\ncore-3z, mean and range over the seeds 1 to %d; spot and on-demand are what was paid in each, in hours of an on-demand node:\n\n"+
		"| trace | policy | unserved, %% | cost | spot | on-demand |\n|---|---|---|---|---|---|\n", seeds)
	for _, r := range rs {
		if r.scenario == "core-3z" {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %.0f | %.0f |\n", r.trace, r.policy, r.unserved.text("%.4f", 100), r.cost.text("%.3f", 1), r.spot.mean(), r.onDemand.mean())
		}
	}
	return b.String()
}
