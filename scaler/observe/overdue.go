package observe

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"swell/scaler/plan"
)

// overdueAfter is how long, in model time, a workload may owe the same number of pods. Those that a quota or a webhook refuses,
// and those that wait for another to become Ready, would otherwise hold room for as long as that lasts.
const overdueAfter = 10 * time.Minute

// owing is how many pods a workload owes, and since when it has been so many.
type owing struct {
	pods  int
	since time.Time
}

// due leaves out what workloads have owed for too long; each is a problem.
func (g *Groups) due(now time.Time, promises []promise) ([]promise, []plan.Problem) {
	owe := map[types.UID]int{}
	for _, p := range promises {
		owe[p.uid] += p.Count
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for uid := range g.owing {
		if owe[uid] == 0 {
			delete(g.owing, uid)
		}
	}
	var out []promise
	var problems []plan.Problem
	told := map[types.UID]bool{}
	for _, p := range promises {
		o, known := g.owing[p.uid]
		if !known || o.pods != owe[p.uid] {
			o = owing{owe[p.uid], now}
			g.owing[p.uid] = o
		}
		if now.Sub(o.since) <= overdueAfter {
			out = append(out, p)
			continue
		}
		if !told[p.uid] {
			told[p.uid] = true
			problems = append(problems, plan.Problem{Object: p.of(), What: fmt.Sprintf("%d of its replicas have had no pod for more than %s, and no room is held for them", o.pods, overdueAfter),
				Mend: "look at its events: a quota, an admission policy or a pod that does not become Ready keeps them back"})
		}
	}
	return out, problems
}
