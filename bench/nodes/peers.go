package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"swell/api/config"
	"swell/bench/testbed/process"
	"swell/bench/testbed/stack"
)

const (
	swell     = "swell"
	karpenter = "karpenter"
)

// site is a control plane of its own with one scaler, and the nodes that are seen to come and go.
type site struct {
	*stack.Stack
	peer  string
	nodes *nodeWatch
	pods  *podWatch
	stop  []func()
}

const swellPool = `
apiVersion: capacity.swell/v1alpha1
kind: CapacityPool
metadata: {name: general}
spec:
  groups: {tags: {swell/pool: general}}
  scaleIn: {after: %s}
`

const karpenterPool = `
apiVersion: karpenter.kwok.sh/v1alpha1
kind: KWOKNodeClass
metadata: {name: default}
spec: {nodeRegistrationDelay: %ds}
---
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: general}
spec:
  template:
    spec:
      nodeClassRef: {group: karpenter.kwok.sh, kind: KWOKNodeClass, name: default}
      requirements:
      - {key: kubernetes.io/arch, operator: In, values: [amd64]}
      - {key: kubernetes.io/os, operator: In, values: [linux]}
      - {key: karpenter.sh/capacity-type, operator: In, values: [spot, on-demand]}
`

// open boots a control plane and starts a peer on it. after is how long swell's nodes are unneeded before they go.
func (b *bench) open(ctx context.Context, peer string, boot, after time.Duration) (s *site, err error) {
	st, err := stack.Start(ctx, stack.Options{Fleet: fleet(boot), Seed: 1})
	if err != nil {
		return nil, err
	}
	s = &site{Stack: st, peer: peer}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close(s, "failed"))
		}
	}()
	if s.nodes, s.pods, err = s.watch(ctx); err != nil {
		return s, err
	}
	if peer == swell {
		return s, s.startSwell(ctx, after)
	}
	return s, s.startKarpenter(ctx, b.karpenter, b.crds, boot)
}

// close ends a site; its logs are kept under a name where that was asked for.
func (b *bench) close(s *site, name string) error {
	var errs []error
	if b.keep != "" {
		errs = append(errs, s.SaveLogs(filepath.Join(b.keep, name+"-"+s.peer)))
	}
	for _, stop := range s.stop {
		stop()
	}
	return errors.Join(append(errs, s.Stack.Stop())...)
}

func (s *site) startSwell(ctx context.Context, after time.Duration) error {
	if err := s.Apply(ctx, "swell's pool", fmt.Appendf(nil, swellPool, after)); err != nil {
		return err
	}
	s.Clock = config.Clock{}
	return s.StartScaler(ctx, stack.ScalerOptions{Region: region, Prices: prices(), QueueURL: s.AWSEndpoint() + "/123456789012/interruptions"})
}

// startKarpenter runs Karpenter with its defaults. It holds no lease, as nobody else runs; its two ports listen on all
// addresses, for which it has no option.
func (s *site) startKarpenter(ctx context.Context, binary string, crds []string, boot time.Duration) error {
	for _, dir := range crds {
		if err := s.Cluster.InstallCRDs(ctx, dir); err != nil {
			return err
		}
	}
	types, err := karpenterTypes()
	if err != nil {
		return err
	}
	typesFile := filepath.Join(s.Dir(), "instance-types.json")
	if err := os.WriteFile(typesFile, types, 0o600); err != nil {
		return fmt.Errorf("writing Karpenter's instance types: %w", err)
	}
	kubeconfig, err := s.Cluster.Kubeconfig(karpenter, "system:masters")
	if err != nil {
		return err
	}
	port, err := process.FreePorts(2)
	if err != nil {
		return err
	}
	p, err := process.Start(ctx, process.Spec{Name: karpenter, Path: binary, Log: filepath.Join(s.Dir(), "karpenter.log"),
		Env: append(os.Environ(), "KUBECONFIG="+kubeconfig, "SYSTEM_NAMESPACE=kube-system", "KARPENTER_SERVICE=karpenter", "DISABLE_LEADER_ELECTION=true",
			"INSTANCE_TYPES_FILE_PATH="+typesFile, "METRICS_PORT="+strconv.Itoa(port), "HEALTH_PROBE_PORT="+strconv.Itoa(port+1))})
	if err != nil {
		return err
	}
	s.stop = append(s.stop, func() { p.Stop() })
	err = stack.Poll(ctx, "waiting for Karpenter", time.Minute, func(ctx context.Context) (bool, error) {
		select {
		case <-p.Done():
			return false, p.Wait()
		default:
		}
		return answers(ctx, fmt.Sprintf("http://127.0.0.1:%d/readyz", port+1))
	})
	if err != nil {
		return err
	}
	return s.Apply(ctx, "Karpenter's pool", fmt.Appendf(nil, karpenterPool, int(boot.Seconds())))
}

func answers(ctx context.Context, url string) (bool, error) {
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
}
