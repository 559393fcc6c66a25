package main

import (
	"testing"

	"k8s.io/client-go/rest"
)

func TestTheOwnPodIsKnownInTheClusterAlone(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	for name, x := range map[string]struct{ namespace, pod, want string }{
		"downward API":     {"swell-system", "swell-scaler-0", "swell-system/swell-scaler-0"},
		"half of it":       {"", "swell-scaler-0", ""},
		"not in a cluster": {"", "", ""},
	} {
		t.Setenv("POD_NAMESPACE", x.namespace)
		t.Setenv("POD_NAME", x.pod)
		if got := self(&rest.Config{Host: "https://127.0.0.1:6443"}); got != x.want {
			t.Errorf("%s: %q, want %q", name, got, x.want)
		}
	}
}
