package learn_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"swell/nodegroups"
	"swell/nodegroups/learn"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func newBoots(t *testing.T) *learn.Boots {
	t.Helper()
	b, err := learn.NewBoots(learn.BootOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func boot(b *learn.Boots, image string, n int, at time.Time, ready ...int) {
	k := key
	k.Image = image
	for i, s := range ready {
		b.Observe(k, learn.Boot{ID: fmt.Sprintf("i-%s-%d-%d", image, n, i), Launched: at.Add(time.Duration(i) * time.Minute), Registered: time.Duration(s-5) * time.Second, Ready: time.Duration(s) * time.Second})
	}
}

func TestInstancesThatNeverJoinLengthenTheWait(t *testing.T) {
	b := newBoots(t)
	before := b.JoinWithin(key)
	near(t, "by the prior", before, 2*172*time.Second, 4*time.Second)
	for i := range 20 {
		b.Observe(key, learn.Boot{ID: fmt.Sprint(i), Launched: noon, Never: 5 * time.Minute})
	}
	if p99 := b.Quantile(key, learn.Ready, 0.99); p99 <= 5*time.Minute {
		t.Errorf("p99 %v of instances that were waited for in vain for 5m", p99)
	}
	if after := b.JoinWithin(key); after <= before || after > learn.JoinCap {
		t.Errorf("waits %v after %v: want longer, at most %v", after, before, learn.JoinCap)
	}
	for i := range 50 {
		b.Observe(key, learn.Boot{ID: fmt.Sprint("quick", i), Launched: noon.Add(time.Hour), Ready: 20 * time.Second})
	}
	if got := b.JoinWithin(key); got < learn.JoinFloor || got > before {
		t.Errorf("waits %v where all take 20s: want at least %v and less than by the prior", got, learn.JoinFloor)
	}
}

func TestANewImageThatBootsSlowerIsNamed(t *testing.T) {
	b := newBoots(t)
	boot(b, "ami-old", 0, noon, 40, 42, 44, 46, 48)
	boot(b, "ami-new", 0, noon.Add(time.Hour), 90, 92, 94, 96)
	if got := b.Slower(); len(got) != 0 {
		t.Fatalf("%v by four boots", got)
	}
	boot(b, "ami-new", 1, noon.Add(2*time.Hour), 98)
	got := b.Slower()
	if len(got) != 1 || got[0].Image != "ami-new" || got[0].Former != "ami-old" || got[0].Median != 94*time.Second || got[0].FormerMedian != 44*time.Second {
		t.Fatalf("got %+v: want ami-new with 94 s after ami-old with 44 s", got)
	}
	for _, word := range []string{"ami-new", "ami-old", "1m34s", "44s"} {
		if !strings.Contains(got[0].String(), word) {
			t.Errorf("%q does not name %s", got[0], word)
		}
	}
	for name, slow := range map[string][]int{"a little slower": {60, 61, 62, 63, 64}, "one slow boot": {40, 42, 44, 46, 600}, "no more than chance": {30, 42, 70, 71, 72}} {
		b := newBoots(t)
		boot(b, "ami-old", 0, noon, 40, 42, 44, 46, 90)
		boot(b, "ami-new", 0, noon.Add(time.Hour), slow...)
		if got := b.Slower(); len(got) != 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestBootsSurviveAndAreMerged(t *testing.T) {
	a, b := newBoots(t), newBoots(t)
	boot(a, "ami-1", 0, noon, 40, 50, 60)
	boot(b, "ami-1", 1, noon, 70)
	a.Observe(key, learn.Boot{ID: "late", Launched: noon, Never: 5 * time.Minute})
	b.Observe(key, learn.Boot{ID: "late", Launched: noon, Ready: 6 * time.Minute})
	raw, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // again changes nothing
		if err := b.Merge(raw); err != nil {
			t.Fatal(err)
		}
	}
	if n, lost := b.Count(key, learn.Ready), b.Never(key); n != 5 || lost != 0 {
		t.Errorf("%d boots and %d that never joined: want 5 and none, as the late one joined after all", n, lost)
	}
	if got := b.Quantile(key, learn.Registered, 0.5); got >= b.Quantile(key, learn.Ready, 0.5) {
		t.Errorf("registered after %v, Ready after %v", got, b.Quantile(key, learn.Ready, 0.5))
	}
	for _, bad := range []string{"{", `[{"boots":[{"i":"x","y":-1}]}]`} {
		if b.Merge([]byte(bad)) == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	b := newBoots(t)
	for k := range 210 {
		for i := range 60 {
			b.Observe(learn.BootKey{Zone: "z", Type: fmt.Sprint(k), Market: nodegroups.Spot}, learn.Boot{ID: fmt.Sprintf("i-0123456789abcdef-%d-%d", k, i), Launched: noon.Add(time.Duration(k*100+i) * time.Minute), Registered: 4e10, Ready: 5e10, FirstPod: 6e10})
		}
	}
	raw, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(b.Keys()); n != 200 || b.Keys()[0].Type == "0" || len(raw) > 1<<20 {
		t.Errorf("%d keys, %d bytes: want the 200 newest in less than a ConfigMap's 1 MiB", n, len(raw))
	}
}
