package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// module is one of another's that is linked in.
type module struct {
	path, version string
	dir           string // of its source
}

// readModules finds the source of each module, by path and version.
func readModules(ctx context.Context, root string) (map[string]module, error) {
	c := exec.CommandContext(ctx, "go", "list", "-m", "-json", "all")
	c.Dir, c.Stderr = root, os.Stderr
	raw, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("listing the modules: %w", err)
	}
	type listed struct {
		Path, Version, Dir string
		Replace            *struct{ Path, Version, Dir string }
	}
	out := map[string]module{}
	for d := json.NewDecoder(bytes.NewReader(raw)); ; {
		var m listed
		if err := d.Decode(&m); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading the list of modules: %w", err)
		}
		if m.Replace != nil {
			m.Path, m.Version, m.Dir = m.Replace.Path, m.Replace.Version, m.Replace.Dir
		}
		out[m.Path+"@"+m.Version] = module{m.Path, m.Version, m.Dir}
	}
}

// used is what binaries are made of.
type used struct {
	modules []module // without their folders
	goes    string   // version of Go
}

// readUsed reads what the compiler wrote into binaries.
func readUsed(paths []string) (used, error) {
	var u used
	seen := map[string]bool{}
	for _, path := range paths {
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			return u, fmt.Errorf("reading what %s is made of: %w", path, err)
		}
		u.goes = strings.TrimPrefix(info.GoVersion, "go")
		for _, d := range info.Deps {
			if d.Replace != nil {
				d = d.Replace
			}
			if key := d.Path + "@" + d.Version; !seen[key] {
				seen[key] = true
				u.modules = append(u.modules, module{path: d.Path, version: d.Version})
			}
		}
	}
	slices.SortFunc(u.modules, func(a, b module) int {
		return cmp.Or(strings.Compare(a.path, b.path), strings.Compare(a.version, b.version))
	})
	return u, nil
}

// licence of one module.
type licence struct {
	module module
	ids    []string // as SPDX has them
	text   string   // of all its licence and notice files
}

var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|unlicense)([.-].*)?$`)

// licences reads those of each module, and of Go itself. One that cannot be told is an error: it must be looked at before it is given on.
func (r *release) licences(u used) ([]licence, error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("finding Go: %w", err)
	}
	std := module{path: "std", version: u.goes, dir: strings.TrimSpace(string(root))}
	var out []licence
	var unclear []string
	for _, m := range append([]module{std}, u.modules...) {
		if m.path != "std" {
			m.dir = r.modules[m.path+"@"+m.version].dir
		}
		l, err := readLicence(m)
		if err != nil || len(l.ids) == 0 {
			unclear = append(unclear, fmt.Sprintf("%s@%s (%v)", m.path, m.version, err))
		}
		out = append(out, l)
	}
	if len(unclear) > 0 {
		return nil, fmt.Errorf("the licence of these modules cannot be told: %s; look at them, and teach build/release their kind", strings.Join(unclear, ", "))
	}
	return out, nil
}

func readLicence(m module) (licence, error) {
	l := licence{module: m}
	if m.dir == "" {
		return l, errors.New("its source is not here; run go mod download")
	}
	files, err := os.ReadDir(m.dir)
	if err != nil {
		return l, err
	}
	for _, f := range files {
		if !f.Type().IsRegular() || !licenceFile.MatchString(f.Name()) || strings.HasSuffix(f.Name(), ".go") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(m.dir, f.Name()))
		if err != nil {
			return l, err
		}
		l.text += "--- " + f.Name() + " ---\n" + strings.TrimSpace(string(text)) + "\n"
		for _, id := range kindsOf(string(text)) {
			if !slices.Contains(l.ids, id) {
				l.ids = append(l.ids, id)
			}
		}
	}
	slices.Sort(l.ids)
	return l, nil
}

// kindsOf a licence's text, by sentences that each kind has and no other.
func kindsOf(text string) (ids []string) {
	text = strings.Join(strings.Fields(text), " ")
	has := func(s string) bool { return strings.Contains(text, s) }
	if has("Apache License") && has("Version 2.0") {
		ids = append(ids, "Apache-2.0")
	}
	if has("Mozilla Public License Version 2.0") || has("Mozilla Public License, version 2.0") {
		ids = append(ids, "MPL-2.0")
	}
	if has("Permission is hereby granted, free of charge, to any person obtaining a copy") {
		ids = append(ids, "MIT")
	}
	if has("Permission to use, copy, modify, and/or distribute this software") || has("Permission to use, copy, modify, and distribute this software for any purpose") {
		ids = append(ids, "ISC")
	}
	if has("Redistribution and use in source and binary forms") {
		if has("endorse or promote products") {
			ids = append(ids, "BSD-3-Clause")
		} else {
			ids = append(ids, "BSD-2-Clause")
		}
	}
	if has("This is free and unencumbered software released into the public domain") {
		ids = append(ids, "Unlicense")
	}
	return ids
}

// texts are all licences in one file.
func texts(found []licence) []byte {
	var b strings.Builder
	b.WriteString("Software that is part of these programs, with its licences.\n")
	for _, l := range found {
		fmt.Fprintf(&b, "\n=== %s %s: %s ===\n%s", l.module.path, l.module.version, strings.Join(l.ids, ", "), l.text)
	}
	return []byte(b.String())
}

// The parts of a CycloneDX 1.6 document that are used: https://cyclonedx.org/docs/1.6/json/
type (
	bom struct {
		Format       string      `json:"bomFormat"`
		SpecVersion  string      `json:"specVersion"`
		Serial       string      `json:"serialNumber"`
		Version      int         `json:"version"`
		Metadata     bomMetadata `json:"metadata"`
		Components   []component `json:"components"`
		Dependencies []dependsOn `json:"dependencies"`
	}
	bomMetadata struct {
		Timestamp string    `json:"timestamp"`
		Component component `json:"component"`
	}
	component struct {
		Type     string       `json:"type"`
		Ref      string       `json:"bom-ref"`
		Name     string       `json:"name"`
		Version  string       `json:"version"`
		PURL     string       `json:"purl,omitempty"`
		Hashes   []bomHash    `json:"hashes,omitempty"`
		Licenses []bomLicense `json:"licenses,omitempty"`
	}
	bomHash struct {
		Alg     string `json:"alg"`
		Content string `json:"content"`
	}
	bomLicense struct {
		License struct {
			ID string `json:"id"`
		} `json:"license"`
	}
	dependsOn struct {
		Ref string   `json:"ref"`
		On  []string `json:"dependsOn"`
	}
)

func licensed(ids []string) (out []bomLicense) {
	for _, id := range ids {
		var l bomLicense
		l.License.ID = id
		out = append(out, l)
	}
	return out
}

// bill of materials of a platform's binaries, in CycloneDX's form.
func (r *release) bill(platform string, built []string, u used, found []licence) ([]byte, error) {
	ref := "swell@" + r.version + "?" + platform
	b := bom{Format: "CycloneDX", SpecVersion: "1.6", Version: 1, Metadata: bomMetadata{Timestamp: r.at.Format(time.RFC3339),
		Component: component{Type: "application", Ref: ref, Name: "swell", Version: r.version, Licenses: licensed([]string{"Apache-2.0"})}}}
	on := dependsOn{Ref: ref}
	for _, path := range built {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		name := filepath.Base(path)
		b.Components = append(b.Components, component{Type: "file", Ref: name, Name: name, Version: r.version, Hashes: []bomHash{{"SHA-256", sum(text)}}})
	}
	for _, l := range found {
		purl := "pkg:golang/" + l.module.path + "@" + l.module.version
		b.Components = append(b.Components, component{Type: "library", Ref: purl, Name: l.module.path, Version: l.module.version, PURL: purl, Licenses: licensed(l.ids)})
		on.On = append(on.On, purl)
	}
	b.Dependencies = []dependsOn{on}
	content, err := json.Marshal(b)
	if err != nil {
		return nil, err
	}
	b.Serial = serial(content)
	text, err := json.MarshalIndent(b, "", " ")
	return append(text, '\n'), err
}

// serial is a UUID that follows from what it is of, so that the same content has the same one.
func serial(content []byte) string {
	s := sha256.Sum256(content)
	s[6], s[8] = s[6]&0x0f|0x80, s[8]&0x3f|0x80 // version 8, its variant
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", s[:4], s[4:6], s[6:8], s[8:10], s[10:16])
}
