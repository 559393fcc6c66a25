package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"sigs.k8s.io/yaml"

	"swell/api/config"
	"swell/bench/testbed/aws"
	"swell/bench/testbed/process"
	"swell/bench/testbed/stack"
)

// serveFleet is serve with AWS and all that swell-scaler needs.
func serveFleet(ctx context.Context, o upOptions) (err error) {
	fleet, err := aws.ReadFleet(o.fleet)
	if err != nil {
		return err
	}
	if o.dir == "" && o.control.KeepDir {
		if o.dir, err = os.MkdirTemp("", "swell-testbed-"); err != nil {
			return fmt.Errorf("making a folder: %w; point TMPDIR to a writable one", err)
		}
	}
	var log io.Writer = os.Stderr
	s, err := stack.Start(ctx, stack.Options{Dir: o.dir, Speed: o.speed, Fleet: fleet, Topics: o.topics, PodStart: o.control.PodStart, Seed: 1, Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	text, err := describe(s, fleet, o.speed)
	if err != nil {
		return err
	}
	if err := announce(o.dir, text); err != nil {
		return err
	}
	ended := func(p *process.Process) error {
		if ctx.Err() != nil {
			return nil
		}
		return p.Wait()
	}
	select {
	case <-ctx.Done():
		return nil
	case exit := <-s.Cluster.Failures():
		return exit
	case <-s.AWS.Done():
		return ended(s.AWS)
	case <-s.Kafka.Process().Done():
		return ended(s.Kafka.Process())
	}
}

// describe writes swell-scaler's configuration and kubeconfig, and says where everything is.
func describe(s *stack.Stack, fleet aws.Fleet, speed float64) (string, error) {
	admin, err := s.Cluster.Kubeconfig("admin", "system:masters")
	if err != nil {
		return "", err
	}
	own, err := s.Cluster.ServiceAccountKubeconfig("swell-system", "swell-scaler")
	if err != nil {
		return "", err
	}
	kubeconfig := filepath.Join(s.Dir(), "swell-scaler.kubeconfig")
	if err := os.Rename(own, kubeconfig); err != nil {
		return "", fmt.Errorf("writing swell-scaler's kubeconfig: %w", err)
	}
	now := time.Now().UTC().Truncate(time.Second)
	c := config.Scaler{
		AWS:            config.AWS{Region: fleet.Region, Endpoint: s.AWSEndpoint(), QueueURL: s.AWSEndpoint() + "/123456789012/" + fleet.Queue},
		Prices:         map[string]config.Price{},
		LedgerDir:      s.LedgerDir(),
		LeaderElection: config.LeaderElection{Namespace: "swell-system"},
		History:        config.History{Checkpoints: "swell-system"},
		Clock:          config.Clock{Speed: speed, Real: now, Model: now},
	}
	for name, p := range fleet.Prices {
		c.Prices[name] = config.Price{OnDemand: p.OnDemand, Spot: p.Spot}
	}
	raw, err := yaml.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("writing swell-scaler's configuration: %w", err)
	}
	path := filepath.Join(s.Dir(), "scaler.yaml")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		return "", fmt.Errorf("writing swell-scaler's configuration: %w", err)
	}
	return fmt.Sprintf(`export KUBECONFIG=%s
export TESTBED=%s
# API server %s
# Kafka      %s
# AWS        %s, %g times as fast as life
# audit log  %s
# for swell-scaler: --config "$TESTBED/scaler.yaml" --kubeconfig "$TESTBED/swell-scaler.kubeconfig"; its ledger is $TESTBED/ledger
`, admin, s.Dir(), s.Cluster.URL(), s.Kafka.Bootstrap, s.AWSEndpoint(), speed, s.Cluster.AuditLog()), nil
}
