package scaler_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/config"
	"swell/balloon"
	"swell/bench/testbed/process"
	"swell/bench/testbed/stack"
	"swell/scaler/series"
)

// rare are what only some clusters have: targets of other kinds than Deployments, and what the API server adds to their pods. The
// pods of namespace full are never made, so that its workload is known by its template alone.
const rare = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: rollouts.argoproj.io}
spec:
  group: argoproj.io
  scope: Namespaced
  names: {kind: Rollout, plural: rollouts, singular: rollout, listKind: RolloutList}
  versions:
  - name: v1alpha1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
    subresources: {scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas, labelSelectorPath: .status.selector}}
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: important}
value: 1000
---
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: sandbox}
handler: sandbox
overhead: {podFixed: {cpu: 500m}}
---
apiVersion: v1
kind: Namespace
metadata: {name: full}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: none, namespace: full}
spec: {hard: {pods: "0"}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: promised, namespace: full}
spec:
  replicas: 2
  selector: {matchLabels: {app: promised}}
  template:
    metadata: {labels: {app: promised}}
    spec:
      priorityClassName: important
      runtimeClassName: sandbox
      containers: [{name: app, image: registry.k8s.io/pause:3.10, resources: {requests: {cpu: "1"}}}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: set, namespace: shop}
spec:
  replicas: 1
  selector: {matchLabels: {app: set}}
  template:
    metadata: {labels: {app: set}}
    spec: {containers: [{name: app, image: registry.k8s.io/pause:3.10, resources: {requests: {cpu: "1"}}}]}
`

const rollout = `
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: roll, namespace: shop}
spec:
  replicas: 1
  template:
    metadata: {labels: {app: roll}}
    spec: {runtimeClassName: sandbox, containers: [{name: app, image: registry.k8s.io/pause:3.10, resources: {requests: {cpu: "1"}}}]}
status: {replicas: 1, selector: app=roll}
`

const rareBalloon = `
apiVersion: capacity.swell/v1alpha1
kind: Balloon
metadata: {name: %[1]s, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: %[2]s, kind: %[3]s, name: %[1]s}
  demand: {from: QueueConsumer, queueConsumer: orders}
  min: 1
  max: 2
`

// Balloons of a StatefulSet and an Argo Rollout are held, whose demand is a QueueConsumer's, and pods that are not made yet are
// known as the API server will make them: by the chart's rights, without one that is refused.
func TestRareTargetsAreReadByTheChartsRights(t *testing.T) {
	port, err := process.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	page := fmt.Sprintf("127.0.0.1:%d", port)
	w := startConfigured(t, fleet(1), 3, series.Series{}, `{"min": 0}`, stack.ScalerOptions{Page: config.Page{Bind: page}})
	w.pageAsksWhoReads(page)
	w.apply(rare)
	w.until("a Rollout can be made", func() (bool, string) {
		err := w.Apply(t.Context(), "rollout.yaml", []byte(rollout))
		return err == nil, fmt.Sprint(err)
	})
	w.apply(fmt.Sprintf(rareBalloon, "set", "apps/v1", "StatefulSet") + "---" + fmt.Sprintf(rareBalloon, "roll", "argoproj.io/v1alpha1", "Rollout"))
	for _, name := range []string{"set", "roll"} {
		w.until("the balloon of "+name+" runs", func() (bool, string) {
			return w.bound(balloon.Label+"="+name) == 1, fmt.Sprintf("%+v", w.balloon(name).Status)
		})
		w.until("the demand of "+name+" was looked for", func() (bool, string) {
			said := fmt.Sprint(w.balloon(name).Status.Conditions)
			return strings.Contains(said, "QueueConsumer shop/orders"), said
		})
		for _, c := range w.balloon(name).Status.Conditions {
			if strings.Contains(c.Message, "forbidden") || strings.Contains(c.Message, "may not") {
				t.Errorf("%s: %s: %s", name, c.Type, c.Message)
			}
		}
	}
	w.until("the workload that is known by its template alone is planned for", func() (bool, string) {
		d, err := w.Kube.AppsV1().Deployments("full").Get(t.Context(), "promised", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return d.Status.ObservedGeneration > 0 && d.Status.Replicas == 0, d.Status.String()
	})
}

// pageAsksWhoReads: the page asks the API server who has a token, and whether he may read it.
func (w world) pageAsksWhoReads(address string) {
	w.t.Helper()
	token, err := w.Kube.CoreV1().ServiceAccounts("default").CreateToken(w.t.Context(), "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	reader := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	w.until("the page refuses whom the API server refuses", func() (bool, string) {
		request, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "https://"+address+"/", nil)
		if err != nil {
			w.t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token.Status.Token)
		answer, err := reader.Do(request)
		if err != nil {
			return false, err.Error()
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusForbidden, answer.Status
	})
}
