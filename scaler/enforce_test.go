package scaler

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/v1alpha1"
	emulator "swell/bench/testbed/aws"
	"swell/nodegroups"
	"swell/nodegroups/aws"
	"swell/scaler/guard"
	"swell/scaler/observe"
)

type onlyGroups struct{ *aws.Client }

func (c onlyGroups) Groups(ctx context.Context, s nodegroups.Selection) ([]nodegroups.Group, []string, error) {
	groups, _, err := c.Select(ctx, s)
	return groups, nil, err
}

func (c onlyGroups) Prepaid(ctx context.Context, types []string) (nodegroups.Prepaid, []string) {
	p, _ := c.Client.Prepaid(ctx, types)
	return p, nil
}

// zonesWorld is one pool whose Auto Scaling group spans zones.
type zonesWorld struct {
	t     *testing.T
	l     *Loop
	aws   *aws.Client
	world observe.World
}

func newZonesWorld(t *testing.T) *zonesWorld {
	t.Helper()
	fleet, err := emulator.ReadFleet("../bench/testbed/aws/testdata/fleet.yaml")
	if err != nil {
		t.Fatal(err)
	}
	e, err := emulator.New(emulator.Options{Fleet: fleet, Seed: 1, Manual: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	c, err := aws.New(t.Context(), aws.Options{Region: "ap-northeast-1", Endpoint: server.URL, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	w := &zonesWorld{t: t, l: &Loop{groups: observe.NewGroups(onlyGroups{c})}, aws: c}
	pool := v1alpha1.CapacityPool{ObjectMeta: metav1.ObjectMeta{Name: "wide"}}
	pool.Spec.Groups.Tags, pool.Spec.Groups.MultiZone = map[string]string{"swell/pool": "wide"}, "SuspendAZRebalance"
	w.world.Pools = []v1alpha1.CapacityPool{pool}
	return w
}

// tick is what a plan decides of the pool, and the reading after it; it says why the pool only observes.
func (w *zonesWorld) tick() string {
	w.t.Helper()
	w.world.Snapshot.Groups = w.l.groups.List()
	policy, _ := w.world.Policy(time.Minute)
	w.l.refuse(&policy, w.world)
	if waits := w.l.enforce(&policy, w.world); waits != (policy.Pools[0].ObserveWhy == takeWhy) {
		w.t.Errorf("waits is %t, and the pool %q", waits, policy.Pools[0].ObserveWhy)
	}
	w.read()
	return policy.Pools[0].ObserveWhy
}

func (w *zonesWorld) read() {
	w.t.Helper()
	if err := w.l.groups.Read(w.t.Context(), time.Now(), w.l.selections(w.world)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *zonesWorld) suspended() bool {
	w.t.Helper()
	found, err := w.aws.Suspensions(w.t.Context(), map[string]string{"swell/pool": "wide"})
	if err != nil {
		w.t.Fatal(err)
	}
	return len(found) > 0
}

func (w *zonesWorld) autoscaler(runs bool) {
	w.l.guard.statuses = nil
	if runs {
		w.l.guard.statuses = []corev1.ConfigMap{{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: guard.StatusName,
			Annotations: map[string]string{"cluster-autoscaler.kubernetes.io/last-updated": time.Now().UTC().Format("2006-01-02 15:04:05.999999999 -0700 MST")}},
			Data: map[string]string{"status": "nodeGroups:\n- name: wide\n"}}}
	}
}

func TestNoProcessIsSuspendedInGroupsThatAnotherScalerActsOn(t *testing.T) {
	w := newZonesWorld(t)
	w.autoscaler(true)
	w.read() // nobody has looked for other scalers yet
	for range 3 {
		if why := w.tick(); !strings.Contains(why, "cluster-autoscaler acts on group wide") || w.suspended() {
			t.Fatalf("observes %q, suspended %t", why, w.suspended())
		}
	}
	w.autoscaler(false)
	if why := w.tick(); why != takeWhy || !w.suspended() {
		t.Fatalf("observes %q, suspended %t: nothing may be planned before the process is suspended", why, w.suspended())
	}
	if why := w.tick(); why != "" {
		t.Fatalf("observes %q with its groups taken over", why)
	}
	w.autoscaler(true)
	w.tick()
	if w.l.selections(w.world)["wide"].MayChange || w.l.groups.Taken("wide") {
		t.Error("a refused pool's groups may be changed")
	}
}

func TestNoProcessIsSuspendedWhileTheConfigurationObserves(t *testing.T) {
	w := newZonesWorld(t)
	w.l.options.Config.Mode = v1alpha1.Observe
	w.read()
	for range 2 {
		w.tick()
	}
	if w.suspended() {
		t.Error("suspended")
	}
}
