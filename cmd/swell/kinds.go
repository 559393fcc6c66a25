package main

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"swell/api/config"
	"swell/api/v1alpha1"
	charts "swell/charts/swell"
	"swell/scaler/schedule"
)

// kind is one of swell's kinds with all that the API server checks it by.
type kind struct {
	apiVersion, name string
	structural       *schema.Structural
	values           validation.SchemaValidator
	rules            *cel.Validator
}

// loadKinds reads the definitions that the chart installs, by apiVersion/kind.
func loadKinds() (map[string]*kind, error) {
	files, err := fs.Glob(charts.CRDs, "crds/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("loading the definitions: %w", err)
	}
	out := map[string]*kind{}
	for _, file := range files {
		text, err := charts.CRDs.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("loading the definitions: %w", err)
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(text, &crd); err != nil {
			return nil, fmt.Errorf("loading the definition %s: %w", path.Base(file), err)
		}
		for _, v := range crd.Spec.Versions {
			k, err := newKind(crd, v)
			if err != nil {
				return nil, fmt.Errorf("loading the definition %s: %w", path.Base(file), err)
			}
			out[k.apiVersion+"/"+k.name] = k
		}
	}
	return out, nil
}

func newKind(crd apiextensionsv1.CustomResourceDefinition, v apiextensionsv1.CustomResourceDefinitionVersion) (*kind, error) {
	var props apiextensions.JSONSchemaProps
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(v.Schema.OpenAPIV3Schema, &props, nil); err != nil {
		return nil, err
	}
	s, err := schema.NewStructural(&props)
	if err != nil {
		return nil, err
	}
	values, _, err := validation.NewSchemaValidator(&props)
	if err != nil {
		return nil, err
	}
	return &kind{crd.Spec.Group + "/" + v.Name, crd.Spec.Names.Kind, s, values,
		cel.NewValidator(s, true, celconfig.PerCallLimit)}, nil
}

// check finds what the API server would refuse, what it would drop, and what swell could not use.
func (k *kind) check(obj map[string]any) field.ErrorList {
	errs := unknownFields(obj, k.structural, nil, true)
	errs = append(errs, checkMeta(obj)...)
	full := runtime.DeepCopyJSON(obj)
	defaulting.Default(full, k.structural)
	bad := mended(validation.ValidateCustomResource(nil, full, k.values), k.structural)
	bad = append(bad, listtype.ValidateListSetsAndMaps(nil, k.structural, full)...)
	errs = append(errs, bad...)
	if len(bad) > 0 {
		return errs // rules expect values of the right types
	}
	if k.rules != nil {
		broken, _ := k.rules.Validate(context.Background(), nil, k.structural, full, nil, celconfig.RuntimeCELCostBudget)
		errs = append(errs, mended(broken, k.structural)...)
	}
	errs = append(errs, k.checkGuard(obj)...)
	if len(errs) > 0 {
		return errs
	}
	switch k.name {
	case "DiurnalSchedule":
		return checkSchedule(full)
	case "QueueConsumer":
		return checkTopics(full)
	}
	return nil
}

// checkTopics reads the expressions among a QueueConsumer's topics.
func checkTopics(obj map[string]any) (errs field.ErrorList) {
	var q v1alpha1.QueueConsumer
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj, &q); err != nil {
		return field.ErrorList{field.Invalid(field.NewPath("spec"), "", err.Error())}
	}
	for i, topic := range q.Spec.Kafka.Topics {
		if _, err := config.Expression(topic); err != nil {
			at := field.NewPath("spec", "kafka", "topics").Index(i)
			errs = append(errs, field.Invalid(at, topic, fmt.Sprintf("%v: give a regular expression in RE2's syntax", err)))
		}
	}
	return errs
}

func checkSchedule(obj map[string]any) field.ErrorList {
	var s v1alpha1.DiurnalSchedule
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj, &s); err != nil {
		return field.ErrorList{field.Invalid(field.NewPath("spec"), "", err.Error())}
	}
	_, problems := schedule.Compile(s.Spec)
	var errs field.ErrorList
	for i, w := range s.Spec.Windows {
		var days []string
		for _, d := range w.Days {
			days = append(days, string(d))
		}
		errs = append(errs, daysTwice(days, field.NewPath("spec", "windows").Index(i).Child("days"))...)
	}
	for _, p := range problems {
		errs = append(errs, &field.Error{Type: field.ErrorTypeInternal, Field: p.Field, Detail: p.What + "; " + p.Mend})
	}
	return errs
}

// unknownFields are those that the API server would drop, each with the known field that is spelled most alike.
func unknownFields(v any, s *schema.Structural, at *field.Path, root bool) field.ErrorList {
	if s == nil || s.XPreserveUnknownFields {
		return nil
	}
	var errs field.ErrorList
	switch v := v.(type) {
	case map[string]any:
		for name, child := range v {
			p := at.Child(name)
			if at == nil {
				p = field.NewPath(name)
			}
			if root && (name == "apiVersion" || name == "kind" || name == "metadata") {
				continue
			}
			if prop, ok := s.Properties[name]; ok {
				errs = append(errs, unknownFields(child, &prop, p, false)...)
			} else if s.AdditionalProperties != nil {
				errs = append(errs, unknownFields(child, s.AdditionalProperties.Structural, at.Key(name), false)...)
			} else {
				errs = append(errs, &field.Error{Type: field.ErrorTypeInternal, Field: p.String(), Detail: "unknown field" + didYouMean(name, s.Properties)})
			}
		}
	case []any:
		for i, child := range v {
			errs = append(errs, unknownFields(child, s.Items, at.Index(i), false)...)
		}
	}
	return errs
}

func didYouMean[T any](name string, known map[string]T) string {
	return meant(name, slices.Sorted(maps.Keys(known)))
}

// meant ends a message about a name that is none of some others.
func meant(name string, names []string) string {
	switch best := nearest(name, names); {
	case best != "":
		return fmt.Sprintf("; did you mean %q?", best)
	case len(names) == 0:
		return "; nothing may stand here"
	default:
		return "; known are " + strings.Join(names, ", ")
	}
}

// amongShown is how many names are told where one is not there.
const amongShown = 10

// among tells what there is in place of a name that is not there.
func among(name string, there []string) string {
	if len(there) == 0 {
		return "there is none at all"
	}
	slices.Sort(there)
	text := "there are " + strings.Join(there[:min(amongShown, len(there))], ", ")
	if more := len(there) - amongShown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	if best := nearest(name, there); best != "" {
		text += fmt.Sprintf("; did you mean %q?", best)
	}
	return text
}

// nearest is the name that is spelled most alike; empty where none is like it.
func nearest(name string, names []string) string {
	best, bestAt := "", max(len(name)/2, 2)+1
	for _, k := range names {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < bestAt {
			best, bestAt = k, d
		}
	}
	return best
}

// distance is how many characters must be put in, taken out or changed to make one of the other.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
