package config

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Metrics is the configuration file of swell-metrics. Durations are in model time.
type Metrics struct {
	Clock Clock `json:"clock,omitzero"`
	// Clusters are the Kafka clusters that are polled; at least one.
	Clusters []KafkaCluster `json:"clusters"`
	// APIs are the metrics API groups that are served: External, Custom. Default: both.
	APIs []MetricsAPI `json:"apis,omitempty"`
	// Listen is the address of a plain HTTP port with /metrics, /healthz and /readyz; empty: none, the
	// secure port has the three as well.
	Listen string `json:"listen,omitempty"`
	// RateWindow is how far back rates are taken from. Default: 30s. Shorter than three polls, rates stay unknown.
	RateWindow metav1.Duration `json:"rateWindow,omitzero"`
	// StatusEvery is the least time between two writes of one QueueConsumer's status. Default: 5s.
	StatusEvery metav1.Duration `json:"statusEvery,omitzero"`
	Lease       Lease           `json:"lease,omitzero"`
	// NamespaceRules limit which groups a namespace may ask about, by HPA or QueueConsumer. Default: none, everyone may ask about all.
	NamespaceRules NamespaceRules `json:"namespaceRules,omitempty"`
	// PassOn names services that answer for metrics that are not swell's own.
	PassOn PassOn `json:"passOn,omitzero"`
	// PartitionMetrics adds each partition's lag, commit and end to /metrics.
	PartitionMetrics bool `json:"partitionMetrics,omitempty"`
}

// MetricsAPI is one of the two aggregated API groups for metrics.
type MetricsAPI string

const (
	// ExternalMetrics is external.metrics.k8s.io.
	ExternalMetrics MetricsAPI = "External"
	// CustomMetrics is custom.metrics.k8s.io.
	CustomMetrics MetricsAPI = "Custom"
)

// Lease names the lease that one replica holds to write statuses.
type Lease struct {
	// Namespace defaults to swell-system.
	Namespace string `json:"namespace,omitempty"`
	// Name defaults to swell-metrics.
	Name string `json:"name,omitempty"`
}

// LoadMetrics reads the configuration file of swell-metrics, fills what was left out and validates it.
func LoadMetrics(path string) (*Metrics, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration of swell-metrics: %w: name a readable file with --config", err)
	}
	m := &Metrics{}
	if err := decode(raw, m, path); err != nil {
		return nil, err
	}
	m.setDefaults()
	if err := m.Validate(); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return m, nil
}

// longestPoll is what pollEvery may be.
const longestPoll = 24 * time.Hour

func (m *Metrics) setDefaults() {
	if len(m.APIs) == 0 {
		m.APIs = []MetricsAPI{ExternalMetrics, CustomMetrics}
	}
	setDuration(&m.RateWindow, 30*time.Second)
	setDuration(&m.StatusEvery, 5*time.Second)
	if m.Lease.Namespace == "" {
		m.Lease.Namespace = "swell-system"
	}
	if m.Lease.Name == "" {
		m.Lease.Name = "swell-metrics"
	}
	for i := range m.Clusters {
		k := &m.Clusters[i]
		setDuration(&k.PollEvery, 5*time.Second)
		every := min(k.PollEvery.Duration, longestPoll) // what is above or below is told as pollEvery's, and not of what follows from it
		if every <= 0 {
			every = 5 * time.Second
		}
		setDuration(&k.StaleAfter, 3*every)
		setDuration(&k.MetadataEvery, 15*every)
		setDuration(&k.RequestTimeout, 5*time.Second)
		if k.MaxRequestsPerSecond == 0 {
			k.MaxRequestsPerSecond = 100
		}
	}
}

func setDuration(d *metav1.Duration, value time.Duration) {
	if d.Duration == 0 {
		d.Duration = value
	}
}

// Validate reports every field that cannot be used, each with its mend.
func (m *Metrics) Validate() error {
	problems := []error{m.Clock.Validate()}
	if len(m.Clusters) == 0 {
		problems = append(problems, errors.New("clusters is empty: name at least one Kafka cluster with its brokers"))
	}
	seen := map[string]bool{}
	for i, k := range m.Clusters {
		problems = append(problems, k.validate(fmt.Sprintf("clusters[%d]", i)))
		if seen[k.Name] {
			problems = append(problems, fmt.Errorf("clusters[%d].name %q is there twice: give each cluster its own name", i, k.Name))
		}
		seen[k.Name] = true
	}
	for i, a := range m.APIs {
		if a != ExternalMetrics && a != CustomMetrics {
			problems = append(problems, fmt.Errorf("apis[%d] is %q: give External or Custom", i, a))
		}
	}
	for i, r := range m.NamespaceRules {
		problems = append(problems, r.validate(fmt.Sprintf("namespaceRules[%d]", i), seen))
	}
	problems = append(problems, m.PassOn.External.validate("passOn.external"), m.PassOn.Custom.validate("passOn.custom"))
	if m.Listen != "" {
		if _, port, err := net.SplitHostPort(m.Listen); err != nil {
			problems = append(problems, fmt.Errorf("listen is %q: %w: give host:port, or leave it out", m.Listen, err))
		} else if port != "0" && !isPort(port) {
			problems = append(problems, fmt.Errorf("listen is %q: give host:port with a port from 0 (any) to 65535, or leave it out", m.Listen))
		}
	}
	if len(validation.IsDNS1123Label(m.Lease.Namespace)) > 0 {
		problems = append(problems, fmt.Errorf("lease.namespace is %q: give the name of a namespace, or leave it out", m.Lease.Namespace))
	}
	if len(validation.IsDNS1123Subdomain(m.Lease.Name)) > 0 {
		problems = append(problems, fmt.Errorf("lease.name is %q: give a name of small letters, digits, '-' and '.', or leave it out", m.Lease.Name))
	}
	problems = append(problems, positive("rateWindow", m.RateWindow), positive("statusEvery", m.StatusEvery))
	return errors.Join(problems...)
}

func positive(field string, d metav1.Duration) error {
	if d.Duration <= 0 {
		return fmt.Errorf("%s is %s: give a duration above zero, or leave it out", field, d.Duration)
	}
	return nil
}
