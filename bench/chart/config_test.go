package chart

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"swell/api/config"
)

// The programs' configurations are checked by the chart too, so that a field which they do not know is refused before it is installed, and
// not by a pod that does not start.
func TestTheConfigurationsFieldsAreInTheSchema(t *testing.T) {
	path := filepath.Join(chartDir(t), "values.schema.json")
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, _, found := bytes.Cut(old, []byte("  \"$defs\": "))
	if !found {
		t.Fatalf("%s does not end with $defs", path)
	}
	defs, err := json.MarshalIndent(map[string]any{"scalerConfig": fieldsOf(reflect.TypeFor[config.Scaler]()), "metricsConfig": fieldsOf(reflect.TypeFor[config.Metrics]())}, "  ", "  ")
	if err != nil {
		t.Fatal(err)
	}
	fresh := string(head) + "  \"$defs\": " + string(defs) + "\n}\n"
	if fresh == string(old) {
		return
	}
	if !*update {
		t.Errorf("%s has not the fields of api/config: run make generate", path)
		return
	}
	if err := os.WriteFile(path, []byte(fresh), 0o644); err != nil {
		t.Fatal(err)
	}
}

// fieldsOf is a schema of which fields there are. Their types and bounds are the program's to check.
func fieldsOf(of reflect.Type) map[string]any {
	if of.Kind() == reflect.Pointer {
		return fieldsOf(of.Elem())
	}
	if reflect.PointerTo(of).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		return map[string]any{}
	}
	switch of.Kind() {
	case reflect.Struct:
		properties := map[string]any{}
		addFields(properties, of)
		return map[string]any{"additionalProperties": false, "properties": properties}
	case reflect.Slice:
		return map[string]any{"items": fieldsOf(of.Elem())}
	case reflect.Map:
		return map[string]any{"additionalProperties": fieldsOf(of.Elem())}
	}
	return map[string]any{}
}

func addFields(to map[string]any, of reflect.Type) {
	for i := range of.NumField() {
		f := of.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case !f.IsExported() || name == "-":
		case name == "" && f.Anonymous:
			addFields(to, f.Type)
		default:
			to[name] = fieldsOf(f.Type)
		}
	}
}
