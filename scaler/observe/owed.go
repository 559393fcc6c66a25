package observe

import (
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"swell/scaler/plan"
)

// overdueAfter is how long, in model time, a workload may owe the same number of pods. Those that a quota or a webhook refuses,
// and those that wait for another to become Ready, would otherwise hold room for as long as that lasts.
const overdueAfter = 10 * time.Minute

// Owed remembers since when workloads owe as many pods as they do, which no single reading of the cluster tells. The zero value
// knows of none; it may be used by several goroutines.
type Owed struct {
	mu    sync.Mutex
	debts map[types.UID]debt // by workload
}

// debt is how many pods a workload owes, and since when it has been so many.
type debt struct {
	pods  int
	since time.Time
}

// due leaves out what workloads have owed for too long; each is a problem.
func (o *Owed) due(now time.Time, promises []promise) ([]promise, []plan.Problem) {
	owe := map[types.UID]int{}
	for _, p := range promises {
		owe[p.uid] += p.Count
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.debts == nil {
		o.debts = map[types.UID]debt{}
	}
	for uid := range o.debts {
		if owe[uid] == 0 {
			delete(o.debts, uid)
		}
	}
	var out []promise
	var problems []plan.Problem
	told := map[types.UID]bool{}
	for _, p := range promises {
		d, known := o.debts[p.uid]
		if !known || d.pods != owe[p.uid] {
			d = debt{owe[p.uid], now}
			o.debts[p.uid] = d
		}
		if now.Sub(d.since) <= overdueAfter {
			out = append(out, p)
			continue
		}
		if !told[p.uid] {
			told[p.uid] = true
			problems = append(problems, plan.Problem{Object: p.of(), What: fmt.Sprintf("%d of its replicas have had no pod for more than %s, and no room is held for them", d.pods, overdueAfter),
				Mend: "look at its events: a quota, an admission policy or a pod that does not become Ready keeps them back"})
		}
	}
	return out, problems
}
