//go:build eks

package eks

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"swell/bench/testbed/process"
	"swell/bench/testbed/stack"
	"swell/nodegroups"
	"swell/nodegroups/aws"
	"swell/scaler/ledger"
)

const namespace = "swell-eks-suite"

// objects are all that the suite makes in the cluster. Its pods fit on nodes of its own groups only, one on each.
const objects = `
apiVersion: v1
kind: Namespace
metadata: {name: swell-eks-suite}
---
apiVersion: capacity.swell/v1alpha1
kind: CapacityPool
metadata: {name: swell-eks-suite}
spec:
  groups: {tags: {"%s": "%s"}}
  limits: {maxNodes: %d}
  scaleIn: {after: 1m}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: load, namespace: swell-eks-suite}
spec:
  replicas: 2
  selector: {matchLabels: {app: load}}
  template:
    metadata: {labels: {app: load}}
    spec:
      terminationGracePeriodSeconds: 0
      nodeSelector: {swell/suite: eks}
      affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: load}}}]}}
      containers: [{name: app, image: registry.k8s.io/pause:3.10, resources: {requests: {cpu: 100m, memory: 64Mi}}}]
`

var pools = schema.GroupVersionResource{Group: "capacity.swell", Version: "v1alpha1", Resource: "capacitypools"}

type suite struct {
	t          *testing.T
	ctx        context.Context
	settings   Settings
	account    *account
	config     *rest.Config
	kube       kubernetes.Interface
	dir        string
	kubeconfig string
	scaler     *process.Process
}

// TestNodesAreBoughtAndReturnedOnAWS is the whole suite: every step rests on the one before it, and what was bought is ended whatever happens.
func TestNodesAreBoughtAndReturnedOnAWS(t *testing.T) {
	settings, err := Read(os.Getenv)
	if err != nil {
		t.Fatalf("the suite may not begin:\n%v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), Within-10*time.Minute)
	defer cancel()
	s := &suite{t: t, ctx: ctx, settings: settings, dir: t.TempDir()}
	if s.account, err = open(ctx, settings); err != nil {
		t.Fatal(err)
	}
	s.cluster()
	if err := s.account.beginsEmpty(ctx); err != nil {
		t.Fatal(err)
	}
	s.check()
	t.Logf("account %s, region %s, context %s: at most %d nodes, at most %.2f", settings.Account, settings.Region, settings.Context, settings.MaxNodes, settings.Worst())
	t.Cleanup(s.end)
	s.buy()
	s.restart()
	s.giveBack()
}

// cluster finds the cluster, and that its nodes are instances of the account.
func (s *suite) cluster() {
	s.t.Helper()
	loaded := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(clientcmd.NewDefaultClientConfigLoadingRules(), &clientcmd.ConfigOverrides{CurrentContext: s.settings.Context})
	raw, err := loaded.RawConfig()
	if err != nil || raw.Contexts[s.settings.Context] == nil {
		s.t.Fatalf("the kubeconfig has no context %s: %v", s.settings.Context, err)
	}
	if s.config, err = loaded.ClientConfig(); err != nil {
		s.t.Fatal(err)
	}
	s.kube = kubernetes.NewForConfigOrDie(s.config)
	raw.CurrentContext = s.settings.Context
	s.kubeconfig = filepath.Join(s.dir, "kubeconfig")
	if err := clientcmd.WriteToFile(raw, s.kubeconfig); err != nil {
		s.t.Fatal(err)
	}
	nodes, err := s.kube.CoreV1().Nodes().List(s.ctx, metav1.ListOptions{})
	if err != nil || len(nodes.Items) == 0 {
		s.t.Fatalf("the cluster has no nodes: %v", err)
	}
	id := instanceOf(nodes.Items[0])
	if _, err := s.account.ec2.DescribeInstances(s.ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{id}}); err != nil {
		s.t.Fatalf("node %s is instance %q, which account %s does not have in %s: %v", nodes.Items[0].Name, id, s.settings.Account, s.settings.Region, err)
	}
	found, err := dynamic.NewForConfigOrDie(s.config).Resource(pools).List(s.ctx, metav1.ListOptions{})
	if err != nil {
		s.t.Fatalf("listing CapacityPools: %v; install the kinds: kubectl apply --server-side -f charts/swell/crds", err)
	}
	if len(found.Items) > 0 {
		s.t.Fatalf("the cluster has %d CapacityPools: a swell-scaler may run there; use a cluster without", len(found.Items))
	}
}

func instanceOf(n corev1.Node) string {
	return n.Spec.ProviderID[strings.LastIndexByte(n.Spec.ProviderID, '/')+1:]
}

// check is swell check aws, which only reads.
func (s *suite) check() {
	s.t.Helper()
	client, err := aws.New(s.ctx, aws.Options{Region: s.settings.Region})
	if err != nil {
		s.t.Fatal(err)
	}
	found := client.Check(s.ctx, []aws.Checked{{Selection: nodegroups.Selection{Tags: map[string]string{s.settings.TagKey: s.settings.TagValue}, Pool: namespace}, MaxNodes: s.settings.MaxNodes}})
	for _, f := range found {
		s.t.Logf("%-10s %-11s %s: %s", f.Status, f.Check, f.At, f.What)
		if f.Status == aws.FindingProblem {
			s.t.Errorf("%s: %s", f.What, f.Mend)
		}
	}
	if s.t.Failed() {
		s.t.FailNow()
	}
}

// start runs swell-scaler on this machine.
func (s *suite) start() {
	s.t.Helper()
	config := map[string]any{
		"aws": map[string]any{"region": s.settings.Region}, "ledgerDir": filepath.Join(s.dir, "ledger"),
		"leaderElection": map[string]any{"namespace": namespace}, "history": map[string]any{"checkpoints": namespace},
	}
	raw, err := json.Marshal(config)
	if err != nil {
		s.t.Fatal(err)
	}
	path := filepath.Join(s.dir, "scaler.yaml")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.scaler, err = process.Start(context.WithoutCancel(s.ctx), process.Spec{Name: "swell-scaler", Path: "../../bin/swell-scaler", Log: filepath.Join(s.dir, "scaler.log"),
		Args: []string{"--config", path, "--kubeconfig", s.kubeconfig}})
	if err != nil {
		s.t.Fatalf("%v; run make build", err)
	}
}

// until waits for what; a scaler that ends fails it.
func (s *suite) until(what string, within time.Duration, done func(context.Context) (bool, error)) time.Duration {
	s.t.Helper()
	began := time.Now()
	if err := stack.Poll(s.ctx, what, within, func(ctx context.Context) (bool, error) {
		select {
		case <-s.scaler.Done():
			return false, s.scaler.Wait()
		case <-time.After(2 * time.Second):
		}
		return done(ctx)
	}); err != nil {
		s.t.Fatal(err)
	}
	took := time.Since(began).Round(time.Second)
	s.t.Logf("%s: %s", what, took)
	return took
}

// buy has pods wait that only the suite's groups can take, and follows them until they run.
func (s *suite) buy() {
	s.t.Helper()
	if err := stack.Apply(s.ctx, s.config, "the suite's objects", fmt.Appendf(nil, objects, s.settings.TagKey, s.settings.TagValue, s.settings.MaxNodes)); err != nil {
		s.t.Fatal(err)
	}
	s.start()
	s.until("pods run on nodes that were bought", 12*time.Minute, func(ctx context.Context) (bool, error) {
		list, err := s.kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{FieldSelector: "status.phase=Running"})
		if err != nil {
			return false, err
		}
		return len(list.Items) == 2, fmt.Errorf("%d of 2 pods run", len(list.Items))
	})
	ids, err := s.account.instances(s.ctx)
	if err != nil || len(ids) != 2 {
		s.t.Fatalf("the groups have instances %v: want two, %v", ids, err)
	}
	if launched := s.written("launch"); !sameSet(launched, ids) {
		s.t.Errorf("the ledger has launches of %v, and AWS has %v", launched, ids)
	}
}

// written are the instances of an action that the ledger says is done.
func (s *suite) written(action string) (ids []string) {
	s.t.Helper()
	entries, _, err := ledger.Read(filepath.Join(s.dir, "ledger"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range entries {
		if e.Action != action || e.Phase != ledger.Done {
			continue
		}
		if ids = append(ids, e.Instances...); len(e.Instances) == 0 {
			ids = append(ids, e.Object)
		}
	}
	return ids
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(slices.Compact(a), b)
}

// restart kills the scaler: the next one knows what is there, and buys nothing.
func (s *suite) restart() {
	s.t.Helper()
	before := len(s.written("launch"))
	s.scaler.Kill()
	s.start()
	s.until("a scaler that was killed is followed", 3*time.Minute, func(ctx context.Context) (bool, error) {
		lease, err := s.kube.CoordinationV1().Leases(namespace).Get(ctx, "swell-scaler", metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		return lease.Spec.RenewTime != nil && time.Since(lease.Spec.RenewTime.Time) < 5*time.Second && *lease.Spec.LeaseTransitions > 0, fmt.Errorf("the lease is of %s", *lease.Spec.HolderIdentity)
	})
	select {
	case <-time.After(30 * time.Second): // three readings of AWS
	case <-s.ctx.Done():
	}
	if n := len(s.written("launch")); n != before {
		s.t.Errorf("%d launches after the restart, %d before it", n, before)
	}
}

// giveBack takes the load away; swell must return both instances.
func (s *suite) giveBack() {
	s.t.Helper()
	if err := s.kube.AppsV1().Deployments(namespace).Delete(s.ctx, "load", metav1.DeleteOptions{}); err != nil {
		s.t.Fatal(err)
	}
	s.until("both instances are returned", 12*time.Minute, func(ctx context.Context) (bool, error) {
		ids, err := s.account.instances(ctx)
		if err != nil {
			return false, err
		}
		return len(ids) == 0, fmt.Errorf("instances %v are there", ids)
	})
	if launched, returned := s.written("launch"), s.written("terminate"); !sameSet(launched, returned) {
		s.t.Errorf("launched were %v, and the ledger has returns of %v", launched, returned)
	}
}

// end leaves neither instances nor objects; its time is its own.
func (s *suite) end() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	if s.scaler != nil {
		s.scaler.Kill()
	}
	if s.t.Failed() {
		log, _ := os.ReadFile(filepath.Join(s.dir, "scaler.log"))
		s.t.Logf("swell-scaler's log:\n%s", log)
	}
	if err := s.account.end(ctx); err != nil {
		s.t.Error(err)
	}
	if err := dynamic.NewForConfigOrDie(s.config).Resource(pools).Delete(ctx, namespace, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		s.t.Errorf("deleting CapacityPool %s: %v; delete it by hand", namespace, err)
	}
	if err := s.kube.CoreV1().Namespaces().Delete(ctx, namespace, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		s.t.Errorf("deleting namespace %s: %v; delete it by hand", namespace, err)
	}
}
