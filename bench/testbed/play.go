package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"swell/api/config"
	"swell/bench/testbed/aws"
	"swell/bench/testbed/reactive"
	"swell/bench/testbed/stack"
)

// playWorkload is what is scaled: pods of one core, 15 of which fill a node of docs/shadow/fleet.yaml.
//
//go:embed play.yaml
var playWorkload []byte

// morning is how many pods there are in each minute of the play.
var morning = []int{36, 60, 60, 60, 90, 90, 90, 60, 36, 36, 36, 36, 36, 36}

// play scales a workload up and down while another scaler buys its nodes.
func play(args []string) int {
	flags := pflag.NewFlagSet("testbed play", pflag.ContinueOnError)
	alone := flags.Bool("alone", false, "no other scaler buys nodes: for a pool in mode Enforce")
	flags.Usage = func() {
		fmt.Printf(`testbed play scales Deployment shop/web from 36 pods to 90 and back over 14 minutes of the testbed's time, while another scaler
buys nodes once pods wait, every ten seconds as cluster-autoscaler does, and writes cluster-autoscaler's status. That scaler returns nothing:
cluster-autoscaler would wait ten minutes. It needs a testbed with --fleet, and KUBECONFIG and TESTBED as that prints them.

Usage:
  testbed play [flags]

Flags:
%s`, flags.FlagUsages())
	}
	if code, done := parse(flags, args); done {
		return code
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := playMorning(ctx, os.Getenv("TESTBED"), !*alone); err != nil {
		fmt.Fprintf(os.Stderr, "testbed play: %v\n", err)
		return 1
	}
	return 0
}

// parse reads a part's flags; done is that nothing is left to do but to exit with the code.
func parse(flags *pflag.FlagSet, args []string) (code int, done bool) {
	if err := flags.Parse(args); errors.Is(err, pflag.ErrHelp) {
		return 0, true
	} else if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v; see %[1]s --help\n", flags.Name(), err)
		return 2, true
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "%s: %q is not expected here; see %[1]s --help\n", flags.Name(), flags.Arg(0))
		return 2, true
	}
	return 0, false
}

// fromEnvironment is the cluster of KUBECONFIG, and what a testbed with a fleet left in its folder.
func fromEnvironment(dir string) (kubernetes.Interface, aws.Fleet, config.Scaler, error) {
	fail := func(err error) (kubernetes.Interface, aws.Fleet, config.Scaler, error) {
		return nil, aws.Fleet{}, config.Scaler{}, fmt.Errorf("finding the testbed: %w; start it with testbed up --fleet, and export what it prints", err)
	}
	if dir == "" || os.Getenv("KUBECONFIG") == "" {
		return fail(errors.New("TESTBED or KUBECONFIG is not set"))
	}
	fleet, err := aws.ReadFleet(filepath.Join(dir, "fleet.yaml"))
	if err != nil {
		return fail(err)
	}
	scaler, err := config.LoadScaler(filepath.Join(dir, "scaler.yaml"))
	if err != nil {
		return fail(err)
	}
	cluster, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return fail(err)
	}
	cluster.QPS, cluster.Burst = 100, 200
	kube, err := kubernetes.NewForConfig(cluster)
	if err != nil {
		return fail(err)
	}
	if err := stack.Apply(context.Background(), cluster, "the play's workload", playWorkload); err != nil {
		return fail(err)
	}
	return kube, fleet, scaler, nil
}

func playMorning(ctx context.Context, dir string, beside bool) error {
	kube, fleet, scaler, err := fromEnvironment(dir)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	other := &reactive.Scaler{Kube: kube, Fleet: fleet, Endpoint: scaler.AWS.Endpoint, Clock: scaler.Clock, Status: true}
	ended := make(chan error, 1)
	go func() {
		if !beside {
			<-ctx.Done()
			ended <- nil
			return
		}
		ended <- other.Run(ctx)
	}()
	err = scaleBy(ctx, kube, scaler.Clock, ended)
	cancel()
	if err == nil {
		err = <-ended
	}
	if err == nil && beside {
		fmt.Printf("the other scaler bought %d nodes\n", other.Bought())
	}
	return err
}

// scaleBy plays the morning, and says each minute how it stands.
func scaleBy(ctx context.Context, kube kubernetes.Interface, clock config.Clock, failed chan error) error {
	for minute, pods := range morning {
		patch := fmt.Appendf(nil, `{"spec": {"replicas": %d}}`, pods)
		if _, err := kube.AppsV1().Deployments("shop").Patch(ctx, "web", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			return fmt.Errorf("scaling shop/web: %w", err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-failed:
			return err
		case <-time.After(clock.Wait(time.Minute)):
		}
		waiting, err := kube.CoreV1().Pods("shop").List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName="})
		if err != nil {
			return fmt.Errorf("listing pods that wait: %w", err)
		}
		nodes, err := kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return fmt.Errorf("listing nodes: %w", err)
		}
		fmt.Printf("minute %2d of %d: %d pods, %d of them waiting, %d nodes ready\n", minute+1, len(morning), pods, len(waiting.Items), ready(nodes.Items))
	}
	return nil
}

func ready(nodes []corev1.Node) (n int) {
	for i := range nodes {
		for _, c := range nodes[i].Status.Conditions {
			if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
				n++
			}
		}
	}
	return n
}
