package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// Mistake is a field of a configuration file that its program cannot read.
type Mistake struct {
	Field string
	// What is wrong with it, with the mend.
	What string
	// Known are the fields that may stand where an unknown one does; nil: the field is known and its value is wrong.
	Known []string
}

// Mistakes are the unknown fields and the values of a wrong type in an object, as JSON has it, that is to be read into a type; in the
// order of the fields' names.
func Mistakes(object any, into reflect.Type) []Mistake {
	var found []Mistake
	mistakes(object, into, "", func(m Mistake) { found = append(found, m) })
	return found
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

func mistakes(v any, t reflect.Type, at string, add func(Mistake)) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	object, isObject := v.(map[string]any)
	list, isList := v.([]any)
	switch {
	case reflect.PointerTo(t).Implements(unmarshaler): // each has its own way with null
		leaf(v, t, at, add)
	case v == nil: // as left out
	case t.Kind() == reflect.Struct && isObject:
		known := fieldsOf(t)
		for _, name := range slices.Sorted(maps.Keys(object)) {
			if f, ok := known[name]; ok {
				mistakes(object[name], f, below(at, name), add)
			} else {
				add(Mistake{Field: below(at, name), What: "is not known: correct its name, or leave it out", Known: slices.Sorted(maps.Keys(known))})
			}
		}
	case t.Kind() == reflect.Map && isObject:
		for _, name := range slices.Sorted(maps.Keys(object)) {
			mistakes(object[name], t.Elem(), below(at, name), add)
		}
	case t.Kind() == reflect.Slice && isList:
		for i, one := range list {
			mistakes(one, t.Elem(), fmt.Sprintf("%s[%d]", at, i), add)
		}
	case t.Kind() == reflect.String && !isObject && !isList: // YAML's numbers and truths are read as text
	default:
		leaf(v, t, at, add)
	}
}

// leaf tries a value out.
func leaf(v any, t reflect.Type, at string, add func(Mistake)) {
	text, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(text, reflect.New(t).Interface())
	}
	if err == nil {
		return
	}
	const shown = 60
	if len(text) > shown {
		text = append(text[:shown:shown], "…"...)
	}
	add(Mistake{Field: at, What: fmt.Sprintf("is %s: give %s", text, wanted(t))})
}

// wanted is what a value of a type looks like.
func wanted(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[metav1.Duration]():
		return "a duration with its unit, such as 500ms, 30s or 1h30m"
	case reflect.TypeFor[time.Time]():
		return "a time such as 2026-01-31T12:00:00Z"
	case reflect.TypeFor[resource.Quantity]():
		return "an amount such as 500Mi or 2Gi"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.String:
		return "text"
	case reflect.Slice:
		return "a list, as in [one, two]"
	case reflect.Map:
		return "names with values"
	case reflect.Struct:
		return "fields: " + strings.Join(slices.Sorted(maps.Keys(fieldsOf(t))), ", ")
	}
	return "a whole number"
}

// fieldsOf are the fields of a struct by their names in a file.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	known := map[string]reflect.Type{}
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); name != "" && name != "-" {
			known[name] = t.Field(i).Type
		}
	}
	return known
}

func below(at, name string) string {
	if at == "" {
		return name
	}
	return at + "." + name
}

// decode reads a configuration strictly. Where that fails the error names the fields, as far as it can be told which they are.
func decode(raw []byte, into any, path string) error {
	err := yaml.UnmarshalStrict(raw, into)
	if err == nil {
		return nil
	}
	var object any
	if yaml.Unmarshal(raw, &object) != nil {
		return fmt.Errorf("read %s: %w: correct the YAML", path, err)
	}
	var wrong []error
	for _, m := range Mistakes(object, reflect.TypeOf(into)) {
		wrong = append(wrong, errors.New(strings.TrimSpace(m.Field+" "+m.What)))
	}
	if len(wrong) == 0 {
		return fmt.Errorf("read %s: %w: correct it, or leave the field out", path, err)
	}
	return fmt.Errorf("read %s: %w; \"swell check %s\" tells the lines", path, errors.Join(wrong...), path)
}
