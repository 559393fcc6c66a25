// Package chart tests the Helm chart with helm itself and the testbed's API server.
package chart

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kyaml "k8s.io/apimachinery/pkg/util/yaml"

	"swell/bench/testbed/controlplane"
)

const home = "swell-system"

// valuesFiles are those of charts/swell/ci.
var valuesFiles = []string{"observe", "enforce", "split-metrics", "split-scaler"}

// minors are the versions of Kubernetes that the chart is for.
var minors = []string{"1.34", "1.35", "1.36"}

// root is the module's folder.
func root(t *testing.T) string {
	t.Helper()
	dir, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func chartDir(t *testing.T) string { return filepath.Join(root(t), "charts", "swell") }

func valuesFile(t *testing.T, name string) string {
	return filepath.Join(chartDir(t), "ci", name+".yaml")
}

// helmBinary is bin/helm; without it the test is skipped, or fails where SWELL_REQUIRE has helm.
func helmBinary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(root(t), "bin", "helm")
	if _, err := os.Stat(path); err != nil {
		if slices.Contains(strings.Split(os.Getenv("SWELL_REQUIRE"), ","), "helm") {
			t.Fatalf("finding helm: %v; run \"make bin/helm\"", err)
		}
		t.Skip("skipped: there is no bin/helm; make bin/helm builds it")
	}
	return path
}

// helm runs it with folders of its own and gives what it printed; a failure has that in its text.
func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	dir := t.TempDir()
	command := exec.CommandContext(ctx, helmBinary(t), args...)
	command.Env = append(os.Environ(), "HELM_CACHE_HOME="+dir, "HELM_CONFIG_HOME="+dir, "HELM_DATA_HOME="+dir)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return stdout.String(), errors.New("helm " + strings.Join(args, " ") + ": " + err.Error() + "\n" + stderr.String() + stdout.String())
	}
	return stdout.String(), nil
}

func mustHelm(t *testing.T, args ...string) string {
	t.Helper()
	out, err := helm(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// render is what helm template makes of a values file and a version of Kubernetes.
func render(t *testing.T, values, minor string, more ...string) []*unstructured.Unstructured {
	t.Helper()
	args := append([]string{"template", "swell", chartDir(t), "--namespace", home, "--values", valuesFile(t, values), "--kube-version", minor}, more...)
	return decode(t, mustHelm(t, args...))
}

func decode(t *testing.T, text string) []*unstructured.Unstructured {
	t.Helper()
	var all []*unstructured.Unstructured
	for d := kyaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096); ; {
		u := &unstructured.Unstructured{}
		if err := d.Decode(&u.Object); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("the chart's output: %v", err)
		}
		if len(u.Object) > 0 {
			all = append(all, u)
		}
	}
}

// find is the object of a kind and name, or nil.
func find(all []*unstructured.Unstructured, kind, name string) *unstructured.Unstructured {
	for _, u := range all {
		if u.GetKind() == kind && u.GetName() == name {
			return u
		}
	}
	return nil
}

// data is a field of a ConfigMap.
func data(t *testing.T, all []*unstructured.Unstructured, name, key string) string {
	t.Helper()
	u := find(all, "ConfigMap", name)
	if u == nil {
		t.Fatalf("there is no ConfigMap %s", name)
	}
	text, _, err := unstructured.NestedString(u.Object, "data", key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
