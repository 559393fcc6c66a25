package main

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"swell/api/config"
)

// checkConfiguration checks the configuration file of swell-metrics or of swell-scaler, told apart by their fields.
func checkConfiguration(file string, n *yaml.Node, obj map[string]any, out *checkOutput) {
	add := func(line int, at, what string) { out.Errors = append(out.Errors, finding{file, line, at, what}) }
	var shape any
	var load func() error
	_, clusters := obj["clusters"]
	_, aws := obj["aws"]
	_, ledger := obj["ledgerDir"]
	switch {
	case clusters:
		shape = config.Metrics{}
		load = func() error { _, err := config.LoadMetrics(file); return err }
	case aws || ledger:
		shape = config.Scaler{}
		load = func() error { _, err := config.LoadScaler(file); return err }
	default:
		add(n.Line, "", "neither an object nor a configuration is recognised; give apiVersion and kind, "+
			"or clusters (swell-metrics) or aws (swell-scaler)")
		return
	}
	out.Objects++
	before := len(out.Errors)
	unknownConfig(obj, reflect.TypeOf(shape), "", func(at, what string) { add(nodeAt(n, at).Line, at, what) })
	if len(out.Errors) > before {
		return
	}
	if err := load(); err != nil {
		for _, text := range strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' }) {
			if _, after, ok := strings.Cut(text, file+": "); ok {
				text = after
			}
			at := fieldIn(text, obj)
			add(nodeAt(n, at).Line, at, text)
		}
	}
}

// unknownConfig walks a configuration along its Go type, by the rules of encoding/json.
func unknownConfig(v any, t reflect.Type, at string, add func(at, what string)) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch v := v.(type) {
	case map[string]any:
		if t.Kind() == reflect.Map {
			for name, child := range v {
				unknownConfig(child, t.Elem(), join(at, name), add)
			}
			return
		}
		if t.Kind() != reflect.Struct {
			return // a wrong type is for the loader to say
		}
		known := map[string]reflect.Type{}
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			if name != "" && name != "-" {
				known[name] = t.Field(i).Type
			}
		}
		for name, child := range v {
			if f, ok := known[name]; ok {
				unknownConfig(child, f, join(at, name), add)
			} else {
				add(join(at, name), "unknown field"+didYouMean(name, known))
			}
		}
	case []any:
		if t.Kind() == reflect.Slice {
			for i, child := range v {
				unknownConfig(child, t.Elem(), fmt.Sprintf("%s[%d]", at, i), add)
			}
		}
	}
}

func join(at, name string) string {
	if at == "" {
		return name
	}
	return at + "." + name
}

var word = regexp.MustCompile(`[A-Za-z][A-Za-z0-9.\[\]]*`)

// fieldIn is the first word of a message that is a field of the configuration's.
func fieldIn(text string, obj map[string]any) string {
	for _, w := range word.FindAllString(text, -1) {
		top := pathPart.FindString(w)
		if _, ok := obj[top]; ok && (strings.ContainsAny(w, ".[") || w == top) {
			return w
		}
	}
	return ""
}
