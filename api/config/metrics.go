package config

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
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
}

// MetricsAPI is one of the two aggregated API groups for metrics.
type MetricsAPI string

const (
	// ExternalMetrics is external.metrics.k8s.io.
	ExternalMetrics MetricsAPI = "External"
	// CustomMetrics is custom.metrics.k8s.io.
	CustomMetrics MetricsAPI = "Custom"
)

// KafkaCluster is how one Kafka cluster is reached and how often it is asked.
type KafkaCluster struct {
	// Name is what QueueConsumers and selectors call it.
	Name string `json:"name"`
	// Brokers are bootstrap addresses, host:port.
	Brokers []string `json:"brokers"`
	// PollEvery is the time between two polls. Default: 5s.
	PollEvery metav1.Duration `json:"pollEvery,omitzero"`
	// StaleAfter is the age at which a sample is no longer served. Default: three polls.
	StaleAfter metav1.Duration `json:"staleAfter,omitzero"`
	// MetadataEvery is the time between two looks at topics, leaders and coordinators. Default: six polls.
	MetadataEvery metav1.Duration `json:"metadataEvery,omitzero"`
	// RequestTimeout is how long a broker may take for one answer, in the machine's time. Default: 5s.
	RequestTimeout metav1.Duration `json:"requestTimeout,omitzero"`
}

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
	if err := yaml.UnmarshalStrict(raw, m); err != nil {
		return nil, fmt.Errorf("read %s: %w: \"swell check %s\" tells the line, and the fields' names and types", path, err, path)
	}
	m.setDefaults()
	if err := m.Validate(); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return m, nil
}

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
		setDuration(&k.StaleAfter, 3*k.PollEvery.Duration)
		setDuration(&k.MetadataEvery, 6*k.PollEvery.Duration)
		setDuration(&k.RequestTimeout, 5*time.Second)
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
	if m.Listen != "" {
		if _, _, err := net.SplitHostPort(m.Listen); err != nil {
			problems = append(problems, fmt.Errorf("listen is %q: %w: give host:port, or leave it out", m.Listen, err))
		}
	}
	problems = append(problems, positive("rateWindow", m.RateWindow), positive("statusEvery", m.StatusEvery))
	return errors.Join(problems...)
}

func (k KafkaCluster) validate(field string) error {
	var problems []error
	if k.Name == "" {
		problems = append(problems, fmt.Errorf("%s.name is empty: give the name that QueueConsumers use as spec.kafka.cluster", field))
	}
	if len(k.Brokers) == 0 {
		problems = append(problems, fmt.Errorf("%s.brokers is empty: give at least one host:port", field))
	}
	for i, b := range k.Brokers {
		if host, port, err := net.SplitHostPort(b); err != nil || host == "" || port == "" {
			problems = append(problems, fmt.Errorf("%s.brokers[%d] is %q: give host:port", field, i, b))
		}
	}
	problems = append(problems,
		positive(field+".pollEvery", k.PollEvery), positive(field+".staleAfter", k.StaleAfter),
		positive(field+".metadataEvery", k.MetadataEvery), positive(field+".requestTimeout", k.RequestTimeout))
	if k.StaleAfter.Duration < k.PollEvery.Duration {
		problems = append(problems, fmt.Errorf("%s.staleAfter %s is below pollEvery %s, so that every sample would be stale: give at least two polls",
			field, k.StaleAfter.Duration, k.PollEvery.Duration))
	}
	return errors.Join(problems...)
}

func positive(field string, d metav1.Duration) error {
	if d.Duration <= 0 {
		return fmt.Errorf("%s is %s: give a duration above zero, or leave it out", field, d.Duration)
	}
	return nil
}
