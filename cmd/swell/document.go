package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation/field"
	sigsyaml "sigs.k8s.io/yaml"
)

// checkFile checks each document of one YAML file.
func checkFile(file string, text []byte, kinds map[string]*kind, out *checkOutput) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	found := 0
	firsts := map[string]int{} // the lines of objects
	for {
		var doc yaml.Node
		err := d.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			out.Errors = append(out.Errors, finding{File: file, Line: lineOf(err), What: strings.TrimPrefix(err.Error(), "yaml: ")})
			return
		}
		if doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
			continue
		}
		found++
		id, line := checkDocument(file, doc.Content[0], kinds, out), doc.Content[0].Line
		if first := firsts[id]; id != "" && first > 0 {
			at := nodeAt(doc.Content[0], "metadata.name").Line
			out.Errors = append(out.Errors, finding{file, at, "metadata.name", fmt.Sprintf("%s is there in line %d already, and one would replace the other; rename or remove one", id, first)})
		} else {
			firsts[id] = line
		}
	}
	if found == 0 {
		out.Errors = append(out.Errors, finding{File: file, Line: 1, What: "the file holds no object; give one of swell's kinds"})
	}
}

var yamlLine = regexp.MustCompile(`line (\d+)`)

func lineOf(err error) int {
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		n, _ := strconv.Atoi(m[1])
		return n
	}
	return 1
}

// checkDocument also gives what an object of swell's kinds is told apart by: kind, namespace and name.
func checkDocument(file string, n *yaml.Node, kinds map[string]*kind, out *checkOutput) (id string) {
	add := func(line int, at, what string) { out.Errors = append(out.Errors, finding{file, line, at, what}) }
	obj, err := toObject(n)
	if err != nil {
		add(n.Line, "", err.Error())
		return ""
	}
	apiVersion, _ := obj["apiVersion"].(string)
	name, _ := obj["kind"].(string)
	k := kinds[apiVersion+"/"+name]
	switch {
	case k != nil:
		out.Objects++
		for _, e := range k.check(obj) {
			at := e.Field
			if at == "<nil>" {
				at = ""
			}
			add(nodeAt(n, at).Line, at, message(e))
		}
		if meta, _ := obj["metadata"].(map[string]any); meta != nil && meta["name"] != nil {
			id = fmt.Sprintf("%s %v", name, meta["name"])
			if meta["namespace"] != nil {
				id = fmt.Sprintf("%s %v/%v", name, meta["namespace"], meta["name"])
			}
		}
	case name == "" && apiVersion == "":
		checkConfiguration(file, n, obj, out)
	case strings.HasPrefix(apiVersion, "capacity.swell/") || isKind(kinds, name):
		names := map[string]int{}
		for id := range kinds {
			names[id] = 0
		}
		at := "kind"
		if isKind(kinds, name) {
			at = "apiVersion"
		}
		add(nodeAt(n, at).Line, at, fmt.Sprintf("there is no %s of %s%s", name, apiVersion, didYouMean(apiVersion+"/"+name, names)))
	default:
		out.Skipped = append(out.Skipped, fmt.Sprintf("%s:%d: %s of %s is not swell's and was not checked", file, n.Line, name, apiVersion))
	}
	return id
}

func isKind(kinds map[string]*kind, name string) bool {
	for _, k := range kinds {
		if k.name == name {
			return true
		}
	}
	return false
}

// toObject turns a node to what the API server would see.
func toObject(n *yaml.Node) (map[string]any, error) {
	if n.Kind != yaml.MappingNode {
		return nil, errors.New("this is not an object; begin it with apiVersion and kind")
	}
	if err := duplicateKeys(n); err != nil {
		return nil, err
	}
	text, err := yaml.Marshal(n)
	if err != nil {
		return nil, err
	}
	var obj map[string]any
	if err := sigsyaml.Unmarshal(text, &obj); err != nil {
		return nil, err
	}
	return integers(obj).(map[string]any), nil
}

// integers turns whole numbers to int64, as the API server's decoder does.
func integers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			v[k] = integers(x)
		}
	case []any:
		for i, x := range v {
			v[i] = integers(x)
		}
	case float64:
		if v == float64(int64(v)) {
			return int64(v)
		}
	}
	return v
}

func duplicateKeys(n *yaml.Node) error {
	if n.Kind == yaml.MappingNode {
		var seen []string
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i]
			if slices.Contains(seen, k.Value) {
				return fmt.Errorf("line %d: %s is there twice; remove one", k.Line, k.Value)
			}
			seen = append(seen, k.Value)
		}
	}
	for _, c := range n.Content {
		if err := duplicateKeys(c); err != nil {
			return err
		}
	}
	return nil
}

var pathPart = regexp.MustCompile(`\[[^\]]*\]|[^.\[\]]+`)

// nodeAt is the node of a field such as spec.windows[0].days, or the deepest of its parents that is there.
func nodeAt(n *yaml.Node, at string) *yaml.Node {
	line := n
	for _, part := range pathPart.FindAllString(at, -1) {
		key := strings.Trim(part, `[]"`)
		var next *yaml.Node
		switch n.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				if n.Content[i].Value == key {
					line, next = n.Content[i], n.Content[i+1]
				}
			}
		case yaml.SequenceNode:
			if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(n.Content) {
				line, next = n.Content[i], n.Content[i]
			}
		}
		if next == nil {
			return line
		}
		n = next
	}
	return line
}

func message(e *field.Error) string {
	switch e.Type {
	case field.ErrorTypeInternal:
		return e.Detail
	case field.ErrorTypeRequired:
		if e.Detail == "" {
			return "it is required; give it a value"
		}
		return "it is required; " + e.Detail
	default:
		return strings.Replace(e.ErrorBody(), e.Field+" in body ", "", 1) // the finding begins with the field already
	}
}
