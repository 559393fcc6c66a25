package scaler_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/jsonmergepatch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"swell/api/v1alpha1"
)

// wellBelow30 is a level whose forecast is above 27.5 and at most 30 pods, with or without some allowance of the
// forecaster's: with 15 replicas that is six balloons of 2.5.
const wellBelow30 = 28.5

const balloonPath = "/apis/capacity.swell/v1alpha1/namespaces/shop/balloons/"

// balloon is a Balloon as the API server has it.
func (w world) balloon(name string) v1alpha1.Balloon {
	w.t.Helper()
	raw, err := w.Kube.Discovery().RESTClient().Get().AbsPath(balloonPath + name).DoRaw(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	var b v1alpha1.Balloon
	if err := json.Unmarshal(raw, &b); err != nil {
		w.t.Fatal(err)
	}
	return b
}

// patch merges a piece of spec into a Balloon.
func (w world) patch(name, spec string) {
	w.t.Helper()
	if _, err := w.Kube.Discovery().RESTClient().Patch(types.MergePatchType).AbsPath(balloonPath + name).Body([]byte(`{"spec":` + spec + `}`)).DoRaw(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// says waits until a Balloon has a condition with a status, a reason, and words in its message.
func (w world) says(name, condition, status, reason, words string) {
	w.t.Helper()
	w.until(fmt.Sprintf("Balloon %s says %s %s %s", name, condition, status, reason), func() (bool, string) {
		b := w.balloon(name)
		for _, c := range b.Status.Conditions {
			if c.Type == condition {
				ok := string(c.Status) == status && c.Reason == reason && strings.Contains(c.Message, words) && c.ObservedGeneration == b.Generation
				return ok, fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
			}
		}
		return false, "there is no such condition"
	})
}

// wanted are the sums of a Balloon's zones.
func (w world) wanted(name string) (balloons, running int) {
	for _, z := range w.balloon(name).Status.Zones {
		balloons, running = balloons+int(z.Balloons), running+int(z.Running)
	}
	return balloons, running
}

func (w world) podNames(selector string) []string {
	var names []string
	for _, p := range w.pods(selector) {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	return names
}

// write is one change that a user made, by the audit log.
type write struct {
	verb, resource, name string
	code                 int
	at                   time.Time
}

func (w world) writes(account string, since time.Time) []write {
	w.t.Helper()
	raw, err := os.ReadFile(w.Cluster.AuditLog())
	if err != nil {
		w.t.Fatal(err)
	}
	var out []write
	for _, line := range strings.Split(string(raw), "\n") {
		var e struct {
			Verb           string
			User           struct{ Username string }
			ObjectRef      struct{ Resource, Subresource, Name string }
			ResponseStatus struct{ Code int }
			Received       metav1.MicroTime `json:"requestReceivedTimestamp"`
		}
		if json.Unmarshal([]byte(line), &e) != nil || !strings.HasSuffix(e.User.Username, ":"+account) || slices.Contains([]string{"get", "list", "watch"}, e.Verb) || e.Received.Time.Before(since) {
			continue
		}
		what := e.ObjectRef.Resource
		if e.ObjectRef.Subresource != "" {
			what += "/" + e.ObjectRef.Subresource
		}
		out = append(out, write{e.Verb, what, e.ObjectRef.Name, e.ResponseStatus.Code, e.Received.Time})
	}
	return out
}

// statusOnly holds the audit log against the promise that a Balloon which observes changes nothing but its own status.
func (w world) statusOnly(since time.Time) {
	w.t.Helper()
	own := 0
	for _, x := range w.writes("swell-scaler", since) {
		switch {
		case x.resource == "balloons/status":
			own++
		case x.resource != "capacitypools/status":
			w.t.Errorf("swell-scaler did %s %s %s while its only Balloon observes", x.verb, x.resource, x.name)
		}
	}
	if own == 0 {
		w.t.Error("the audit log has no status of the Balloon: it cannot tell what else was written")
	}
}

// A Balloon that observes says what it would hold. Balloons of a time when it acted are neither renewed, popped nor deleted:
// the scheduler puts them out.
func TestObserveChangesNothing(t *testing.T) {
	w := startWith(t, fleet(1), 15, wellBelow30, `{"mode": "Observe"}`)
	began := time.Now()
	w.says("web", "Held", "False", "Observing", "nothing is made")
	w.until("it says what it would hold", func() (bool, string) {
		n, _ := w.wanted("web")
		return n == 6, fmt.Sprintf("%d balloons: %s", n, w.balloon("web").Status.Why)
	})
	w.statusOnly(began.Add(-time.Hour))
	w.patch("web", `{"mode": "Enforce"}`)
	w.settled(6)
	w.patch("web", `{"mode": "Observe"}`)
	w.says("web", "Held", "False", "Observing", "nothing is made")
	began = time.Now()
	w.patch("web", `{"chunk": "1"}`)
	w.scale(30)
	w.until("the burst runs", func() (bool, string) {
		n := w.bound("app=web")
		return n == 30, fmt.Sprintf("%d of 30 pods are bound", n)
	})
	w.until("the status is of the new chunk", func() (bool, string) {
		b := w.balloon("web")
		return strings.Contains(b.Status.Why, "balloons of 1:"), b.Status.Why
	})
	w.statusOnly(began)
}

// Argo CD applies the same manifest again and again, and kubectl does: neither changes anything, whatever swell wrote
// meanwhile. A workload that is scaled by hand stays so.
func TestApplyingTheManifestAgainChangesNothing(t *testing.T) {
	w := start(t, fleet(1), 15, 0, wellBelow30)
	w.settled(6)
	manifest := strings.Split(fmt.Sprintf(workload, 15, 0), "---\n")[1]
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &object.Object); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(w.Config(), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	pods, before := w.podNames(balloonSelector), w.balloon("web")
	argo := func() {
		if err := c.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(object.DeepCopy()), client.FieldOwner("argocd-controller")); err != nil {
			t.Fatalf("Argo CD's apply: %v", err)
		}
	}
	argo()
	first := w.balloon("web")
	if first.Generation != before.Generation {
		t.Errorf("the apply changed the spec %+v to %+v", before.Spec, first.Spec)
	}
	var saved string
	for i := range 3 {
		argo()
		patch := w.kubectlApply(object, &saved)
		if i > 0 && patch != "{}" {
			t.Errorf("kubectl apply would change %s", patch)
		}
		time.Sleep(time.Second) // ten seconds of its life
	}
	if last := w.balloon("web"); last.Generation != before.Generation {
		t.Errorf("the spec changed from %+v to %+v", before.Spec, last.Spec)
	}
	if after := w.podNames(balloonSelector); !slices.Equal(after, pods) {
		t.Errorf("balloon pods were %v and are %v", pods, after)
	}
	began := time.Now()
	w.scale(20)
	w.settled(4)
	d, err := w.Kube.AppsV1().Deployments("shop").Get(t.Context(), "web", metav1.GetOptions{})
	if err != nil || *d.Spec.Replicas != 20 {
		t.Errorf("%d replicas, %v: want the 20 that were given by hand", *d.Spec.Replicas, err)
	}
	for _, x := range w.writes("swell-scaler", began) {
		if strings.HasPrefix(x.resource, "deployments") {
			t.Errorf("swell-scaler did %s %s", x.verb, x.resource)
		}
	}
}

// kubectlApply applies as kubectl does: a three-way merge of the manifest, of what was last applied, and of what is there.
func (w world) kubectlApply(object *unstructured.Unstructured, saved *string) string {
	w.t.Helper()
	const annotation = "kubectl.kubernetes.io/last-applied-configuration"
	raw, err := json.Marshal(object.Object)
	if err != nil {
		w.t.Fatal(err)
	}
	modified := object.DeepCopy()
	modified.SetAnnotations(map[string]string{annotation: string(raw)})
	wanted, err := json.Marshal(modified.Object)
	if err != nil {
		w.t.Fatal(err)
	}
	rest := w.Kube.Discovery().RESTClient()
	current, err := rest.Get().AbsPath(balloonPath + "web").DoRaw(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	patch, err := jsonmergepatch.CreateThreeWayJSONMergePatch([]byte(*saved), wanted, current)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := rest.Patch(types.MergePatchType).AbsPath(balloonPath + "web").Body(patch).DoRaw(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	*saved = string(raw)
	return string(patch)
}

// Room for 60 pods beside 15 is 18 balloons of 2.5, or one or two more. Each output holds it in its own way, and leaves nothing of the last.
func TestEachOutputHoldsTheRoomInItsOwnWay(t *testing.T) {
	w := start(t, fleet(1), 15, 0, 60)
	w.until("the forecast is in use", func() (bool, string) {
		n, _ := w.wanted("web")
		return n >= 18 && n <= 20, fmt.Sprintf("%d balloons: %s", n, w.balloon("web").Status.Why)
	})
	all, _ := w.wanted("web")
	w.settled(all)
	w.patch("web", `{"output": "Virtual"}`)
	w.says("web", "Held", "True", "Held", "planner's memory")
	w.until("the pods are gone and their room is held", func() (bool, string) {
		n, running := w.wanted("web")
		return n == all && running == all && len(w.pods(balloonSelector)) == 0, fmt.Sprintf("%d of %d have a place, and %d pods are there", running, n, len(w.pods(balloonSelector)))
	})
	nodes := w.alive()
	time.Sleep(20 * time.Second) // three minutes of its life, and nodes go after two
	if n := w.alive(); n != nodes {
		t.Errorf("%d nodes became %d: room in memory keeps its nodes", nodes, n)
	}
	w.patch("web", `{"output": "CapacityBuffer"}`)
	w.says("web", "Held", "False", "NoCapacityBuffers", "CustomResourceDefinition")
	if err := w.Cluster.InstallCRDs(t.Context(), filepath.Join("..", "balloon", "apply", "testdata", "crds")); err != nil {
		t.Fatal(err)
	}
	w.says("web", "Held", "True", "Held", "CapacityBuffers")
	if n, zones := w.buffered(); n != all || zones != 3 {
		t.Errorf("%d are buffered in %d zones: want %d in three", n, zones, all)
	}
	w.until("nodes that only balloons needed go", func() (bool, string) { return w.alive() < nodes, fmt.Sprintf("%d are there", w.alive()) })
	w.patch("web", `{"output": "Pods"}`)
	w.settled(all)
	if n, zones := w.buffered(); n != 0 || zones != 0 {
		t.Errorf("%d are buffered in %d zones after the output is Pods again", n, zones)
	}
	w.compareWithLedger()
}

// buffered are the replicas and the number of CapacityBuffers.
func (w world) buffered() (replicas, buffers int) {
	w.t.Helper()
	raw, err := w.Kube.Discovery().RESTClient().Get().AbsPath("/apis/autoscaling.x-k8s.io/v1beta1/namespaces/shop/capacitybuffers").DoRaw(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	var list struct {
		Items []struct{ Spec struct{ Replicas int } }
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		w.t.Fatal(err)
	}
	for _, x := range list.Items {
		replicas += x.Spec.Replicas
	}
	templates, err := w.Kube.CoreV1().PodTemplates("shop").List(w.t.Context(), metav1.ListOptions{})
	if err != nil || len(templates.Items) != len(list.Items) {
		w.t.Errorf("%d PodTemplates beside %d buffers, %v", len(templates.Items), len(list.Items), err)
	}
	return replicas, len(list.Items)
}

// What keeps balloons from being held is a condition with the mend, and goes with its cause.
func TestWhatStandsAgainstBalloonsIsACondition(t *testing.T) {
	w := start(t, fleet(1), 15, 0, wellBelow30)
	w.settled(6)
	w.says("web", "Held", "True", "Held", "pods")
	w.says("web", "WithinMax", "True", "Within", "")
	core := w.Kube.CoreV1()

	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "team"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"pods": resource.MustParse("100")}}}
	if _, err := core.ResourceQuotas("shop").Create(t.Context(), quota, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.says("web", "Held", "False", "QuotaWouldBeEaten", "ResourceQuota team (pods), which is the workloads', so none are held; scope it by priority class")
	w.settled(0)
	quota.Spec.ScopeSelector = &corev1.ScopeSelector{MatchExpressions: []corev1.ScopedResourceSelectorRequirement{{ScopeName: corev1.ResourceQuotaScopePriorityClass,
		Operator: corev1.ScopeSelectorOpNotIn, Values: []string{"swell-balloon"}}}}
	if err := core.ResourceQuotas("shop").Delete(t.Context(), "team", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := core.ResourceQuotas("shop").Create(t.Context(), quota, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.says("web", "Held", "True", "Held", "pods")
	w.settled(6)

	second := strings.Replace(strings.Split(fmt.Sprintf(workload, 15, 0), "---\n")[1], "name: web, namespace", "name: web-again, namespace", 1)
	w.apply(second)
	w.says("web-again", "Held", "False", "GuardedTwice", "Balloon web is older")
	w.patch("web", `{"max": 3}`)
	w.says("web", "WithinMax", "False", "MaxReached", "raise spec.max")
	w.settled(3)
	if n := len(w.pods("capacity.swell/balloon=web-again")); n != 0 {
		t.Errorf("the second Balloon has %d pods", n)
	}

	limit := &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Name: "small"}, Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{Type: corev1.LimitTypePod, Max: corev1.ResourceList{"cpu": resource.MustParse("2")}}}}}
	if _, err := core.LimitRanges("shop").Create(t.Context(), limit, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	w.patch("web", `{"max": 20}`)
	w.says("web", "Held", "False", "Refused", "maximum cpu usage per Pod")
	time.Sleep(8 * time.Second)
	// after 10, 20 and 40 s of its life; tries of three zones stand within a second or two
	if refused, tries := w.refused(began); refused == 0 || refused > 30 {
		t.Errorf("%d creations were refused in %d s: want a few, with growing waits between", refused, tries)
	}
	if n := w.launched(); n != 0 {
		t.Errorf("%d instances were launched for balloons that cannot be made", n)
	}
	if err := core.LimitRanges("shop").Delete(t.Context(), "small", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.settled(6)
}

// refused counts the pods that the API server refused the scaler since a time, and the seconds in which it did.
func (w world) refused(since time.Time) (pods, seconds int) {
	in := map[int64]bool{}
	for _, x := range w.writes("swell-scaler", since) {
		if x.resource == "pods" && x.verb == "create" && x.code == 403 {
			pods++
			in[x.at.Unix()] = true
		}
	}
	return pods, len(in)
}

// The share of the demand that this cluster must be ready for moves the room at once, up and down.
func TestAShareMovesTheRoom(t *testing.T) {
	w := startWith(t, fleet(1), 15, 30, `{"share": "70%", "prePullImages": true}`)
	w.says("web", "ImagesPulled", "True", "ImageVolumes", "")
	w.until("a forecast of about 30", func() (bool, string) {
		q := w.quantile()
		return q >= 30 && q < 32, fmt.Sprint(q)
	})
	for i, share := range []float64{70, 100, 60, 0, 85} {
		w.patch("web", fmt.Sprintf(`{"share": "%g%%"}`, share))
		w.settled(int(max(0, math.Ceil((share/100*w.quantile()-15)/2.5-0.02))))
		for _, p := range w.pods(balloonSelector) {
			if len(p.Spec.Volumes) != 1 || p.Spec.Volumes[0].Image == nil || p.Spec.Volumes[0].Image.Reference != "registry.k8s.io/pause:3.10" {
				t.Errorf("step %d: %s has the volumes %+v: want the workload's image", i, p.Name, p.Spec.Volumes)
			}
		}
	}
	w.compareWithLedger()
}

// quantile is the target quantile of the demand of all clusters, a lead time ahead.
func (w world) quantile() float64 {
	w.t.Helper()
	q := w.balloon("web").Status.QuantilePods
	if q == nil {
		return math.NaN()
	}
	v, err := strconv.ParseFloat(string(*q), 64)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}
