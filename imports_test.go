// Package swell_test holds the rules of the source tree.
package swell_test

import (
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "swell"

// layer is a set of packages and what they may import of each other, with the reason.
type layer struct {
	name     string
	packages []string // path prefixes below the module
	imports  []string // names of the layers, its own excepted, and single packages that it may import
	reason   string
}

// Imports go one way: cmd → loops and I/O → PURE → DATA. The order matters: the first match names a package's layer.
var layers = []layer{
	{"CLI and programs", []string{"cmd"}, []string{"I/O", "PURE", "DATA", "chart"},
		"a program only wires; nothing may depend on one"},
	{"bench", []string{"bench", "."}, []string{"CLI and programs", "I/O", "PURE", "DATA", "chart"},
		"the testbed and the benchmarks drive the product from outside; the product must not know them"},
	{"delivery", []string{"build"}, nil,
		"what packs the programs reads them as files"},
	{"PURE", []string{"scaler/report", "scaler/explain", "scaler/policydiff"}, []string{"DATA", "scaler/ledger"},
		"a report or a story follows from a ledger's entries alone, so that whoever has them can make it again; of the ledger it takes the entries' form"},
	{"chart", []string{"charts"}, nil,
		"the chart is files"},
	{"PURE", []string{"metrics/lag", "scaler/forecast", "scaler/schedule", "scaler/pack", "scaler/plan", "scaler/replay", "scaler/shadow", "scaler/learned", "scaler/notify", "scaler/guardrail", "nodegroups/learn"}, []string{"DATA"},
		"a decision that reads the clock, the network or a random source cannot be replayed, explained or tested by its input"},
	{"I/O", []string{"metrics", "scaler/observe", "scaler/history", "scaler/act", "scaler/ledger", "scaler/record", "scaler/byhand", "scaler/guard", "scaler/handover", "scaler/notices", "scaler/uninstall", "scaler/ui", "scaler/webhook", "nodegroups/aws", "balloon/apply"}, []string{"PURE", "DATA"},
		"the edges call the decisions, never the other way round"},
	{"PURE", []string{"balloon"}, []string{"DATA"},
		"balloon sizes are arithmetic on a forecast"},
	{"DATA", []string{"api", "nodegroups", "scaler/series"}, nil,
		"plain data is what all others share; an import from here would make a cycle of meanings"},
	{"I/O", []string{"scaler"}, []string{"PURE", "DATA"},
		"the loop ties observe, plan and act together"},
}

// forbidden are imports that a PURE or DATA package must not have.
var forbidden = map[string]string{
	"net": "network", "net/http": "network", "os": "files and environment", "log": "logging", "log/slog": "logging",
	"math/rand": "randomness is an argument", "math/rand/v2": "randomness is an argument", "crypto/rand": "randomness is an argument",
	"k8s.io/client-go": "a Kubernetes client", "sigs.k8s.io/controller-runtime": "a Kubernetes client",
	"github.com/aws": "an AWS client", "github.com/twmb": "a Kafka client",
	"k8s.io/klog": "logging", "github.com/go-logr": "logging",
}

// clockReads are what a PURE package must be given instead.
var clockReads = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}

// exceptions from forbidden, each with its reason.
var exceptions = map[string]string{
	"scaler/series": "a series is read from the file that a user names",
	"scaler/pack":   "it wraps the scheduler's own plugins, which import more than they use",
	"api/config":    "configuration files are read here, and Clock is what reads the machine's clock for all others",
}

func layerOf(pkg string) *layer {
	for i, l := range layers {
		for _, p := range l.packages {
			if pkg == p || p != "." && strings.HasPrefix(pkg, p+"/") {
				return &layers[i]
			}
		}
	}
	return nil
}

type source struct {
	pkg, path string
	file      *ast.File
	position  func(token.Pos) string
}

func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "out" || name == "bin") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		files := token.NewFileSet()
		f, err := parser.ParseFile(files, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		position := func(p token.Pos) string { return files.Position(p).String() }
		out = append(out, source{pkg: filepath.ToSlash(filepath.Dir(path)), path: path, file: f, position: position})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 20 {
		t.Fatalf("only %d source files were found: the test must run in the module's root", len(out))
	}
	return out
}

func TestImportsGoOneWay(t *testing.T) {
	for _, s := range sources(t) {
		from := layerOf(s.pkg)
		if from == nil {
			t.Errorf("%s: package %s stands in no layer; add it to layers with its reason", s.path, s.pkg)
			continue
		}
		for _, i := range s.file.Imports {
			path := strings.Trim(i.Path.Value, `"`)
			target, own := strings.CutPrefix(path, module+"/")
			if !own {
				continue
			}
			to := layerOf(target)
			if to == nil {
				t.Errorf("%s imports %s, which stands in no layer", s.position(i.Pos()), path)
			} else if to.name != from.name && !slices.Contains(from.imports, to.name) && !slices.Contains(from.imports, target) {
				t.Errorf("%s: %s (%s) imports %s (%s): %s", s.position(i.Pos()), s.pkg, from.name, target, to.name, from.reason)
			}
		}
	}
}

func TestPureAndDataPackagesAreGivenTheWorld(t *testing.T) {
	for _, s := range sources(t) {
		l := layerOf(s.pkg)
		if l == nil || l.name != "PURE" && l.name != "DATA" || exceptions[s.pkg] != "" {
			continue
		}
		for _, i := range s.file.Imports {
			path := strings.Trim(i.Path.Value, `"`)
			for bad, why := range forbidden {
				if path == bad || strings.HasPrefix(path, bad+"/") && !standard(bad) {
					t.Errorf("%s: %s package %s imports %s (%s): %s", s.position(i.Pos()), l.name, s.pkg, path, why, l.reason)
				}
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if id, ok := sel.X.(*ast.Ident); ok && id.Name == "time" && slices.Contains(clockReads, sel.Sel.Name) {
					t.Errorf("%s: %s package %s reads the clock (time.%s): %s", s.position(sel.Pos()), l.name, s.pkg, sel.Sel.Name, l.reason)
				}
			}
			return true
		})
	}
}

func standard(path string) bool {
	p, err := build.Default.Import(path, "", build.FindOnly)
	return err == nil && p.Goroot
}
