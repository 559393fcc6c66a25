package main

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/metrics/server"
)

const home = "swell-system"

// objects are those of a manifest, as the page of the installation has it changed.
func objects(t *testing.T, file string, change func(string) string) []*unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		text = []byte(change(string(text)))
	}
	var all []*unstructured.Unstructured
	for d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
		u := &unstructured.Unstructured{}
		if err := d.Decode(&u.Object); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, u)
	}
}

// signed makes what the page says of apiservice.yaml for certificates of cert-manager.
func signed(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if strings.HasSuffix(line, " # self-signed\n") {
			continue
		}
		lines = append(lines, strings.Replace(line, "# cert-manager: ", "", 1))
	}
	return strings.Join(lines, "")
}

// into reads the object of a kind and name.
func into[T any](t *testing.T, all []*unstructured.Unstructured, kind, name string) T {
	t.Helper()
	var typed T
	for _, u := range all {
		if u.GetKind() == kind && (u.GetName() == name) {
			if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(u.Object, &typed, true); err != nil {
				t.Fatalf("%s %s: %v", kind, name, err)
			}
			return typed
		}
	}
	t.Fatalf("there is no %s %s", kind, name)
	return typed
}

func args(t *testing.T, all []*unstructured.Unstructured) []string {
	t.Helper()
	return into[appsv1.Deployment](t, all, "Deployment", "swell-metrics").Spec.Template.Spec.Containers[0].Args
}

func TestTheDeploymentsArgumentsAreFlags(t *testing.T) {
	for name, change := range map[string]func(string) string{"self-signed": nil, "cert-manager": signed} {
		all := objects(t, "apiservice.yaml", change)
		flags := server.New(slog.New(slog.DiscardHandler)).Flags()
		if err := flags.Parse(args(t, all)); err != nil || flags.NArg() > 0 {
			t.Errorf("%s: %v %v", name, err, flags.Args())
		}
		d := into[appsv1.Deployment](t, all, "Deployment", "swell-metrics").Spec.Template.Spec
		port := flags.Lookup("secure-port").Value.String()
		mounted := map[string]bool{}
		for _, m := range d.Containers[0].VolumeMounts {
			mounted[m.MountPath] = true
		}
		for _, file := range []string{"config", "tls-cert-file", "tls-private-key-file"} {
			path := flags.Lookup(file).Value.String()
			if path != "" && !mounted[path[:strings.LastIndexByte(path, '/')]] {
				t.Errorf("%s: --%s=%s is in no volume", name, file, path)
			}
		}
		ports := map[string]string{}
		for _, p := range d.Containers[0].Ports {
			ports[p.Name] = p.String()
		}
		if !strings.Contains(ports["https"], "ContainerPort:"+port+",") {
			t.Errorf("%s: --secure-port is %s, the port https %s", name, port, ports["https"])
		}
		if (flags.Lookup("cert-dir").Changed) == (flags.Lookup("tls-cert-file").Changed) {
			t.Errorf("%s: one certificate is wanted: %v", name, args(t, all))
		}
	}
}

func TestTheCertificateIsForTheService(t *testing.T) {
	all, certificates := objects(t, "apiservice.yaml", signed), objects(t, "certificate.yaml", nil)
	var leaf *unstructured.Unstructured
	issuers := map[string]bool{}
	for _, u := range certificates {
		if u.GetNamespace() != home {
			t.Errorf("%s %s is in namespace %q", u.GetKind(), u.GetName(), u.GetNamespace())
		}
		if u.GetKind() == "Issuer" {
			issuers[u.GetName()] = true
		}
		if u.GetKind() == "Certificate" && u.GetName() == "swell-metrics" {
			leaf = u
		}
	}
	names, _, _ := unstructured.NestedStringSlice(leaf.Object, "spec", "dnsNames")
	secret, _, _ := unstructured.NestedString(leaf.Object, "spec", "secretName")
	issuer, _, _ := unstructured.NestedString(leaf.Object, "spec", "issuerRef", "name")
	services := 0
	for _, u := range all {
		if u.GetKind() != "APIService" {
			continue
		}
		services++
		a := into[apiregistration.APIService](t, all, "APIService", u.GetName())
		if want := a.Spec.Service.Name + "." + a.Spec.Service.Namespace + ".svc"; !reflect.DeepEqual(names, []string{want}) {
			t.Errorf("%s dials %s, the certificate is for %v", a.Name, want, names)
		}
		if from := a.Annotations["cert-manager.io/inject-ca-from"]; from != home+"/"+leaf.GetName() || a.Spec.InsecureSkipTLSVerify {
			t.Errorf("%s takes its authority from %q, and checks nothing: %t", a.Name, from, a.Spec.InsecureSkipTLSVerify)
		}
		if a.Name != a.Spec.Version+"."+a.Spec.Group {
			t.Errorf("%s is of %s/%s", a.Name, a.Spec.Group, a.Spec.Version)
		}
	}
	if services != 3 || !issuers[issuer] {
		t.Errorf("%d APIServices, issuer %q of %v", services, issuer, issuers)
	}
	for _, v := range into[appsv1.Deployment](t, all, "Deployment", "swell-metrics").Spec.Template.Spec.Volumes {
		if v.Secret != nil && v.Secret.SecretName == secret {
			return
		}
	}
	t.Errorf("no volume has the Secret %s", secret)
}

// apply is kubectl apply --server-side; unknown fields are errors.
func (r *rig) apply(t *testing.T, file string, change func(string) string) {
	t.Helper()
	for _, u := range objects(t, file, change) {
		if err := r.api.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(u), client.FieldOwner("kubectl"), client.ForceOwnership); err != nil {
			t.Fatalf("apply %s %s of %s: %v", u.GetKind(), u.GetName(), file, err)
		}
	}
}

// install applies the manifests, in another namespace and with certificates too, and awaits the pods.
func (r *rig) install(t *testing.T) {
	t.Helper()
	elsewhere := func(text string) string { return strings.ReplaceAll(text, home, "elsewhere") }
	r.apply(t, "../../charts/rendered/swell-metrics-rbac.yaml", elsewhere)
	r.apply(t, "apiservice.yaml", func(text string) string { return signed(elsewhere(text)) })
	var list corev1.ConfigMapList
	if err := r.api.List(t.Context(), &list, client.InNamespace(home)); err != nil || len(list.Items) > 0 {
		t.Errorf("with another namespace there is something in %s: %v, %v", home, list.Items, err)
	}
	if err := r.api.Delete(t.Context(), &corev1.Namespace{ObjectMeta: named("", "elsewhere")}); err != nil {
		t.Fatal(err)
	}
	r.apply(t, "../../charts/rendered/swell-metrics-rbac.yaml", nil)
	r.apply(t, "apiservice.yaml", nil)
	eventually(t, "two pods are ready", func() error {
		var d appsv1.Deployment
		if err := r.api.Get(t.Context(), client.ObjectKey{Namespace: home, Name: "swell-metrics"}, &d); err != nil {
			return err
		}
		if d.Status.ReadyReplicas != 2 {
			return errors.New(d.Status.String())
		}
		return nil
	})
	var pods corev1.PodList
	if err := r.api.List(t.Context(), &pods, client.InNamespace(home)); err != nil {
		t.Fatal(err)
	}
	nodes := map[string]bool{}
	for _, p := range pods.Items {
		nodes[p.Spec.NodeName] = true
		if p.Spec.ServiceAccountName != "swell-metrics" {
			t.Errorf("pod %s runs as %s", p.Name, p.Spec.ServiceAccountName)
		}
	}
	if len(nodes) != 2 {
		t.Errorf("the pods are on %v, want two nodes", nodes)
	}
}
