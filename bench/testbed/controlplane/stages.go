package controlplane

import (
	"fmt"
	"strings"
	"time"

	nodefast "sigs.k8s.io/kwok/kustomize/stage/node/fast"
	heartbeat "sigs.k8s.io/kwok/kustomize/stage/node/heartbeat-with-lease"
	podfast "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
	"sigs.k8s.io/yaml"
)

// stages are the life of nodes and pods as kwok plays it: nodes Ready at once, bound pods Ready after
// podStart, deleted pods gone at once.
func stages(podStart time.Duration) (string, error) {
	ready, err := delayed(podfast.DefaultPodReady, podStart)
	if err != nil {
		return "", err
	}
	return strings.Join([]string{
		nodefast.DefaultNodeInit, heartbeat.DefaultNodeHeartbeatWithLease, ready, podfast.DefaultPodComplete, podfast.DefaultPodDelete,
	}, "\n---\n"), nil
}

func delayed(stage string, by time.Duration) (string, error) {
	var object map[string]any
	if err := yaml.Unmarshal([]byte(stage), &object); err != nil {
		return "", fmt.Errorf("reading kwok's pod-ready stage: %w; check the version of sigs.k8s.io/kwok in go.mod", err)
	}
	spec, ok := object["spec"].(map[string]any)
	if !ok {
		return "", fmt.Errorf("reading kwok's pod-ready stage: it has no spec; check the version of sigs.k8s.io/kwok in go.mod")
	}
	spec["delay"] = map[string]any{
		"durationMilliseconds": by.Milliseconds(),
		"durationFrom":         map[string]any{"expressionFrom": fmt.Sprintf(".metadata.annotations[%q]", PodStartAnnotation)},
	}
	text, err := yaml.Marshal(object)
	if err != nil {
		return "", fmt.Errorf("writing kwok's pod-ready stage: %w", err)
	}
	return string(text), nil
}
