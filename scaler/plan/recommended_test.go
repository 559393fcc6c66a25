package plan

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"swell/nodegroups"
)

// A zone of spot nodes may be recommended to be replaced at once. Those with a deadline drain all; the others as many at a time as may
// be returned.
func TestRecommendedReplacementsDrainWithinTheZonesBudget(t *testing.T) {
	for _, c := range []struct {
		name     string
		share    float64
		draining int
		deadline bool
		want     int
	}{
		{"a fifth of ten", 0.2, 0, false, 2},
		{"one of them drains", 0.2, 1, false, 2},
		{"nothing may be returned", 0, 0, false, 1},
		{"they have a deadline", 0.2, 0, true, 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			pool := testPool()
			pool.MaxUnavailable = c.share
			k := newCluster(pool).group("1a", nodegroups.Spot, 0.2).up(spotA, 10)
			for i := range 8 {
				n := nodegroups.Interruption{InstanceID: fmt.Sprintf("i-%04d", i+1), Kind: nodegroups.RebalanceNotice, At: k.now}
				if c.deadline {
					n.Deadline = k.now.Add(2 * time.Minute)
				}
				k.s.Interrupted = append(k.s.Interrupted, n)
			}
			for i := range c.draining {
				k.s.Draining = append(k.s.Draining, k.s.Nodes[i].Name)
			}
			p := k.plan()
			placed, waits := 0, 0
			for _, r := range p.Replacements {
				if r.Placed {
					placed++
				}
				if strings.Contains(r.Reason, "maxUnavailablePerZone") {
					waits++
				}
			}
			if len(p.Replacements) != 8 || placed != c.want || waits != 8-c.want {
				t.Errorf("%d of %d may drain, %d wait: want %d of 8", placed, len(p.Replacements), waits, c.want)
			}
		})
	}
}
