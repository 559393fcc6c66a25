package observe

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"swell/api/v1alpha1"
)

// cluster is an API server with the objects.
func cluster(t *testing.T, objects ...client.Object) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
}

func TestNamespacesAreReadWithTheirLabels(t *testing.T) {
	c := cluster(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "theirs", Labels: map[string]string{"tenant": "b"}}})
	w, err := Read(t.Context(), c, NewGroups(answers{}), new(Owed), at)
	if err != nil {
		t.Fatal(err)
	}
	if n := w.Snapshot.Namespaces; len(n) != 1 || n[0].Name != "theirs" || n[0].Labels["tenant"] != "b" {
		t.Errorf("namespaces %v: want theirs with tenant=b, which affinity terms select by", n)
	}
}
