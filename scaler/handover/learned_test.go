package handover

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"swell/nodegroups"
	"swell/nodegroups/learn"
	"swell/scaler/history"
	"swell/scaler/learned"
)

var bootKey = learn.BootKey{Zone: "a", Type: "m7g.large", Image: "ami-1", Market: nodegroups.Spot}

// learnedData is one boot and a mark of capacity.
func learnedData(t *testing.T, instance string, took, until time.Duration) map[string][]byte {
	t.Helper()
	boots, err := learn.NewBoots(learn.BootOptions{})
	if err != nil {
		t.Fatal(err)
	}
	boots.Observe(bootKey, learn.Boot{ID: instance, Launched: now.Add(-time.Hour), Ready: took})
	capacity := learn.NewCapacity()
	capacity.Failed(now.Add(until), nodegroups.Unavailable{Group: "spot-a", Zone: "a", Types: []string{"m7g.large"}, Market: nodegroups.Spot, Class: nodegroups.NoCapacity})
	var raw [2][]byte
	for i, x := range []any{boots, capacity} {
		if raw[i], err = json.Marshal(x); err != nil {
			t.Fatal(err)
		}
	}
	return learned.Data(raw[0], raw[1])
}

// What two clusters have learned of boots and capacity is both in the second; what it knew of an instance stays, and a second
// import changes nothing. An export takes it.
func TestWhatWasLearnedOfBootsIsMergedNotLost(t *testing.T) {
	for name, here := range map[string]map[string][]byte{"nothing there": nil, "a boot of its own": learnedData(t, "i-here", 40*time.Second, -time.Minute), "a boot of the same": learnedData(t, "i-old", 30*time.Second, -time.Minute)} {
		t.Run(name, func(t *testing.T) {
			kube := fake.NewClientset()
			o := Options{Namespace: "swell-system", Now: now, DryRun: true}
			want := "made"
			if here != nil {
				want = "merged"
				if _, err := Import(t.Context(), kube, File{Learned: []Learned{{Name: learned.ConfigMap, BinaryData: here}}}, Options{Namespace: o.Namespace, Now: now}); err != nil {
					t.Fatal(err)
				}
			}
			f := File{Learned: []Learned{{Name: learned.ConfigMap, BinaryData: learnedData(t, "i-old", 100*time.Second, 0)}}}
			for i, done := range []string{want, want, "nothing new"} {
				o.DryRun = i == 0
				moved, err := Import(t.Context(), kube, f, o)
				if err != nil || len(moved) != 1 || moved[0].Done != done {
					t.Fatalf("import %d: %+v, %v: want %s", i, moved, err, done)
				}
			}
			out, err := Export(t.Context(), kube, o.Namespace, nil, now)
			if err != nil || len(out.Learned) != 1 {
				t.Fatalf("the export has %+v, %v", out.Learned, err)
			}
			boots, _ := learn.NewBoots(learn.BootOptions{})
			capacity := learn.NewCapacity()
			if err := learned.Read(out.Learned[0].BinaryData, now, boots, capacity); err != nil {
				t.Fatal(err)
			}
			n := 1
			if name == "a boot of its own" {
				n = 2
			}
			if !boots.Has(bootKey, "i-old") || boots.Count(bootKey, learn.Ready) != n {
				t.Errorf("%d boots are known, i-old's %t: want %d", boots.Count(bootKey, learn.Ready), boots.Has(bootKey, "i-old"), n)
			}
			if q := boots.Quantile(bootKey, learn.Ready, 0.1); name == "a boot of the same" && q > 35*time.Second {
				t.Errorf("a tenth of boots take %v: what was seen here, 30s, is to stay", q)
			}
			g := nodegroups.Group{Name: "spot-a", Zone: "a", InstanceTypes: []string{"m7g.large"}, Market: nodegroups.Spot}
			if got := capacity.Unavailable(now, []nodegroups.Group{g}); len(got) != 1 || got[0].Until.Sub(now) != 3*time.Minute {
				t.Errorf("unavailable are %+v: want the mark that ends later", got)
			}
		})
	}
}

// A ConfigMap that cannot be read is not written over, and one of another content stays.
func TestWhatCannotBeMergedStays(t *testing.T) {
	kube := fake.NewClientset()
	o := Options{Namespace: "swell-system", Now: now}
	broken := map[string][]byte{learned.BootsKey: []byte("no gzip")}
	other := Learned{Name: "other", Data: map[string]string{"a": "1"}}
	if _, err := Import(t.Context(), kube, File{Learned: []Learned{{Name: learned.ConfigMap, BinaryData: broken}, other}}, o); err != nil {
		t.Fatal(err)
	}
	other.Data = map[string]string{"a": "2"}
	moved, err := Import(t.Context(), kube, File{Learned: []Learned{other, {Name: learned.ConfigMap, BinaryData: learnedData(t, "i-1", time.Minute, 0)}}}, o)
	if err == nil || len(moved) != 1 || moved[0].Done != "nothing new" {
		t.Fatalf("%+v, %v: want the other kept, and an error of the broken one", moved, err)
	}
	m, err := kube.CoreV1().ConfigMaps(o.Namespace).Get(t.Context(), learned.ConfigMap, metav1.GetOptions{})
	if err != nil || string(m.BinaryData[learned.BootsKey]) != "no gzip" {
		t.Errorf("%v, %v: it was written over", m.BinaryData, err)
	}
}

// twoHistories are of shop/a and shop/b.
func twoHistories(t *testing.T) File {
	t.Helper()
	raw, err := history.Encode(record(t, now.Add(-24*time.Hour), 200, 12))
	if err != nil {
		t.Fatal(err)
	}
	return File{Balloons: []Balloon{{Namespace: "shop", Name: "a", Demand: raw, Share: "90%"}, {Namespace: "shop", Name: "b", Demand: raw}}}
}

// One history that cannot be merged keeps no other from it, and is named.
func TestOneBrokenHistoryKeepsNoOtherFromBeingImported(t *testing.T) {
	f := twoHistories(t)
	broken := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "swell-system", Name: history.Name("shop", "a"), Annotations: map[string]string{history.BalloonAnnotation: "shop/a"}},
		BinaryData: map[string][]byte{"demand": []byte("no history")}}
	kube := fake.NewClientset(broken)
	o := Options{Namespace: "swell-system", Now: now}
	moved, err := Import(t.Context(), kube, f, o)
	if err == nil || !strings.Contains(err.Error(), broken.Name) || len(moved) != 1 || moved[0].Name != "shop/b" || moved[0].Done != "made" {
		t.Errorf("%+v, %v: want shop/b made, and %s named", moved, err, broken.Name)
	}
	if err := kube.CoreV1().ConfigMaps(o.Namespace).Delete(t.Context(), broken.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	moved, err = Import(t.Context(), kube, f, o)
	if err != nil || len(moved) != 2 || moved[0].Done != "made" || moved[0].Share != "90%" || moved[1].Done != "nothing new" {
		t.Errorf("again: %+v, %v: want shop/a made, with its share", moved, err)
	}
}

// An API server that does not answer is not asked for each of the histories.
func TestAnImportEndsWhereNobodyAnswers(t *testing.T) {
	kube := fake.NewClientset()
	asked := 0
	kube.PrependReactor("get", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) {
		asked++
		return true, nil, &url.Error{Op: "Get", URL: "https://green", Err: errors.New("connection refused")}
	})
	if moved, err := Import(t.Context(), kube, twoHistories(t), Options{Namespace: "swell-system", Now: now}); err == nil || len(moved) != 0 || asked != 1 {
		t.Errorf("%+v, %v, asked %d times: want one, and the error", moved, err, asked)
	}
}
