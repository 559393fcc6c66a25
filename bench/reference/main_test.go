package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const smallKind = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
spec:
  scope: Cluster
  names: {kind: Thing, plural: things, shortNames: [th]}
  versions:
  - name: v1
    schema:
      openAPIV3Schema:
        description: Thing is one.
        properties:
          spec:
            required: [max]
            properties:
              max: {type: integer, minimum: 1}
              min: {type: integer, description: "Min and Max bound\n it."}
              after: {type: string, default: 10m, description: After a | time}
              many: {type: array, maxItems: 3, items: {type: object, properties: {share: {type: string, pattern: '^[0-9]+(\.[0-9]+)?%$', description: A share.}}, description: Many are several.}}
              SILENT
`

func TestThePageHasEachFieldWithWhatItIsHeldTo(t *testing.T) {
	dir := t.TempDir()
	put := func(text string) {
		if err := os.WriteFile(filepath.Join(dir, "thing.yaml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put(strings.ReplaceAll(smallKind, "SILENT", ""))
	page, err := kindsPage(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Thing is one. It is of the cluster: `kubectl get things`, `th`.",
		"| `spec.max` | whole number | **needed** | Min and Max bound it. Held to: at least 1. |",
		"| `spec.after` | duration: 30s, 10m | `\"10m\"` | After a \\| time. |",
		"| `spec.many` | list: fields |  | Many are several. Held to: at most 3 of them. |",
		"| `spec.many[].share` | percentage, as text: 70% |  | A share. |",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	put(strings.ReplaceAll(smallKind, "SILENT", "quiet: {type: string}"))
	if _, err := kindsPage(dir); err == nil || !strings.Contains(err.Error(), "spec.quiet of Thing says nothing of its meaning") {
		t.Errorf("a field without a comment: %v", err)
	}
}

func TestAConfigurationsFieldsAreReadOfTheirComments(t *testing.T) {
	dir := t.TempDir()
	source := `package config

// Scaler is one.
type Scaler struct {
	// URL of it.
	URL string ` + "`json:\"url\"`" + `
	// A and B are two.
	A int ` + "`json:\"a,omitempty\"`" + `
	B int ` + "`json:\"b,omitempty\"`" + `
	Parts []Part ` + "`json:\"parts,omitempty\"`" + `
}

// Part of it.
type Part struct {
	// Wait for it.
	Wait metav1.Duration ` + "`json:\"wait,omitempty\"`" + `
}

type Metrics struct{ Quiet bool ` + "`json:\"quiet\"`" + ` }
`
	if err := os.WriteFile(filepath.Join(dir, "x.go"), []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	page, err := configurationPage(dir)
	if err == nil || !strings.Contains(err.Error(), "quiet of swell-metrics's configuration says nothing") || strings.Count(err.Error(), "says nothing") != 1 {
		t.Errorf("a field without a comment: %v", err)
	}
	for _, want := range []string{"| `url` | text, **needed** | URL of it. |", "| `b` | whole number | A and B are two. |", "| `parts` | list: fields | Part of it. |", "| `parts[].wait` | duration: 30s | Wait for it. |"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
}
