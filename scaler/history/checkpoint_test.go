package history_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/kubernetes"

	"swell/bench/testbed/controlplane"
	"swell/scaler/forecast"
	"swell/scaler/history"
	"swell/scaler/series"
)

// booted is the one control plane of this package's tests; it starts with the first test that asks for it.
var booted struct {
	once    sync.Once
	cluster *controlplane.Cluster
	kube    kubernetes.Interface
	err     error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if booted.cluster != nil {
		if err := booted.cluster.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// checkpoints are in a namespace of the test's own on a real API server.
func checkpoints(t *testing.T) history.Checkpoints {
	t.Helper()
	binary := controlplane.BinaryForTest(t)
	booted.once.Do(func() {
		if booted.cluster, booted.err = controlplane.Start(context.Background(), controlplane.Options{Binary: binary}); booted.err == nil {
			booted.kube, booted.err = kubernetes.NewForConfig(booted.cluster.AdminConfig())
		}
	})
	if booted.err != nil {
		t.Fatal(booted.err)
	}
	ns, err := booted.kube.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "history-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return history.Checkpoints{Kube: booted.kube, Namespace: ns.Name}
}

func load(t *testing.T, c history.Checkpoints, namespace, name string) *history.Record {
	t.Helper()
	p, err := c.Load(t.Context(), namespace, name)
	if err != nil {
		t.Fatal(err)
	}
	return p.Record
}

func configMap(t *testing.T, c history.Checkpoints, name string) *corev1.ConfigMap {
	t.Helper()
	m, err := c.Kube.CoreV1().ConfigMaps(c.Namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestTheNextLeaderForecastsWhatTheLastOneDid(t *testing.T) {
	c, random := checkpoints(t), rand.New(rand.NewPCG(5, 5))
	past := officePast(random, 28)
	if _, err := c.Update(t.Context(), "shop", "web", func(p *history.Checkpoint) { p.Record.Fill(past) }); err != nil {
		t.Fatal(err)
	}
	first := &player{Workload: learned(t, forecast.Options{}, load(t, c, "shop", "web")), t: t, now: monday, share: 0.5}
	for minute := range 9 * 60 {
		first.take(noisy(random, office(first.now))/2, nil)
		if minute%90 == 0 {
			tail := first.Tail()
			if err := c.Append(t.Context(), "shop", "web", tail); err != nil {
				t.Fatal(err)
			}
			first.Saved(tail)
		}
	}
	first.AtLead(first.now, time.Minute, 0.95)
	stalled := first.Tail()
	if err := c.Append(t.Context(), "shop", "web", stalled); err != nil {
		t.Fatal(err)
	}
	r := load(t, c, "shop", "web")
	if share := r.Share(monday.Add(8 * time.Hour)); share != 0.5 {
		t.Errorf("the share of samples is %g: want 0.5", share)
	}
	second := &player{Workload: learned(t, forecast.Options{}, r), t: t, now: first.now, share: 0.5}
	alike(t, first.Workload, second.Workload, first.now, 1e-9)

	// the second goes on and is fresher; the first wakes, with samples of its own for the same minutes
	for range 10 {
		first.take(1, func(r *history.Reading) { r.Replicas = 1 })
		second.take(noisy(random, office(second.now))/2, nil)
	}
	second.AtLead(second.now, time.Minute, 0.95)
	if err := c.Append(t.Context(), "shop", "web", second.Tail()); err != nil {
		t.Fatal(err)
	}
	first.AtLead(first.now, time.Minute, 0.95)
	if err := c.Append(t.Context(), "shop", "web", first.Tail()); err != nil {
		t.Fatal(err)
	}
	alike(t, second.Workload, learned(t, forecast.Options{}, load(t, c, "shop", "web")), second.now, 1e-9)
}

func TestWhoWritesWithAnOldVersionReadsAgain(t *testing.T) {
	c := checkpoints(t)
	one := series.Series{Start: monday, Step: time.Minute, Values: []float64{1}}
	tries := 0
	for i := range 2 {
		// as it is made, and as it is changed
		two := series.Series{Start: monday.Add(time.Duration(i+1) * time.Minute), Step: time.Minute, Values: []float64{2}}
		_, err := c.Update(t.Context(), "shop", "web", func(p *history.Checkpoint) {
			if tries++; tries%2 == 1 { // somebody else writes in between
				if _, err := c.Update(t.Context(), "shop", "web", func(p *history.Checkpoint) { p.Record.Fill(two) }); err != nil {
					t.Error(err)
				}
			}
			p.Record.Fill(one)
		})
		if err != nil {
			t.Fatal(err)
		}
		if s, _ := load(t, c, "shop", "web").Minutes(); s.Len() != 2+i || math.Abs(s.Values[0]-1) > 0.01 || math.Abs(s.Values[1+i]-2) > 0.01 {
			t.Fatalf("%v: want what both wrote", s.Values)
		}
	}
	if tries != 4 {
		t.Errorf("%d tries: want a second one each time", tries)
	}
}

func TestEachBalloonHasAConfigMapOfItsOwn(t *testing.T) {
	c := checkpoints(t)
	long := strings.Repeat("a-very-long-name-", 14) + "end"
	pairs := [][2]string{{"a-b", "c"}, {"a", "b-c"}, {"a", "b.c"}, {strings.Repeat("n", 63), long}, {strings.Repeat("n", 63), long + "x"}}
	for i, p := range pairs {
		if wrong := validation.IsDNS1123Subdomain(history.Name(p[0], p[1])); len(wrong) > 0 {
			t.Errorf("%s: %v", history.Name(p[0], p[1]), wrong)
		}
		s := series.Series{Start: monday, Step: time.Minute, Values: []float64{float64(i + 1)}}
		if _, err := c.Update(t.Context(), p[0], p[1], func(p *history.Checkpoint) { p.Record.Fill(s) }); err != nil {
			t.Fatal(err)
		}
	}
	for i, p := range pairs {
		if s, _ := load(t, c, p[0], p[1]).Minutes(); s.Len() != 1 || math.Abs(s.Values[0]-float64(i+1)) > 0.01 {
			t.Errorf("%s/%s: %v: want %d", p[0], p[1], s.Values, i+1)
		}
		m := configMap(t, c, history.Name(p[0], p[1]))
		if m.Labels[history.HistoryLabel] == "" || m.Labels["app.kubernetes.io/managed-by"] != "swell-scaler" || m.Annotations[history.BalloonAnnotation] != p[0]+"/"+p[1] {
			t.Errorf("%s has labels %v and annotations %v", m.Name, m.Labels, m.Annotations)
		}
	}
}

func TestACorruptCheckpointIsAnErrorAndStays(t *testing.T) {
	c := checkpoints(t)
	s := series.Series{Start: monday, Step: time.Minute, Values: []float64{1, 2, 3}}
	if _, err := c.Update(t.Context(), "shop", "web", func(p *history.Checkpoint) { p.Record.Fill(s) }); err != nil {
		t.Fatal(err)
	}
	m := configMap(t, c, history.Name("shop", "web"))
	raw := m.BinaryData["demand"]
	newer := bytes.Clone(raw)
	newer[3] = 9
	flipped := bytes.Clone(raw)
	flipped[len(raw)/2] ^= 1
	for name, tc := range map[string]struct {
		raw  []byte
		want string
	}{
		"changed": {flipped, "checksum"}, "cut": {raw[:len(raw)-3], "checksum"}, "newer": {newer, "format 9"}, "empty": {nil, "no history of swell's"},
	} {
		m := configMap(t, c, m.Name)
		m.BinaryData["demand"] = tc.raw
		if _, err := c.Kube.CoreV1().ConfigMaps(c.Namespace).Update(t.Context(), m, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		_, err := c.Load(t.Context(), "shop", "web")
		_, err2 := c.Update(t.Context(), "shop", "web", func(p *history.Checkpoint) { p.Record.Fill(s) })
		for _, err := range []error{err, err2} {
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), m.Name) || !strings.Contains(err.Error(), "delete it to begin anew") {
				t.Errorf("%s: %v: want %q, the ConfigMap and the mend", name, err, tc.want)
			}
		}
		if got := configMap(t, c, m.Name).BinaryData["demand"]; !bytes.Equal(got, tc.raw) {
			t.Errorf("%s: what could not be read was overwritten", name)
		}
	}
	m = configMap(t, c, m.Name)
	m.BinaryData["demand"], m.Annotations[history.BalloonAnnotation] = raw, "other/web"
	if _, err := c.Kube.CoreV1().ConfigMaps(c.Namespace).Update(t.Context(), m, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Load(t.Context(), "shop", "web"); err == nil || !strings.Contains(err.Error(), `"other/web"`) {
		t.Errorf("%v: want another's history refused", err)
	}
}

func TestTheFormerFormatIsReadOnce(t *testing.T) {
	c := checkpoints(t)
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if err := series.Write(z, series.Series{Start: monday, Step: time.Minute, Values: []float64{1, math.NaN(), 3.25}}); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "swell-history-shop-web"}, BinaryData: map[string][]byte{"demand.csv.gz": b.Bytes()}}
	if _, err := c.Kube.CoreV1().ConfigMaps(c.Namespace).Create(t.Context(), m, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	check := func(values ...float64) {
		t.Helper()
		s, _ := load(t, c, "shop", "web").Minutes()
		if s.Len() != len(values) || !s.Start.Equal(monday) {
			t.Fatalf("%v from %s: want %v", s.Values, s.Start, values)
		}
		for i, v := range values {
			if !(math.Abs(s.Values[i]-v) < 0.01) && !(math.IsNaN(v) && math.IsNaN(s.Values[i])) {
				t.Errorf("%v: want %v", s.Values, values)
			}
		}
	}
	check(1, math.NaN(), 3.25)
	next := series.Series{Start: monday.Add(3 * time.Minute), Step: time.Minute, Values: []float64{4}}
	if _, err := c.Update(t.Context(), "shop", "web", func(p *history.Checkpoint) { p.Record.Fill(next) }); err != nil {
		t.Fatal(err)
	}
	if err := c.Kube.CoreV1().ConfigMaps(c.Namespace).Delete(t.Context(), m.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	check(1, math.NaN(), 3.25, 4)
}

func TestTheHistoryOfABalloonThatIsGoneGoesADayLater(t *testing.T) {
	c := checkpoints(t)
	s := series.Series{Start: monday, Step: time.Minute, Values: []float64{1}}
	for _, name := range []string{"web", "gone", "back"} {
		if _, err := c.Update(t.Context(), "shop", name, func(p *history.Checkpoint) { p.Record.Fill(s) }); err != nil {
			t.Fatal(err)
		}
	}
	there := map[string]bool{"web": true}
	alive := func(_, name string) bool { return there[name] }
	now := time.Now()
	sweep := func(at time.Time) []string {
		t.Helper()
		deleted, err := c.Sweep(t.Context(), at, alive)
		if err != nil {
			t.Fatal(err)
		}
		return deleted
	}
	if d := append(sweep(now), sweep(now.Add(23*time.Hour))...); len(d) > 0 {
		t.Errorf("%v were deleted within the day", d)
	}
	there["back"] = true // made anew, it samples
	if _, err := c.Update(t.Context(), "shop", "back", func(p *history.Checkpoint) {}); err != nil {
		t.Fatal(err)
	}
	if d := sweep(now.Add(25 * time.Hour)); len(d) != 1 || d[0] != "shop/gone" {
		t.Errorf("%v were deleted: want shop/gone", d)
	}
	there["back"] = false
	if d := sweep(now.Add(25 * time.Hour)); len(d) > 0 {
		t.Errorf("%v were deleted, which had just gone again", d)
	}
	if _, err := c.Kube.CoreV1().ConfigMaps(c.Namespace).Get(t.Context(), history.Name("shop", "gone"), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("%v: want it gone", err)
	}
}
