package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRowsAreTheFirstCellsUnderTheHeading(t *testing.T) {
	text := "# List\n| no | row |\n## Nodes\n| reported | what |\n|---|---|\n| ka#1 | a |\n| an id, another | b |\n\n## Queue\n| reported | what |\n|---|---|\n| keda#1 | c |\n"
	if got := strings.Join(rows(text, "Nodes"), ";"); got != "ka#1;an id, another" {
		t.Errorf("got %q", got)
	}
	if rows(text, "Elsewhere") != nil {
		t.Error("a heading that is not there has rows")
	}
}

func TestAListAndATableThatDifferAreNamed(t *testing.T) {
	list := filepath.Join(t.TempDir(), "pitfalls.md")
	if err := os.WriteFile(list, []byte("## Nodes\n| reported |\n|---|\n| one |\n| two |\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	has := table{Pitfalls: []pitfall{{ID: "one"}, {ID: "three", Missing: "a test"}}}
	err := has.covers(list)
	for _, want := range []string{"pitfall two", "pitfall three of", "pitfall three is not guarded: a test"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	if err := (table{Pitfalls: []pitfall{{ID: "one"}, {ID: "two"}}}).covers(list); err != nil {
		t.Errorf("got %v for equal lists", err)
	}
	if err := has.covers(list + ".absent"); err == nil || strings.Contains(err.Error(), "two") {
		t.Errorf("without the list got %v, want what is not guarded alone", err)
	}
}

const listed = `pitfalls:
- {id: one, what: a zero, guards: [{package: ./x, test: TestOne, patches: [PATCH]}]}
`

// module is a project with one guard, two tests of it, and a patch.
func module(t *testing.T, patch, test string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":                        "module m\n\ngo 1.26\n",
		"x/x.go":                        "package x\n\nfunc one(n int) int {\n\tif n == 0 {\n\t\treturn 1\n\t}\n\treturn n\n}\n",
		"x/x_test.go":                   "package x\n\nimport \"testing\"\n\nfunc TestOne(t *testing.T) {\n\tif " + test + " {\n\t\tt.Fatal(\"zero\")\n\t}\n}\n",
		"bench/mutants/pitfalls.yaml":   strings.Replace(listed, "PATCH", "p.patch", 1),
		"bench/mutants/patches/p.patch": "--- a/x/x.go\n+++ b/x/x.go\n@@ -2,5 +2,5 @@\n \n func one(n int) int {\n \tif n == 0 {\n-\t\treturn 1\n+\t\treturn " + patch + "\n \t}\n",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestOnlyTheNamedTestsFailureCounts(t *testing.T) {
	for name, c := range map[string]struct{ patch, test, want string }{
		"killed":          {"0", "one(0) == 0", ""},
		"survived":        {"0", "one(1) == 0", `ends with "pass": it must fail`},
		"does not build":  {"nothing", "one(0) == 0", "does not build with it"},
		"fails as it is":  {"0", "one(0) == 1", `ends with "fail" on the tree as it is`},
		"another's panic": {"0\n+}\n+func init() {\n+\tpanic(1)", "one(0) == 0", "go command says"},
	} {
		t.Run(name, func(t *testing.T) {
			root := module(t, c.patch, c.test)
			if name == "another's panic" {
				path := filepath.Join(root, dir, "patches", "p.patch")
				if err := os.WriteFile(path, []byte("--- a/x/x.go\n+++ b/x/x.go\n@@ -1,3 +1,5 @@\n package x\n \n+func init() { panic(1) }\n+\n func one(n int) int {\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			var out bytes.Buffer
			err := run(t.Context(), options{root: root, pitfalls: "absent", atOnce: 1}, &out)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if killed := strings.Contains(out.String(), "killed"); killed != (name == "killed") && name != "fails as it is" {
				t.Errorf("it says %q", out.String())
			}
		})
	}
}
