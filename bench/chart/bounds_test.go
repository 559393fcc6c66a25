package chart

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"swell/api/v1alpha1"
	"swell/balloon"
	"swell/scaler/history"
)

// Who has the scaler's ServiceAccount writes only the ConfigMaps that swell-scaler keeps, and makes and deletes only balloons, and none that
// reads a Secret or gets to the node.
func TestTheScalersAccountIsBounded(t *testing.T) {
	helmBinary(t)
	b := boot(t)
	b.install(t, render(t, "enforce", "1.36"))
	config, err := b.ServiceAccountConfig(home, "swell-scaler")
	if err != nil {
		t.Fatal(err)
	}
	self, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the policies to be in force", time.Minute, func() error {
		if err := makeMap(t, self, "anothers", metav1.DryRunAll); err == nil || !strings.Contains(err.Error(), "swell-scaler-configmaps") {
			return &unheard{errorText(err)}
		}
		if err := makePod(t, self, strings.Replace(aPod, "emptyDir: {}", "hostPath: {path: /}", 1)); err == nil || !strings.Contains(err.Error(), "swell-scaler-pods") {
			return &unheard{errorText(err)}
		}
		return nil
	})
	b.boundedMaps(t, self)
	b.boundedPods(t, self)
}

// boundedMaps tries what is swell-scaler's own and what is not.
func (b *bed) boundedMaps(t *testing.T, self kubernetes.Interface) {
	t.Helper()
	own := self.CoreV1().ConfigMaps(home)
	for _, name := range []string{"swell-scaler-intents", "swell-scaler-ledger", "swell-scaler-told", "swell-scaler-guard-rails", "swell-scaler-boots", "swell-by-hand", history.Name("shop", "web")} {
		if err := makeMap(t, self, name); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		m, err := own.Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		m.Data = map[string]string{"a": "b"}
		if _, err := own.Update(t.Context(), m, metav1.UpdateOptions{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"swell-metrics", "swell-scaler", "kube-root-ca.crt"} {
		m, err := b.kube.CoreV1().ConfigMaps(home).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		m.Data = map[string]string{"a": "b"}
		if _, err := own.Update(t.Context(), m, metav1.UpdateOptions{}); err == nil || !strings.Contains(err.Error(), "swell-scaler writes only") {
			t.Errorf("%s is written: %v", name, err)
		}
		if err := own.Delete(t.Context(), name, metav1.DeleteOptions{}); err == nil {
			t.Errorf("%s is deleted", name)
		}
	}
	if err := own.Delete(t.Context(), history.Name("shop", "web"), metav1.DeleteOptions{}); err != nil {
		t.Errorf("a history is not deleted: %v", err)
	}
	// others are not asked
	if err := makeMap(t, b.kube, "anothers"); err != nil {
		t.Error(err)
	}
}

func makeMap(t *testing.T, as kubernetes.Interface, name string, dry ...string) error {
	t.Helper()
	_, err := as.CoreV1().ConfigMaps(home).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{DryRun: dry})
	return err
}

// aPod is like a balloon, in a namespace without Pod Security.
const aPod = `
metadata: {name: odd, namespace: default, labels: {capacity.swell/balloon: web}}
spec:
  priorityClassName: swell-balloon
  priority: -10
  preemptionPolicy: Never
  automountServiceAccountToken: false
  serviceAccountName: default
  containers: [{name: a, image: a, env: [{name: A, value: a}]}]
  volumes: [{name: v, emptyDir: {}}]
`

// boundedPods tries a balloon as swell makes it, what webhooks add to one, and one change after another that would make it more.
func (b *bed) boundedPods(t *testing.T, self kubernetes.Interface) {
	t.Helper()
	like, err := balloon.PodFor(v1alpha1.Balloon{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "1"}}, "a", balloon.Workload{Chunk: 1, PullImages: true,
		Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Image: "app:1", Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{"cpu": resource.MustParse("1")}}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	like.Name = "web-1"
	if _, err := self.CoreV1().Pods("shop").Create(t.Context(), like, metav1.CreateOptions{}); err != nil {
		t.Errorf("a balloon is refused: %v", err)
	} else if err := self.CoreV1().Pods("shop").Delete(t.Context(), like.Name, metav1.DeleteOptions{}); err != nil {
		t.Errorf("a balloon is not deleted: %v", err)
	}
	for change, refused := range map[[2]string]bool{
		{"", ""}: false,
		{"emptyDir: {}", "projected: {sources: [{serviceAccountToken: {audience: sts.amazonaws.com, path: t}}]}"}:  false,
		{"emptyDir: {}", "projected: {sources: [{serviceAccountToken: {audience: istio-ca, path: t}}]}"}:           false,
		{"emptyDir: {}", "projected: {sources: [{serviceAccountToken: {audience: identity.l5d.io, path: t}}]}"}:    false,
		{"emptyDir: {}", "projected: {sources: [{downwardAPI: {items: []}}]}"}:                                     false,
		{"emptyDir: {}", "projected: {sources: [{serviceAccountToken: {path: t}}]}"}:                               true,
		{"emptyDir: {}", "projected: {sources: [{serviceAccountToken: {audience: kubernetes, path: t}}]}"}:         true,
		{"emptyDir: {}", "projected: {sources: [{secret: {name: s}}]}"}:                                            true,
		{"emptyDir: {}", "secret: {secretName: s}"}:                                                                true,
		{"emptyDir: {}", "hostPath: {path: /}"}:                                                                    true,
		{"emptyDir: {}", "persistentVolumeClaim: {claimName: c}"}:                                                  true,
		{"emptyDir: {}", "csi: {driver: d}"}:                                                                       true,
		{"automountServiceAccountToken: false", "automountServiceAccountToken: true"}:                              true,
		{"  automountServiceAccountToken: false\n", ""}:                                                            true,
		{"  priorityClassName: swell-balloon\n  priority: -10\n  preemptionPolicy: Never\n", ""}:                   true,
		{"labels: {capacity.swell/balloon: web}", "labels: {app: web}"}:                                            true,
		{", labels: {capacity.swell/balloon: web}", ""}:                                                            true,
		{"serviceAccountName:", "hostNetwork: true\n  serviceAccountName:"}:                                        true,
		{"serviceAccountName:", "hostPID: true\n  serviceAccountName:"}:                                            true,
		{"serviceAccountName:", "hostIPC: true\n  serviceAccountName:"}:                                            true,
		{"image: a,", "image: a, securityContext: {privileged: true},"}:                                            true,
		{"image: a,", "image: a, securityContext: {capabilities: {add: [SYS_ADMIN]}},"}:                            true,
		{"image: a,", "image: a, securityContext: {capabilities: {add: [NET_ADMIN]}},"}:                            false,
		{"value: a", "valueFrom: {secretKeyRef: {name: s, key: k}}"}:                                               true,
		{"value: a", "valueFrom: {fieldRef: {fieldPath: metadata.name}}"}:                                          false,
		{"image: a,", "image: a, envFrom: [{secretRef: {name: s}}],"}:                                              true,
		{"containers:", "initContainers: [{name: i, image: a, envFrom: [{secretRef: {name: s}}]}]\n  containers:"}: true,
	} {
		if !strings.Contains(aPod, change[0]) {
			t.Fatalf("%q changes nothing", change[0])
		}
		err := makePod(t, self, strings.Replace(aPod, change[0], change[1], 1))
		if refused && (err == nil || !strings.Contains(err.Error(), "swell-scaler-pods")) || !refused && err != nil {
			t.Errorf("%q for %q: %v", change[1], change[0], err)
		}
	}
	b.anothersPodStays(t, self)
}

// anothersPodStays: only what has the balloons' class is deleted.
func (b *bed) anothersPodStays(t *testing.T, self kubernetes.Interface) {
	t.Helper()
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "app"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Image: "a"}}}}
	if _, err := b.kube.CoreV1().Pods("default").Create(t.Context(), p, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := self.CoreV1().Pods("default").Delete(t.Context(), "app", metav1.DeleteOptions{}); err == nil || !strings.Contains(err.Error(), "swell-scaler deletes only balloons") {
		t.Errorf("a pod of an application is deleted: %v", err)
	}
}

func makePod(t *testing.T, as kubernetes.Interface, text string) error {
	t.Helper()
	var p corev1.Pod
	if err := yaml.UnmarshalStrict([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	_, err := as.CoreV1().Pods(p.Namespace).Create(t.Context(), &p, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

func errorText(err error) string {
	if err == nil {
		return "no error"
	}
	return err.Error()
}

// install applies all objects, kinds first, as helm does.
func (b *bed) install(t *testing.T, all []*unstructured.Unstructured) {
	t.Helper()
	slices.SortStableFunc(all, func(x, y *unstructured.Unstructured) int { return rank(x) - rank(y) })
	for _, u := range all {
		// objects of a kind that is not served yet are refused
		eventually(t, "applying "+u.GetKind()+" "+u.GetName(), 10*time.Second, func() error {
			return b.api.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(u.DeepCopy()), client.FieldOwner("kubectl"), client.ForceOwnership)
		})
	}
}

// The scaler's Roles are where its configuration says that its Lease and its ConfigMaps are.
func TestTheRolesAreWhereTheObjectsAre(t *testing.T) {
	all := render(t, "enforce", "1.36", "--set", "scaler.config.leaderElection.namespace=leases,scaler.config.history.checkpoints=histories,metrics.config.lease.namespace=turns,metrics.config.lease.name=mine")
	mayWrite := map[string][]string{}
	bound := map[string]bool{}
	for _, u := range all {
		switch u.GetKind() {
		case "Role":
			var r rbacv1.Role
			into(t, u, &r)
			for _, rule := range r.Rules {
				for _, verb := range rule.Verbs {
					if verb == "update" || verb == "delete" {
						key := r.Name + " " + r.Namespace + " " + verb + " " + strings.Join(rule.Resources, ",")
						mayWrite[key] = append(mayWrite[key], rule.ResourceNames...)
						if len(rule.ResourceNames) == 0 {
							mayWrite[key] = append(mayWrite[key], "*")
						}
					}
				}
			}
		case "RoleBinding":
			bound[u.GetName()+" "+u.GetNamespace()] = true
		}
	}
	want := map[string][]string{
		"swell-scaler leases update leases":         {"swell-scaler"},
		"swell-scaler leases update configmaps":     {"swell-by-hand", "swell-scaler-guard-rails", "swell-scaler-intents", "swell-scaler-ledger", "swell-scaler-told"},
		"swell-scaler histories update configmaps":  {"*"},
		"swell-scaler histories delete configmaps":  {"*"},
		"swell-metrics turns update leases":         {"mine"},
		"swell-metrics " + home + " update secrets": {"swell-metrics-tls"},
	}
	for key, names := range mayWrite {
		slices.Sort(names)
		if !slices.Equal(want[key], names) {
			t.Errorf("%s %v, want %v", key, names, want[key])
		}
	}
	for key := range want {
		if mayWrite[key] == nil {
			t.Errorf("nothing may %s", key)
		}
		fields := strings.Fields(key)
		if !bound[fields[0]+" "+fields[1]] {
			t.Errorf("no RoleBinding %s in %s", fields[0], fields[1])
		}
	}
}
