package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
)

const configurationHead = `# The two programs' configuration files

Written by ` + "`make generate`" + ` from the comments in [api/config](../api/config). Both are YAML, read once at the start; a field
that is not known is refused by name, with those that are. ` + "`swell check FILE…`" + ` reads them as the programs do.
`

// files are the configurations by their Go types.
var files = []struct{ name, program, example string }{
	{"Scaler", "swell-scaler", "swell-scaler.yaml"},
	{"Metrics", "swell-metrics", "swell-metrics.yaml"},
}

func configurationPage(dir string) (string, error) {
	types, err := structsOf(dir)
	if err != nil {
		return "", err
	}
	page := &strings.Builder{}
	page.WriteString(configurationHead)
	var errs []error
	for _, f := range files {
		if types[f.name] == nil {
			return "", fmt.Errorf("reading %s: there is no type %s; give --config the folder of the configuration's types", dir, f.name)
		}
		fmt.Fprintf(page, "\n## %s\n\nAn example: [%s](%[2]s).\n\n| field | is | meaning |\n|---|---|---|\n", f.program, f.example)
		c := comments{page: page, types: types}
		c.fields("", f.name)
		for _, path := range c.silent {
			errs = append(errs, fmt.Errorf("%s of %s's configuration says nothing of its meaning: give it a comment in api/config", path, f.program))
		}
	}
	return page.String(), errors.Join(errs...)
}

// structType is a type with its comment.
type structType struct {
	doc    string
	fields []*ast.Field
}

func structsOf(dir string) (map[string]*structType, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("reading the configuration's types: no Go in %q, %v; give --config a folder that has them", dir, err)
	}
	types := map[string]*structType{}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("reading the configuration's types: %w", err)
		}
		for _, d := range file.Decls {
			decl, ok := d.(*ast.GenDecl)
			if !ok || decl.Tok != token.TYPE {
				continue
			}
			for _, s := range decl.Specs {
				spec := s.(*ast.TypeSpec)
				if st, ok := spec.Type.(*ast.StructType); ok {
					types[spec.Name.Name] = &structType{doc: flat(decl.Doc.Text()), fields: st.Fields.List}
				}
			}
		}
	}
	return types, nil
}

type comments struct {
	page   *strings.Builder
	types  map[string]*structType
	silent []string
}

func (c *comments) fields(at, name string) {
	fields := c.types[name].fields
	for i, f := range fields {
		if f.Tag == nil || len(f.Names) != 1 {
			continue
		}
		tag := reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("json")
		field, options, _ := strings.Cut(tag, ",")
		if field == "" || field == "-" {
			continue
		}
		path := field
		if at != "" {
			path = at + "." + field
		}
		inner, form := c.form(f.Type)
		meaning := c.meaning(fields, i, inner)
		if meaning == "" {
			c.silent = append(c.silent, path)
		}
		if options == "" {
			form += ", **needed**"
		}
		r := row{path: path, kind: form, meaning: sentence(meaning)}
		cells := strings.Split(r.String(), " | ")
		c.page.WriteString(strings.Join(append(cells[:2:2], cells[3:]...), " | "))
		if inner != "" && c.types[inner] != nil {
			switch f.Type.(type) {
			case *ast.ArrayType:
				path += "[]"
			case *ast.MapType:
				path += ".NAME"
			}
			c.fields(path, inner)
		}
	}
}

// meaning is a field's own comment, its type's, or one that a neighbour above shares with it.
func (c *comments) meaning(fields []*ast.Field, i int, inner string) string {
	if text := flat(fields[i].Doc.Text() + " " + fields[i].Comment.Text()); text != "" {
		return text
	}
	if t := c.types[inner]; t != nil && t.doc != "" {
		return t.doc
	}
	word := regexp.MustCompile(`\b` + fields[i].Names[0].Name + `\b`)
	for j := i - 1; j >= 0; j-- {
		if text := flat(fields[j].Doc.Text()); word.MatchString(text) {
			return text
		}
	}
	return ""
}

// form is what a value looks like, and the name of the struct in it, if it has one of this package.
func (c *comments) form(t ast.Expr) (inner, form string) {
	switch t := t.(type) {
	case *ast.StarExpr:
		return c.form(t.X)
	case *ast.ArrayType:
		inner, form = c.form(t.Elt)
		return inner, "list: " + form
	case *ast.MapType:
		inner, form = c.form(t.Value)
		return inner, "names with values: " + form
	case *ast.SelectorExpr:
		switch t.Sel.Name {
		case "Duration":
			return "", "duration: 30s"
		case "Time":
			return "", "time"
		case "Quantity":
			return "", "amount: 2Gi"
		}
		return "", "text"
	case *ast.Ident:
		switch {
		case c.types[t.Name] != nil:
			return t.Name, "fields"
		case t.Name == "bool":
			return "", "true, false"
		case strings.HasPrefix(t.Name, "int"):
			return "", "whole number"
		case strings.HasPrefix(t.Name, "float"):
			return "", "number"
		}
	}
	return "", "text"
}
