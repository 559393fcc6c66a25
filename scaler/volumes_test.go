package scaler_test

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A class that binds at the first consumer, and a volume of one zone that stands ready: nothing here makes volumes.
const zonalClaim = `
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: zonal}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: data-c}
spec:
  capacity: {storage: 10Gi}
  accessModes: [ReadWriteOnce]
  storageClassName: zonal
  local: {path: /data}
  nodeAffinity:
    required:
      nodeSelectorTerms: [{matchExpressions: [{key: topology.kubernetes.io/zone, operator: In, values: [ap-northeast-1c]}]}]
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: shop}
spec: {storageClassName: zonal, accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Gi}}}
`

// A pending pod with a claim is answered by a node in the one zone where the claim can have its volume.
func TestAPodWithAClaimGetsANodeInTheZoneOfItsVolume(t *testing.T) {
	w := start(t, fleet(1), 3, 0, 0)
	w.apply(zonalClaim)
	w.apply(strings.NewReplacer("name: web", "name: db", "app: web", "app: db", `cpu: "1"`, `cpu: "15"`,
		"containers:", "volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]\n      containers:").Replace(
		fmt.Sprintf(strings.Split(workload, "---")[0], 1)))
	w.until("the pod with the claim runs", func() (bool, string) {
		return w.bound("app=db") == 1, "it is not bound"
	})
	zones := map[string]int{}
	for _, i := range w.instances() {
		if i.Cause != "initial" {
			zones[i.Zone]++
		}
	}
	if len(zones) != 1 || zones["ap-northeast-1c"] != 1 {
		t.Errorf("launched by zone: %v; want one in ap-northeast-1c, where the volume is", zones)
	}
	node, err := w.Kube.CoreV1().Nodes().Get(t.Context(), w.pods("app=db")[0].Spec.NodeName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if zone := node.Labels["topology.kubernetes.io/zone"]; zone != "ap-northeast-1c" {
		t.Errorf("the pod runs in %s", zone)
	}
}
