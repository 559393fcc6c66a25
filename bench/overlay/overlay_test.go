package overlay

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const source = "package x\n\nfunc a() int {\n\treturn 1\n}\n\nfunc b() int {\n\treturn 1\n}\n"

const patch = `diff --git a/x.go b/x.go
index 1..2 100644
--- a/x.go
+++ b/x.go
@@ -5,3 +5,3 @@ func b() int {
 func b() int {
-	return 1
+	return 2
 }
`

func write(t *testing.T, source, patch string) (root, name, dir string) {
	t.Helper()
	root, dir = t.TempDir(), t.TempDir()
	name = filepath.Join(root, "two.patch")
	for path, text := range map[string]string{filepath.Join(root, "x.go"): source, name: patch} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root, name, dir
}

func TestThePatchedFileTakesThePlaceOfTheSource(t *testing.T) {
	root, name, dir := write(t, source, patch)
	path, err := Write(root, name, dir)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var overlay struct{ Replace map[string]string }
	if err := json.Unmarshal(raw, &overlay); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(overlay.Replace[filepath.Join(root, "x.go")])
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(source, "func b() int {\n\treturn 1", "func b() int {\n\treturn 2", 1)
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if kept, err := os.ReadFile(filepath.Join(root, "x.go")); err != nil || string(kept) != source {
		t.Errorf("the source was changed: %s, %v", kept, err)
	}
}

func TestAPatchThatNoLongerAppliesIsNamed(t *testing.T) {
	root, name, dir := write(t, strings.ReplaceAll(source, "return 1", "return 3"), patch)
	_, err := Write(root, name, dir)
	if err == nil || !strings.Contains(err.Error(), "two.patch no longer applies") || !strings.Contains(err.Error(), "git diff") {
		t.Errorf("%v: want the patch's name and the mend", err)
	}
}

// The places of a hunk that fits twice are named, and none is chosen, not even that which the patch says.
func TestAPatchThatFitsInTwoPlacesIsRefused(t *testing.T) {
	root, name, dir := write(t, source, "--- a/x.go\n+++ b/x.go\n@@ -8,2 +8,2 @@\n-\treturn 1\n+\treturn 2\n }\n")
	_, err := Write(root, name, dir)
	if err == nil || !strings.Contains(err.Error(), "hunk 1 finds 2 places, at lines 4 8: more lines of context") {
		t.Errorf("%v: want both places named", err)
	}
}

// Of two hunks the second does not stand before the first.
func TestHunksStandInTheirOrder(t *testing.T) {
	root, name, dir := write(t, source, "--- a/x.go\n+++ b/x.go\n@@ -7,2 +7,2 @@\n-func b() int {\n+func c() int {\n \treturn 1\n@@ -3,2 +3,2 @@\n-func a() int {\n+func d() int {\n \treturn 1\n")
	if _, err := Write(root, name, dir); err == nil || !strings.Contains(err.Error(), "hunk 2 finds no place") {
		t.Errorf("%v: want it refused", err)
	}
}

func TestAPatchThatChangesNothingIsRefused(t *testing.T) {
	root, name, dir := write(t, source, "words\n")
	if _, err := Write(root, name, dir); err == nil || !strings.Contains(err.Error(), "changes nothing") {
		t.Errorf("%v: want it refused", err)
	}
}
