package observe

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"swell/nodegroups"
)

// A reading that began at the time may be of before it, and a lost one is none.
func TestEachPoolIsReadSinceByAReadingOfItsOwn(t *testing.T) {
	cloud := answers{"good": []nodegroups.Group{group("g", 0)}, "bad": []nodegroups.Group{group("h", 0)}}
	g := NewGroups(cloud)
	for _, c := range []struct {
		after time.Duration
		lost  string
		why   string
	}{{0, "", "bad"}, {time.Second, "good", "good"}, {2 * time.Second, "bad", ""}} {
		was := cloud[c.lost]
		if c.lost != "" {
			cloud[c.lost] = errors.New("timeout")
		}
		if err := g.Read(t.Context(), at.Add(c.after), pools); (err != nil) != (c.lost != "") {
			t.Fatal(err)
		}
		if got := g.ReadSince(at, []string{"bad", "good"}); (got == "") != (c.why == "") || !strings.Contains(got, c.why) {
			t.Errorf("%s after it: %q, want the groups of %q", c.after, got, c.why)
		}
		if c.lost != "" {
			cloud[c.lost] = was
		}
	}
}

func TestNothingIsReturnedWhileBudgetsCannotBeRead(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := policyv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	budget := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}
	for _, forbidden := range []bool{false, true} {
		c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(budget).WithInterceptorFuncs(interceptor.Funcs{
			List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, o ...client.ListOption) error {
				if forbidden {
					return apierrors.NewForbidden(schema.GroupResource{Group: "policy", Resource: "poddisruptionbudgets"}, "", nil)
				}
				return c.List(ctx, list, o...)
			}}).Build()
		w := World{}
		noSale := w.Budgets(t.Context(), c)
		if (noSale != "") != forbidden || (len(w.Snapshot.Budgets) == 1) == forbidden || (len(w.Problems) == 1) != forbidden {
			t.Errorf("forbidden %v: %q keeps nodes, budgets %v, problems %v", forbidden, noSale, w.Snapshot.Budgets, w.Problems)
		}
	}
}
