package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// table is pitfalls.yaml.
type table struct {
	Pitfalls []pitfall `yaml:"pitfalls"`
}

// pitfall is a failure that others reported, and what guards against it here.
type pitfall struct {
	// ID is the report, or its first words where it has none, as in the list of pitfalls.
	ID string `yaml:"id"`
	// What must not happen.
	What   string  `yaml:"what"`
	Guards []guard `yaml:"guards"`
	// Missing says what is still to be done where there is no guard; it is an error.
	Missing string `yaml:"missing,omitempty"`
}

// guard is a test, and patches each of which takes out what the test is for.
type guard struct {
	Package string   `yaml:"package"`
	Test    string   `yaml:"test"`
	Patches []string `yaml:"patches"`
}

// dir is where table and patches are, from the module's root.
const dir = "bench/mutants"

// readTable reads the table strictly.
func readTable(root string) (table, error) {
	var t table
	path := filepath.Join(root, dir, "pitfalls.yaml")
	raw, err := os.ReadFile(path)
	if err != nil {
		return t, fmt.Errorf("reading the pitfalls: %w; run this at the module's root", err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	decoder.KnownFields(true)
	if err := decoder.Decode(&t); err != nil {
		return t, fmt.Errorf("reading %s: %w; correct the named line", path, err)
	}
	return t, t.validate(root)
}

func (t table) validate(root string) error {
	var errs []error
	ids := map[string]bool{}
	used := map[string]bool{}
	for _, p := range t.Pitfalls {
		wrong := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("pitfall %q: %s", p.ID, fmt.Sprintf(format, args...)))
		}
		if p.ID == "" || p.What == "" || ids[p.ID] {
			wrong("give each its own id, and say what must not happen")
		}
		ids[p.ID] = true
		if len(p.Guards) == 0 && p.Missing == "" {
			wrong("name a test and a patch that takes its guard out")
		}
		for _, g := range p.Guards {
			if g.Package == "" || !strings.HasPrefix(g.Test, "Test") || len(g.Patches) == 0 {
				wrong("a guard needs package, test and patches; it has %+v", g)
			}
			for _, name := range g.Patches {
				used[name] = true
			}
		}
	}
	kept, err := filepath.Glob(filepath.Join(root, dir, "patches", "*.patch"))
	errs = append(errs, err)
	for _, path := range kept {
		if !used[filepath.Base(path)] {
			errs = append(errs, fmt.Errorf("no pitfall names %s: name it or remove it", path))
		}
	}
	return errors.Join(errs...)
}

// covers says which pitfalls have no guard, and which of the list's table Nodes are not in the table. Without the list the ids
// that the table has are all that is known.
func (t table) covers(list string) error {
	var errs []error
	ids := map[string]bool{}
	for _, p := range t.Pitfalls {
		ids[p.ID] = true
		if p.Missing != "" {
			errs = append(errs, fmt.Errorf("pitfall %s is not guarded: %s", p.ID, p.Missing))
		}
	}
	raw, err := os.ReadFile(list)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.Join(errs...)
	}
	if err != nil {
		return fmt.Errorf("reading the list of pitfalls: %w", err)
	}
	listed := rows(string(raw), "Nodes")
	if len(listed) == 0 {
		errs = append(errs, fmt.Errorf("%s has no table under a heading Nodes: give the list of pitfalls", list))
	}
	for _, id := range listed {
		if !ids[id] {
			errs = append(errs, fmt.Errorf("pitfall %s of %s is not in %s/pitfalls.yaml: add it with its test and patch", id, list, dir))
		}
		delete(ids, id)
	}
	for id := range ids {
		errs = append(errs, fmt.Errorf("pitfall %s of %s/pitfalls.yaml is not in %s: write its id as it is there", id, dir, list))
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

// rows are the first cells of the table under a heading of a Markdown text.
func rows(text, heading string) []string {
	var out []string
	inside, header := false, true
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "## "); ok {
			inside = name == heading
			continue
		}
		if !inside || !strings.HasPrefix(line, "|") {
			continue
		}
		cell, _, _ := strings.Cut(strings.TrimPrefix(line, "|"), "|")
		switch cell = strings.TrimSpace(cell); {
		case strings.Trim(cell, "-: ") == "":
			header = false
		case !header:
			out = append(out, cell)
		}
	}
	return out
}

// only leaves one pitfall; all of an empty id.
func (t table) only(id string) table {
	if id == "" {
		return t
	}
	return table{Pitfalls: slices.DeleteFunc(slices.Clone(t.Pitfalls), func(p pitfall) bool { return p.ID != id })}
}

// mutants are all pairs of a patch and the tests of one package that it must fail.
func (t table) mutants() []mutant {
	var out []mutant
	for _, p := range t.Pitfalls {
		for _, g := range p.Guards {
			for _, name := range g.Patches {
				at := slices.IndexFunc(out, func(m mutant) bool { return m.patch == name && m.pkg == g.Package })
				if at < 0 {
					at, out = len(out), append(out, mutant{patch: name, pkg: g.Package})
				}
				out[at].must = append(out[at].must, expected{p.ID, g.Test})
			}
		}
	}
	// those of a package after one another: what is built for the first serves the next
	slices.SortStableFunc(out, func(a, b mutant) int { return strings.Compare(a.pkg, b.pkg) })
	return out
}
