package main

import (
	"context"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const namespace = "shop"

// workload is a Deployment of one class of pods.
type workload struct {
	name, cpu, memory string
	// placed is what its pod template says on where it may be, in YAML within spec.
	placed string
	// share of all pods, in hundredths.
	share int
}

const spread = "topologySpreadConstraints: [{maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: %s}}}]"

// workloads are ten classes: a third spread over the zones, some bound to one zone or to two, the others anywhere.
var workloads = []workload{
	{"web", "500m", "1Gi", fmt.Sprintf(spread, "web"), 20},
	{"api", "1", "2Gi", fmt.Sprintf(spread, "api"), 15},
	{"small", "250m", "512Mi", "", 15},
	{"jvm", "1500m", "6Gi", "", 10},
	{"batch", "2", "4Gi", "", 10},
	{"cache", "500m", "7Gi", "", 8},
	{"one-zone", "1", "2Gi", "nodeSelector: {topology.kubernetes.io/zone: " + region + "c}", 7},
	{"two-zones", "750m", "3Gi", "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: topology.kubernetes.io/zone, operator: In, values: [" +
		region + "a, " + region + "d]}]}]}}}", 5},
	{"wide", "3", "12Gi", "", 5},
	{"thin", "100m", "256Mi", "", 5},
}

const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s, namespace: shop}
spec:
  replicas: 0
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: app, image: registry.k8s.io/pause:3.10, resources: {requests: {cpu: %[2]s, memory: %[3]s}}}]
      %[4]s
`

func (s *site) makeWorkloads(ctx context.Context) error {
	var all []string
	for _, w := range workloads {
		all = append(all, fmt.Sprintf(deployment, w.name, w.cpu, w.memory, w.placed))
	}
	return s.Apply(ctx, "the workloads", []byte(strings.Join(all, "---")))
}

// scale shares so many pods out among the workloads and returns how many they come to.
func (s *site) scale(ctx context.Context, pods int) (int, error) {
	sum := 0
	for _, w := range workloads {
		n := pods * w.share / 100
		sum += n
		patch := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, n)
		if _, err := s.Kube.AppsV1().Deployments(namespace).Patch(ctx, w.name, types.MergePatchType, patch, metav1.PatchOptions{}, "scale"); err != nil {
			return 0, fmt.Errorf("scaling %s to %d: %w", w.name, n, err)
		}
	}
	return sum, nil
}
