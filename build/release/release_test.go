package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var at = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func TestTheSameFilesGiveTheSameArchive(t *testing.T) {
	files := []member{{"b", []byte("two"), 0o755}, {"a", []byte("one"), 0o644}}
	one, err := tarGz("swell", slices.Clone(files), at)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(files)
	if another, err := tarGz("swell", files, at); err != nil || !bytes.Equal(one, another) {
		t.Errorf("%v: the order of the files shows", err)
	}
	z, err := gzip.NewReader(bytes.NewReader(one))
	if err != nil || !z.ModTime.IsZero() || z.Name != "" {
		t.Fatal(err, z.Header)
	}
	r := tar.NewReader(z)
	var names []string
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || !h.ModTime.Equal(at) {
			t.Errorf("%+v", h)
		}
		names = append(names, h.Name)
	}
	if !slices.Equal(names, []string{"swell/a", "swell/b"}) {
		t.Error(names)
	}
}

// The bill of materials of this very test says what it is made of, with licences that were told from their texts.
func TestTheBillNamesWhatIsLinked(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := release{version: "v0.1.0", at: at, modules: map[string]module{}}
	u, err := readUsed([]string{self})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "LICENSE"), []byte("Permission is hereby granted, free of charge, to any\nperson obtaining a copy"), 0o644); err != nil {
		t.Fatal(err)
	}
	u.modules = append(u.modules, module{path: "example.com/a", version: "v1.2.3"})
	for _, m := range u.modules {
		r.modules[m.path+"@"+m.version] = module{m.path, m.version, dir}
	}
	found, err := r.licences(u)
	if err != nil {
		t.Fatal(err)
	}
	text, err := r.bill("linux/amd64", []string{self}, u, found)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := r.bill("linux/amd64", []string{self}, u, found)
	if !bytes.Equal(text, again) {
		t.Error("the same content gives another bill")
	}
	var b bom
	if err := json.Unmarshal(text, &b); err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(b.Serial) || b.Metadata.Timestamp != "2026-03-02T09:00:00Z" {
		t.Errorf("%s %s", b.Serial, b.Metadata.Timestamp)
	}
	i := slices.IndexFunc(b.Components, func(c component) bool { return c.PURL == "pkg:golang/example.com/a@v1.2.3" })
	std := slices.IndexFunc(b.Components, func(c component) bool { return c.Name == "std" })
	if i < 0 || std < 0 || b.Components[i].Licenses[0].License.ID != "MIT" || b.Components[std].Licenses[0].License.ID != "BSD-3-Clause" {
		t.Errorf("%s", text)
	}
	if err := os.WriteFile(filepath.Join(dir, "LICENSE"), []byte("All rights reserved"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := r.licences(u); err == nil || !strings.Contains(err.Error(), "example.com/a@v1.2.3") {
		t.Errorf("a licence that nobody knows was taken: %v", err)
	}
}

// The image has no shell step, a base that is named by its digest, a user that is not root, and both platforms by buildx.
func TestTheImageIsSmallAndNotRoot(t *testing.T) {
	text, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	steps := map[string][]string{}
	for _, line := range strings.Split(strings.ReplaceAll(string(text), "\\\n", " "), "\n") {
		if word, rest, _ := strings.Cut(strings.TrimSpace(line), " "); word != "" && !strings.HasPrefix(word, "#") {
			steps[word] = append(steps[word], strings.TrimSpace(rest))
		}
	}
	if len(steps["RUN"])+len(steps["ADD"])+len(steps["ENV"]) > 0 {
		t.Errorf("there is nothing to run it with, and nothing to fetch: %v", steps)
	}
	base := regexp.MustCompile(`^BASE=gcr\.io/distroless/static-[a-z0-9]+:nonroot@sha256:[0-9a-f]{64}$`)
	if !slices.ContainsFunc(steps["ARG"], base.MatchString) || !slices.Equal(steps["FROM"], []string{"${BASE}"}) {
		t.Errorf("the base is not pinned: %v of %v", steps["FROM"], steps["ARG"])
	}
	if user := steps["USER"]; len(user) != 1 || !regexp.MustCompile(`^[1-9][0-9]*:[1-9][0-9]*$`).MatchString(user[0]) {
		t.Errorf("the user is %v: Kubernetes tells by the number alone that it is not root", user)
	}
	if e := steps["ENTRYPOINT"]; len(e) != 1 || !strings.HasPrefix(e[0], "[") {
		t.Errorf("the entrypoint needs a shell: %v", e)
	}
	for _, program := range all {
		if !strings.Contains(strings.Join(steps["COPY"], " ")+" ", "${TARGETOS}-${TARGETARCH}/"+program+" ") {
			t.Errorf("%s is not copied for the platform that is built: %v", program, steps["COPY"])
		}
	}
}

func TestKrewsManifestNamesEachArchive(t *testing.T) {
	r := release{root: "../..", out: t.TempDir(), version: "v0.1.0", url: "https://example.com/v0.1.0/"}
	if err := r.krew([]archive{{"linux", "amd64", "swell_v0.1.0_linux_amd64.tar.gz", strings.Repeat("a", 64)}}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(r.out, "swell.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"version: v0.1.0", "uri: https://example.com/v0.1.0/swell_v0.1.0_linux_amd64.tar.gz", "sha256: aaaa", "{os: linux, arch: amd64}"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}
