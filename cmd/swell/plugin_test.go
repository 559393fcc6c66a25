package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestKubectlsPlugInHasItsOwnName(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"hold", "--help"}} {
		var out bytes.Buffer
		if code := runAs("/usr/local/bin/kubectl-swell", args, &out, &out); code != 0 || !strings.Contains(out.String(), "  kubectl swell ") {
			t.Errorf("%d %s", code, out.String())
		}
	}
	var out bytes.Buffer
	if code := runAs("kubectl-swell", []string{"hold", "--nodse", "3"}, &out, &out); code != 2 || !strings.Contains(out.String(), "see kubectl swell hold --help") {
		t.Errorf("%d %s", code, out.String())
	}
}

func TestThePlugInIsInstalledAndAgain(t *testing.T) {
	dir, program := t.TempDir(), filepath.Join(t.TempDir(), "swell")
	for range 2 {
		out, err := installPlugin(program, dir, []string{"/bin", dir})
		if err != nil || !out.OnPath || len(out.Files) != 2 {
			t.Fatal(out, err)
		}
	}
	if to, err := os.Readlink(filepath.Join(dir, "kubectl-swell")); err != nil || to != program {
		t.Error(to, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "kubectl_complete-swell")); err != nil || info.Mode().Perm() != 0o755 {
		t.Error(info, err)
	}
	if out, err := installPlugin(program, filepath.Join(dir, "no"), nil); err == nil || out.OnPath {
		t.Error("a folder that is not there was taken")
	}
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "kubectl-swell"), []byte("of somebody"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := installPlugin(program, other, nil); err == nil || !strings.Contains(err.Error(), "remove it first") {
		t.Errorf("another's file was replaced: %v", err)
	}
}

func TestShellsCompleteNames(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lists := map[string]string{
			"/apis/capacity.swell/v1alpha1/capacitypools":  `{"items": [{"metadata": {"name": "general"}}, {"metadata": {"name": "gpu"}}]}`,
			"/apis/capacity.swell/v1alpha1/queueconsumers": `{"items": [{"metadata": {"namespace": "shop", "name": "orders"}}]}`,
		}
		if lists[r.URL.Path] == "" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(lists[r.URL.Path]))
	}))
	defer api.Close()
	config := write(t, "config", "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters: [{name: a, cluster: {server: \""+api.URL+"\"}}]\ncontexts: [{name: a, context: {cluster: a}}]\n")
	for want, args := range map[string][]string{
		"general\ngpu\n": {"hold", "--kubeconfig", config, ""},
		"shop/orders\n":  {"why", "--kubeconfig", config, ""},
		":4":             {"freeze", "--kubeconfig", config, "general", ""}, // no second name, and no files
	} {
		code, out, _ := swell(t, append([]string{"__complete"}, args...)...)
		if code != 0 || !strings.HasPrefix(out, want) {
			t.Errorf("%v: %d %q: want %q", args, code, out, want)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if code, out, stderr := swell(t, "completion", shell); code != 0 || len(out) < 1000 {
			t.Errorf("%s: %d %s", shell, code, stderr)
		}
	}
}

func TestTheVersionIsOneDocument(t *testing.T) {
	code, out, _ := swell(t, "version", "--json")
	var v struct{ Version, Go, Platform string }
	if err := json.Unmarshal([]byte(out), &v); err != nil || code != 0 || v.Version == "" || !strings.HasPrefix(v.Go, "go1.") || !strings.Contains(v.Platform, "/") {
		t.Error(code, err, out)
	}
	if code, out, _ := swell(t, "--version"); code != 0 || !strings.HasPrefix(out, "swell "+v.Version) {
		t.Error(code, out)
	}
}
