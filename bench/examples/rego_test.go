package examples

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// regoFiles writes the Rego of each ConstraintTemplate to a folder, as a file of its own, and gives the folder.
func regoFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, o := range objects(t, filepath.Join(home, "gatekeeper", "templates.yaml")) {
		targets, _, _ := unstructured.NestedSlice(o.Object, "spec", "targets")
		kind, _, _ := unstructured.NestedString(o.Object, "spec", "crd", "spec", "names", "kind")
		rego, _ := targets[0].(map[string]any)["rego"].(string)
		if strings.ToLower(kind) != o.GetName() || !strings.HasPrefix(rego, "package "+o.GetName()+"\n") {
			t.Fatalf("template %s makes the kind %s by %.30q", o.GetName(), kind, rego)
		}
		if err := os.WriteFile(filepath.Join(dir, o.GetName()+".rego"), []byte(rego), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// opa runs it with what Gatekeeper reads, Rego of version 0, and an input.
func opa(t *testing.T, input any, args ...string) ([]byte, error) {
	t.Helper()
	raw, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), tool(t, "opa"), append(args, "--v0-compatible")...)
	var stdout, stderr bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = bytes.NewReader(raw), &stdout, &stderr
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("opa %s: %w\n%s%s", strings.Join(args, " "), err, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.Bytes(), nil
}

// TestTheRegosOwnTests runs the tests that stand beside the templates.
func TestTheRegosOwnTests(t *testing.T) {
	out, err := opa(t, nil, "test", "--format", "json", regoFiles(t), filepath.Join(home, "gatekeeper", "rules_test.rego"))
	if err != nil {
		t.Fatal(err)
	}
	var results []struct{ Name string }
	if err := json.Unmarshal(out, &results); err != nil || len(results) < 6 {
		t.Errorf("%d tests were run: %v\n%s", len(results), err, out)
	}
}

// constraint is what of one is used.
type constraint struct {
	Kind string
	Spec struct {
		Match      struct{ Kinds []struct{ Kinds []string } }
		Parameters map[string]any
	}
}

// TestTheRegoAllowsAndRefuses asks OPA the cases that an API server answers by the ValidatingAdmissionPolicies: each says the same to them.
func TestTheRegoAllowsAndRefuses(t *testing.T) {
	dir := regoFiles(t)
	var constraints []constraint
	for _, o := range objects(t, filepath.Join(home, "gatekeeper", "constraints.yaml")) {
		raw, err := json.Marshal(o.Object)
		if err != nil {
			t.Fatal(err)
		}
		var c constraint
		if err := json.Unmarshal(raw, &c); err != nil {
			t.Fatal(err)
		}
		constraints = append(constraints, c)
	}
	inventory := map[string]any{}
	for name, labels := range teams {
		inventory[name] = map[string]any{"metadata": map[string]any{"labels": labels}}
	}
	raw, err := json.Marshal(map[string]any{"inventory": map[string]any{"cluster": map[string]any{"v1": map[string]any{"Namespace": inventory}}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data.json"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range policyCases {
		o := map[string]any{}
		if err := yaml.Unmarshal([]byte(p.text(t)), &o); err != nil {
			t.Fatal(err)
		}
		said := strings.Join(violations(t, dir, constraints, o), "\n")
		if p.want == "" && said != "" || p.want != "" && !strings.Contains(said, p.want) {
			t.Errorf("%s: %q; want %q", p.name, said, p.want)
		}
	}
}

// violations are what the constraints for an object's kind say of it.
func violations(t *testing.T, dir string, constraints []constraint, o map[string]any) []string {
	t.Helper()
	var said []string
	for _, c := range constraints {
		if !slices.Contains(c.Spec.Match.Kinds[0].Kinds, fmt.Sprint(o["kind"])) {
			continue
		}
		input := map[string]any{"review": map[string]any{"object": o}, "parameters": c.Spec.Parameters}
		out, err := opa(t, input, "eval", "--format", "json", "--stdin-input", "--fail", "--data", dir, "data."+strings.ToLower(c.Kind)+".violation")
		if err != nil {
			t.Fatal(err)
		}
		var answer struct {
			Result []struct {
				Expressions []struct{ Value []struct{ Msg string } }
			}
		}
		if err := json.Unmarshal(out, &answer); err != nil {
			t.Fatal(err)
		}
		for _, v := range answer.Result[0].Expressions[0].Value {
			said = append(said, v.Msg)
		}
	}
	return said
}
