package chart

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write the table of values into docs/install.md")

// valueSchema is what is used of a JSON schema.
type valueSchema struct {
	Description string
	Type        string
	Properties  map[string]*valueSchema
	Enum        []string
	Additional  any `json:"additionalProperties"`
}

// The schema describes every value, values.yaml has it, in the same order as the page's table, which is made of both.
func TestTheValuesAreOnThePage(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(chartDir(t), "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all valueSchema
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	if text, err = os.ReadFile(filepath.Join(chartDir(t), "values.yaml")); err != nil {
		t.Fatal(err)
	}
	var values yaml.Node
	if err := yaml.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	delete(all.Properties, "global")
	table := "| value | default | is |\n|---|---|---|\n" + strings.Join(rows(t, "", &all, values.Content[0]), "")
	path := filepath.Join(root(t), "docs", "install.md")
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "| value | default | is |\n", "\n\n"
	before, rest, found := strings.Cut(string(page), begin)
	old, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no table that begins with %q", path, begin)
	}
	if begin+old+"\n" == table {
		return
	}
	if !*update {
		t.Errorf("the table of %s is not that of the schema: run go test ./bench/chart -run %s -update", path, t.Name())
		return
	}
	if err := os.WriteFile(path, []byte(before+table+"\n"+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// rows are a line for each value below a path.
func rows(t *testing.T, path string, s *valueSchema, values *yaml.Node) []string {
	t.Helper()
	var out []string
	seen := map[string]bool{}
	if s.Additional != false {
		t.Errorf("%q takes fields that the schema does not name", path)
	}
	for i := 0; i+1 < len(values.Content); i += 2 {
		name, value := values.Content[i].Value, values.Content[i+1]
		at := strings.TrimPrefix(path+"."+name, ".")
		p := s.Properties[name]
		seen[name] = true
		switch {
		case p == nil:
			t.Errorf("values.yaml has %s, which is not in the schema", at)
		case p.Description == "":
			t.Errorf("%s has no description in the schema", at)
		case len(p.Properties) > 0 && name != "resources":
			out = append(out, rows(t, at, p, value)...)
		default:
			out = append(out, fmt.Sprintf("| `%s` | %s | %s |\n", at, printed(t, value), described(p)))
		}
	}
	for name := range s.Properties {
		if !seen[name] {
			t.Errorf("the schema has %s, which is not in values.yaml", strings.TrimPrefix(path+"."+name, "."))
		}
	}
	return out
}

func described(p *valueSchema) string {
	text := p.Description
	if len(p.Enum) > 0 {
		text = strings.TrimSuffix(text, ".") + ": " + strings.Join(p.Enum, ", ") + "."
	}
	return text
}

// printed is a default in the words of JSON; empty is nothing.
func printed(t *testing.T, value *yaml.Node) string {
	t.Helper()
	var v any
	if err := value.Decode(&v); err != nil {
		t.Fatal(err)
	}
	if v == "" {
		return ""
	}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return "`" + strings.Trim(string(text), `"`) + "`"
}
