package scaler

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"swell/api/v1alpha1"
	"swell/nodegroups"
	"swell/nodegroups/learn"
	"swell/scaler/learned"
)

var (
	bootSeconds = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "swell_node_boot_seconds",
		Help: "Learned quantiles of the time from an instance's launch to a phase: its Node registered, Ready, its first pod Ready."},
		[]string{"phase", "quantile", "zone", "type", "image", "market"})
	interruptions = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "swell_interruptions_total",
		Help: "Notices that an instance of a pool is about to be lost, by kind."}, []string{"kind"})
)

func init() {
	for _, k := range []nodegroups.InterruptionKind{nodegroups.SpotInterruption, nodegroups.RebalanceNotice, nodegroups.InstanceTerminating, nodegroups.Maintenance,
		nodegroups.TerminationHook, nodegroups.NodeNotice} {
		interruptions.WithLabelValues(string(k)) // a rate sees no counter's first count unless it stood at 0 before
	}
	metrics.Registry.MustRegister(bootSeconds, interruptions)
}

// bootMetricsEvery bounds how often quantiles are computed anew; model time.
const bootMetricsEvery = time.Minute

// presentKeys are what the groups would launch now, sorted.
func presentKeys(groups []nodegroups.Group, pool string) []learn.BootKey {
	var keys []learn.BootKey
	for _, g := range groups {
		for _, t := range g.InstanceTypes {
			if key := learned.Key(g, t); (pool == "" || g.Pool == pool) && !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	slices.SortFunc(keys, func(a, b learn.BootKey) int {
		return cmp.Or(cmp.Compare(a.Zone, b.Zone), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Image, b.Image), cmp.Compare(a.Market, b.Market))
	})
	return keys
}

func (l *Loop) bootMetrics(now time.Time, groups []nodegroups.Group) {
	if now.Sub(l.bootMetricsAt).Abs() < bootMetricsEvery {
		return
	}
	l.bootMetricsAt = now
	bootSeconds.Reset()
	for _, k := range presentKeys(groups, "") {
		for _, phase := range []learn.Phase{learn.Registered, learn.Ready, learn.FirstPod} {
			for name, tau := range map[string]float64{"0.5": 0.5, "0.95": 0.95, "0.99": 0.99} {
				bootSeconds.WithLabelValues(phase.String(), name, k.Zone, k.Type, k.Image, string(k.Market)).Set(l.known.Boots.Quantile(k, phase, tau).Seconds())
			}
		}
	}
}

// mostLearned bounds how many boot times a status has.
const mostLearned = 50

// bootStatus fills in what was learned of a pool's boots.
func (l *Loop) bootStatus(status *v1alpha1.CapacityPoolStatus, pool *v1alpha1.CapacityPool, groups []nodegroups.Group, at time.Time) {
	for _, k := range presentKeys(groups, pool.Name) {
		if len(status.LearnedBoot) == mostLearned {
			break
		}
		quantile := func(tau float64) metav1.Duration {
			return metav1.Duration{Duration: l.known.Boots.Quantile(k, learn.Ready, tau).Round(time.Second)}
		}
		status.LearnedBoot = append(status.LearnedBoot, v1alpha1.LearnedBoot{Zone: k.Zone, Type: k.Type, Image: k.Image, Market: string(k.Market),
			Count: int32(l.known.Boots.Count(k, learn.Ready)), P50: quantile(0.5), P95: quantile(0.95), P99: quantile(0.99)})
	}
	condition := metav1.Condition{Type: "BootSlower", Status: metav1.ConditionFalse, Reason: "AsBefore", Message: "no image boots slower than the one before it", ObservedGeneration: pool.Generation}
	var words []string
	for _, s := range l.known.Boots.Slower() {
		if slices.Contains(poolsOf(s, groups), pool.Name) {
			words = append(words, s.String())
		}
	}
	if len(words) > 0 {
		condition.Status, condition.Reason, condition.Message = metav1.ConditionTrue, "NewImageSlower", strings.Join(words, "; ")
	}
	status.Conditions = append(status.Conditions, conditions(pool.Status.Conditions, at, condition)...)
}
