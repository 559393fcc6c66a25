package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"

	"swell/api/config"
	"swell/scaler/replay"
)

// neverZero are fields whose zero would be taken for one that is left out.
var neverZero = []string{"nodePods", "scan", "lead", "hpaDelay", "scaleInAfter", "maxNodes", "demand.mean", "demand.play", "demand.history",
	"boot.p50", "boot.p95", "spot.price", "spot.notice", "outages.lasting"}

// zero says whether a field of an object stands there with a zero.
func zero(object any, field string) bool {
	for _, key := range strings.Split(field, ".") {
		fields, _ := object.(map[string]any)
		object = fields[key]
	}
	switch v := object.(type) {
	case float64:
		return v == 0
	case string:
		d, err := time.ParseDuration(v)
		return err == nil && d == 0
	}
	return false
}

// readScenario reads a scenario strictly: what is wrong is named with its file, line and field.
func readScenario(path string) (replay.Scenario, error) {
	var s replay.Scenario
	text, err := os.ReadFile(path)
	if err != nil {
		return s, fmt.Errorf("reading the scenario: %w; give a YAML file or one of %s", err, strings.Join(replay.BuiltInNames(), ", "))
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return s, fmt.Errorf("%s:%d: %s; correct the YAML", path, lineOf(err), strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return s, fmt.Errorf("%s:1: the file holds no scenario; begin it with its fields, such as name", path)
	}
	root := doc.Content[0]
	if err := duplicateKeys(root); err != nil {
		return s, fmt.Errorf("%s: %w", path, err)
	}
	var object any
	if err := sigsyaml.Unmarshal(text, &object); err != nil {
		return s, fmt.Errorf("%s: %w; correct the YAML", path, err)
	}
	var wrong []error
	add := func(field, what string) {
		wrong = append(wrong, errors.New(finding{File: path, Line: nodeAt(root, field).Line, Field: field, What: what}.String()))
	}
	for _, m := range config.Mistakes(object, reflect.TypeFor[replay.Scenario]()) {
		what := m.What
		if m.Known != nil {
			what += "; known are " + strings.Join(m.Known, ", ")
		}
		add(m.Field, what)
	}
	for _, field := range neverZero {
		if zero(object, field) {
			add(field, "is 0: give one above zero, or leave it out for the default")
		}
	}
	if len(wrong) > 0 {
		return s, errors.Join(wrong...)
	}
	if err := sigsyaml.UnmarshalStrict(text, &s); err != nil {
		return s, fmt.Errorf("%s: %w; correct it", path, err)
	}
	for _, w := range s.Validate() {
		add(w.Field, w.What)
	}
	if s.Name == "" {
		s.Name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	}
	return s.WithDefaults(), errors.Join(wrong...)
}
