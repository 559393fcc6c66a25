package ledger

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var (
	entriesLost = prometheus.NewCounter(prometheus.CounterOpts{Name: "swell_ledger_entries_lost_total",
		Help: "Entries of the ledger that are lost, since it could not be written for long; the gap is recorded when it can be again."})
	entriesWaiting = prometheus.NewGauge(prometheus.GaugeOpts{Name: "swell_ledger_waiting_entries",
		Help: "Entries that could not be written to the ledger yet, or wait for a disk that does not answer; they are kept in memory and written once it can be."})
	copiesLost = prometheus.NewCounter(prometheus.CounterOpts{Name: "swell_ledger_copies_lost_total",
		Help: "Lines of the ledger that standard output did not take in time; the ledger itself has them."})
)

func init() { metrics.Registry.MustRegister(entriesLost, entriesWaiting, copiesLost) }
