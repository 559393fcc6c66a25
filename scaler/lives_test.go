package scaler_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/bench/measure"
	"swell/scaler/ledger"
)

// setDesired asks a group for so many instances, as somebody does by hand.
func (w world) setDesired(group string, n int32) {
	w.t.Helper()
	endpoint := w.AWSEndpoint()
	client := autoscaling.New(autoscaling.Options{Region: "ap-northeast-1", BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
	if _, err := client.SetDesiredCapacity(w.t.Context(), &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: &group, DesiredCapacity: &n}); err != nil {
		w.t.Fatal(err)
	}
}

// instancesIn is the newest entry of each instance in the ledger, with how many it has.
func (w world) instancesIn() (newest map[string]ledger.Entry, entries map[string]int) {
	w.t.Helper()
	newest, entries = map[string]ledger.Entry{}, map[string]int{}
	err := ledger.Walk(w.LedgerDir(), time.Time{}, time.Time{}, func(e ledger.Entry) error {
		if e.Instance != nil {
			newest[e.Instance.ID] = e
			entries[e.Instance.ID]++
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return newest, entries
}

// journaled is an instance of AWS's own log.
func (w world) journaled(id string) measure.Instance {
	for _, i := range w.instances() {
		if i.ID == id {
			return i
		}
	}
	return measure.Instance{}
}

// Launches, an instance that somebody starts by hand, an interruption, a restart and a return: whatever AWS's own log has of an
// instance, the ledger has to the second.
func TestTheLedgerHasEachInstancesLife(t *testing.T) {
	w := start(t, fleet(1), 15, 0, 0)
	w.settled(0)
	first := map[string]bool{}
	for _, i := range w.instances() {
		first[i.ID] = true
	}
	w.scale(60)
	w.until("60 pods run", func() (bool, string) { n := w.bound("app=web"); return n == 60, fmt.Sprintf("%d are bound", n) })
	lost := w.interrupt()
	w.until("the interrupted instance is gone", func() (bool, string) { return !w.journaled(lost).Terminated.IsZero(), "it is there" })
	w.until("60 pods run again", func() (bool, string) { n := w.bound("app=web"); return n == 60, fmt.Sprintf("%d are bound", n) })
	w.Scaler.Kill()
	spotD := int32(1)
	for _, i := range w.instances() {
		if i.Group == "spot-d" && i.Terminated.IsZero() {
			spotD++
		}
	}
	w.setDesired("spot-d", spotD) // while no scaler looks
	if err := w.Scaler.Restart(); err != nil {
		t.Fatal(err)
	}
	byHand := ""
	w.until("what was started by hand runs", func() (bool, string) {
		for _, i := range w.instances() {
			if !first[i.ID] && i.Token == "" && i.Cause != "" && i.Group == "spot-d" {
				byHand = i.ID
				return !i.Running.IsZero(), "it boots"
			}
		}
		return false, "it is not launched"
	})
	w.until("the ledger has it", func() (bool, string) {
		newest, _ := w.instancesIn()
		e := newest[byHand].Instance
		return e != nil && e.ReadyAt != nil, fmt.Sprintf("it has %+v", e)
	})
	w.scale(15)
	w.until("nodes are returned", func() (bool, string) { n := w.alive(); return n <= 3, fmt.Sprintf("%d are there", n) })
	w.until("the ledger has all ends", func() (bool, string) {
		newest, _ := w.instancesIn()
		for _, i := range w.instances() {
			if e := newest[i.ID].Instance; !i.Terminated.IsZero() && (e == nil || e.GoneAt == nil) {
				return false, fmt.Sprintf("%s: %+v", i.ID, e)
			}
		}
		return true, ""
	})
	w.compareLives(first, lost, byHand)
	w.compareRest()
}

// compareLives holds the newest entries of instances against AWS's own log and the API server's Nodes.
func (w world) compareLives(first map[string]bool, lost, byHand string) {
	w.t.Helper()
	nodes, err := w.Kube.CoreV1().Nodes().List(w.t.Context(), metav1.ListOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	names := map[string]string{}
	for _, n := range nodes.Items {
		names[n.Spec.ProviderID] = n.Name
	}
	second := func(model time.Time) int64 { return w.Clock.RealTime(model).Unix() }
	newest, entries := w.instancesIn()
	for _, i := range w.instances() {
		e := newest[i.ID].Instance
		if e == nil {
			w.t.Errorf("%s is in AWS's log and not in the ledger", i.ID)
			continue
		}
		delete(newest, i.ID)
		if second(e.LaunchedAt) != i.Launched.Unix() {
			w.t.Errorf("%s was launched at %s, and by the ledger at %s", i.ID, i.Launched, w.Clock.RealTime(e.LaunchedAt))
		}
		if (e.GoneAt != nil) != !i.Terminated.IsZero() || e.GoneAt != nil && second(*e.GoneAt) != i.Terminated.Unix() {
			w.t.Errorf("%s ended at %s, and by the ledger %+v", i.ID, i.Terminated, e)
		}
		if e.Token != i.Token || e.Group != i.Group || e.Zone != i.Zone || e.Market != i.Market || e.Type != i.Type || e.Pool != "general" {
			w.t.Errorf("%s is %+v, and in the ledger %+v", i.ID, i, e)
		}
		if e.Hourly == nil || *e.Hourly != *i.PricePerHour || e.OnDemandHourly == nil || *e.OnDemandHourly != 1 {
			w.t.Errorf("%s has the prices %v, %v: want %v and 1", i.ID, e.Hourly, e.OnDemandHourly, *i.PricePerHour)
		}
		if e.Seen != first[i.ID] {
			w.t.Errorf("%s: seen is %t, and it is of the first %t", i.ID, e.Seen, first[i.ID])
		}
		if name := names["aws:///"+i.Zone+"/"+i.ID]; i.Terminated.IsZero() && e.Node != name || e.Node == "" {
			w.t.Errorf("%s is node %q, and in the ledger %q", i.ID, name, e.Node)
		}
		// the API server stamps whole seconds, and the Node joins when AWS's log says that it runs
		if e.RegisteredAt == nil || e.ReadyAt == nil || w.Clock.RealTime(*e.RegisteredAt).Sub(i.Running).Abs() > 3*time.Second || e.ReadyAt.Before(*e.RegisteredAt) {
			w.t.Errorf("%s joined at %s, and by the ledger at %v, ready at %v", i.ID, i.Running, e.RegisteredAt, e.ReadyAt)
		}
		want := map[bool]string{true: "", false: "returned"}[i.Terminated.IsZero()]
		if i.ID == lost {
			want = "interrupted"
		}
		if e.End != want {
			w.t.Errorf("%s ended by the ledger as %q: want %q", i.ID, e.End, want)
		}
		if n := entries[i.ID]; n > 6 {
			w.t.Errorf("%s has %d entries: a restart is no news of it", i.ID, n)
		}
	}
	for id := range newest {
		w.t.Errorf("%s is in the ledger and not in AWS's log", id)
	}
	if byHand == "" || lost == "" {
		w.t.Errorf("by hand %q, lost %q", byHand, lost)
	}
}

// compareRest looks at what else is recorded, and that all of it holds.
func (w world) compareRest() {
	w.t.Helper()
	seen := map[string]int{}
	var launches, terminations, samples []ledger.Entry
	err := ledger.Walk(w.LedgerDir(), time.Time{}, time.Time{}, func(e ledger.Entry) error {
		seen[e.Action]++
		switch {
		case e.Action == "launch" && e.Token != "" && e.Phase != ledger.Note:
			launches = append(launches, e)
		case e.Action == "terminate" && e.Phase == ledger.Done:
			terminations = append(terminations, e)
		case e.Action == "sample":
			samples = append(samples, e)
		case e.Notice != nil && (e.Notice.Kind != "spot" || e.Notice.Node == "" || e.Notice.GoneBy == nil || e.Notice.Pool != "general"):
			w.t.Errorf("a notice is recorded as %+v", e.Notice)
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if seen["start"] != 2 || seen["notice"] != 1 || seen["policy"] != 4 || seen["size"] == 0 || len(samples) == 0 {
		w.t.Errorf("the ledger has %v: want two starts, one notice, policies at each start, sizes and samples", seen)
	}
	for _, e := range launches {
		if e.Phase == ledger.Intent && (e.Pool != "general" || e.Zone == "" || e.Market != "spot" || e.Hourly != 0.35 || len(e.Rejected) == 0 || e.Inputs == nil || e.Inputs.Pods > 0 && len(e.Inputs.Names) == 0) {
			w.t.Errorf("a launch is recorded as %+v", e)
		}
		if e.Phase == ledger.Done && len(e.Activities) != 1 {
			w.t.Errorf("a launch has no id of AWS's: %+v", e)
		}
	}
	for _, e := range terminations {
		if len(e.Activities) != 1 {
			w.t.Errorf("a return has no activity of AWS's: %+v", e)
		}
	}
	for _, e := range samples {
		pods := 0
		for _, x := range e.Sample.Workloads {
			if x.Workload == "Deployment/web" && x.Namespace == "shop" {
				pods += x.Pods + x.Pending
			}
		}
		if pods < 15 || len(e.Sample.Groups) != 3 {
			w.t.Errorf("a sample has %d pods of web in %d groups", pods, len(e.Sample.Groups))
		}
	}
	all, err := ledger.Verify(w.LedgerDir())
	if err != nil || len(all) != 1 || all[0].Finding != nil || all[0].Lost > 0 {
		w.t.Fatalf("%+v, %v", all, err)
	}
	m, err := w.Kube.CoreV1().ConfigMaps("swell-system").Get(w.t.Context(), "swell-scaler-ledger", metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	head, err := ledger.ParseHead(m.Data["head"])
	if err != nil {
		w.t.Fatal(err)
	}
	if all, err = ledger.Verify(w.LedgerDir(), head); err != nil || len(all[0].Anchored) != 1 {
		w.t.Errorf("the head that was kept is not in the ledger: %+v, %v", all, err)
	}
}
