package scaler

import (
	"testing"
	"time"

	kubefake "k8s.io/client-go/kubernetes/fake"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/scaler/history"
)

// configMapReads counts what was read of an API server's ConfigMaps, one by one.
func configMapReads(kube *kubefake.Clientset) int {
	n := 0
	for _, a := range kube.Actions() {
		if a.Matches("get", "configmaps") {
			n++
		}
	}
	return n
}

// settle waits until a job beside the loop has ended.
func (l *Loop) settle(t *testing.T, running *bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); *running; time.Sleep(time.Millisecond) {
		if l.collect(); time.Now().After(deadline) {
			t.Fatal("it is still running")
		}
	}
}

// A write reads what is stored before it, and nothing is read again in its turn.
func TestAHistoryThatWasJustWrittenIsNotReadAgain(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	kube := kubefake.NewClientset()
	l := New(nil, kube, nil, newBook(t), Options{Config: config.Scaler{History: config.History{TimeZone: "UTC", Checkpoints: "swell-system"}}})
	b := &v1alpha1.Balloon{}
	b.Namespace, b.Name = "shop", "web"
	learned, err := l.learn(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &workload{history: learned, load: attempt{done: true}}
	last := now
	sampled := func() {
		for range 3 { // the row of a minute is known once it is over
			now = now.Add(time.Minute)
			elapsed := now.Sub(last)
			last = now
			w.history.Take(history.Reading{At: now, Elapsed: elapsed, Share: 1, Replicas: 5, Demand: history.Demand{Pods: 5, Class: history.Known}})
		}
	}
	save := func() int {
		kube.ClearActions()
		l.save(t.Context(), now, b, w)
		l.settle(t, &w.saving)
		if w.saveProblem != "" {
			t.Fatal(w.saveProblem)
		}
		return configMapReads(kube)
	}
	sampled()
	first := save()
	if first == 0 || w.history.Tail().Len() != 0 {
		t.Fatalf("%d reads, and %d rows are left: want the rows written on what is stored", first, w.history.Tail().Len())
	}
	if n := save(); n != 0 {
		t.Errorf("%d reads of what was just written: want none", n)
	}
	now = now.Add(saveEvery)
	if n := save(); n != 1 {
		t.Errorf("%d reads in the next turn, without rows: want a look for what was imported", n)
	}
	if n := save(); n != 0 {
		t.Errorf("%d reads after a look in the same turn: want none", n)
	}
	looked := now
	sampled()
	now = looked
	if n := save(); n == 0 || w.history.Tail().Len() != 0 {
		t.Errorf("%d reads, and %d rows are left: want rows after a look written in its turn", n, w.history.Tail().Len())
	}
}

// The same of what was learned of instances.
func TestBootTimesThatWereJustWrittenAreNotReadAgain(t *testing.T) {
	n := learning(t)
	n.jobs = newJobs()
	n.options.Config.History.Checkpoints = "swell-system"
	kube := n.kube.(*kubefake.Clientset)
	n.boots.dirty = true
	for i, want := range []int{1, 0, 0} {
		kube.ClearActions()
		n.saveBoots(t.Context(), n.now)
		n.settle(t, &n.boots.saving)
		if got := configMapReads(kube); got != want || n.boots.problem != "" {
			t.Errorf("save %d: %d reads, want %d; %s", i+1, got, want, n.boots.problem)
		}
	}
}
