package ledger

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var (
	entriesLost = prometheus.NewCounter(prometheus.CounterOpts{Name: "swell_ledger_entries_lost_total",
		Help: "Entries that could not be written to the ledger; the gap is recorded when it can be written again."})
	copiesLost = prometheus.NewCounter(prometheus.CounterOpts{Name: "swell_ledger_copies_lost_total",
		Help: "Lines of the ledger that standard output did not take in time; the ledger itself has them."})
)

func init() { metrics.Registry.MustRegister(entriesLost, copiesLost) }
