package replay_test

import (
	"bufio"
	_ "embed"
	"math"
	"strconv"
	"strings"
	"testing"

	"swell/bench/traces"
	"swell/scaler/replay"
)

func trace(t *testing.T, name string) replay.Input {
	t.Helper()
	r, err := traces.Named(name)
	if err != nil {
		t.Fatal(err)
	}
	location, _, err := r.Local()
	if err != nil {
		t.Fatal(err)
	}
	return replay.Input{Trace: r.ForTest(t), Location: location}
}

// Unserved in percent and cost over clairvoyant of an independent simulation, by trace, scenario and policy.
//
//go:embed testdata/reference.txt
var reference string

func TestReferenceValues(t *testing.T) {
	const points, cost = 0.01, 0.005 // cost is absolute, for rule relative: its definition leaves more open
	lines := bufio.NewScanner(strings.NewReader(reference))
	compared := 0
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || fields[0] == "#" {
			continue
		}
		name, scenario := fields[0], fields[1]
		var policies []string
		var want [][2]float64
		for _, f := range fields[2:] {
			p := strings.Split(f, "/")
			if len(p) != 3 {
				t.Fatalf("testdata: %q", f)
			}
			unserved, e1 := strconv.ParseFloat(p[1], 64)
			over, e2 := strconv.ParseFloat(p[2], 64)
			if e1 != nil || e2 != nil {
				t.Fatalf("testdata: %q: %v %v", f, e1, e2)
			}
			policies, want = append(policies, p[0]), append(want, [2]float64{unserved, over})
		}
		compared++
		t.Run(name+" "+scenario+" "+policies[0], func(t *testing.T) {
			in := trace(t, name)
			in.Scenario, _ = replay.BuiltIn(scenario)
			runs, err := replay.Run(in, policies)
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range runs {
				slack := 1.0
				if strings.HasPrefix(r.Policy, "rule") {
					slack = want[i][1]
				}
				if du, dc := r.Unserved*100-want[i][0], r.CostOverClairvoyant-want[i][1]; math.Abs(du) > points || math.Abs(dc) > cost*slack {
					t.Errorf("%s: unserved %.4f%% (%+.4f), cost %.4f (%+.4f); the reference is %v", r.Policy, r.Unserved*100, du, r.CostOverClairvoyant, dc, want[i])
				}
			}
		})
	}
	if compared != 20 {
		t.Fatalf("%d lines were compared", compared)
	}
}
