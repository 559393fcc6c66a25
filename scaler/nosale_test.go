package scaler

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

	"swell/api/v1alpha1"
	"swell/nodegroups"
	"swell/scaler/observe"
)

// lost is a cloud that answers for the pools that it does not name.
type lost map[string]bool

func (c lost) Groups(_ context.Context, s nodegroups.Selection) ([]nodegroups.Group, []string, error) {
	if c[s.Pool] {
		return nil, nil, errors.New("timeout")
	}
	return []nodegroups.Group{{Name: s.Pool, Zone: "1a"}}, nil, nil
}

func (c lost) Prepaid(context.Context, []string) (nodegroups.Prepaid, []string) {
	return nodegroups.Prepaid{}, nil
}

func TestNothingIsReturnedAfterTakingOverUntilAllWasReadAfresh(t *testing.T) {
	took := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	named := func(name string) v1alpha1.CapacityPool {
		return v1alpha1.CapacityPool{ObjectMeta: metav1.ObjectMeta{Name: name}}
	}
	world := observe.World{Pools: []v1alpha1.CapacityPool{named("a"), named("b")}}
	cloud := lost{}
	l := &Loop{groups: observe.NewGroups(cloud), tookOver: took}
	at := func(d time.Duration) time.Time { return took.Add(d) }
	read := func(d time.Duration, failing ...string) {
		clear(cloud)
		for _, name := range failing {
			cloud[name] = true
		}
		_ = l.groups.Read(t.Context(), at(d), world.Selections()) // fails where it is to
	}
	api := func(d time.Duration) { now := at(d); l.apiAt.Store(&now) }
	expect := func(why string) {
		t.Helper()
		if got := l.takingOver(world); (got == "") != (why == "") || !strings.Contains(got, why) {
			t.Errorf("%q keeps nodes, want %q", got, why)
		}
	}
	api(-time.Second)
	read(-time.Second)
	expect("the API server was not asked since this scaler took over at 09:00:00")
	api(time.Second)
	expect("the groups of pool a were not read")
	read(0) // began as it took over, which may be before
	expect("the groups of pool a were not read")
	read(time.Second, "b")
	expect("the groups of pool b were not read")
	read(2*time.Second, "a") // each pool by its own reading
	expect("")
	api(-time.Hour)
	expect("")
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
		w := observe.World{}
		noSale := w.Budgets(t.Context(), c)
		if (noSale != "") != forbidden || (len(w.Snapshot.Budgets) == 1) == forbidden || (len(w.Problems) == 1) != forbidden {
			t.Errorf("forbidden %v: %q keeps nodes, budgets %v, problems %v", forbidden, noSale, w.Snapshot.Budgets, w.Problems)
		}
	}
}
