package scaler

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"swell/api/metric"
	"swell/api/v1alpha1"
	"swell/nodegroups"
	"swell/scaler/observe"
	"swell/scaler/plan"
)

// What Prometheus is given of the newest plan. Times are the machine's, so that a rule may compare them with its own time().
var (
	groupLabels   = []string{"pool", "group", "zone", "market"}
	balloonLabels = []string{"namespace", "balloon"}

	descPlanAt    = prometheus.NewDesc("swell_last_plan_timestamp_seconds", "When the newest plan was made.", nil, nil)
	descAPIAt     = prometheus.NewDesc("swell_apiserver_read_timestamp_seconds", "When the API server's answers were last known to be current.", nil, nil)
	descGroupsAt  = prometheus.NewDesc("swell_groups_read_timestamp_seconds", "When a pool's Auto Scaling groups were last read; absent before the first reading.", []string{"pool"}, nil)
	descProblems  = prometheus.NewDesc("swell_problems", "Problems of the newest plan; the ledger and the kinds' statuses have their words.", nil, nil)
	descPending   = prometheus.NewDesc("swell_pending_pods", "Pods that wait for a node, balloons not counted.", nil, nil)
	descOldest    = prometheus.NewDesc("swell_oldest_pending_pod_timestamp_seconds", "When the pod that has waited longest for a node was made; absent while none waits.", nil, nil)
	descUnplaced  = prometheus.NewDesc("swell_unplaced_pods", "Pods that no node and no group can take.", nil, nil)
	descInstances = prometheus.NewDesc("swell_group_instances", "Instances of a group, by what they are: Ready nodes, booting, or ending.", append(slices.Clone(groupLabels), "state"), nil)
	descMax       = prometheus.NewDesc("swell_group_max_instances", "A group's own maximum.", groupLabels, nil)
	descAvailable = prometheus.NewDesc("swell_group_available", "1 where instances may be bought in a group, 0 where it cannot be used or was refused of late.", groupLabels, nil)
	descCost      = prometheus.NewDesc("swell_pool_hourly_cost", "What a pool's instances cost an hour, in the currency of the prices; absent where a price is not known.", []string{"pool"}, nil)
	descCostLimit = prometheus.NewDesc("swell_pool_hourly_cost_limit", "A pool's limits.maxHourlyCost; absent where it has none.", []string{"pool"}, nil)
	descDrains    = prometheus.NewDesc("swell_drains", "Nodes that are being emptied.", nil, nil)
	descDrainFrom = prometheus.NewDesc("swell_oldest_drain_timestamp_seconds", "When the drain that has gone on longest began; absent while there is none.", nil, nil)
	descDrainsOff = prometheus.NewDesc("swell_drains_failed", "Nodes whose drain failed and is tried again later.", nil, nil)
	descWanted    = prometheus.NewDesc("swell_balloons_wanted", "Balloon pods that a Balloon wants.", balloonLabels, nil)
	descRunning   = prometheus.NewDesc("swell_balloons_running", "Balloon pods of a Balloon that have their place, virtual ones included; absent where swell holds none: mode Observe, or output CapacityBuffer.", balloonLabels, nil)
	descPoint     = prometheus.NewDesc("swell_forecast_pods", "Forecast of a workload's demand in all clusters when what is ordered now begins to serve, in pods; absent without a forecast.", balloonLabels, nil)
	descUpper     = prometheus.NewDesc("swell_forecast_upper_pods", "The quantile of the same forecast that balloons are sized by.", balloonLabels, nil)
	descTau       = prometheus.NewDesc("swell_forecast_quantile", "Which quantile that is, 0 to 1.", balloonLabels, nil)
	descCondition = prometheus.NewDesc("swell_condition", "A condition of a CapacityPool, of a Balloon, or of a HorizontalPodAutoscaler that scales a guarded workload or asks swell-metrics: 1 True, 0 False; absent while Unknown.",
		[]string{"kind", "namespace", "name", "type", "reason"}, nil)

	gaugeDescs = []*prometheus.Desc{descPlanAt, descAPIAt, descGroupsAt, descProblems, descPending, descOldest, descUnplaced, descInstances, descMax, descAvailable,
		descCost, descCostLimit, descDrains, descDrainFrom, descDrainsOff, descWanted, descRunning, descPoint, descUpper, descTau, descCondition}
)

// exposed is the newest plan's; a scrape sees one plan's as a whole, and nothing of a scaler that has not planned.
var exposed atomic.Pointer[exposition]

var registerGauges = sync.OnceFunc(func() { metrics.Registry.MustRegister(gaugeCollector{}) })

// RegisterMetrics registers all that the loop gives to Prometheus, once.
func RegisterMetrics() {
	registerDemand()
	registerGauges()
	registerOthers()
	registerNotices()
	registerRails()
	registerBuild()
}

type gaugeCollector struct{}

func (gaugeCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range gaugeDescs {
		ch <- d
	}
}

func (gaugeCollector) Collect(ch chan<- prometheus.Metric) {
	if e := exposed.Load(); e != nil {
		for _, m := range e.list {
			ch <- m
		}
	}
}

// exposition is all samples of one plan. One that is added twice is left out, or the whole scrape would fail.
type exposition struct {
	list []prometheus.Metric
	seen map[string]bool
	// real is the machine's clock at a model time.
	real func(time.Time) time.Time
}

func (e *exposition) add(d *prometheus.Desc, value float64, labels ...string) {
	key := d.String()
	for _, l := range labels {
		key += "\x00" + l
	}
	if e.seen[key] || math.IsNaN(value) {
		return
	}
	e.seen[key] = true
	e.list = append(e.list, prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...))
}

// at adds a model time, unless it is unknown.
func (e *exposition) at(d *prometheus.Desc, model time.Time, labels ...string) {
	if !model.IsZero() {
		e.add(d, float64(e.real(model).UnixMilli())/1000, labels...)
	}
}

func (e *exposition) conditions(kind, namespace, name string, all []metav1.Condition) {
	for _, c := range all {
		e.condition(kind, namespace, name, c.Type, c.Reason, string(c.Status))
	}
}

func (e *exposition) condition(kind, namespace, name, of, reason, status string) {
	switch metav1.ConditionStatus(status) {
	case metav1.ConditionTrue:
		e.add(descCondition, 1, kind, namespace, name, of, reason)
	case metav1.ConditionFalse:
		e.add(descCondition, 0, kind, namespace, name, of, reason)
	}
}

// expose begins what is given to Prometheus of one plan; the conditions are added as they are written.
func (l *Loop) expose(now time.Time, world observe.World, sizes []size, p plan.Plan, policy plan.Policy) *exposition {
	e := &exposition{seen: map[string]bool{}, real: l.clock.RealTime}
	e.at(descPlanAt, now)
	e.at(descAPIAt, world.Snapshot.PodsAt)
	e.add(descProblems, float64(len(p.Problems)))
	e.add(descUnplaced, float64(len(p.Unplaced)))
	e.pods(world.Snapshot.Pods)
	for _, pool := range policy.Pools {
		e.pool(pool, world.Snapshot)
	}
	e.groups(now, world.Snapshot)
	drains, oldest, failed := l.actor.UnderWay()
	e.add(descDrains, float64(drains))
	e.at(descDrainFrom, oldest)
	e.add(descDrainsOff, float64(failed))
	guarded := map[*autoscalingv2.HorizontalPodAutoscaler]bool{}
	for _, s := range sizes {
		e.balloon(s, world.Snapshot.Pods)
		guarded[world.HPAOf(s.balloon.Namespace, s.balloon.Spec.ScaleTargetRef)] = true
	}
	for i := range world.HPAs {
		if h := &world.HPAs[i]; guarded[h] || asksSwell(h) {
			e.autoscaler(h)
		}
	}
	return e
}

// pods are those that wait for a node, and not for somebody to lift a gate, by the machine's clock, which stamps them.
func (e *exposition) pods(pods []*corev1.Pod) {
	var oldest time.Time
	n := 0
	for _, p := range pods {
		if p.Spec.NodeName != "" || p.DeletionTimestamp != nil || p.Labels[plan.BalloonLabel] != "" || len(p.Spec.SchedulingGates) > 0 {
			continue
		}
		n++
		if made := p.CreationTimestamp.Time; oldest.IsZero() || made.Before(oldest) {
			oldest = made
		}
	}
	e.add(descPending, float64(n))
	if n > 0 {
		e.add(descOldest, float64(oldest.Unix()))
	}
}

func (e *exposition) pool(pool plan.Pool, s plan.Snapshot) {
	read, own := s.PoolsAt[pool.Name]
	if !own {
		read = s.GroupsAt
	}
	e.at(descGroupsAt, read, pool.Name)
	if pool.MaxHourlyCost > 0 {
		e.add(descCostLimit, pool.MaxHourlyCost, pool.Name)
	}
	cost := 0.0
	for _, g := range s.Groups {
		if n := alive(g); g.Pool == pool.Name && n > 0 {
			if g.HourlyPrice <= 0 {
				return
			}
			cost += float64(n) * g.HourlyPrice
		}
	}
	e.add(descCost, cost, pool.Name)
}

func alive(g nodegroups.Group) int {
	n := 0
	for _, i := range g.Instances {
		if i.Lifecycle != nodegroups.Terminating {
			n++
		}
	}
	return n
}

func (e *exposition) groups(now time.Time, s plan.Snapshot) {
	ready := map[string]bool{}
	for _, n := range s.Nodes {
		for _, c := range n.Status.Conditions {
			if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
				ready[n.Spec.ProviderID] = true
			}
		}
	}
	refused := map[string]bool{}
	for _, u := range s.Unavailable {
		if u.Until.After(now) {
			refused[u.Group] = true
		}
	}
	for _, g := range s.Groups {
		labels := []string{g.Pool, g.Name, g.Zone, string(g.Market)}
		counts := map[string]int{"ready": 0, "booting": 0, "ending": 0}
		for _, i := range g.Instances {
			switch {
			case i.Lifecycle == nodegroups.Terminating:
				counts["ending"]++
			case ready[i.ProviderID]:
				counts["ready"]++
			default:
				counts["booting"]++
			}
		}
		for state, n := range counts {
			e.add(descInstances, float64(n), append(slices.Clone(labels), state)...)
		}
		e.add(descMax, float64(g.Max), labels...)
		available := 1.0
		if g.Unusable != "" || refused[g.Name] {
			available = 0
		}
		e.add(descAvailable, available, labels...)
	}
}

func (e *exposition) balloon(s size, pods []*corev1.Pod) {
	of := []string{s.balloon.Namespace, s.balloon.Name}
	if s.tau > 0 {
		e.add(descTau, s.tau, of...)
	}
	if s.err == nil && s.answer.Ready {
		e.add(descPoint, s.answer.Point, of...)
		e.add(descUpper, s.answer.Upper, of...)
	}
	if s.unsized {
		return // what is wanted is not known
	}
	wanted, running := 0, 0
	for _, z := range s.decision.Zones {
		wanted += z.Balloons
	}
	e.add(descWanted, float64(wanted), of...)
	if s.balloon.Spec.Mode == v1alpha1.Observe || s.balloon.Spec.Output == v1alpha1.OutputCapacityBuffer {
		return
	}
	for _, n := range s.virtual {
		running += n
	}
	for _, p := range pods {
		if p.Namespace == s.balloon.Namespace && p.Labels[plan.BalloonLabel] == s.balloon.Name && p.Status.Phase == corev1.PodRunning {
			running++
		}
	}
	e.add(descRunning, float64(running), of...)
}

// asksSwell says whether an HPA names a metric of swell-metrics.
func asksSwell(h *autoscalingv2.HorizontalPodAutoscaler) bool {
	return slices.ContainsFunc(h.Spec.Metrics, func(m autoscalingv2.MetricSpec) bool {
		name := ""
		switch {
		case m.External != nil:
			name = m.External.Metric.Name
		case m.Object != nil:
			name = m.Object.Metric.Name
		}
		return slices.Contains([]string{metric.Lag, metric.LateMessages, metric.LagSeconds, metric.ProduceRate, metric.ConsumeRate, metric.DesiredReplicas,
			metric.PartitionLag, metric.PredictedReplicas}, name)
	})
}

func (e *exposition) autoscaler(h *autoscalingv2.HorizontalPodAutoscaler) {
	for _, c := range h.Status.Conditions {
		e.condition("HorizontalPodAutoscaler", h.Namespace, h.Name, string(c.Type), c.Reason, string(c.Status))
	}
}
