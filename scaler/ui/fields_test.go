package ui

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// Every field of the state is in docs/page.md, and every list of the page's parts in the template.
func TestTheStatesFieldsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/page.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	var look func(reflect.Type)
	look = func(x reflect.Type) {
		for x.Kind() == reflect.Slice || x.Kind() == reflect.Pointer {
			x = x.Elem()
		}
		if x.Kind() != reflect.Struct || x.PkgPath() != reflect.TypeFor[State]().PkgPath() {
			return
		}
		for i := range x.NumField() {
			f := x.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "" {
				t.Errorf("%s.%s has no name in JSON", x.Name(), f.Name)
			}
			if seen++; !strings.Contains(string(text), "`"+name+"`") && !strings.Contains(string(text), "`"+name+"[]`") {
				t.Errorf("%s of %s is not in docs/page.md", name, x.Name())
			}
			look(f.Type)
		}
	}
	look(reflect.TypeFor[State]())
	look(reflect.TypeFor[Decision]())
	if seen < 50 {
		t.Errorf("only %d fields were looked at", seen)
	}
}
