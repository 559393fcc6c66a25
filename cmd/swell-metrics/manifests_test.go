package main

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"os"
	"slices"
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

// manifests are what the chart makes for swell-metrics alone.
const manifests = "../../charts/rendered/swell-metrics.yaml"

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
	all := objects(t, manifests, nil)
	flags := server.New(slog.New(slog.DiscardHandler)).Flags()
	if err := flags.Parse(args(t, all)); err != nil || flags.NArg() > 0 {
		t.Errorf("%v %v", err, flags.Args())
	}
	d := into[appsv1.Deployment](t, all, "Deployment", "swell-metrics").Spec.Template.Spec
	port := flags.Lookup("secure-port").Value.String()
	mounted := map[string]bool{}
	for _, m := range d.Containers[0].VolumeMounts {
		mounted[m.MountPath] = true
	}
	if path := flags.Lookup("config").Value.String(); !mounted[path[:strings.LastIndexByte(path, '/')]] {
		t.Errorf("--config=%s is in no volume", path)
	}
	ports := map[string]string{}
	for _, p := range d.Containers[0].Ports {
		ports[p.Name] = p.String()
	}
	if !strings.Contains(ports["https"], "ContainerPort:"+port+",") {
		t.Errorf("--secure-port is %s, the port https %s", port, ports["https"])
	}
}

// The certificate that swell-metrics is to make is for the name that every APIService dials, and each of them is told its authority.
func TestTheCertificateIsForTheService(t *testing.T) {
	all := objects(t, manifests, nil)
	flags := server.New(slog.New(slog.DiscardHandler)).Flags()
	if err := flags.Parse(args(t, all)); err != nil {
		t.Fatal(err)
	}
	told, err := flags.GetStringArray("certificate-apiservice")
	if err != nil {
		t.Fatal(err)
	}
	var services []string
	for _, u := range all {
		if u.GetKind() != "APIService" {
			continue
		}
		services = append(services, u.GetName())
		a := into[apiregistration.APIService](t, all, "APIService", u.GetName())
		if name, dialed := flags.Lookup("certificate-name").Value.String(), a.Spec.Service.Name+"."+a.Spec.Service.Namespace+".svc"; name != dialed {
			t.Errorf("%s dials %s, the certificate is for %s", a.Name, dialed, name)
		}
		if a.Spec.InsecureSkipTLSVerify || a.Name != a.Spec.Version+"."+a.Spec.Group {
			t.Errorf("%s is of %s/%s and checks nothing: %t", a.Name, a.Spec.Group, a.Spec.Version, a.Spec.InsecureSkipTLSVerify)
		}
	}
	slices.Sort(services)
	slices.Sort(told)
	if len(services) != 3 || !slices.Equal(services, told) {
		t.Errorf("the APIServices are %v, told are %v", services, told)
	}
	into[corev1.Secret](t, all, "Secret", strings.TrimPrefix(flags.Lookup("certificate-secret").Value.String(), home+"/"))
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

// install applies the manifests, in another namespace too, and awaits the pods.
func (r *rig) install(t *testing.T) {
	t.Helper()
	elsewhere := func(text string) string { return strings.ReplaceAll(text, home, "elsewhere") }
	r.apply(t, manifests, elsewhere)
	var list corev1.ConfigMapList
	if err := r.api.List(t.Context(), &list, client.InNamespace(home)); err != nil || len(list.Items) > 0 {
		t.Errorf("with another namespace there is something in %s: %v, %v", home, list.Items, err)
	}
	if err := r.api.Delete(t.Context(), &corev1.Namespace{ObjectMeta: named("", "elsewhere")}); err != nil {
		t.Fatal(err)
	}
	r.apply(t, manifests, nil)
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
