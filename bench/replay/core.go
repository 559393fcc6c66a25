package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"swell/bench/traces"
	"swell/scaler/replay"
	"swell/scaler/replay/frontier"
)

// What is needed of swell: unserved on each load, the geometric mean of the ratios to the best opponent, and what is beyond.
const (
	mostUnserved = 0.001
	mostRatio    = 0.85
	beyondRatio  = 0.70
)

// opponents are compared at swell's unserved share; others are shown.
var (
	opponents = []string{"static", "rule", "slope"}
	others    = []string{"scheduled", "karpenter", "hourly"}
)

const coreName = "core-300"

// coreRun is what swell and its opponents reached on one load.
type coreRun struct {
	load     traces.Recorded
	scenario string
	swell    replay.Result
	best     frontier.Comparison
	costs    []float64 // of the opponents at swell's unserved share; NaN where their lines end before
	others   []replay.Result
	picture  string
}

type coreRuns []coreRun

func playCore(found []readable, all bool, p *printer, log io.Writer) (coreRuns, error) {
	var out coreRuns
	scenarios := []string{coreName}
	if all {
		scenarios = append(scenarios, "core-120")
	}
	for _, scenario := range scenarios {
		for _, r := range found {
			fmt.Fprintf(log, "%s  %s: %s\n", time.Now().Format(time.TimeOnly), scenario, r.Name)
			c, err := r.play(scenario, all)
			if err != nil {
				return nil, err
			}
			labels := []string{"scenario", scenario, "trace", r.Name}
			p.print("unserved", c.swell.Unserved, "share", labels...)
			p.print("cost", c.swell.CostOverClairvoyant, "clairvoyant", labels...)
			if c.best.Best != "" {
				p.print("excess_ratio", c.best.Ratio, "ratio", append(labels, "best", c.best.Best)...)
			}
			for i, name := range opponents {
				if !math.IsNaN(c.costs[i]) {
					p.print("cost", c.costs[i], "clairvoyant", append(labels, "peer", name, "at", "the same unserved share")...)
				}
			}
			for _, o := range c.others {
				p.print("unserved", o.Unserved, "share", append(labels, "peer", o.Policy)...)
				p.print("cost", o.CostOverClairvoyant, "clairvoyant", append(labels, "peer", o.Policy)...)
			}
			out = append(out, c)
		}
	}
	if m := out.ratio(coreName); !math.IsNaN(m) {
		p.print("excess_ratio_mean", m, "ratio", "scenario", coreName)
	}
	return out, nil
}

// play plays a load; all adds what is shown but not compared.
func (r readable) play(scenario string, all bool) (coreRun, error) {
	in := r.in
	in.Scenario, _ = replay.BuiltIn(scenario)
	settings := replay.Frontier()
	policies := []string{"swell"}
	for _, name := range opponents {
		policies = append(policies, settings[name]...)
	}
	if all {
		policies = append(append(policies, others...), settings["swell"]...)
	}
	runs, err := replay.Run(in, policies)
	if err != nil {
		return coreRun{}, err
	}
	c := coreRun{load: r.Recorded, scenario: scenario, swell: runs[0]}
	lines := frontier.OfRuns(runs[1:])
	byName := map[string]frontier.Line{}
	for _, l := range lines {
		byName[l.Name] = l
	}
	at := frontier.Point{Label: "swell", Unserved: c.swell.Unserved, Cost: c.swell.CostOverClairvoyant}
	var compared []frontier.Line
	for _, name := range opponents {
		compared = append(compared, byName[name])
		cost, _ := byName[name].CostAt(at.Unserved)
		c.costs = append(c.costs, cost)
	}
	c.best = frontier.Compare(at, compared)
	for _, name := range others {
		for _, run := range runs {
			if run.Policy == name {
				c.others = append(c.others, run)
			}
		}
	}
	if all && scenario == coreName {
		c.picture = frontier.Picture{Title: r.Name + ", " + scenario, Subtitle: "what each policy costs and leaves unserved, by its setting",
			Lines: lines, Main: "swell", Limit: mostUnserved}.SVG()
	}
	return c, nil
}

// ratio is the geometric mean over a scenario's loads.
func (cs coreRuns) ratio(scenario string) float64 {
	var ratios []float64
	for _, c := range cs {
		if c.scenario == scenario {
			ratios = append(ratios, c.best.Ratio)
		}
	}
	return frontier.GeometricMean(ratios)
}

// misses are the targets that were not reached; complete says that all loads were there.
func (cs coreRuns) misses(complete bool) error {
	var out []error
	for _, c := range cs {
		if c.scenario != coreName {
			continue
		}
		if c.swell.Unserved > mostUnserved {
			out = append(out, fmt.Errorf("%s, %s: %.4f %% unserved, at most %g %% is allowed", c.load.Name, c.scenario, c.swell.Unserved*100, mostUnserved*100))
		}
		if !(c.best.Ratio < 1) {
			out = append(out, fmt.Errorf("%s, %s: swell costs %.4f, %s %.4f at the same unserved share", c.load.Name, c.scenario, c.swell.CostOverClairvoyant, c.best.Best, c.best.Cost))
		}
	}
	if m := cs.ratio(coreName); complete && !(m <= mostRatio) {
		out = append(out, fmt.Errorf("%s: the geometric mean of the ratios is %.3f, at most %g is needed", coreName, m, mostRatio))
	}
	return errors.Join(out...)
}

const coreHead = "| trace | unserved | cost | static | rule | slope | best | ratio |\n|---|---|---|---|---|---|---|---|"

// row is a load's line of the table.
func (c coreRun) row() string {
	costs := ""
	for _, v := range c.costs {
		if math.IsNaN(v) {
			costs += " – |"
		} else {
			costs += fmt.Sprintf(" %.4f |", v)
		}
	}
	return fmt.Sprintf("| %s | %.4f %% | %.4f |%s %s | %.2f |", c.load.Name, c.swell.Unserved*100, c.swell.CostOverClairvoyant, costs, c.best.Best, c.best.Ratio)
}

func (c coreRun) otherRow() string {
	row := "| " + c.load.Name + " |"
	for _, o := range c.others {
		row += fmt.Sprintf(" %.3f %% at %.3f |", o.Unserved*100, o.CostOverClairvoyant)
	}
	return row + fmt.Sprintf(" %.3f %% at %.3f |", c.swell.Unserved*100, c.swell.CostOverClairvoyant)
}

// tables are the core scenarios' as they stand in the document.
func (cs coreRuns) tables() string {
	var b strings.Builder
	for _, scenario := range []string{coreName, "core-120"} {
		fmt.Fprintf(&b, "%s:\n\n%s\n", scenario, coreHead)
		for _, c := range cs {
			if c.scenario == scenario {
				b.WriteString(c.row() + "\n")
			}
		}
		fmt.Fprintf(&b, "\nThe geometric mean of the ratios is **%.3f**.\n\n", cs.ratio(scenario))
	}
	b.WriteString("The other peers, unserved at a cost, core-300:\n\n| trace | " + strings.Join(others, " | ") + " | swell |\n|" + strings.Repeat("---|", len(others)+2) + "\n")
	for _, c := range cs {
		if c.scenario == coreName {
			b.WriteString(c.otherRow() + "\n")
		}
	}
	return b.String() + "\n"
}
