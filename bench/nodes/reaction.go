package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/bench/measure"
)

// reactionLimit is what is promised of the 99th percentile, in milliseconds.
const reactionLimit = 1000

// reactions measures, at swell's own defaults, how long after the scheduler's word that a pod has no place the instance for it is
// asked for: by the API server's audit log and the emulator's own log.
func (b *bench) reactions(ctx context.Context) (err error) {
	s, err := b.open(ctx, swell, 5*time.Second, 10*time.Minute)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close(s, "reaction")) }()
	if err := sleep(ctx, 5*time.Second); err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(1, 6))
	made := 0
	for n := range b.bursts {
		// each fourth burst needs three groups at once, and the next may come while the last is being answered
		for k := range 1 + 2*min(1, (n+1)%4/3) {
			if err := s.makePod(ctx, fmt.Sprintf("burst-%03d-%d", n, k), typeNames()[(n+k)%len(sizes)], zones[(n+k)%len(zones)]); err != nil {
				return err
			}
			made++
		}
		if err := sleep(ctx, 500*time.Millisecond+time.Duration(random.IntN(1500))*time.Millisecond); err != nil {
			return err
		}
	}
	if _, err := s.pods.wait(ctx, made, patience); err != nil {
		return err
	}
	return b.tellReactions(s, made)
}

func (b *bench) tellReactions(s *site, made int) error {
	pods, _, err := measure.ReadAudit(s.Cluster.AuditLog())
	if err != nil {
		return err
	}
	instances, _, err := measure.ReadInstances(filepath.Join(s.AWSDir(), "instances.jsonl"))
	if err != nil {
		return err
	}
	calls, _, err := measure.ReadCalls(filepath.Join(s.AWSDir(), "calls.jsonl"))
	if err != nil {
		return err
	}
	r := measure.React(pods, calls, instances, 1)
	var ms []float64
	for _, t := range r.Times {
		ms = append(ms, float64(t)/float64(time.Millisecond))
	}
	if len(ms) == 0 {
		return fmt.Errorf("no launch answered a pod: %d pods were covered, %d not answered", r.Covered, r.Unanswered)
	}
	labels := map[string]string{"pods": strconv.Itoa(made), "bursts": strconv.Itoa(b.bursts), "launches": strconv.Itoa(len(ms)), "groups": strconv.Itoa(2 * len(sizes) * len(zones))}
	p50, p99, most := *measure.Quantile(ms, 0.5), *measure.Quantile(ms, 0.99), *measure.Quantile(ms, 1)
	b.say("%d launches for %d pods: %.0f ms (median), %.0f ms (p99), %.0f ms at most; %d pods covered by others' launches, %d unanswered", len(ms), made, p50, p99, most, r.Covered, r.Unanswered)
	b.target("reaction_p99_ms", p99, reactionLimit)
	if r.Unanswered > 0 {
		b.missed = append(b.missed, fmt.Sprintf("%d pods were not answered by a launch", r.Unanswered))
	}
	return errors.Join(b.add("reaction_p50_ms", "ms", p50, labels), b.add("reaction_p99_ms", "ms", p99, labels), b.add("reaction_max_ms", "ms", most, labels))
}

// makePod makes a pod that fits one type in one zone, and so much of it that no other fits beside it. It has no workload whose
// replicas could be read ahead of it.
func (s *site) makePod(ctx context.Context, name, kind, zone string) error {
	cores := resource.MustParse(strconv.Itoa(sizes[kind].cores - 1))
	none := int64(0)
	_, err := s.Kube.CoreV1().Pods(namespace).Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PodSpec{
		TerminationGracePeriodSeconds: &none, NodeSelector: map[string]string{corev1.LabelTopologyZone: zone, corev1.LabelInstanceTypeStable: kind},
		Containers: []corev1.Container{{Name: "app", Image: "registry.k8s.io/pause:3.10", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: cores}}}}}},
		metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("making pod %s: %w", name, err)
	}
	return nil
}
