package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

const kindsHead = `# The four kinds, field by field

Written by ` + "`make generate`" + ` from the comments in [api/v1alpha1](../api/v1alpha1). All are of ` + "`capacity.swell/v1alpha1`" + `;
[an example of each](example.yaml). ` + "`swell check FILE…`" + ` holds files to what stands here before the cluster does, and
` + "`kubectl explain`" + ` has it too. ` + "`[]`" + ` is each item of a list.
`

// textForms are texts with a number, since YAML's own have no exact form.
var textForms = map[string]string{
	`^[0-9]+(\.[0-9]+)?$`:   `decimal, as text: "2.5"`,
	`^[0-9]+(\.[0-9]+)?%$`:  `percentage, as text: 70%`,
	`^[0-9]+(\.[0-9]+)?%?$`: `number or percentage, as text: "20", 15%`,
	`^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)(-(Mon|Tue|Wed|Thu|Fri|Sat|Sun))?$`: "a day or a range: Mon, Mon-Fri",
	`^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$`:                          "time of day: 08:30",
	`^([0-9]{1,6}(s|m|h)){1,3}$`:                                       "duration: 1h30m",
	`^[0-9]{4}-[0-9]{2}-[0-9]{2}(/[0-9]{4}-[0-9]{2}-[0-9]{2})?$`:       "date or range: 2026-12-30, 2026-12-29/2027-01-03",
	`^[A-Z]{2}(-[A-Z]{1,3})?$`:                                         "country or part of one: JP, DE-BY",
}

func kindsPage(dir string) (string, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(paths) == 0 {
		return "", fmt.Errorf("reading the kinds: no YAML in %q, %v; give the folder that controller-gen wrote", dir, err)
	}
	page := &strings.Builder{}
	page.WriteString(kindsHead)
	var errs []error
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("reading the kinds: %w", err)
		}
		var crd apiextensions.CustomResourceDefinition
		if err := yaml.Unmarshal(raw, &crd); err != nil || len(crd.Spec.Versions) != 1 {
			return "", fmt.Errorf("reading %s: %d versions, %v; give a definition of one version", path, len(crd.Spec.Versions), err)
		}
		errs = append(errs, kind(page, crd))
	}
	return page.String(), errors.Join(errs...)
}

func kind(page *strings.Builder, crd apiextensions.CustomResourceDefinition) error {
	root := crd.Spec.Versions[0].Schema.OpenAPIV3Schema
	scope := "of a namespace"
	if crd.Spec.Scope == apiextensions.ClusterScoped {
		scope = "of the cluster"
	}
	names := "`kubectl get " + crd.Spec.Names.Plural + "`"
	for _, short := range crd.Spec.Names.ShortNames {
		names += ", `" + short + "`"
	}
	fmt.Fprintf(page, "\n## %s\n\n%s It is %s: %s.\n", crd.Spec.Names.Kind, flat(root.Description), scope, names)
	if rules := validations(*root); rules != "" {
		fmt.Fprintf(page, "%s\n", rules)
	}
	var errs []error
	for _, part := range []string{"spec", "status"} {
		schema, there := root.Properties[part]
		if !there {
			continue
		}
		about := strings.TrimSpace(sentence(flat(schema.Description)) + " " + validations(schema))
		fmt.Fprintf(page, "\n### %s %s\n\n%s\n\n%s", crd.Spec.Names.Kind, part, about, tableHead)
		w := walk{page: page, status: part == "status"}
		w.fields(part, schema)
		for _, path := range w.silent {
			errs = append(errs, fmt.Errorf("%s of %s says nothing of its meaning: give it a comment in api/v1alpha1", path, crd.Spec.Names.Kind))
		}
	}
	return errors.Join(errs...)
}

type walk struct {
	page   *strings.Builder
	status bool // filled in by the programs, so that nothing is needed of it
	silent []string
}

func (w *walk) fields(at string, schema apiextensions.JSONSchemaProps) {
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		field, path := schema.Properties[name], at+"."+name
		meaning := meaningOf(name, schema)
		if meaning == "" {
			w.silent = append(w.silent, path)
		}
		r := row{path: path, kind: typeOf(field), meaning: strings.TrimSpace(sentence(meaning) + " " + validations(field))}
		switch {
		case field.Default != nil:
			r.absent = "`" + string(field.Default.Raw) + "`"
		case slices.Contains(schema.Required, name) && !w.status:
			r.absent = "**needed**"
		}
		w.page.WriteString(r.String())
		if name == "conditions" {
			continue // every kind's are alike, and Kubernetes' own
		}
		if field.Items != nil {
			field, path = *field.Items.Schema, path+"[]"
		}
		w.fields(path, field)
	}
}

// meaningOf is a field's description: its own, its items', or one that a neighbour shares with it ("Min and Max bound …").
func meaningOf(name string, of apiextensions.JSONSchemaProps) string {
	field := of.Properties[name]
	if name == "conditions" {
		return "What holds and what does not, each with its reason and message, as Kubernetes' own kinds have it."
	}
	if text := flat(field.Description); text != "" {
		return text
	}
	word := regexp.MustCompile(`\b` + strings.ToUpper(name[:1]) + name[1:] + `\b`)
	for _, other := range slices.Sorted(maps.Keys(of.Properties)) {
		if text := flat(of.Properties[other].Description); word.MatchString(text) {
			return text
		}
	}
	if field.Items != nil {
		return flat(field.Items.Schema.Description)
	}
	return ""
}

func flat(text string) string { return strings.Join(strings.Fields(text), " ") }

// typeOf says what a value looks like.
func typeOf(s apiextensions.JSONSchemaProps) string {
	switch {
	case len(s.Enum) > 0:
		var words []string
		for _, e := range s.Enum {
			words = append(words, strings.Trim(string(e.Raw), `"`))
		}
		return strings.Join(words, ", ")
	case textForms[s.Pattern] != "":
		return textForms[s.Pattern]
	case s.Format == "date-time":
		return "time: 2026-12-01T09:00:00Z"
	case isDuration(s):
		return "duration: 30s, 10m"
	case s.Type == "string":
		return "text"
	case s.Type == "array":
		return "list: " + typeOf(*s.Items.Schema)
	case s.Type == "object" && s.AdditionalProperties != nil:
		return "names with values: " + typeOf(*s.AdditionalProperties.Schema)
	case s.Type == "object":
		return "fields"
	case s.Type == "integer":
		return "whole number"
	case s.Type == "boolean":
		return "true, false"
	}
	return s.Type
}

func isDuration(s apiextensions.JSONSchemaProps) bool {
	if slices.ContainsFunc(s.XValidations, func(r apiextensions.ValidationRule) bool { return strings.Contains(r.Rule, "duration(self)") }) {
		return true
	}
	if s.Default == nil {
		return false
	}
	_, err := time.ParseDuration(strings.Trim(string(s.Default.Raw), `"`))
	return err == nil && s.Type == "string"
}

// validations are what a value is held to beside its type.
func validations(s apiextensions.JSONSchemaProps) string {
	var says []string
	bound := func(format string, value *float64) {
		if value != nil {
			says = append(says, fmt.Sprintf(format, *value))
		}
	}
	count := func(format string, value *int64) {
		if value != nil && strings.Contains(format, "%d") {
			says = append(says, fmt.Sprintf(format, *value))
		} else if value != nil {
			says = append(says, format)
		}
	}
	bound("at least %g", s.Minimum)
	bound("at most %g", s.Maximum)
	count("not empty", s.MinLength)
	count("at least %d of them", s.MinItems)
	count("at most %d of them", s.MaxItems)
	count("at least %d of them", s.MinProperties)
	if s.Pattern != "" && textForms[s.Pattern] == "" {
		says = append(says, "matches `"+s.Pattern+"`")
	}
	for _, r := range s.XValidations {
		says = append(says, r.Message)
	}
	if len(says) == 0 {
		return ""
	}
	return "Held to: " + strings.Join(says, "; ") + "."
}
