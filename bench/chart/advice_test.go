package chart

import (
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// warnings gathers what the API server warns of.
type warnings struct {
	mu   sync.Mutex
	text []string
}

// HandleWarningHeader takes one warning.
func (w *warnings) HandleWarningHeader(_ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, text)
}

func (w *warnings) take() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := strings.Join(w.text, "\n")
	w.text = nil
	return text
}

const hpa = `
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: orders, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: orders}
  maxReplicas: 5
  metrics:
  - type: External
    external: {metric: {name: NAME}, target: {type: AverageValue, averageValue: "1"}}
`

const pulls = `
apiVersion: capacity.swell/v1alpha1
kind: Balloon
metadata: {name: web, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  max: 2
  prePullImages: true
`

// warnsOf applies the policy as it is for a version of Kubernetes, and sees what is warned of and what is not. The API server is of 1.36
// whatever the policy is for.
func (b *bed) warnsOf(t *testing.T, minor, object, words, quiet string) {
	t.Helper()
	for _, u := range render(t, "observe", minor) {
		if strings.HasPrefix(u.GetKind(), "ValidatingAdmissionPolicy") {
			if err := b.api.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(u), client.FieldOwner("kubectl"), client.ForceOwnership); err != nil {
				t.Fatal(err)
			}
		}
	}
	config, heard := b.AdminConfig(), &warnings{}
	config.WarningHandler = rest.WarningHandler(heard)
	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	try := func(text string) string {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
			t.Fatal(err)
		}
		if err := c.Create(t.Context(), u, client.DryRunAll); err != nil {
			t.Fatal(err)
		}
		return heard.take()
	}
	eventually(t, minor+" warns of "+words, time.Minute, func() error {
		if got := try(object); !strings.Contains(got, words) {
			return &unheard{got}
		}
		return nil
	})
	if got := try(quiet); got != "" {
		t.Errorf("%s: warned of what is as it should be: %s", minor, got)
	}
}

type unheard struct{ got string }

func (u *unheard) Error() string { return "heard is only: " + u.got }
