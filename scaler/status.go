package scaler

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/v1alpha1"
	"swell/nodegroups"
	"swell/scaler/observe"
	"swell/scaler/plan"
)

// statusEvery bounds how often an object's status is written, in machine time.
const statusEvery = 2 * time.Second

// writeStatus writes what changed in the status of Balloons and CapacityPools.
func (l *Loop) writeStatus(ctx context.Context, now time.Time, world observe.World, sizes []size, p plan.Plan, policy plan.Policy) {
	if time.Since(l.statusAt) < statusEvery {
		return
	}
	l.statusAt = time.Now()
	given := l.expose(now, world, sizes, p, policy)
	defer exposed.Store(given)
	for _, s := range sizes {
		status := balloonStatus(s, world, l.clock, l.clock.RealTime(now))
		given.conditions("Balloon", s.balloon.Namespace, s.balloon.Name, status.Conditions)
		l.patchStatus(ctx, &v1alpha1.Balloon{ObjectMeta: metav1.ObjectMeta{Namespace: s.balloon.Namespace, Name: s.balloon.Name}}, status)
	}
	for i := range world.Pools {
		status := l.poolStatus(&world.Pools[i], world, p, policy, now)
		l.bootStatus(&status, &world.Pools[i], world.Snapshot.Groups, l.clock.RealTime(now))
		given.conditions("CapacityPool", "", world.Pools[i].Name, status.Conditions)
		l.patchStatus(ctx, &v1alpha1.CapacityPool{ObjectMeta: metav1.ObjectMeta{Name: world.Pools[i].Name}}, status)
	}
}

// patchStatus writes a status when it is another than the one last written.
func (l *Loop) patchStatus(ctx context.Context, object client.Object, status any) {
	// as a whole: what is no longer so must go
	raw, err := json.Marshal([]map[string]any{{"op": "add", "path": "/status", "value": status}})
	if err != nil {
		l.options.Log.Error("status", "error", err)
		return
	}
	key := fmt.Sprintf("%T %s/%s", object, object.GetNamespace(), object.GetName())
	if l.written[key] == string(raw) {
		return
	}
	if err := l.client.Status().Patch(ctx, object, client.RawPatch(types.JSONPatchType, raw), client.FieldOwner("swell-scaler")); err != nil {
		l.options.Log.Warn("status", "object", key, "error", err)
		return
	}
	l.written[key] = string(raw)
}

func (l *Loop) poolStatus(pool *v1alpha1.CapacityPool, world observe.World, p plan.Plan, policy plan.Policy, now time.Time) v1alpha1.CapacityPoolStatus {
	at := l.clock.RealTime(now)
	var status v1alpha1.CapacityPoolStatus
	usable := 0
	nodes := map[string]bool{}
	for _, n := range world.Snapshot.Nodes {
		nodes[n.Spec.ProviderID] = true
	}
	for _, g := range world.Snapshot.Groups {
		if g.Pool != pool.Name {
			continue
		}
		if g.Unusable == "" {
			usable++
		}
		z := zoneStatus(&status, g.Zone)
		for _, in := range g.Instances {
			switch {
			case in.Lifecycle == nodegroups.Terminating:
				continue
			case g.Market == nodegroups.Spot:
				z.Spot++
			default:
				z.OnDemand++
			}
			if !nodes[in.ProviderID] {
				z.Booting++
			}
		}
	}
	for _, x := range p.Problems {
		if concerns(x.Object, pool.Name, world.Snapshot.Groups) {
			status.Problems = append(status.Problems, x.What+"; "+x.Mend)
		}
	}
	condition := metav1.Condition{Type: "Ready", Status: metav1.ConditionTrue, Reason: "Planned", Message: "the pool's groups are read and planned for", ObservedGeneration: pool.Generation}
	if len(status.Zones) == 0 {
		condition.Status, condition.Reason = metav1.ConditionFalse, "NoGroups"
		condition.Message = strings.Join(append([]string{"no Auto Scaling group of this pool is known"}, status.Problems...), "; ")
	} else if usable == 0 {
		condition.Status, condition.Reason = metav1.ConditionFalse, "Unusable"
		condition.Message = strings.Join(append([]string{"nothing can be bought in any group of this pool"}, status.Problems...), "; ")
	} else if read := world.Snapshot.PoolsAt[pool.Name]; policy.MaxAge > 0 && now.Sub(read) > policy.MaxAge {
		condition.Status, condition.Reason = metav1.ConditionFalse, "Stale"
		condition.Message = fmt.Sprintf("its groups were last read at %s; nothing is returned until they are read again", l.clock.RealTime(read).UTC().Format(time.RFC3339))
	}
	all := append([]metav1.Condition{condition}, l.handConditions(pool, policy, now)...)
	status.Conditions = conditions(pool.Status.Conditions, at, all...)
	return status
}

// concerns says whether a problem's object is the pool or one of its groups.
func concerns(object, pool string, groups []nodegroups.Group) bool {
	if object == "CapacityPool "+pool || object == "pool "+pool {
		return true
	}
	for _, g := range groups {
		if g.Pool == pool && object == "group "+g.Name {
			return true
		}
	}
	return false
}

func zoneStatus(s *v1alpha1.CapacityPoolStatus, zone string) *v1alpha1.PoolZoneStatus {
	for i := range s.Zones {
		if s.Zones[i].Zone == zone {
			return &s.Zones[i]
		}
	}
	s.Zones = append(s.Zones, v1alpha1.PoolZoneStatus{Zone: zone})
	return &s.Zones[len(s.Zones)-1]
}

// conditions are the new ones, each with the time of its last change.
func conditions(old []metav1.Condition, at time.Time, all ...metav1.Condition) []metav1.Condition {
	for i := range all {
		all[i].LastTransitionTime = metav1.NewTime(at.Truncate(time.Second))
		for _, o := range old {
			if o.Type == all[i].Type && o.Status == all[i].Status {
				all[i].LastTransitionTime = o.LastTransitionTime
			}
		}
	}
	return all
}

// decimal is a number of pods to a tenth, absent where it is unknown.
func decimal(v float64) *v1alpha1.Decimal {
	if v != v || v < 0 {
		return nil
	}
	d := v1alpha1.Decimal(strconv.FormatFloat(v, 'f', 1, 64))
	return &d
}
