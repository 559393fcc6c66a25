// Package reactive is a scaler that buys nodes when pods already wait, as cluster-autoscaler does with its defaults: the
// other scaler of a rehearsal, beside which swell observes. It returns nothing: cluster-autoscaler waits ten minutes for that.
package reactive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"swell/api/config"
	"swell/bench/testbed/aws"
)

// ScanEvery is how often it looks, model time: cluster-autoscaler's --scan-interval.
const ScanEvery = 10 * time.Second

// Scaler buys in the spot groups of a fleet, the emptiest first.
type Scaler struct {
	Kube  kubernetes.Interface
	Fleet aws.Fleet
	// Endpoint of the AWS emulator.
	Endpoint string
	// Clock of the rehearsal; ScanEvery is in its time.
	Clock config.Clock
	// Status writes the ConfigMap that cluster-autoscaler writes at each scan.
	Status bool

	groups *autoscaling.Client
	bought int
}

// Bought is how many nodes it asked for.
func (s *Scaler) Bought() int { return s.bought }

// Run scans until ctx ends, which is no error.
func (s *Scaler) Run(ctx context.Context) error {
	s.groups = autoscaling.New(autoscaling.Options{Region: s.Fleet.Region, BaseEndpoint: awssdk.String(s.Endpoint),
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", "")})
	ticker := time.NewTicker(s.Clock.Wait(ScanEvery))
	defer ticker.Stop()
	for {
		if err := s.scan(ctx); err != nil && ctx.Err() == nil {
			return fmt.Errorf("the other scaler: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// scan buys for the pods that have no place and that no node on its way will take.
func (s *Scaler) scan(ctx context.Context) error {
	if s.Status {
		if err := s.writeStatus(ctx); err != nil {
			return err
		}
	}
	pods, err := s.Kube.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName="})
	if err != nil {
		return fmt.Errorf("listing pods that wait: %w", err)
	}
	nodes, err := s.Kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing nodes: %w", err)
	}
	described, err := s.groups.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{})
	if err != nil {
		return fmt.Errorf("reading the groups: %w", err)
	}
	desired, all := map[string]int{}, 0
	for _, g := range described.AutoScalingGroups {
		desired[*g.AutoScalingGroupName] = int(*g.DesiredCapacity)
		all += int(*g.DesiredCapacity)
	}
	need := s.nodesFor(pods.Items) - max(0, all-len(nodes.Items))
	return s.buy(ctx, need, desired)
}

// nodesFor is how many empty nodes the pods that the scheduler found no place for would fill, by their CPU.
func (s *Scaler) nodesFor(pods []corev1.Pod) int {
	cpu := 0.0
	for i := range pods {
		waits := slices.ContainsFunc(pods[i].Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable
		})
		if !waits {
			continue
		}
		for _, c := range pods[i].Spec.Containers {
			cpu += c.Resources.Requests.Cpu().AsApproximateFloat64()
		}
	}
	return int(math.Ceil(cpu / s.cpuOfANode()))
}

// cpuOfANode in whole cores, as pods of one core fill it.
func (s *Scaler) cpuOfANode() float64 {
	least := math.Inf(1)
	for _, t := range s.Fleet.InstanceTypes {
		least = min(least, float64(t.VCPU-1))
	}
	return least
}

func (s *Scaler) buy(ctx context.Context, need int, desired map[string]int) error {
	var spot []aws.Group
	for _, g := range s.Fleet.Groups {
		if g.Market == "spot" {
			spot = append(spot, g)
		}
	}
	if len(spot) == 0 {
		return errors.New("the fleet has no spot group: give one")
	}
	raised := map[string]bool{}
	for range max(0, need) {
		g := slices.MinFunc(spot, func(a, b aws.Group) int { return cmp.Compare(desired[a.Name], desired[b.Name]) })
		if desired[g.Name] >= g.Max {
			break
		}
		desired[g.Name]++
		s.bought++
		raised[g.Name] = true
	}
	for name := range raised {
		_, err := s.groups.SetDesiredCapacity(ctx, &autoscaling.SetDesiredCapacityInput{
			AutoScalingGroupName: awssdk.String(name), DesiredCapacity: awssdk.Int32(int32(desired[name]))})
		if err != nil {
			return fmt.Errorf("raising group %s: %w", name, err)
		}
	}
	return nil
}

// writeStatus is what tells others that cluster-autoscaler runs, and on which groups it acts.
func (s *Scaler) writeStatus(ctx context.Context) error {
	const name = "cluster-autoscaler-status"
	now := time.Now().UTC()
	text := "autoscalerStatus: Running\nnodeGroups:\n"
	for _, g := range s.Fleet.Groups {
		text += "- name: " + g.Name + "\n"
	}
	m := &corev1.ConfigMap{Data: map[string]string{"status": text}}
	m.Name, m.Namespace = name, metav1.NamespaceSystem
	m.Annotations = map[string]string{"cluster-autoscaler.kubernetes.io/last-updated": now.Format("2006-01-02 15:04:05.999999999 -0700 MST")}
	maps := s.Kube.CoreV1().ConfigMaps(metav1.NamespaceSystem)
	_, err := maps.Update(ctx, m, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		_, err = maps.Create(ctx, m, metav1.CreateOptions{})
	}
	if err != nil {
		return fmt.Errorf("writing ConfigMap %s/%s: %w", metav1.NamespaceSystem, name, err)
	}
	return nil
}
