package scaler

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"swell/api/v1alpha1"
	"swell/nodegroups"
	"swell/scaler/guard"
	"swell/scaler/observe"
	"swell/scaler/plan"
)

// othersEvery is the time between two readings of cluster-autoscaler's status; machine time, as what it compares with is.
const othersEvery = 20 * time.Second

// others is what was last read of cluster-autoscaler's status.
type others struct {
	mu       sync.Mutex
	statuses []corev1.ConfigMap
	err      error
	// enforced are the pools that the last plan did not only observe: in their groups processes may be suspended.
	enforced map[string]bool
}

// takeWhy is why a pool whose groups span zones waits: nothing is planned in them while AZRebalance runs.
const takeWhy = "its groups span zones and are taken over with the next reading"

var poolEnforcing = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "swell_pool_enforcing",
	Help: "1 for a CapacityPool whose plans are carried out, 0 for one that only observes, by the reason."}, []string{"pool", "reason"})

var registerOthers = sync.OnceFunc(func() { metrics.Registry.MustRegister(poolEnforcing) })

func (l *Loop) watchOthers(ctx context.Context) {
	for sleep(ctx, othersEvery) {
		l.readOthers(ctx)
	}
}

// readOthers reads cluster-autoscaler's status where its manifests and its chart have it by default.
func (l *Loop) readOthers(ctx context.Context) {
	registerOthers()
	call, cancel := context.WithTimeout(ctx, handsWithin)
	defer cancel()
	m, err := l.kube.CoreV1().ConfigMaps("kube-system").Get(call, guard.StatusName, metav1.GetOptions{})
	l.guard.mu.Lock()
	defer l.guard.mu.Unlock()
	switch {
	case apierrors.IsNotFound(err):
		l.guard.statuses, l.guard.err = nil, nil
	case err != nil:
		l.guard.err = err // what was read last grows old by itself
	default:
		l.guard.statuses, l.guard.err = []corev1.ConfigMap{*m}, nil
	}
}

// onlyObserve makes every pool and Balloon observe where the configuration says so. The items are this reading's own.
func (l *Loop) onlyObserve(world *observe.World) {
	if l.options.Config.Mode != v1alpha1.Observe {
		return
	}
	for i := range world.Pools {
		world.Pools[i].Spec.Mode = v1alpha1.Observe
	}
	for i := range world.Balloons {
		world.Balloons[i].Spec.Mode = v1alpha1.Observe
	}
}

// refuse makes pools observe whose groups another scaler acts on, and says how to mend that.
func (l *Loop) refuse(p *plan.Policy, world observe.World) []plan.Problem {
	l.guard.mu.Lock()
	statuses, err := l.guard.statuses, l.guard.err
	l.guard.mu.Unlock()
	seen := guard.Look(time.Now(), world.Snapshot.Pods, world.Snapshot.Nodes, statuses)
	var problems []plan.Problem
	if err != nil {
		problems = append(problems, plan.Problem{Object: "ConfigMap kube-system/" + guard.StatusName, What: "whether cluster-autoscaler runs elsewhere cannot be told: " + err.Error(),
			Mend: "let swell-scaler get this ConfigMap; its pods are looked for meanwhile"})
	}
	for i := range p.Pools {
		pool := &p.Pools[i]
		object := "CapacityPool " + pool.Name
		if seen.Karpenter != "" && !pool.Observe {
			problems = append(problems, plan.Problem{Object: object, What: fmt.Sprintf("Karpenter runs too (%s): both may buy for the same pods", seen.Karpenter),
				Mend: "give its NodePools taints or requirements that keep these pods off, or mode: Observe here"})
		}
		why := conflicts(seen, world, pool.Name, l.options.Config.ClusterName)
		if why == "" || pool.Observe || world.Pools[i].Spec.Groups.OtherScalers == "Ignore" { // one that observes acts beside nobody
			continue
		}
		pool.Observe, pool.ObserveWhy = true, why
		problems = append(problems, plan.Problem{Object: object, What: why + ": the pool only observes",
			Mend: "end the other scaler or take these groups from it, give mode: Observe, or spec.groups.otherScalers: Ignore to go on beside it"})
	}
	return problems
}

// enforce notes which pools' groups may be changed from now on. Groups that span zones must be read once with this leave before
// the pool is enforced; waits says that one is to be.
func (l *Loop) enforce(p *plan.Policy, world observe.World) (waits bool) {
	enforced := map[string]bool{}
	for i := range p.Pools {
		pool := &p.Pools[i]
		enforced[pool.Name] = !pool.Observe
		if !pool.Observe && observe.SelectionOf(world.Pools[i]).MultiZone && !l.groups.Taken(pool.Name) {
			pool.Observe, pool.ObserveWhy, waits = true, takeWhy, true
		}
	}
	l.guard.mu.Lock()
	defer l.guard.mu.Unlock()
	l.guard.enforced = enforced
	return waits
}

// selections are what the pools use of AWS's groups. Whether another scaler acts on these is known only once they were read, so
// that nothing is changed before the first plan, nor while a pool is refused or the configuration observes.
func (l *Loop) selections(world observe.World) map[string]nodegroups.Selection {
	l.guard.mu.Lock()
	defer l.guard.mu.Unlock()
	out := world.Selections()
	for name, s := range out {
		s.MayChange = s.MayChange && l.guard.enforced[name] && l.options.Config.Mode != v1alpha1.Observe
		out[name] = s
	}
	return out
}

// conflicts are a pool's, in words.
func conflicts(seen guard.Seen, world observe.World, pool, cluster string) string {
	var words []string
	for _, g := range world.Snapshot.Groups {
		if why := seen.Conflict(g, cluster); g.Pool == pool && why != "" {
			words = append(words, why)
		}
	}
	const most = 3
	if more := len(words) - most; more > 0 {
		words = append(words[:most], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(words, "; ")
}

// handConditions say whether a pool's plans are carried out, and what of it is frozen. Pools of the policy are in the world's order.
func (l *Loop) handConditions(pool *v1alpha1.CapacityPool, policy plan.Policy, now time.Time) []metav1.Condition {
	enforcing := metav1.Condition{Type: "Enforcing", Status: metav1.ConditionTrue, Reason: "Enforced", Message: "plans are carried out", ObservedGeneration: pool.Generation}
	frozen := metav1.Condition{Type: "Frozen", Status: metav1.ConditionFalse, Reason: "NotFrozen", Message: "nothing is frozen", ObservedGeneration: pool.Generation}
	not := func(reason, message string) {
		enforcing.Status, enforcing.Reason, enforcing.Message = metav1.ConditionFalse, reason, message
	}
	for _, p := range policy.Pools {
		if p.Name != pool.Name {
			continue
		}
		switch {
		case l.options.Config.Mode == v1alpha1.Observe:
			not("ClusterObserves", "the scaler's configuration has mode: Observe; nothing is changed")
		case p.ObserveWhy == takeWhy:
			not("TakingOver", takeWhy)
		case p.ObserveWhy != "":
			not("OtherScaler", p.ObserveWhy+"; end the other scaler or take these groups from it, or give spec.groups.otherScalers: Ignore")
		case pool.Spec.Mode == v1alpha1.Observe:
			not("Observes", "spec.mode is Observe; nothing is changed")
		case p.Observe:
			not("NotReadable", "the pool has fields that cannot be read; see status.problems")
		}
		if f := p.Freeze; f.Until.After(now) {
			what := "ScaleIn"
			if f.All {
				what = "All"
			}
			frozen.Status, frozen.Reason = metav1.ConditionTrue, what
			frozen.Message = fmt.Sprintf("until %s: %s", l.clock.RealTime(f.Until).UTC().Format(time.RFC3339), f.Reason)
		}
	}
	poolEnforcing.DeletePartialMatch(prometheus.Labels{"pool": pool.Name})
	value := 0.0
	if enforcing.Status == metav1.ConditionTrue {
		value = 1
	}
	poolEnforcing.WithLabelValues(pool.Name, enforcing.Reason).Set(value)
	return []metav1.Condition{enforcing, frozen}
}
