package chart

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"swell/api/config"
)

func TestHelmLintFindsNothing(t *testing.T) {
	for _, values := range valuesFiles {
		for _, minor := range minors {
			out, err := helm(t, "lint", "--strict", chartDir(t), "--values", valuesFile(t, values), "--kube-version", minor)
			if err != nil || !strings.Contains(out, "0 chart(s) failed") {
				t.Errorf("%s on %s: %v\n%s", values, minor, err, out)
			}
		}
	}
}

// The programs read the configuration that the chart writes, and are told no flag that they lack.
func TestTheProgramsTakeTheirConfiguration(t *testing.T) {
	for _, values := range valuesFiles {
		all := render(t, values, "1.36")
		dir := t.TempDir()
		for _, program := range []struct {
			name string
			load func(string) error
		}{
			{"scaler", func(path string) error { _, err := config.LoadScaler(path); return err }},
			{"metrics", func(path string) error { _, err := config.LoadMetrics(path); return err }},
		} {
			if find(all, "ConfigMap", "swell-"+program.name) == nil {
				continue
			}
			path := filepath.Join(dir, program.name+".yaml")
			if err := os.WriteFile(path, []byte(data(t, all, "swell-"+program.name, program.name+".yaml")), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := program.load(path); err != nil {
				t.Errorf("%s: %v", values, err)
			}
		}
	}
}

func TestTheWholeConfigurationIsPassedThrough(t *testing.T) {
	off := render(t, "observe", "1.36", "--set-string", "scaler.config.page.bind=")
	if find(off, "ClusterRole", "swell-scaler:page") != nil || strings.Contains(fmt.Sprint(find(off, "ClusterRole", "swell-scaler").Object), "tokenreviews") {
		t.Error("without the page there are its rights")
	}
	all := render(t, "observe", "1.36", "--set", "scaler.config.ledgerDir=/elsewhere,scaler.config.history.timeZone=Asia/Tokyo")
	path := filepath.Join(t.TempDir(), "scaler.yaml")
	if err := os.WriteFile(path, []byte(data(t, all, "swell-scaler", "scaler.yaml")), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.LoadScaler(path)
	if err != nil {
		t.Fatal(err)
	}
	if c.LedgerDir != "/elsewhere" || c.History.TimeZone != "Asia/Tokyo" || c.History.Checkpoints != home || c.LeaderElection.Namespace != home || c.Mode != "Observe" {
		t.Errorf("the scaler is given %+v", c)
	}
}

// What swell calls another name, or gives another type, is refused by the name of its field.
func TestAWrongValueIsRefusedByItsName(t *testing.T) {
	for set, field := range map[string]string{
		"scaler.replica=3":                         "'replica'",
		"scaler.config.histroy.timeZone=UTC":       "'histroy'",
		"scaler.config.history.timezone=UTC":       "'timezone'",
		"scaler.config.prices.m6i.spt=1":           "'spt'",
		"metrics.config.clusters[0].broker=a":      "'broker'",
		"scaler.bounds=perhaps":                    "/scaler/bounds",
		"metrics.hostNetwork=perhaps":              "/metrics/hostNetwork",
		"metrics.securePort=443":                   "/metrics/securePort",
		"scaler.extraVolumes[0].configMap.name=a":  "'name'",
		"scaler.replicas=three":                    "/scaler/replicas",
		"scaler.replicas=0":                        "/scaler/replicas",
		"metrics.certificates.mode=SelfSigned":     "/metrics/certificates/mode",
		"metrics.apis.externals=true":              "'externals'",
		"image.digest=sha256:12":                   "/image/digest",
		"scaler.aws.assumeRole=swell-nodes":        "/scaler/aws/assumeRole",
		"scaler.ledger.size=ten":                   "/scaler/ledger/size",
		"monitoring.prometheus=Yes":                "/monitoring/prometheus",
		"topologySpread.zone=Never":                "/topologySpread/zone",
		"balloons.quotas[0].namespace=shop":        "'hard'",
		"crd.install=false":                        "'crd'",
		"networkPolicy.enabled=perhaps":            "/networkPolicy/enabled",
		"scaler.serviceAccount.name=mine":          "'name'",
		"metrics.secrets[0]=Not_A_Name":            "/metrics/secrets/0",
		"scaler.resources.requests.cpu[0]=1":       "/scaler/resources/requests/cpu",
		"metrics.rights.scaleToZero=sometimes":     "/metrics/rights/scaleToZero",
		"scaler.serviceAccount.annotations.a[0]=b": "/scaler/serviceAccount/annotations/a",
	} {
		_, err := helm(t, "template", "swell", chartDir(t), "--values", valuesFile(t, "observe"), "--set", set)
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("--set %s: %v: want an error with %s", set, err, field)
		}
	}
	for set, mend := range map[string]string{
		"scaler.config.aws=null":                  "scaler.config.aws.region is empty",
		"metrics.config.clusters=null":            "metrics.config.clusters is empty",
		"metrics.certificates.mode=Secret":        "name the Secret",
		"image.repository=":                       "image.repository is empty",
		"scaler.config.leaderElection.namespace=": "scaler.config.leaderElection.namespace is empty: then every replica acts",
		"scaler.config.leaderElection=null":       "scaler.config.leaderElection.namespace is empty",
		"metrics.config.lease.name=":              "metrics.config.lease.name is empty",
		"scaler.aws.assumeRole=arn:aws:iam::123456789012:role/a,scaler.aws.credentials=WebIdentity": "give the role of the ServiceAccount",
	} {
		_, err := helm(t, "template", "swell", chartDir(t), "--values", valuesFile(t, "observe"), "--set", set)
		if err == nil || !strings.Contains(err.Error(), mend) {
			t.Errorf("--set %s: %v: want an error with %q", set, err, mend)
		}
	}
}

// The SDK reads the profiles that the chart writes for a role of another account.
func TestTheSDKReadsTheProfilesOfAnotherAccount(t *testing.T) {
	for values, want := range map[string]struct{ role, external, token, source string }{
		"enforce":      {"arn:aws:iam::210987654321:role/swell-nodes", "green", "/var/run/secrets/eks.amazonaws.com/serviceaccount/token", ""},
		"split-scaler": {"arn:aws:iam::210987654321:role/swell-nodes", "", "", "EcsContainer"},
	} {
		path := filepath.Join(t.TempDir(), "aws")
		if err := os.WriteFile(path, []byte(data(t, render(t, values, "1.36"), "swell-scaler", "aws")), 0o600); err != nil {
			t.Fatal(err)
		}
		profile, err := awsconfig.LoadSharedConfigProfile(t.Context(), "swell", func(o *awsconfig.LoadSharedConfigOptions) {
			o.ConfigFiles, o.CredentialsFiles = []string{path}, []string{}
		})
		if err != nil {
			t.Errorf("%s: %v", values, err)
			continue
		}
		token := ""
		if profile.Source != nil {
			token = profile.Source.WebIdentityTokenFile
		}
		if profile.RoleARN != want.role || profile.ExternalID != want.external || token != want.token || profile.CredentialSource != want.source {
			t.Errorf("%s: %+v", values, profile)
		}
	}
}

// An observing scaler may change nothing but its own objects, statuses and Events.
func TestAnObservingScalerMayChangeNothing(t *testing.T) {
	var role rbacv1.ClusterRole
	into(t, find(render(t, "observe", "1.36"), "ClusterRole", "swell-scaler"), &role)
	for _, rule := range role.Rules {
		for _, verb := range rule.Verbs {
			own := reflect.DeepEqual(rule.Resources, []string{"events"}) || reflect.DeepEqual(rule.Resources, []string{"balloons/status", "capacitypools/status"})
			// the page asks who a reader is and what he may
			own = own || reflect.DeepEqual(rule.Resources, []string{"tokenreviews"}) || reflect.DeepEqual(rule.Resources, []string{"subjectaccessreviews"})
			if verb != "get" && verb != "list" && verb != "watch" && !own {
				t.Errorf("it may %s %v", verb, rule.Resources)
			}
		}
	}
}

// With cert-manager the certificate is for the name that the APIServices dial, and their authority is that certificate's.
func TestCertManagersCertificateIsForTheService(t *testing.T) {
	all := render(t, "split-metrics", "1.36")
	names, _, _ := unstructured.NestedStringSlice(find(all, "Certificate", "swell-metrics").Object, "spec", "dnsNames")
	api := find(all, "APIService", "v1beta1.external.metrics.k8s.io")
	if want := []string{"swell-metrics." + home + ".svc"}; !reflect.DeepEqual(names, want) || api.GetAnnotations()["cert-manager.io/inject-ca-from"] != home+"/swell-metrics" {
		t.Errorf("the certificate is for %v, the authority from %v", names, api.GetAnnotations())
	}
	if find(all, "APIService", "v1beta2.custom.metrics.k8s.io") != nil || find(all, "Secret", "swell-metrics-tls") != nil {
		t.Error("there is an APIService or a Secret that nobody asked for")
	}
	var d appsv1.Deployment
	into(t, find(all, "Deployment", "swell-metrics"), &d)
	for _, v := range d.Spec.Template.Spec.Volumes {
		if v.Secret != nil && v.Secret.SecretName == "swell-metrics-tls" {
			return
		}
	}
	t.Error("no volume has the certificate")
}

// The values that docs/first-hour.md begins with are taken, and its StatefulSet is there.
func TestTheFirstHoursValuesAreTaken(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root(t), "docs", "first-hour.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(page), "```yaml\nimage:")
	text, _, closed := strings.Cut(text, "```")
	if !found || !closed {
		t.Fatal("the page has no values")
	}
	path := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(path, []byte("image:"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	all := decode(t, mustHelm(t, "template", "swell", chartDir(t), "--namespace", home, "--values", path))
	if find(all, "StatefulSet", "swell-scaler") == nil || !strings.Contains(data(t, all, "swell-scaler", "scaler.yaml"), "mode: Observe") {
		t.Error("there is no StatefulSet that observes")
	}
}

// What stands in charts/rendered is what the chart makes now.
func TestTheRenderedFilesAreUpToDate(t *testing.T) {
	to := t.TempDir()
	command := exec.CommandContext(t.Context(), filepath.Join(root(t), "charts", "render"), helmBinary(t), to)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, name := range []string{"swell-scaler-rbac.yaml", "swell-metrics-rbac.yaml", "swell-metrics.yaml"} {
		fresh, err := os.ReadFile(filepath.Join(to, name))
		if err != nil {
			t.Fatal(err)
		}
		kept, err := os.ReadFile(filepath.Join(root(t), "charts", "rendered", name))
		if err != nil || string(fresh) != string(kept) {
			t.Errorf("charts/rendered/%s is not up to date: run make generate (%v)", name, err)
		}
	}
}

// Every pod meets the restricted Pod Security Standard by what its specification says, and names its image once.
func TestPodsAreHardened(t *testing.T) {
	for _, values := range valuesFiles {
		for _, u := range render(t, values, "1.36") {
			if u.GetKind() != "Deployment" && u.GetKind() != "StatefulSet" {
				continue
			}
			var template struct {
				Spec struct {
					Replicas int32                  `json:"replicas"`
					Template corev1.PodTemplateSpec `json:"template"`
				} `json:"spec"`
			}
			into(t, u, &template)
			pod, c := template.Spec.Template.Spec, template.Spec.Template.Spec.Containers[0]
			if template.Spec.Replicas < 2 || len(pod.TopologySpreadConstraints) != 2 {
				t.Errorf("%s: %s has %d replicas, %d spread constraints", values, u.GetName(), template.Spec.Replicas, len(pod.TopologySpreadConstraints))
			}
			if s := c.SecurityContext; s == nil || !*s.ReadOnlyRootFilesystem || *s.AllowPrivilegeEscalation || len(s.Capabilities.Drop) != 1 || !*pod.SecurityContext.RunAsNonRoot {
				t.Errorf("%s: %s runs with %v, %v", values, u.GetName(), pod.SecurityContext, s)
			}
			mounted := map[string]bool{}
			for _, v := range pod.Volumes {
				mounted[v.Name] = true
			}
			if u.GetKind() == "StatefulSet" {
				var set appsv1.StatefulSet
				into(t, u, &set)
				for _, v := range set.Spec.VolumeClaimTemplates {
					mounted[v.Name] = true
				}
			}
			for _, m := range c.VolumeMounts {
				if !mounted[m.Name] {
					t.Errorf("%s: %s mounts %s, which is no volume", values, u.GetName(), m.Name)
				}
			}
		}
	}
}

// On 1.34 there are no image volumes, from 1.35 on an HPA may state its tolerance: the chart warns of the one or the other.
func TestVersionsDifferInWhatIsWarnedOf(t *testing.T) {
	for minor, want := range map[string]string{"1.34": "balloons", "1.35": "horizontalpodautoscalers", "1.36": "horizontalpodautoscalers"} {
		policy := find(render(t, "observe", minor), "ValidatingAdmissionPolicy", "swell-advice")
		rules, _, _ := unstructured.NestedSlice(policy.Object, "spec", "matchConstraints", "resourceRules")
		if got := rules[0].(map[string]any)["resources"]; !reflect.DeepEqual(got, []any{want}) {
			t.Errorf("%s: warned of are %v, want %s", minor, got, want)
		}
	}
	if _, err := helm(t, "template", "swell", chartDir(t), "--values", valuesFile(t, "observe"), "--kube-version", "1.33"); err == nil || !strings.Contains(err.Error(), "1.34") {
		t.Errorf("Kubernetes 1.33: %v", err)
	}
}

// into reads an object strictly: a field that its kind does not have is an error.
func into(t *testing.T, u *unstructured.Unstructured, typed any) {
	t.Helper()
	if u == nil {
		t.Fatalf("the object for %T is missing", typed)
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, typed); err != nil {
		t.Fatalf("%s %s: %v", u.GetKind(), u.GetName(), err)
	}
}
