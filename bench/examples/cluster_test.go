package examples

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"swell/balloon"
	"swell/bench/testbed/aws"
	"swell/bench/testbed/controlplane"
	"swell/bench/testbed/stack"
)

// boot is a control plane with swell's kinds and the stand-ins for those of others.
func boot(t *testing.T) (*stack.Stack, client.Client) {
	t.Helper()
	controlplane.BinaryForTest(t)
	st, err := stack.Start(context.WithoutCancel(t.Context()), stack.Options{Speed: 1, Fleet: aws.Fleet{Region: "ap-northeast-1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Stop(); err != nil {
			t.Error(err)
		}
	})
	c, err := client.New(st.Config(), client.Options{FieldValidation: "Strict"})
	if err != nil {
		t.Fatal(err)
	}
	if err := st.ApplyFile(t.Context(), "bench/examples/testdata/open-kinds.yaml"); err != nil {
		t.Fatal(err)
	}
	return st, c
}

// apply puts an object there on the server's side, or makes it where its name is made up by the server. Its namespace is made before.
func apply(ctx context.Context, c client.Client, o *unstructured.Unstructured) error {
	if ns := o.GetNamespace(); ns != "" {
		made := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": ns}}}
		if err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(made), client.FieldOwner("examples")); err != nil {
			return fmt.Errorf("namespace %s: %w", ns, err)
		}
	}
	if o.GetName() == "" && o.GetGenerateName() != "" {
		return c.Create(ctx, o)
	}
	return c.Apply(ctx, client.ApplyConfigurationFromUnstructured(o), client.FieldOwner("examples"), client.ForceOwnership)
}

// TestEveryObjectIsTaken applies all objects of all examples; unknown fields are refused. What would hold others back comes last.
func TestEveryObjectIsTaken(t *testing.T) {
	_, c := boot(t)
	paths := objectFiles(t)
	slices.SortStableFunc(paths, func(a, b string) int {
		return strings.Compare(fmt.Sprint(strings.Contains(a, "/admission/")), fmt.Sprint(strings.Contains(b, "/admission/")))
	})
	n := 0
	for _, path := range paths {
		for _, o := range objects(t, path) {
			n++
			// a stand-in's definition may take a moment to be served
			err := stack.Poll(t.Context(), "applying it", 10*time.Second, func(ctx context.Context) (bool, error) {
				err := apply(ctx, c, o.DeepCopy())
				return err == nil || !strings.Contains(err.Error(), "no matches for kind"), err
			})
			if err == nil {
				err = apply(t.Context(), c, o)
			}
			if err != nil {
				t.Errorf("%s: %s %s: %v", path, o.GetKind(), o.GetName(), err)
			}
		}
	}
	if n < 30 {
		t.Errorf("%d objects are found", n)
	}
}

const aBalloon = `
apiVersion: capacity.swell/v1alpha1
kind: Balloon
metadata: {name: %s, namespace: shop, labels: {team: shop}}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  max: 40
  target: {quantile: "0.99"}
`

const aConsumer = `
apiVersion: capacity.swell/v1alpha1
kind: QueueConsumer
metadata: {name: %s, namespace: shop, labels: {team: shop}}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: orders}
  kafka: {cluster: main, group: shop.orders, topics: [orders]}
  perPodRate: {initial: "50"}
`

const aSchedule = `
apiVersion: capacity.swell/v1alpha1
kind: DiurnalSchedule
metadata: {name: %s, namespace: shop, labels: {team: shop}}
spec:
  timeZone: UTC
  windows: [{name: day, days: [Mon-Fri], from: "09:00", to: "10:00", minHeadroom: "1"}]
`

type policyCase struct{ name, of, old, new, want string }

// text is the object of the case.
func (p policyCase) text(t *testing.T) string {
	t.Helper()
	if !strings.Contains(p.of, p.old) {
		t.Fatalf("%s changes nothing", p.name)
	}
	text := fmt.Sprintf(strings.Replace(p.of, p.old, p.new, 1), p.name)
	if p.name == "observing-there" {
		text = strings.Replace(text, "max: 40", "max: 40\n  mode: Observe", 1)
	}
	return text
}

// teams are the namespaces of the cases, with their labels.
var teams = map[string]map[string]string{"shop": {"team": "shop", "capacity.swell/enforce": "allowed"}, "lab": {"team": "shop"}, "nobodys": {"capacity.swell/enforce": "allowed"}}

// policyCases are objects, each changed in one place; want is what the refusal says, empty what passes.
var policyCases = []policyCase{
	{"as-it-should-be", aBalloon, "", "", ""},
	{"another-quantile", aBalloon, `"0.99"`, `"0.9"`, ""},
	{"in-another-namespace", aBalloon, "namespace: shop", "namespace: lab", "this namespace may only observe"},
	{"observing-there", aBalloon, "namespace: shop", "namespace: lab", ""}, // with mode: Observe, below
	{"too-many", aBalloon, "max: 40", "max: 41", "spec.max is 41, and a team may have at most 40 balloons"},
	{"a-quantile-of-its-own", aBalloon, `"0.99"`, `"0.999"`, "give spec.target.quantile one of 0.9,0.95,0.99"},
	{"by-what-a-miss-costs", aBalloon, `quantile: "0.99"`, `missCostPerPodMinute: "0.02"`, "give spec.target.quantile one of"},
	{"buffers", aBalloon, "max: 40", "max: 40\n  output: CapacityBuffer", "output CapacityBuffer is for clusters whose nodes another scaler owns"},
	{"anothers", aBalloon, "{team: shop}", "{team: mail}", "give the label team the team that the namespace belongs to: shop"},
	{"nobodys", aBalloon, ", labels: {team: shop}", "", "give the label team the team that the namespace belongs to: shop"},
	{"nobodys-namespace", aBalloon, "namespace: shop", "namespace: nobodys", "which has none yet"},
	{"a-consumer", aConsumer, "", "", ""},
	{"another-kafka", aConsumer, "cluster: main", "cluster: secret", "give spec.kafka.cluster one of main"},
	{"anothers-group", aConsumer, "group: shop.orders", "group: mail.out", "spec.kafka.group is mail.out, and the groups of team shop begin with its name and a dot"},
	{"a-group-like-its-own", aConsumer, "group: shop.orders", "group: shopping", "begin with its name and a dot"},
	{"anothers-consumer", aConsumer, "{team: shop}", "{team: mail}", "give the label team"},
	{"a-schedule", aSchedule, "", "", ""},
	{"nobodys-schedule", aSchedule, ", labels: {team: shop}", "", "give the label team"},
}

// TestThePoliciesAllowAndRefuse tries each rule of the ValidatingAdmissionPolicies with what passes and what it refuses.
func TestThePoliciesAllowAndRefuse(t *testing.T) {
	st, c := boot(t)
	ctx := t.Context()
	for name, labels := range teams {
		ns := &corev1.Namespace{}
		ns.Name, ns.Labels = name, labels
		if err := client.IgnoreAlreadyExists(c.Create(ctx, ns.DeepCopy())); err != nil {
			t.Fatal(err)
		}
		if err := c.Update(ctx, ns); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.ApplyFile(ctx, filepath.Join(home, "admission", "policies.yaml")); err != nil {
		t.Fatal(err)
	}
	create := func(ctx context.Context, p policyCase) error {
		o := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(p.text(t)), &o.Object); err != nil {
			t.Fatal(err)
		}
		return c.Create(ctx, o, client.DryRunAll)
	}
	// a policy is in force some time after it was written
	for _, first := range []policyCase{
		{"first", aBalloon, "max: 40", "max: 41", "spec.max is 41"}, {"first", aConsumer, "cluster: main", "cluster: secret", "one of main"}, {"first", aSchedule, "{team: shop}", "{team: mail}", "give the label team"},
	} {
		err := stack.Poll(ctx, "the policies to be in force", time.Minute, func(ctx context.Context) (bool, error) {
			err := create(ctx, first)
			return err != nil && strings.Contains(err.Error(), first.want), err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range policyCases {
		err := create(ctx, p)
		switch {
		case p.want == "" && err != nil:
			t.Errorf("%s is refused: %v", p.name, err)
		case p.want != "" && (err == nil || !strings.Contains(err.Error(), p.want)):
			t.Errorf("%s: %v; want a refusal with %q", p.name, err, p.want)
		}
	}
}

// TestTheStandInsSayWhatTheyAre: nobody is to take them for the real kinds.
func TestTheStandInsSayWhatTheyAre(t *testing.T) {
	raw, err := os.ReadFile("bench/examples/testdata/open-kinds.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(raw), "# Kinds of others that the examples have objects of, with schemas that take anything: these are not the real definitions.") {
		t.Error("its first line does not say so")
	}
	for _, name := range []string{"templates.yaml", "constraints.yaml", "config.yaml"} {
		raw, err := os.ReadFile(filepath.Join(home, "gatekeeper", name))
		header, _, _ := strings.Cut(string(raw), "apiVersion:")
		if err != nil || !strings.Contains(header, "Not run") {
			t.Errorf("gatekeeper/%s does not say that it was not run: %v", name, err)
		}
	}
}

// TestTheQuotasCount: one object more than quota.yaml allows is refused, and one balloon pod; pods of another class are not counted.
func TestTheQuotasCount(t *testing.T) {
	_, c := boot(t)
	countedQuotas(t, c)
	kind := func(text string) func(ctx context.Context, name string) error {
		return func(ctx context.Context, name string) error {
			o := &unstructured.Unstructured{}
			if err := yaml.Unmarshal(fmt.Appendf(nil, text, name), &o.Object); err != nil {
				t.Fatal(err)
			}
			return c.Create(ctx, o)
		}
	}
	pods := func(class, cpu string) func(ctx context.Context, name string) error {
		return func(ctx context.Context, name string) error {
			p := &corev1.Pod{}
			p.Namespace, p.Name, p.Spec.PriorityClassName = "shop", name, class
			p.Spec.Containers = []corev1.Container{{Name: "a", Image: "a", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse(cpu)}}}}
			return c.Create(ctx, p)
		}
	}
	for _, x := range []struct {
		what   string
		create func(ctx context.Context, name string) error
		most   int
		want   string
	}{
		{"balloons", kind(aBalloon), 5, "exceeded quota: swell, requested: count/balloons.capacity.swell=1, used: count/balloons.capacity.swell=5, limited: count/balloons.capacity.swell=5"},
		{"consumers", kind(aConsumer), 10, "exceeded quota: swell, requested: count/queueconsumers.capacity.swell=1, used: count/queueconsumers.capacity.swell=10"},
		{"schedules", kind(aSchedule), 10, "exceeded quota: swell, requested: count/diurnalschedules.capacity.swell=1, used: count/diurnalschedules.capacity.swell=10"},
		{"wide", pods(balloon.PriorityClass, "199"), 1, "exceeded quota: swell-balloons, requested: requests.cpu=199, used: requests.cpu=199, limited: requests.cpu=200"},
		{"held", pods(balloon.PriorityClass, "1m"), 49, "exceeded quota: swell-balloons, requested: pods=1, used: pods=50"},
		{"own", pods("", "199"), 60, ""},
	} {
		for i := range x.most {
			if err := x.create(t.Context(), fmt.Sprintf("%s-%d", x.what, i)); err != nil {
				t.Fatalf("%s, number %d: %v", x.what, i+1, err)
			}
		}
		if err := x.create(t.Context(), x.what+"-more"); x.want == "" && err != nil || x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want)) {
			t.Errorf("%s: one more: %v, want %q", x.what, err, x.want)
		}
	}
}

// countedQuotas applies quota.yaml until all of it is counted. Kubernetes' controller looks for kinds every half a minute; a quota that was made
// before it knew them refuses everything with "status unknown" until it is looked at again, five minutes later, or made anew.
func countedQuotas(t *testing.T, c client.Client) {
	t.Helper()
	for _, o := range objects(t, filepath.Join(home, "admission", "quota.yaml")) {
		err := stack.Poll(t.Context(), "quota "+o.GetName()+" to be counted", 2*time.Minute, func(ctx context.Context) (bool, error) {
			if err := apply(ctx, c, o.DeepCopy()); err != nil {
				return false, err
			}
			var q corev1.ResourceQuota
			for range 20 {
				if err := c.Get(ctx, client.ObjectKeyFromObject(o), &q); err != nil {
					return false, err
				}
				if len(q.Spec.Hard) > 0 && len(q.Status.Used) == len(q.Spec.Hard) {
					return true, nil
				}
				time.Sleep(100 * time.Millisecond)
			}
			return false, errors.Join(fmt.Errorf("of %v only %v is counted", q.Spec.Hard, q.Status.Used), c.Delete(ctx, &q))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
