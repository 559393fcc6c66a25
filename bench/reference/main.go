// Command reference writes the pages of the kinds' and the configuration files' fields: docs/kinds.md from the kinds' definitions,
// docs/configuration.md from the comments in api/config. A field that says nothing of its meaning is an error.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	crds := flag.String("crds", "", "folder of the kinds' definitions with whole descriptions, as controller-gen writes them without maxDescLen")
	source := flag.String("config", "api/config", "folder of the configuration files' Go types")
	out := flag.String("out", "docs", "folder that the pages are written to")
	flag.Parse()
	if flag.NArg() > 0 || *crds == "" {
		fmt.Fprintln(os.Stderr, "reference: give --crds, and nothing but flags; make generate does")
		os.Exit(2)
	}
	if err := write(*crds, *source, *out); err != nil {
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
}

func write(crds, source, out string) error {
	kinds, err1 := kindsPage(crds)
	configuration, err2 := configurationPage(source)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	for name, text := range map[string]string{"kinds.md": kinds, "configuration.md": configuration} {
		if err := os.WriteFile(filepath.Join(out, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("writing a page: %w; give --out a folder that is there", err)
		}
	}
	return nil
}

// row is a field of a page's table.
type row struct{ path, kind, absent, meaning string }

const tableHead = "| field | is | default | meaning |\n|---|---|---|---|\n"

func (r row) String() string {
	cell := strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;").Replace
	return fmt.Sprintf("| `%s` | %s | %s | %s |\n", r.path, cell(r.kind), cell(r.absent), cell(r.meaning))
}

// sentence ends a text as one.
func sentence(text string) string {
	text = strings.TrimSpace(text)
	if text == "" || strings.HasSuffix(text, ".") {
		return text
	}
	return text + "."
}
