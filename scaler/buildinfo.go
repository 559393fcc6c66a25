package scaler

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"swell/api/version"
)

var (
	buildInfo = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "swell_build_info", Help: "1, with the build of the program."}, []string{"version", "commit", "go"})

	registerBuild = sync.OnceFunc(func() {
		b := version.Get()
		buildInfo.WithLabelValues(b.Version, b.Commit, b.Go).Set(1)
		metrics.Registry.MustRegister(buildInfo)
	})
)
