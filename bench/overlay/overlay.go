// Package overlay builds the product with patches in its sources, without a copy of the tree: go's -overlay replaces
// single files.
package overlay

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Write applies a unified diff to the sources under root and writes the patched files, with the overlay that names them,
// into dir. It returns the overlay's path, for go build -overlay and go test -overlay. The sources stay as they are. Context
// must match word for word and in one place alone, though that may be some lines away from where the patch says.
func Write(root, patch, dir string) (string, error) {
	raw, err := os.ReadFile(patch)
	if err != nil {
		return "", fmt.Errorf("reading the patch: %w", err)
	}
	files, err := parse(string(raw))
	if err != nil {
		return "", fmt.Errorf("reading the patch %s: %w", patch, err)
	}
	if root, err = filepath.Abs(root); err != nil {
		return "", fmt.Errorf("finding the sources: %w", err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", fmt.Errorf("finding the folder for the overlay: %w", err)
	}
	replace := map[string]string{}
	for i, f := range files {
		path := filepath.Join(root, filepath.FromSlash(f.path))
		source, err := os.ReadFile(path)
		if err != nil {
			return "", stale(patch, err)
		}
		patched, err := f.apply(string(source))
		if err != nil {
			return "", stale(patch, err)
		}
		out := filepath.Join(dir, fmt.Sprintf("%d-%s", i, filepath.Base(path)))
		if err := os.WriteFile(out, []byte(patched), 0o600); err != nil {
			return "", fmt.Errorf("writing a patched file: %w", err)
		}
		replace[path] = out
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", fmt.Errorf("writing the overlay: %w", err)
	}
	name := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(name, list, 0o600); err != nil {
		return "", fmt.Errorf("writing the overlay: %w", err)
	}
	return name, nil
}

func stale(patch string, err error) error {
	return fmt.Errorf("the patch %s no longer applies: %w; make the same mistake in the sources as they are now, and write the patch anew with git diff", patch, err)
}

// file is a patch's part for one file.
type file struct {
	path  string
	hunks []hunk
}

// hunk is what stands and what is to stand in its place.
type hunk struct{ old, new []string }

func parse(text string) ([]file, error) {
	var files []file
	for n, line := range strings.Split(text, "\n") {
		inHunk := len(files) > 0 && len(files[len(files)-1].hunks) > 0
		switch {
		case strings.HasPrefix(line, "--- "):
		case strings.HasPrefix(line, "+++ "):
			path, _, _ := strings.Cut(strings.TrimPrefix(line, "+++ "), "\t")
			files = append(files, file{path: strings.TrimPrefix(path, "b/")})
		case strings.HasPrefix(line, "@@ "):
			if !strings.HasPrefix(line, "@@ -") || len(files) == 0 {
				return nil, fmt.Errorf("line %d: %q is no hunk of a unified diff", n+1, line)
			}
			f := &files[len(files)-1]
			f.hunks = append(f.hunks, hunk{})
		case strings.HasPrefix(line, "diff "), strings.HasPrefix(line, "index "), !inHunk, line == "":
		default:
			f := &files[len(files)-1]
			if err := f.hunks[len(f.hunks)-1].add(line); err != nil {
				return nil, fmt.Errorf("line %d: %w", n+1, err)
			}
		}
	}
	if len(files) == 0 || slices.ContainsFunc(files, func(f file) bool { return len(f.hunks) == 0 }) {
		return nil, fmt.Errorf("it changes nothing: write it with git diff")
	}
	return files, nil
}

func (h *hunk) add(line string) error {
	switch text := line[1:]; line[0] {
	case ' ':
		h.old, h.new = append(h.old, text), append(h.new, text)
	case '-':
		h.old = append(h.old, text)
	case '+':
		h.new = append(h.new, text)
	case '\\':
	default:
		return fmt.Errorf("%q begins with neither a space, + nor -", line)
	}
	return nil
}

// apply returns the source with all hunks in it.
func (f file) apply(source string) (string, error) {
	lines := strings.Split(source, "\n")
	from := 0
	for n, h := range f.hunks {
		places := h.places(lines)
		if len(places) > 1 {
			return "", fmt.Errorf("%s: hunk %d finds %d places, at lines %s: more lines of context are needed", f.path, n+1, len(places), strings.Trim(fmt.Sprint(places), "[]"))
		}
		if len(places) == 0 || places[0] <= from {
			return "", fmt.Errorf("%s: hunk %d finds no place", f.path, n+1)
		}
		at := places[0] - 1
		lines = slices.Replace(lines, at, at+len(h.old), h.new...)
		from = at + len(h.new)
	}
	return strings.Join(lines, "\n"), nil
}

// places are the lines, counted from 1, where the hunk's old lines stand.
func (h hunk) places(lines []string) []int {
	var out []int
	for at := range len(lines) - len(h.old) + 1 {
		if slices.Equal(lines[at:at+len(h.old)], h.old) {
			out = append(out, at+1)
		}
	}
	return out
}
