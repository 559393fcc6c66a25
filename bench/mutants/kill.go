package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"swell/bench/overlay"
)

// mutant is a patch with the tests of a package that must fail under it.
type mutant struct {
	patch, pkg string
	must       []expected
}

type expected struct{ pitfall, test string }

func (m mutant) tests() string {
	var names []string
	for _, e := range m.must {
		names = append(names, e.test)
	}
	return strings.Join(slices.Compact(slices.Sorted(slices.Values(names))), " ")
}

// kill is nil when every test that is named for the mutant fails under it.
func (m mutant) kill(ctx context.Context, root string) (err error) {
	temp, err := os.MkdirTemp("", "swell-mutant-")
	if err != nil {
		return fmt.Errorf("making a folder for %s: %w; point TMPDIR to a writable one", m.patch, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	path, err := overlay.Write(root, filepath.Join(root, dir, "patches", m.patch), temp)
	if err != nil {
		return fmt.Errorf("pitfall %s: %w", m.must[0].pitfall, err)
	}
	outcome, err := test(ctx, root, m.pkg, strings.Fields(m.tests()), "-overlay", path, "-count=1")
	if err != nil {
		return fmt.Errorf("%s: %w", m.patch, err)
	}
	if outcome.broken != "" {
		return fmt.Errorf("%s: %s does not build with it, which proves nothing: mend the patch\n%s", m.patch, m.pkg, outcome.broken)
	}
	var errs []error
	for _, e := range m.must {
		if got := outcome.tests[e.test]; got != "fail" {
			errs = append(errs, fmt.Errorf("%s: pitfall %s: without its guard %s of %s ends with %q: it must fail; sharpen the test", m.patch, e.pitfall, e.test, m.pkg, orNone(got)))
		}
	}
	return errors.Join(errs...)
}

func orNone(result string) string {
	if result == "" {
		return "not run"
	}
	return result
}

// unharmed says which of the tests do not pass on the tree as it is. A test that was skipped proves nothing either.
func (t table) unharmed(ctx context.Context, root string) error {
	named := map[string][]string{}
	for _, p := range t.Pitfalls {
		for _, g := range p.Guards {
			named[g.Package] = append(named[g.Package], g.Test)
		}
	}
	var errs []error
	for _, pkg := range slices.Sorted(maps.Keys(named)) {
		outcome, err := test(ctx, root, pkg, named[pkg])
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if outcome.broken != "" {
			errs = append(errs, fmt.Errorf("%s does not build:\n%s", pkg, outcome.broken))
			continue
		}
		for _, name := range slices.Compact(slices.Sorted(slices.Values(named[pkg]))) {
			if got := outcome.tests[name]; got != "pass" {
				errs = append(errs, fmt.Errorf("%s of %s ends with %q on the tree as it is: it must pass", name, pkg, orNone(got)))
			}
		}
	}
	return errors.Join(errs...)
}

// outcome of a run of tests: pass, fail or skip by test, or why the package did not build.
type outcome struct {
	tests  map[string]string
	broken string
}

// test runs tests of one package.
func test(ctx context.Context, root, pkg string, names []string, more ...string) (outcome, error) {
	args := append([]string{"test", "-json", "-timeout", "2m", "-run", "^(" + strings.Join(names, "|") + ")$"}, more...)
	command := exec.CommandContext(ctx, "go", append(args, pkg)...)
	command.Dir = root
	raw, err := command.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return outcome{}, fmt.Errorf("testing %s: %w; is go on the path?", pkg, err)
	}
	if ctx.Err() != nil {
		return outcome{}, fmt.Errorf("testing %s: %w", pkg, context.Cause(ctx))
	}
	out, parsed := read(raw)
	if !parsed || err != nil && len(out.tests) == 0 && out.broken == "" {
		stderr := ""
		if exit != nil {
			stderr = string(exit.Stderr)
		}
		return out, fmt.Errorf("testing %s: no test ended; the go command says:\n%s%s", pkg, stderr, raw[max(0, len(raw)-2000):])
	}
	return out, nil
}

// read takes go test's events.
func read(raw []byte) (outcome, bool) {
	out := outcome{tests: map[string]string{}}
	var build strings.Builder
	failed := false
	lines := bufio.NewScanner(bytes.NewReader(raw))
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e struct{ Action, Test, Output, FailedBuild string }
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			return out, false
		}
		switch {
		case e.Action == "build-output":
			build.WriteString(e.Output)
		case e.Action == "build-fail" || e.FailedBuild != "":
			failed = true
		case e.Test != "" && (e.Action == "pass" || e.Action == "fail" || e.Action == "skip"):
			out.tests[e.Test] = e.Action
		}
	}
	if failed {
		out.broken = build.String() + " "
	}
	return out, lines.Err() == nil
}
