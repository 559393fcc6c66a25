package consumers

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/v1alpha1"
)

// listed is pods in memory, which counts how often they are listed.
type listed struct {
	client.Reader
	pods  []corev1.Pod
	lists int
}

func (l *listed) List(_ context.Context, to client.ObjectList, _ ...client.ListOption) error {
	l.lists++
	to.(*corev1.PodList).Items = slices.Clone(l.pods)
	return nil
}

func TestSelectedPodsAreThoseThatMatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.SampledFrom([]string{"a", "b", "c"})
		x := &podIndex{by: map[string]map[string][]*corev1.Pod{}}
		for range rapid.IntRange(0, 12).Draw(t, "pods") {
			x.pods = append(x.pods, readyPod(rapid.MapOf(word, word).Draw(t, "labels")))
		}
		for range 3 {
			text := ""
			for i := range rapid.IntRange(0, 3).Draw(t, "requirements") {
				if i > 0 {
					text += ","
				}
				k, v, w := word.Draw(t, "key"), word.Draw(t, "value"), word.Draw(t, "another")
				text += rapid.SampledFrom([]string{k + "=" + v, k, "!" + k, k + "!=" + v, k + " in (" + v + "," + w + ")", k + " notin (" + v + ")"}).Draw(t, "requirement")
			}
			s, err := labels.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			want := 0
			for _, pod := range x.pods {
				if s.Matches(labels.Set(pod.Labels)) {
					want++
				}
			}
			if got := len(slices.Collect(x.selected(s))); got != want {
				t.Fatalf("%q selects %d of %d pods, want %d", text, got, len(x.pods), want)
			}
		}
	})
}

// manyTargets are targets of one namespace whose selectors are known, and their pods.
func manyTargets(targets, pods int) (*Ready, *listed) {
	cached := &listed{}
	r := &Ready{Cached: cached, selectors: map[targetKey]*targetSelector{}}
	for i := range targets {
		name := scaleTarget(i).Name
		s, _ := labels.Parse("app=" + name + ",part-of=shop")
		r.selectors[targetKey{"shop", scaleTarget(i)}] = &targetSelector{selector: s}
		for p := range pods {
			pod := readyPod(map[string]string{"app": name, "part-of": "shop", "pod-template-hash": "5d8f7", "tier": "worker"})
			pod.Name = fmt.Sprintf("%s-%d", name, p)
			cached.pods = append(cached.pods, pod)
		}
	}
	return r, cached
}

func TestPodsOfANamespaceAreListedOnceAPoll(t *testing.T) {
	const targets = 20
	r, cached := manyTargets(targets, 3)
	var items []v1alpha1.QueueConsumer
	for i := range targets {
		q := consumer(fmt.Sprint(i), "main")
		q.Spec.ScaleTargetRef = scaleTarget(i)
		items = append(items, q)
	}
	c, _ := newConsumers(items...)
	c.opts.Pods = r.Pods
	for poll := range 2 {
		c.Evaluate("main")
		if cached.lists != poll+1 {
			t.Errorf("after %d polls the pods were listed %d times", poll+1, cached.lists)
		}
		cached.pods = cached.pods[:len(cached.pods)-1]
	}
	last, _ := c.Get(named(fmt.Sprint(targets - 1)))
	if first, _ := c.Get(named("0")); first.pods != 3 || last.pods != 2 {
		t.Errorf("%d and %d pods, want 3, and 2 once the last is gone", first.pods, last.pods)
	}
}

func TestASelectorThatLostItsPodsIsReadAgainSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, cached := &scales{}, &listed{pods: []corev1.Pod{readyPod(map[string]string{"app": "d1"})}}
		r := &Ready{Live: api, Cached: cached}
		count := func(d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(5 * time.Second) {
				_, _ = r.Pods(t.Context(), "shop", scaleTarget(1))
			}
		}
		go r.Run(t.Context())
		count(selectorFor - 10*time.Second)
		if n := api.count(); n != 1 {
			t.Errorf("read %d times while it selects a pod, want once", n)
		}
		count(30 * time.Second)
		if n := api.count(); n != 2 {
			t.Errorf("read %d times after %s, want once more", n, selectorFor)
		}
		cached.pods = nil
		count(noneFor + 10*time.Second)
		if n := api.count(); n != 3 {
			t.Errorf("read %d times after its pods went, want once more", n)
		}
	})
}

// BenchmarkReadyPods counts the pods of 2,000 targets, 20,000 in all, as one judging does.
func BenchmarkReadyPods(b *testing.B) {
	const targets, pods = 2000, 10
	r, _ := manyTargets(targets, pods)
	b.ReportAllocs()
	for b.Loop() {
		ctx := withPods(b.Context())
		for i := range targets {
			if p, err := r.Pods(ctx, "shop", scaleTarget(i)); err != nil || p.Ready != pods {
				b.Fatal(p, err)
			}
		}
	}
}
