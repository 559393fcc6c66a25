package aws

import "github.com/prometheus/client_golang/prometheus"

// Collector gives Prometheus what the client knows of itself.
func (c *Client) Collector() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "swell_aws_call_budget",
		Help: "Calls a second to Auto Scaling and EC2 that are allowed at present: halved by each throttle, recovering with successes."},
		func() float64 { return c.Budget() })
}
