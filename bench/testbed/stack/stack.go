// Package stack boots everything that swell runs against, and swell itself: control plane, Kafka, AWS, the two programs,
// each a process that can be killed and started again.
package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"swell/api/config"
	"swell/bench/testbed/aws"
	"swell/bench/testbed/controlplane"
	"swell/bench/testbed/kafka"
	"swell/bench/testbed/process"
)

// Options of a stack. Durations are model time; Clock's speed divides them.
type Options struct {
	// Dir is where everything is kept. Default: a new temporary folder, removed by Stop.
	Dir string
	// Speed that decided time runs at, 1 to 10. Default 1.
	Speed float64
	// Fleet of the AWS account; its compression is set to Speed.
	Fleet aws.Fleet
	// Topics that Kafka has, partitions by name; none is no Kafka.
	Topics map[string]int
	// RealKafka runs an Apache Kafka broker, which needs Java and Maven, in place of kfake.
	RealKafka bool
	// HPASync, HPAStabilization are the HPA controller's period and its window for scaling down. Default 15s, 5m.
	HPASync, HPAStabilization time.Duration
	// PodStart is bind to Ready. Default 0.
	PodStart time.Duration
	// Seed of the boot times.
	Seed uint64
	// SaveLogs is where the logs are copied to when the boot fails. Default: nowhere.
	SaveLogs string
	// Log receives one line an event; default nothing.
	Log io.Writer
}

// Stack is what is running.
type Stack struct {
	Cluster *controlplane.Cluster
	Kube    kubernetes.Interface
	// Kafka is nil without topics.
	Kafka *kafka.Broker
	// AWS, Scaler and Metrics are the processes; the latter two are nil until they are started.
	AWS, Scaler, Metrics *process.Process
	Clock                config.Clock

	options    Options
	awsPort    int
	healthPort int
	root       string
	remove     func() error
}

// Start boots the control plane, Kafka and AWS, installs swell's kinds, and waits until the fleet's first nodes are Ready.
func Start(ctx context.Context, o Options) (*Stack, error) {
	if o.Speed == 0 {
		o.Speed = 1
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	s := &Stack{options: o, remove: func() error { return nil }}
	if err := s.boot(ctx); err != nil {
		err = fmt.Errorf("booting the testbed: %w", err)
		if o.SaveLogs != "" {
			err = errors.Join(err, s.SaveLogs(o.SaveLogs))
		}
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Stack) boot(ctx context.Context) (err error) {
	o := &s.options
	if s.root, err = controlplane.ModuleRoot(); err != nil {
		return err
	}
	for _, name := range []string{"swell-scaler", "swell-metrics"} {
		if _, err := s.program(name); err != nil {
			return err
		}
	}
	if o.Dir == "" {
		dir, remove, err := process.TempDir("swell-stack-*")
		if err != nil {
			return err
		}
		o.Dir, s.remove = dir, remove
	} else if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return err
	}
	if s.Cluster, err = controlplane.Start(ctx, s.controlPlaneOptions()); err != nil {
		return err
	}
	admin := s.Cluster.AdminConfig()
	if s.Kube, err = kubernetes.NewForConfig(admin); err != nil {
		return err
	}
	if err := s.Cluster.InstallCRDs(ctx, filepath.Join(s.root, "charts", "swell", "crds")); err != nil {
		return err
	}
	for _, file := range []string{"bench/testbed/stack/platform.yaml", "charts/rendered/swell-scaler-rbac.yaml", "charts/rendered/swell-metrics-rbac.yaml"} {
		if err := s.ApplyFile(ctx, filepath.Join(s.root, file)); err != nil {
			return err
		}
	}
	if len(o.Topics) > 0 {
		if err := s.startKafka(ctx); err != nil {
			return err
		}
	}
	if err := s.startAWS(ctx); err != nil {
		return err
	}
	return s.waitForNodes(ctx)
}

func (s *Stack) startKafka(ctx context.Context) error {
	dir := filepath.Join(s.options.Dir, "kafka")
	binary, err := controlplane.FindBinary()
	if err != nil {
		return err
	}
	if !s.options.RealKafka {
		s.Kafka, err = kafka.StartFake(ctx, kafka.FakeOptions{Binary: binary, Dir: dir, Topics: s.options.Topics})
		return err
	}
	if s.Kafka, err = kafka.StartReal(ctx, kafka.RealOptions{Dir: dir}); err != nil {
		return err
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(s.Kafka.Bootstrap))
	if err != nil {
		return fmt.Errorf("making the topics: %w", err)
	}
	defer client.Close()
	for topic, partitions := range s.options.Topics {
		made, err := kadm.NewClient(client).CreateTopic(ctx, int32(partitions), 1, nil, topic)
		if err := errors.Join(err, made.Err); err != nil {
			return fmt.Errorf("making topic %s: %w", topic, err)
		}
	}
	return nil
}

func (s *Stack) controlPlaneOptions() controlplane.Options {
	o := s.options
	orDefault := func(d, absent time.Duration) time.Duration {
		if d == 0 {
			d = absent
		}
		return s.machine(d)
	}
	return controlplane.Options{
		Dir:                        filepath.Join(o.Dir, "controlplane"),
		ControllerQPS:              ControllerQPS,
		SchedulerQPS:               SchedulerQPS(s.options.Speed),
		SchedulerBurst:             2 * SchedulerQPS(s.options.Speed),
		SchedulerMaxBackoff:        max(time.Second, s.machine(10*time.Second).Truncate(time.Second)),
		HPASyncPeriod:              orDefault(o.HPASync, 15*time.Second),
		HPADownscaleStabilization:  orDefault(o.HPAStabilization, 5*time.Minute),
		HPACPUInitializationPeriod: orDefault(0, 5*time.Minute),
		HPAInitialReadinessDelay:   orDefault(0, 30*time.Second),
		PodStart:                   s.machine(o.PodStart),
		Log:                        o.Log,
	}
}

// ControllerQPS is what the testbed's controller-manager may ask of the API server a second, ten times the usual, so that
// a compressed hour is not held up by it.
const ControllerQPS = 200

// SchedulerQPS is what the testbed's scheduler may ask of the API server a second: its own 50, times the speed, or pods
// that wait would pay for the compression more than those that do not.
func SchedulerQPS(speed float64) int { return int(50 * speed) }

// machine is a model duration on the machine's clock.
func (s *Stack) machine(d time.Duration) time.Duration {
	return time.Duration(float64(d) / s.options.Speed)
}

func (s *Stack) startAWS(ctx context.Context) error {
	fleet := s.options.Fleet
	fleet.Compression = s.options.Speed
	raw, err := yaml.Marshal(fleet)
	if err != nil {
		return fmt.Errorf("writing the fleet: %w", err)
	}
	path := filepath.Join(s.options.Dir, "fleet.yaml")
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		return fmt.Errorf("writing the fleet: %w", err)
	}
	if s.awsPort, err = process.FreePorts(1); err != nil {
		return err
	}
	kubeconfig, err := s.Cluster.Kubeconfig("aws", "system:masters")
	if err != nil {
		return err
	}
	binary, err := controlplane.FindBinary()
	if err != nil {
		return err
	}
	s.AWS, err = process.Start(ctx, process.Spec{
		Name: "aws", Path: binary, Argv0: "aws", Log: filepath.Join(s.options.Dir, "aws.log"),
		Args: []string{"--dir", s.AWSDir(), "--listen", fmt.Sprintf("127.0.0.1:%d", s.awsPort), "--fleet", path,
			"--kubeconfig", kubeconfig, "--seed", fmt.Sprint(s.options.Seed)},
	})
	return err
}

// AWSDir is where the emulator's logs are.
func (s *Stack) AWSDir() string { return filepath.Join(s.options.Dir, "aws") }

// AWSEndpoint is the emulator's address.
func (s *Stack) AWSEndpoint() string { return fmt.Sprintf("http://127.0.0.1:%d", s.awsPort) }

// Dir is where everything is kept.
func (s *Stack) Dir() string { return s.options.Dir }

// waitForNodes waits until as many nodes are Ready as the fleet begins with.
func (s *Stack) waitForNodes(ctx context.Context) error {
	want := 0
	for _, g := range s.options.Fleet.Groups {
		want += max(g.Desired, g.Min)
	}
	return Poll(ctx, fmt.Sprintf("waiting for %d nodes", want), time.Minute, func(ctx context.Context) (bool, error) {
		nodes, err := s.Kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		ready := 0
		for i := range nodes.Items {
			for _, c := range nodes.Items[i].Status.Conditions {
				if c.Type == "Ready" && c.Status == "True" {
					ready++
				}
			}
		}
		return ready >= want, nil
	})
}

// Poll asks until the answer is yes; the error tells what was waited for and the last reason.
func Poll(ctx context.Context, what string, limit time.Duration, done func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		ok, err := done(ctx)
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: not within %s: %w", what, limit, errors.Join(err, ctx.Err()))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Config is a client's configuration that may do anything.
func (s *Stack) Config() *rest.Config { return s.Cluster.AdminConfig() }

// Stop ends every process and removes what was not asked to stay.
func (s *Stack) Stop() error {
	var errs []error
	for _, p := range []*process.Process{s.Scaler, s.Metrics, s.AWS} {
		if p != nil {
			p.Stop()
		}
	}
	if s.Kafka != nil {
		errs = append(errs, s.Kafka.Stop())
	}
	if s.Cluster != nil {
		errs = append(errs, s.Cluster.Stop())
	}
	return errors.Join(append(errs, s.remove())...)
}

// APIServiceHost is the name that the certificate of an aggregated API server must be for.
func (s *Stack) APIServiceHost(groupVersion string) string {
	return controlplane.APIServiceHost(groupVersion)
}

// SaveLogs copies the logs of all parts, the audit log, the emulator's logs and the ledger to a folder.
func (s *Stack) SaveLogs(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("saving the logs: %w", err)
	}
	var errs []error
	for _, pattern := range []string{"*.log", "*.yaml", "aws/*.jsonl", "ledger/*.jsonl", "controlplane/*.log", "controlplane/logs/*.log", "kafka/*.log"} {
		paths, err := filepath.Glob(filepath.Join(s.options.Dir, pattern))
		errs = append(errs, err)
		for _, path := range paths {
			errs = append(errs, copyFile(path, filepath.Join(dir, filepath.Base(path))))
		}
	}
	if s.Cluster != nil {
		errs = append(errs, copyFile(s.Cluster.AuditLog(), filepath.Join(dir, "audit.log")))
	}
	return errors.Join(errs...)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("saving the logs: %w", err)
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return fmt.Errorf("saving the logs: %w", err)
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return fmt.Errorf("saving the logs: %w", err)
	}
	return out.Close()
}
