package act

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"swell/nodegroups"
)

var (
	launchFailures = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "swell_launch_failures_total",
		Help: "Launches, or parts of one, that AWS refused, by class: capacity, limit, permission, credentials, template, throttle, address, unknown."}, []string{"class"})
	launchedInstances = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "swell_instances_launched_total",
		Help: "Instances that AWS's answers gave or promised: launched by their ids, or by a raised desired capacity."}, []string{"group"})
	neverJoined = prometheus.NewCounter(prometheus.CounterOpts{Name: "swell_instances_never_joined_total",
		Help: "Instances that were returned because they did not become a Ready node in time."})
)

// CountNeverJoined counts an instance that is given up.
func CountNeverJoined() { neverJoined.Inc() }

func init() {
	for _, c := range []nodegroups.FailureClass{nodegroups.NoCapacity, nodegroups.LimitReached, nodegroups.NotAllowed, nodegroups.NotKnown, nodegroups.BadTemplate,
		nodegroups.Throttled, nodegroups.NoAddresses, nodegroups.Unclassified} {
		launchFailures.WithLabelValues(string(c)) // a rate sees no counter's first count unless it stood at 0 before
	}
	metrics.Registry.MustRegister(launchFailures, neverJoined, launchedInstances)
}
