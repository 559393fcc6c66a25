package act

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var (
	launchFailures = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "swell_launch_failures_total",
		Help: "Launches, or parts of one, that AWS refused, by class: capacity, limit, permission, template, throttle, address, unknown."}, []string{"class"})
	neverJoined = prometheus.NewCounter(prometheus.CounterOpts{Name: "swell_instances_never_joined_total",
		Help: "Instances that were returned because they did not become a Ready node in time."})
)

// CountNeverJoined counts an instance that is given up.
func CountNeverJoined() { neverJoined.Inc() }

func init() { metrics.Registry.MustRegister(launchFailures, neverJoined) }
