package main

import (
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
	if found := config.Mistakes(obj, reflect.TypeOf(shape)); len(found) > 0 {
		for _, m := range found {
			what := m.What
			if m.Known != nil {
				what = "unknown field" + meant(m.Field[strings.LastIndexByte(m.Field, '.')+1:], m.Known)
			}
			add(nodeAt(n, m.Field).Line, m.Field, what)
		}
		return
	}
	if err := load(); err != nil {
		for _, text := range strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' }) {
			if _, after, ok := strings.Cut(text, file+": "); ok {
				text = after
			}
			at := fieldIn(text, obj)
			add(nodeAt(n, at).Line, at, strings.TrimPrefix(text, at+" ")) // the finding begins with the field already
		}
	}
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
