package chart

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"

	"swell/api/config"
)

// templateOf is the pod template of a program.
func templateOf(t *testing.T, all []*unstructured.Unstructured, program string) corev1.PodTemplateSpec {
	t.Helper()
	var has struct {
		Spec struct {
			Template corev1.PodTemplateSpec `json:"template"`
		} `json:"spec"`
	}
	for _, kind := range []string{"Deployment", "StatefulSet"} {
		if u := find(all, kind, program); u != nil {
			into(t, u, &has)
			return has.Spec.Template
		}
	}
	t.Fatalf("there is no %s", program)
	return corev1.PodTemplateSpec{}
}

func envOf(t *testing.T, all []*unstructured.Unstructured, program, name string) string {
	t.Helper()
	found := ""
	for _, e := range templateOf(t, all, program).Spec.Containers[0].Env {
		if e.Name == name {
			found += e.Value
		}
	}
	return found
}

// Go is told of the memory limit that there is, a tenth below it; who says otherwise, or gives a limit in other units, is not contradicted.
func TestGoIsToldOfTheMemoryLimit(t *testing.T) {
	for _, program := range []string{"scaler", "metrics"} {
		for set, want := range map[string]string{
			program + ".resources.limits.memory=1Gi":                                     "921MiB",
			program + ".resources.limits.memory=300Mi":                                   "270MiB",
			program + ".resources.limits.memory=1e9":                                     "",
			program + ".resources.limits=null":                                           "",
			program + ".env[0].name=GOMEMLIMIT," + program + ".env[0].value=100MiB":      "100MiB",
			program + ".env[0].name=HTTPS_PROXY," + program + ".env[0].value=http://p:1": map[string]string{"scaler": "1843MiB", "metrics": "460MiB"}[program],
		} {
			if got := envOf(t, render(t, "observe", "1.36", "--set", set), "swell-"+program, "GOMEMLIMIT"); got != want {
				t.Errorf("%s: GOMEMLIMIT is %q, want %q", set, got, want)
			}
		}
	}
}

// A port that the configuration moves is moved in the pod, in its probes and for who reads the metrics.
func TestThePortsAreTheConfigurations(t *testing.T) {
	all := render(t, "observe", "1.36", "--set", "scaler.config.metricsAddress=:9090,scaler.config.healthAddress=0.0.0.0:9091,metrics.config.listen=:9092,monitoring.datadog=true")
	for program, want := range map[string]map[string]int32{"swell-scaler": {"metrics": 9090, "health": 9091, "page": 8443}, "swell-metrics": {"metrics": 9092, "https": 6443}} {
		pod := templateOf(t, all, program)
		for _, p := range pod.Spec.Containers[0].Ports {
			if want[p.Name] != p.ContainerPort {
				t.Errorf("%s: port %s is %d, want %d", program, p.Name, p.ContainerPort, want[p.Name])
			}
		}
		if said := pod.Annotations["ad.datadoghq.com/"+program+".checks"]; !strings.Contains(said, fmt.Sprintf("%%%%host%%%%:%d/metrics", want["metrics"])) {
			t.Errorf("%s: Datadog reads %s", program, said)
		}
	}
}

// An address that the configuration leaves empty is off: no port, no probe, and nobody is told to read it.
func TestAnAddressThatIsOffHasNoPort(t *testing.T) {
	all := render(t, "observe", "1.36", "--set", "scaler.config.metricsAddress=,scaler.config.healthAddress=,metrics.config.listen=,monitoring.datadog=true")
	for program, want := range map[string][]string{"swell-scaler": {"page"}, "swell-metrics": {"https"}} {
		pod := templateOf(t, all, program)
		var got []string
		for _, p := range pod.Spec.Containers[0].Ports {
			got = append(got, p.Name)
			if p.ContainerPort == 0 {
				t.Errorf("%s: port %s is 0", program, p.Name)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: ports %v, want %v", program, got, want)
		}
		if said := pod.Annotations["ad.datadoghq.com/"+program+".checks"]; said != "" {
			t.Errorf("%s: Datadog reads %s", program, said)
		}
	}
	if c := templateOf(t, all, "swell-scaler").Spec.Containers[0]; c.ReadinessProbe != nil || c.LivenessProbe != nil {
		t.Errorf("probes of a port that there is not: %v, %v", c.ReadinessProbe, c.LivenessProbe)
	}
}

// Where the API server cannot dial pods, swell-metrics is on its nodes' network, with the cluster's names all the same.
func TestTheMetricsServerMayBeOnTheNodesNetwork(t *testing.T) {
	all := render(t, "observe", "1.36", "--set", "metrics.hostNetwork=true,metrics.securePort=10260,metrics.config.listen=:10261")
	pod := templateOf(t, all, "swell-metrics").Spec
	if !pod.HostNetwork || pod.DNSPolicy != corev1.DNSClusterFirstWithHostNet || !strings.Contains(strings.Join(pod.Containers[0].Args, " "), "--secure-port=10260") {
		t.Errorf("hostNetwork %v, dnsPolicy %s, %v", pod.HostNetwork, pod.DNSPolicy, pod.Containers[0].Args)
	}
	for _, p := range pod.Containers[0].Ports {
		if want := map[string]int32{"https": 10260, "metrics": 10261}[p.Name]; p.ContainerPort != want {
			t.Errorf("port %s is %d, want %d", p.Name, p.ContainerPort, want)
		}
	}
	var d appsv1.Deployment
	into(t, find(all, "Deployment", "swell-metrics"), &d)
	if by := d.Spec.Strategy.RollingUpdate; by.MaxSurge.IntValue() != 0 || by.MaxUnavailable.IntValue() != 1 {
		t.Errorf("a new pod wants the ports of the old one's node: %v", by)
	}
	if pod := templateOf(t, all, "swell-scaler").Spec; pod.HostNetwork {
		t.Error("the scaler is there too, which nobody dials")
	}
}

// Certificates and passwords come as others bring them too: a ConfigMap of authorities, a CSI driver's volume.
func TestMoreVolumesAreMounted(t *testing.T) {
	for _, program := range []string{"scaler", "metrics"} {
		all := render(t, "observe", "1.36", "--set", program+".extraVolumes[0].name=ca,"+program+".extraVolumes[0].configMap.name=bundle,"+
			program+".extraVolumeMounts[0].name=ca,"+program+".extraVolumeMounts[0].mountPath=/etc/ca,"+program+".extraVolumeMounts[0].readOnly=true")
		pod := templateOf(t, all, "swell-"+program).Spec
		found := 0
		for _, v := range pod.Volumes {
			if v.Name == "ca" && v.ConfigMap != nil && v.ConfigMap.Name == "bundle" {
				found++
			}
		}
		for _, m := range pod.Containers[0].VolumeMounts {
			if m.Name == "ca" && m.MountPath == "/etc/ca" && m.ReadOnly {
				found++
			}
		}
		if found != 2 {
			t.Errorf("%s: %v, %v", program, pod.Volumes, pod.Containers[0].VolumeMounts)
		}
	}
}

// A Secret's name may have dots and 253 characters, a volume's may not.
func TestASecretsNameIsNoVolumes(t *testing.T) {
	long := strings.Repeat("kafka.", 20) + "login"
	for _, program := range []string{"scaler", "metrics"} {
		pod := templateOf(t, render(t, "observe", "1.36", "--set", program+".secrets={kafka.login,"+long+"}"), "swell-"+program).Spec
		at := map[string]string{}
		for _, v := range pod.Volumes {
			if wrong := validation.IsDNS1123Label(v.Name); len(wrong) > 0 {
				t.Errorf("%s: volume %q: %v", program, v.Name, wrong)
			}
			if v.Secret != nil {
				at[v.Name] = v.Secret.SecretName
			}
		}
		mounted := 0
		for _, m := range pod.Containers[0].VolumeMounts {
			if name := at[m.Name]; name != "" && m.MountPath == "/etc/swell-secrets/"+name {
				mounted++
			}
		}
		if mounted != 2 {
			t.Errorf("%s: %d Secrets are mounted by their names", program, mounted)
		}
	}
}

// A ServiceAccount that eksctl or Terraform has made is taken, and bound by its name.
func TestAServiceAccountOfOthersIsTaken(t *testing.T) {
	all := render(t, "observe", "1.36", "--set", "scaler.serviceAccount.create=false")
	if find(all, "ServiceAccount", "swell-scaler") != nil || find(all, "ServiceAccount", "swell-metrics") == nil || find(all, "ClusterRoleBinding", "swell-scaler") == nil {
		t.Error("the wrong ServiceAccounts or bindings are made")
	}
	if got := templateOf(t, all, "swell-scaler").Spec.ServiceAccountName; got != "swell-scaler" {
		t.Errorf("the pods run as %q", got)
	}
}

// What is printed after an installation speaks of what was installed.
func TestTheNotesAreOfWhatIsInstalled(t *testing.T) {
	notes := func(values string, more ...string) string {
		_, text, found := strings.Cut(mustHelm(t, append([]string{"install", "swell", chartDir(t), "--dry-run=client", "--namespace", home, "--values", valuesFile(t, values)}, more...)...), "NOTES:")
		if !found {
			t.Fatal("there are no notes")
		}
		return text
	}
	if text := notes("split-metrics"); strings.Contains(text, "swell-scaler") || strings.Contains(text, "swell uninstall --config") || !strings.Contains(text, "deployment/swell-metrics") {
		t.Errorf("without the scaler: %s", text)
	}
	if text := notes("enforce"); !strings.Contains(text, "statefulset/swell-scaler") || !strings.Contains(text, "swell uninstall --config") || strings.Contains(text, "changes nothing") {
		t.Errorf("with a persistent ledger: %s", text)
	}
	if text := notes("observe"); !strings.Contains(text, "changes nothing") || !strings.Contains(text, "swell page") {
		t.Errorf("to observe: %s", text)
	}
}

// What docs/install.md lets out is DNS by both protocols, and the chart makes policies of it for both programs.
func TestThePagesEgressIsTaken(t *testing.T) {
	all := render(t, "observe", "1.36", "--values", pagesValues(t, "networkPolicy:"))
	for _, program := range []string{"swell-scaler", "swell-metrics"} {
		var p networkingv1.NetworkPolicy
		into(t, find(all, "NetworkPolicy", program), &p)
		dns := map[corev1.Protocol]bool{}
		for _, rule := range p.Spec.Egress {
			for _, port := range rule.Ports {
				if port.Port.IntValue() == 53 {
					dns[*port.Protocol] = true
				}
			}
		}
		if !slices.Contains(p.Spec.PolicyTypes, networkingv1.PolicyTypeEgress) || !dns[corev1.ProtocolTCP] || !dns[corev1.ProtocolUDP] || len(p.Spec.Egress) != 5 {
			t.Errorf("%s: %v, %v", program, p.Spec.PolicyTypes, p.Spec.Egress)
		}
	}
}

// The files that the page's Kafka login names are where its values mount them, and the program takes the configuration.
func TestThePagesKafkaLoginIsMounted(t *testing.T) {
	all := render(t, "observe", "1.36", "--values", pagesValues(t, "metrics:"))
	path := filepath.Join(t.TempDir(), "metrics.yaml")
	if err := os.WriteFile(path, []byte(data(t, all, "swell-metrics", "metrics.yaml")), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.LoadMetrics(path)
	if err != nil {
		t.Fatal(err)
	}
	k := c.Clusters[0]
	for _, file := range []string{k.TLS.CAFile, k.SASL.PasswordFile} {
		if !slices.ContainsFunc(templateOf(t, all, "swell-metrics").Spec.Containers[0].VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == filepath.Dir(file) }) {
			t.Errorf("%s is mounted nowhere", file)
		}
	}
}

// pagesValues writes the values of docs/install.md that begin with a field to a file.
func pagesValues(t *testing.T, field string) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(root(t), "docs", "install.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(page), "```yaml\n"+field)
	text, _, closed := strings.Cut(text, "```")
	if !found || !closed {
		t.Fatalf("the page has no values that begin with %s", field)
	}
	path := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(path, []byte(field+text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A node with the only replica can be drained: no budget asks for more than there is.
func TestTheOnlyReplicaCanBeEvicted(t *testing.T) {
	all := render(t, "enforce", "1.36", "--set", "scaler.replicas=1,metrics.replicas=1")
	for _, program := range []string{"swell-scaler", "swell-metrics"} {
		var b policyv1.PodDisruptionBudget
		into(t, find(all, "PodDisruptionBudget", program), &b)
		if b.Spec.MinAvailable != nil || b.Spec.MaxUnavailable.IntValue() < 1 {
			t.Errorf("%s: %+v", program, b.Spec)
		}
		if got, want := fmt.Sprint(b.Spec.Selector.MatchLabels), templateOf(t, all, program).Labels; want["app.kubernetes.io/name"] != program || !strings.Contains(got, program) {
			t.Errorf("%s: the budget is for %s, the pods have %v", program, got, want)
		}
	}
}
