package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"swell/bench/testbed/controlplane"
)

// A grant is needed where it is the only one for a request; one of two that allow the same is not, nor one that nobody uses.
func TestOneOfTwoGrantsForTheSameIsNotNeeded(t *testing.T) {
	controlplane.BinaryForTest(t)
	grants := []grant{
		{account: "swell-scaler", verb: "list", resource: "nodes"},
		{account: "swell-scaler", verb: "get", resource: "configmaps", namespace: "swell-system"},
		{account: "swell-scaler", verb: "get", resource: "configmaps", namespace: "swell-system", name: "one"},
		{account: "swell-metrics", verb: "list", resource: "nodes"},
		{account: "swell-metrics", verb: "create", resource: "pods/eviction"},
	}
	requests := []request{
		{account: "swell-scaler", verb: "list", resource: "nodes", test: "TestNodes"},
		{account: "swell-scaler", verb: "get", resource: "configmaps", namespace: "swell-system", name: "one", test: "TestMaps"},
		{account: "swell-metrics", verb: "create", resource: "pods/eviction", namespace: "shop", name: "web", test: "TestEvicts"},
	}
	var out bytes.Buffer
	err := reportNeeded(t.Context(), &out, grants, requests, nil)
	if err == nil {
		t.Fatal("nothing can be taken out")
	}
	for want, there := range map[string]bool{
		"swell-scaler: get configmaps in swell-system can be taken out":     true,
		"swell-scaler: get configmaps one in swell-system can be taken out": true,
		"swell-metrics: list nodes can be taken out":                        true,
		"swell-scaler: list nodes can be taken out":                         false,
		"pods/eviction can be taken out":                                    false,
	} {
		if strings.Contains(err.Error(), want) != there {
			t.Errorf("%q: want %t in\n%v", want, there, err)
		}
	}
	for _, want := range []string{"without swell-scaler: list nodes: list nodes / is denied, of TestNodes", "is denied, of TestEvicts", "2 of them needed"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestUnusedDeniedAndStaleAreNamed(t *testing.T) {
	grants := []grant{
		{account: "swell-scaler", verb: "list", resource: "nodes"}, {account: "swell-scaler", verb: "watch", resource: "nodes"},
		{account: "swell-scaler", verb: "get", resource: "pods"},
	}
	requests := []request{
		{account: "swell-scaler", verb: "list", resource: "nodes", test: "TestNodes"},
		{account: "swell-scaler", verb: "delete", resource: "secrets", namespace: "shop", name: "a", denied: true, test: "TestSecrets"},
	}
	unused := map[string]string{"swell-scaler: get pods": "a reason", "swell-scaler: list nodes": "a wrong one", "swell-scaler: get jobs": "none"}
	var out bytes.Buffer
	err := reportUsed(&out, grants, requests, unused)
	if err == nil {
		t.Fatal(out.String())
	}
	for _, want := range []string{"no request used swell-scaler: watch nodes", "delete secrets shop/a was denied to swell-scaler in TestSecrets",
		"swell-scaler: list nodes is used by TestNodes", `"swell-scaler: get jobs", which the chart does not grant`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "get pods") {
		t.Errorf("what is listed with a reason is complained of: %v", err)
	}
}

// A server-side apply that makes its object needs create too; the audit log does not say so.
func TestRequestsAreReadFromTheAuditLog(t *testing.T) {
	dir := t.TempDir()
	text := `{"kind":"Event","verb":"patch","user":{"username":"system:serviceaccount:swell-system:swell-scaler"},"objectRef":{"resource":"podtemplates","namespace":"shop","name":"web"},"responseStatus":{"code":201},"annotations":{"authorization.k8s.io/decision":"allow"}}
{"kind":"Event","verb":"create","user":{"username":"system:serviceaccount:swell-system:swell-metrics"},"objectRef":{"resource":"pods","subresource":"eviction","apiGroup":"policy","namespace":"shop","name":"web"},"responseStatus":{"code":403},"annotations":{"authorization.k8s.io/decision":"forbid"}}
{"kind":"Event","verb":"get","user":{"username":"admin"},"objectRef":{"resource":"pods"}}
`
	if err := os.WriteFile(filepath.Join(dir, "TestIt.1.jsonl"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readRequests(dir)
	if err != nil || len(got) != 3 {
		t.Fatalf("%v, %v", got, err)
	}
	if got[0].account != "swell-metrics" || !got[0].denied || got[0].resource != "pods/eviction" || got[1].verb != "create" || got[2].verb != "patch" || got[2].test != "TestIt" {
		t.Errorf("%+v", got)
	}
	if _, err := readRequests(t.TempDir()); err == nil || !strings.Contains(err.Error(), "make rights") {
		t.Errorf("an empty folder: %v", err)
	}
}

func TestTheChartsRulesAreRead(t *testing.T) {
	all, err := readGrants("../../charts/rendered")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, g := range all {
		names[g.String()] = true
	}
	for _, want := range []string{"swell-scaler: create pods/eviction", "swell-scaler: get configmaps cluster-autoscaler-status in kube-system",
		"swell-metrics: get configmaps extension-apiserver-authentication in kube-system", "swell-metrics: update secrets swell-metrics-tls in swell-system"} {
		if !names[want] {
			t.Errorf("there is no %q", want)
		}
	}
	if len(all) < 90 || len(names) != len(all) {
		t.Errorf("%d grants of %d names", len(all), len(names))
	}
	if _, err := readExempt("unused.yaml"); err != nil {
		t.Error(err)
	}
	if code := run(t.Context(), []string{"taken"}, &bytes.Buffer{}, &bytes.Buffer{}); code != 2 {
		t.Errorf("an unknown command: exit %d", code)
	}
}
