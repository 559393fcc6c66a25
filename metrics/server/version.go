package server

import (
	"github.com/prometheus/client_golang/prometheus"

	"swell/api/version"
)

// Version is what --version prints, and whether it was asked for.
func (s *Server) Version() (text string, asked bool) {
	if !s.version {
		return "", false
	}
	return version.Get().Line(s.Name), true
}

// buildInfo tells which build this is.
func buildInfo() prometheus.Collector {
	b := version.Get()
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "swell_build_info", Help: "1, with the build of the program."}, []string{"version", "commit", "go"})
	g.WithLabelValues(b.Version, b.Commit, b.Go).Set(1)
	return g
}
