package stack

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"sigs.k8s.io/yaml"

	"swell/api/config"
	"swell/bench/testbed/controlplane"
	"swell/bench/testbed/process"
)

// ScalerOptions are what differs between runs of the scaler.
type ScalerOptions struct {
	// Files are the histories that forecasts begin with.
	Files []config.HistoryFile
	// Prometheus that it reads the past from; nil is none.
	Prometheus *config.Prometheus
	// TimeZone of the weekly profile. Default UTC.
	TimeZone string
	Prices   map[string]config.Price
	Region   string
	QueueURL string
	// Page is as in the configuration.
	Page config.Page
	// MetricsAddress serves /metrics; empty is off.
	MetricsAddress string
	// Notify and GuardRails are as in the configuration.
	Notify     config.Notify
	GuardRails config.GuardRails
}

// LedgerDir is where the scaler's ledger is.
func (s *Stack) LedgerDir() string { return filepath.Join(s.options.Dir, "ledger") }

// program is the path of one of swell's programs.
func (s *Stack) program(name string) (string, error) {
	path := filepath.Join(s.root, "bin", name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("finding %s: %w; run \"make build\"", name, err)
	}
	return path, nil
}

// StartScaler starts swell-scaler and waits until it says that it is healthy.
func (s *Stack) StartScaler(ctx context.Context, o ScalerOptions) error {
	port, err := process.FreePorts(1)
	if err != nil {
		return err
	}
	s.healthPort = port
	c := config.Scaler{
		AWS:            config.AWS{Region: o.Region, Endpoint: s.AWSEndpoint(), QueueURL: o.QueueURL},
		Prices:         o.Prices,
		LedgerDir:      s.LedgerDir(),
		LeaderElection: config.LeaderElection{Namespace: "swell-system"},
		History:        config.History{Files: o.Files, TimeZone: o.TimeZone, Checkpoints: "swell-system", Prometheus: o.Prometheus},
		HealthAddress:  fmt.Sprintf("127.0.0.1:%d", port),
		MetricsAddress: o.MetricsAddress,
		Clock:          s.Clock,
		Page:           o.Page,
		Notify:         o.Notify,
		GuardRails:     o.GuardRails,
	}
	c.History.SampleEvery.Duration = 15 * time.Second
	path, err := s.writeConfig("scaler.yaml", c)
	if err != nil {
		return err
	}
	kubeconfig, err := s.Cluster.ServiceAccountKubeconfig("swell-system", "swell-scaler")
	if err != nil {
		return err
	}
	binary, err := s.program("swell-scaler")
	if err != nil {
		return err
	}
	s.Scaler, err = process.Start(ctx, process.Spec{
		Name: "swell-scaler", Path: binary, Args: []string{"--config", path, "--kubeconfig", kubeconfig},
		Env: append(os.Environ(), "AWS_ACCESS_KEY_ID=testbed", "AWS_SECRET_ACCESS_KEY=testbed"),
		Log: filepath.Join(s.options.Dir, "swell-scaler.log"),
	})
	if err != nil {
		return err
	}
	return s.WaitScaler(ctx)
}

// WaitScaler waits until the scaler's health check answers.
func (s *Stack) WaitScaler(ctx context.Context) error {
	url := fmt.Sprintf("http://127.0.0.1:%d/healthz", s.healthPort)
	return Poll(ctx, "waiting for swell-scaler", 30*time.Second, func(ctx context.Context) (bool, error) {
		select {
		case <-s.Scaler.Done():
			return false, s.Scaler.Wait()
		default:
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return false, err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return false, err
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK, nil
	})
}

func (s *Stack) writeConfig(name string, c any) (string, error) {
	raw, err := yaml.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("writing %s: %w", name, err)
	}
	path := filepath.Join(s.options.Dir, name)
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		return "", fmt.Errorf("writing %s: %w", name, err)
	}
	return path, nil
}

// metricsAPIs are what swell-metrics serves, as the HPA controller asks for them.
var metricsAPIs = []string{"external.metrics.k8s.io/v1beta1", "custom.metrics.k8s.io/v1beta2"}

// MetricsOptions are what differs between runs of the metrics server.
type MetricsOptions struct {
	// Cluster is the name that QueueConsumers use. Default "main".
	Cluster string
	// PollEvery and StaleAfter in model time. Default 5s and 30s: on a busy machine a compressed poll may be late.
	PollEvery, StaleAfter time.Duration
	// RateWindow in model time. Default: swell-metrics' own.
	RateWindow time.Duration
	// More are clusters besides the stack's own Kafka.
	More []config.KafkaCluster
	// PassOn names services behind swell-metrics. Default: none.
	PassOn config.PassOn
	// Listen is the address of the plain port with /metrics; empty is none.
	Listen string
}

// StartMetrics starts swell-metrics and has the API server pass both metrics APIs on to it.
func (s *Stack) StartMetrics(ctx context.Context, o MetricsOptions) error {
	if o.Cluster == "" {
		o.Cluster = "main"
	}
	if o.PollEvery == 0 {
		o.PollEvery = 5 * time.Second
	}
	if o.StaleAfter == 0 {
		o.StaleAfter = 30 * time.Second
	}
	k := config.KafkaCluster{Name: o.Cluster, Brokers: []string{s.Kafka.Bootstrap}}
	k.PollEvery.Duration, k.StaleAfter.Duration = o.PollEvery, o.StaleAfter
	c := config.Metrics{Clock: s.Clock, Clusters: append([]config.KafkaCluster{k}, o.More...), PassOn: o.PassOn, Listen: o.Listen}
	c.RateWindow.Duration = o.RateWindow
	path, err := s.writeConfig("metrics.yaml", c)
	if err != nil {
		return err
	}
	port, err := process.FreePorts(1)
	if err != nil {
		return err
	}
	kubeconfig, err := s.Cluster.ServiceAccountKubeconfig("swell-system", "swell-metrics")
	if err != nil {
		return err
	}
	var hosts []string
	for _, gv := range metricsAPIs {
		hosts = append(hosts, controlplane.APIServiceHost(gv))
	}
	cert, key, err := s.Cluster.ServingCert("swell-metrics", hosts...)
	if err != nil {
		return err
	}
	binary, err := s.program("swell-metrics")
	if err != nil {
		return err
	}
	s.Metrics, err = process.Start(ctx, process.Spec{
		Name: "swell-metrics", Path: binary, Log: filepath.Join(s.options.Dir, "swell-metrics.log"),
		Args: []string{"--config", path, "--kubeconfig", kubeconfig, "--bind-address", "127.0.0.1", "--secure-port", fmt.Sprint(port),
			"--tls-cert-file", cert, "--tls-private-key-file", key},
	})
	if err != nil {
		return err
	}
	for _, gv := range metricsAPIs {
		if err := s.Cluster.RegisterAPIService(ctx, gv, port, s.Cluster.CA()); err != nil {
			return fmt.Errorf("%w; see %s", err, filepath.Join(s.options.Dir, "swell-metrics.log"))
		}
	}
	return nil
}
