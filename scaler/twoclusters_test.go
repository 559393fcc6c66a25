package scaler_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"

	"swell/api/config"
	"swell/bench/testbed/aws"
	"swell/bench/testbed/controlplane"
	"swell/bench/testbed/stack"
	"swell/nodegroups"
	"swell/nodegroups/learn"
	"swell/scaler"
	"swell/scaler/handover"
	"swell/scaler/history"
	"swell/scaler/learned"
)

// All of this is of two clusters of one company: blue, which is left, and green, which follows it.

const (
	refused   = "ap-northeast-1a" // has no spot capacity in blue
	blueShare = "100%"
	aside     = 2 // pods that can be in the refused zone alone
)

// boughtKey is what blue bought there instead.
var boughtKey = learn.BootKey{Zone: refused, Type: instanceType, Image: "ami-0123456789abcdef0", Market: nodegroups.OnDemand}

// twoMarkets is a spot group in each of three zones, with n nodes in all but the refused one, and an on-demand group there.
func twoMarkets(cluster string, n int) aws.Fleet {
	f := fleet(n)
	f.Groups[0].Desired = 0
	dear := f.Groups[0]
	dear.Name, dear.Market = "on-demand-a", "on-demand"
	dear.Tags = map[string]string{"swell/pool": "general", "swell/market": "on-demand"}
	f.Groups = append(f.Groups, dear)
	f.Boot = map[string]aws.Boot{}
	for i := range f.Groups {
		f.Groups[i].Name = cluster + "-" + f.Groups[i].Name
		f.Boot[f.Groups[i].Zone] = aws.Boot{P50: 20 * time.Second, P95: 30 * time.Second}
	}
	return f
}

// zonal are pods that can be in the refused zone alone.
const zonal = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: zonal, namespace: shop}
spec:
  replicas: %d
  selector: {matchLabels: {app: zonal}}
  template:
    metadata: {labels: {app: zonal}}
    spec:
      nodeSelector: {topology.kubernetes.io/zone: %s}
      containers: [{name: app, image: registry.k8s.io/pause:3.10, resources: {requests: {cpu: "1"}}}]
`

// pair is blue and green, contexts of one kubeconfig.
type pair struct {
	t                        *testing.T
	blue, green              world
	dir, program, kubeconfig string
	boots                    int // that blue saw in the refused zone
}

// What blue learned (demand, boots, capacity that could not be had, shares) is in green by one file: green holds the room of
// its share before a pod serves there, buys nothing that blue was refused, and says of the application how far it is.
func TestANewClusterGoesOnWithWhatTheOldOneLearned(t *testing.T) {
	p := startPair(t)
	p.blueLearns()
	p.handsOver()
	p.greenIsWarm()
	p.trafficMoves()
	p.greenKnowsBlueBoots()
}

// startPair has blue ready, and green booting while blue learns.
func startPair(t *testing.T) *pair {
	t.Helper()
	t.Parallel()
	controlplane.BinaryForTest(t)
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	p := &pair{t: t, dir: t.TempDir(), program: filepath.Join(root, "bin", "swell")}
	if _, err := os.Stat(p.program); err != nil {
		t.Fatalf("%v; run \"make build\"", err)
	}
	p.blue = beside(t, twoMarkets("blue", 1))()
	return p
}

// beside boots a stack beside the test, and gives what waits for it.
func beside(t *testing.T, f aws.Fleet) func() world {
	var st *stack.Stack
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		st, err = stack.Start(t.Context(), stack.Options{Speed: speed, Fleet: f, Seed: 1})
	}()
	t.Cleanup(func() {
		<-done
		if st == nil {
			return
		}
		if t.Failed() {
			raw, _ := os.ReadFile(filepath.Join(st.Dir(), "swell-scaler.log"))
			t.Logf("the log of the swell-scaler of %s:\n%s", f.Groups[0].Name, raw)
		}
		if err := st.Stop(); err != nil {
			t.Error(err)
		}
	})
	return func() world {
		t.Helper()
		if <-done; err != nil {
			t.Fatal(err)
		}
		return world{st, t}
	}
}

// saveSoon is a clock on which what is kept by a key is saved so long from now, in the machine's time. It begins at the first such
// time from a model time on.
func saveSoon(key string, from time.Time, in time.Duration) config.Clock {
	model := from.Truncate(time.Second)
	for scaler.SaveTurn(key, model.Add(in*speed)) == scaler.SaveTurn(key, model.Add(in*speed-time.Second)) {
		model = model.Add(time.Second)
	}
	return config.Clock{Speed: speed, Real: time.Now(), Model: model}
}

// blueLearns runs blue until what it learned is kept. It has a fortnight of demand, and was refused spot capacity before.
func (p *pair) blueLearns() {
	w, t := p.blue, p.t
	green := beside(t, twoMarkets("green", 0))
	// an hour behind, so that ten times life overtakes no command, which goes by the machine's clock
	w.Clock = saveSoon(learned.ConfigMap, time.Now().Add(-time.Hour), 16*time.Second)
	p.before(w.Clock.Model)
	w.apply(fmt.Sprintf(pool, "general"))
	w.apply(fmt.Sprintf(workload, 28, 0))
	w.apply(queue)
	w.apply(fmt.Sprintf(zonal, aside, refused))
	w.patch("web", `{"demand": {"from": "QueueConsumer", "queueConsumer": "orders"}}`)
	w.order("capacity", aws.Order{Fault: aws.Fault{Zone: refused, Market: "spot"}})
	w.serves(1)
	if err := w.StartScaler(t.Context(), stack.ScalerOptions{Region: "ap-northeast-1", Prices: prices}); err != nil {
		t.Fatal(err)
	}
	w.within(400*time.Second, "what was learned is kept", func() (bool, string) {
		w.serves(1)
		boots, marks := w.learned()
		shares := w.record().Shares()
		return boots > 0 && len(marks) == 1 && len(shares) == 1 && shares[0].Share == 1,
			fmt.Sprintf("%d boots of on-demand nodes in %s are, unavailable are %v, the shares are %v", boots, refused, marks, shares)
	})
	p.green = green()
}

// before is what blue kept of the time before the test.
func (p *pair) before(now time.Time) {
	s := fortnight(func(time.Time) float64 { return wellBelow30 })
	s.Start = now.Truncate(5 * time.Minute).Add(-14 * 24 * time.Hour)
	points := history.Checkpoints{Kube: p.blue.Kube, Namespace: "swell-system"}
	_, err := points.Update(p.t.Context(), "shop", "web", func(c *history.Checkpoint) { c.Record.Fill(s) })
	capacity := learn.NewCapacity()
	for _, ago := range []time.Duration{30, 20, 12} { // the next wait is of 24 minutes, 144 s here
		capacity.Failed(now.Add(-ago*time.Minute), nodegroups.Unavailable{Zone: refused, Types: []string{instanceType}, Market: nodegroups.Spot, Class: nodegroups.NoCapacity})
	}
	raw, err2 := capacity.MarshalJSON()
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "swell-system", Name: learned.ConfigMap}, BinaryData: learned.Data([]byte("[]"), raw)}
	_, err3 := p.blue.Kube.CoreV1().ConfigMaps(m.Namespace).Create(p.t.Context(), m, metav1.CreateOptions{})
	if err := errors.Join(err, err2, err3); err != nil {
		p.t.Fatal(err)
	}
}

// serves has the workload's queue ask for a share of all pods, now.
func (w world) serves(share float64) {
	w.t.Helper()
	w.queueStatus(fmt.Sprintf("%.1f", share*wellBelow30*0.8*50), time.Now())
}

// learned is how many on-demand boots in the refused zone are kept, and what cannot be launched now.
func (w world) learned() (boots int, marks []string) {
	w.t.Helper()
	m, err := w.Kube.CoreV1().ConfigMaps("swell-system").Get(w.t.Context(), learned.ConfigMap, metav1.GetOptions{})
	if err != nil {
		return 0, nil
	}
	all, err := learn.NewBoots(learn.BootOptions{})
	capacity := learn.NewCapacity()
	if err == nil {
		err = learned.Read(m.BinaryData, w.Clock.Now(), all, capacity)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	for _, zone := range []string{"ap-northeast-1a", "ap-northeast-1c", "ap-northeast-1d"} {
		g := nodegroups.Group{Name: zone, Zone: zone, Market: nodegroups.Spot, InstanceTypes: []string{instanceType}}
		for _, u := range capacity.Unavailable(w.Clock.Now(), []nodegroups.Group{g}) {
			marks = append(marks, u.Group)
		}
	}
	return all.Count(boughtKey, learn.Ready), marks
}

// swell runs a command and reads its JSON.
func (p *pair) swell(into any, args ...string) {
	p.t.Helper()
	var out, problems bytes.Buffer
	c := exec.CommandContext(p.t.Context(), p.program, append(args, "--json", "--kubeconfig", p.kubeconfig)...)
	c.Stdout, c.Stderr = &out, &problems
	if err := c.Run(); err != nil {
		p.t.Fatalf("swell %s: %v: %s", strings.Join(args, " "), err, problems.String())
	}
	if err := json.Unmarshal(out.Bytes(), into); err != nil {
		p.t.Fatalf("swell %s: %v: %s", strings.Join(args, " "), err, out.String())
	}
	p.t.Logf("swell %s\n%s", strings.Join(args, " "), out.String())
}

// contexts writes one kubeconfig of both clusters.
func (p *pair) contexts() {
	all := clientcmdapi.NewConfig()
	for name, w := range map[string]world{"blue": p.blue, "green": p.green} {
		path, err := w.Cluster.Kubeconfig("platform", "system:masters")
		if err != nil {
			p.t.Fatal(err)
		}
		one, err := clientcmd.LoadFromFile(path)
		if err != nil {
			p.t.Fatal(err)
		}
		all.Clusters[name], all.AuthInfos[name] = one.Clusters["testbed"], one.AuthInfos["platform"]
		all.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	}
	p.kubeconfig = filepath.Join(p.dir, "kubeconfig")
	if err := clientcmd.WriteToFile(*all, p.kubeconfig); err != nil {
		p.t.Fatal(err)
	}
}

// greenConfig is blue's configuration with green's clock, on which its history is saved once its traffic must have been seen.
func (p *pair) greenConfig() string {
	p.green.Clock = saveSoon("shop/web", p.blue.Clock.Now(), 51*time.Second)
	raw, err := os.ReadFile(filepath.Join(p.blue.Dir(), "scaler.yaml"))
	var c config.Scaler
	if err == nil {
		err = yaml.UnmarshalStrict(raw, &c)
	}
	if c.Clock = p.green.Clock; err == nil {
		raw, err = yaml.Marshal(c)
	}
	path := filepath.Join(p.dir, "green.yaml")
	if err = errors.Join(err, os.WriteFile(path, raw, 0o600)); err != nil {
		p.t.Fatal(err)
	}
	return path
}

// handsOver exports blue and imports into green, whose scaler does not run yet: first dry, then twice.
func (p *pair) handsOver() {
	p.contexts()
	file := filepath.Join(p.dir, "blue.json")
	var wrote struct{ Balloons, Learned int }
	p.swell(&wrote, "handover", "export", "--context", "blue", "--config", filepath.Join(p.blue.Dir(), "scaler.yaml"), "--cluster", "blue", "--out", file)
	if wrote.Balloons != 1 || wrote.Learned != 1 {
		p.t.Errorf("the file has %+v: want one history and one ConfigMap", wrote)
	}
	p.boots, _ = p.blue.learned()
	green := p.greenConfig()
	for i, want := range []string{"made", "made", "nothing new"} {
		args := []string{"handover", "import", "--context", "green", "--config", green, "--file", file}
		if i == 0 {
			args = append(args, "--dry-run")
		}
		var got struct{ Moved []handover.Moved }
		p.swell(&got, args...)
		if m := got.Moved; len(m) != 2 || m[0].Done != want || m[1].Done != want || m[0].Name != "shop/web" || m[0].Share != blueShare || m[0].Rows > 4000 != (i < 2) {
			p.t.Errorf("import %d: %+v: want %s, a fortnight's rows, and blue's share of %s", i, m, want, blueShare)
		}
		if boots, _ := p.green.learned(); i == 0 && (boots > 0 || !p.green.record().Empty()) {
			p.t.Error("a dry run wrote something")
		}
	}
	shares := p.green.record().Shares()
	if len(shares) != 2 || shares[0].Share != 1 || shares[1].Share != 0 {
		p.t.Errorf("green's record has shares %v: want blue's, and none from the import on", shares)
	}
}

// greenIsWarm has green hold the room of half the demand, in nodes that it buys for that, before a pod serves there.
func (p *pair) greenIsWarm() {
	w, t := p.green, p.t
	if a := p.status(); a.State != "not begun" || !strings.Contains(a.Next, "apply Balloon shop/web") {
		t.Errorf("before green has the Balloon: %s, next is %q", a.State, a.Next)
	}
	w.apply(fmt.Sprintf(pool, "general"))
	w.apply(fmt.Sprintf(workload, 0, 0))
	w.apply(queue)
	w.patch("web", `{"share": "50%", "demand": {"from": "QueueConsumer", "queueConsumer": "orders"}}`)
	w.serves(0)
	if err := w.StartScaler(t.Context(), stack.ScalerOptions{Region: "ap-northeast-1", Prices: prices}); err != nil {
		t.Fatal(err)
	}
	w.until("the room of the share is held", func() (bool, string) { // half of 28.5 to 30 pods at 2.5 a balloon
		w.serves(0)
		p.blue.serves(1)
		wanted, running := w.wanted("web")
		n := w.bound(balloonSelector)
		return n >= 5 && n <= 7 && wanted == n && running == n, fmt.Sprintf("%d balloons are bound, %d run of %d", n, running, wanted)
	})
	for _, i := range w.instances() {
		if i.Group == "green-spot-a" {
			t.Errorf("green launched %s of what blue was refused a minute ago", i.ID)
		}
	}
	a := p.status()
	if a.State != "not begun" || a.Old.pods() != 28 || a.New.pods() != 0 || a.New.Running < 5 || a.New.Running != a.New.Balloons || a.New.HistoryRows < 4000 ||
		!strings.Contains(a.Next, "move 50% of the traffic") {
		t.Errorf("warm, before any traffic moved: %+v", a)
	}
	if a := p.status("--deadline", "2020-03-02"); a.State != "behind" || a.Why != "the deadline is over" {
		t.Errorf("after the deadline: %s, %s", a.State, a.Why)
	}
}

// place is one cluster's part of the application, as swell handover status has it.
type place struct {
	Present     bool
	Share       *float64
	ReadyPods   *int
	Balloons    int
	Running     int `json:"balloonsRunning"`
	HistoryRows int
}

// pods that are ready; −1 is unknown.
func (s place) pods() int {
	if s.ReadyPods == nil {
		return -1
	}
	return *s.ReadyPods
}

type moving struct {
	Balloon, State, Why, Next string
	Begun, Finish             *time.Time
	Old, New                  place
}

// status of the one application.
func (p *pair) status(args ...string) moving {
	p.t.Helper()
	var got struct {
		Deadline     *time.Time
		Applications []moving
	}
	p.swell(&got, append([]string{"handover", "status", "--old-context", "blue", "--new-context", "green"}, args...)...)
	if len(got.Applications) != 1 || (got.Deadline != nil) != (len(args) > 0) {
		p.t.Fatalf("%+v: want one application, and the deadline where one was given", got)
	}
	return got.Applications[0]
}

// trafficMoves moves half the traffic and then all of it.
func (p *pair) trafficMoves() {
	t := p.t
	p.blue.patch("web", `{"share": "50%"}`)
	p.blue.scale(14)
	p.green.scale(14)
	p.green.within(400*time.Second, "green has seen its traffic", func() (bool, string) {
		p.blue.serves(0.5)
		p.green.serves(0.5)
		shares, n := p.green.record().Shares(), p.green.bound("app=web")
		return shares[len(shares)-1].Share == 0.5 && n == 14, fmt.Sprintf("%d pods are bound, the shares are %v; %s", n, shares, p.green.condition("DemandKnown"))
	})
	late := time.Now().Add(time.Minute).Format(time.RFC3339)
	for deadline, want := range map[string]string{"2126-03-02": "on time", late: "behind"} {
		a := p.status("--deadline", deadline)
		if a.State != want || a.Begun == nil || a.Finish == nil || a.Old.pods() != 14 || a.New.pods() != 14 || *a.Old.Share != 0.5 || *a.New.Share != 0.5 {
			t.Errorf("half has moved, the deadline is %s: %+v: want %s", deadline, a, want)
		}
	}
	p.green.patch("web", `{"share": "100%"}`)
	if a := p.status("--deadline", late); a.State != "done" || !strings.Contains(a.Next, "from the old cluster") {
		t.Errorf("all has moved: %s, next is %q", a.State, a.Next)
	}
}

// greenKnowsBlueBoots compares what green's scaler supposes of boots with what blue saw and green bought.
func (p *pair) greenKnowsBlueBoots() {
	own := 0
	for _, i := range p.green.instances() {
		if i.Group == "green-on-demand-a" {
			own++
		}
	}
	if own == 0 {
		p.t.Error("green bought nothing where blue was refused spot capacity")
	}
	p.green.until("the pool's status has the boots of both", func() (bool, string) {
		for _, b := range p.green.poolOf("general").Status.LearnedBoot {
			if b.Zone == boughtKey.Zone && b.Market == string(boughtKey.Market) {
				return int(b.Count) >= p.boots+own, fmt.Sprintf("%d boots are known, blue saw %d and green %d", b.Count, p.boots, own)
			}
		}
		return false, "the status has no such boots"
	})
}
