package conformance_test

import (
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/metrics/lag"
	"swell/metrics/store"
)

// kill ends the brokers at plain, and back starts them again on the same ports and data.
func (g *target) kill() {
	if g.real != nil {
		g.real.Kill()
		return
	}
	g.fake.Close()
}

func (g *target) back(t *testing.T) {
	t.Helper()
	if g.real != nil {
		if err := g.real.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		return
	}
	var ports []int
	for _, address := range g.plain {
		_, text, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		port, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, port)
	}
	again, err := kfake.NewCluster(kfake.NumBrokers(len(ports)), kfake.Ports(ports...), kfake.DataDir(g.dir), kfake.SyncWrites())
	if err != nil {
		t.Fatal(err)
	}
	g.fake = again
	t.Cleanup(again.Close)
}

// killedAndBack asks before, during and after. It is the last of all.
func killedAndBack(t *testing.T, target *target) {
	e := newEnv(t, target, "killed")
	e.topic("killed", 2)
	e.produce("killed", 0, 9)
	e.commit("killed", "killed", 0, 4)
	e.commit("killed", "killed", 1, 0)
	a, want := committed("killed", "killed"), lags{at("killed", 0): known(5), at("killed", 1): known(0)}
	cluster := clusterAt(target.plain)
	cluster.RequestTimeout = metav1.Duration{Duration: 5 * time.Second}
	w := newWatch(t, cluster, a)
	w.poll()
	w.expect(a, want)

	target.kill()
	if err := w.poller.Poll(t.Context()); err == nil {
		t.Error("a poll of dead brokers worked")
	}
	key := store.Key{Cluster: clusterName, Group: a.group}
	for _, c := range []struct {
		name     string
		stale    time.Duration
		complete bool
	}{{"while the last sample is young", time.Hour, true}, {"when it is stale", 0, false}} {
		view := w.store.View(key, time.Now(), c.stale, a.parsed(t).Selection())
		if sum := lag.Add(view.Readings, a.rules()); sum.Complete() != c.complete {
			t.Errorf("%s the lag's completeness is %t, want %t: %v", c.name, sum.Complete(), c.complete, sum.Problems)
		}
	}
	if view := w.view(a); view.Problem == "" {
		t.Error("the group has no problem while its brokers are dead")
	}

	target.back(t)
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		err := w.poller.Poll(t.Context())
		got := w.lags(a)
		if err == nil && want.differs(got) == "" {
			return
		}
		for partition, m := range got {
			if m.problem == "" && m != want[partition] {
				t.Fatalf("%s is %s after the restart, want %s or unknown", partition, m, want[partition])
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s the group reads %v, last error %v", patience, got, err)
		}
	}
}
