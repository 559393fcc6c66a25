package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"
)

const sumsFile = "SHA256SUMS"

// member is one file of an archive.
type member struct {
	name string
	text []byte
	mode int64
}

// archive that was written.
type archive struct {
	OS, Arch, Name, SHA256 string
}

// pack writes the archive of a platform, and its bill of materials beside it.
func (r *release) pack(platform string, built []string) (archive, error) {
	system, machine, _ := strings.Cut(platform, "/")
	base := fmt.Sprintf("swell_%s_%s_%s", r.version, system, machine)
	used, err := readUsed(built)
	if err != nil {
		return archive{}, err
	}
	found, err := r.licences(used)
	if err != nil {
		return archive{}, err
	}
	bill, err := r.bill(platform, built, used, found)
	if err != nil {
		return archive{}, err
	}
	members := []member{{"THIRD_PARTY_LICENSES.txt", texts(found), 0o644}, {"sbom.cdx.json", bill, 0o644}}
	for _, path := range built {
		text, err := os.ReadFile(path)
		if err != nil {
			return archive{}, err
		}
		members = append(members, member{filepath.Base(path), text, 0o755})
	}
	for _, name := range []string{"LICENSE", "CHANGELOG.md"} {
		text, err := os.ReadFile(filepath.Join(r.root, name))
		if err != nil {
			return archive{}, err
		}
		members = append(members, member{name, text, 0o644})
	}
	packed, err := tarGz(base, members, r.at)
	if err != nil {
		return archive{}, fmt.Errorf("packing %s: %w", base, err)
	}
	a := archive{system, machine, base + ".tar.gz", sum(packed)}
	if err := os.WriteFile(filepath.Join(r.out, a.Name), packed, 0o644); err != nil {
		return a, err
	}
	return a, os.WriteFile(filepath.Join(r.out, base+".cdx.json"), bill, 0o644)
}

// tarGz packs files below a folder: sorted, owned by nobody in particular, all of one time, so that the same files give the same bytes.
func tarGz(folder string, members []member, at time.Time) ([]byte, error) {
	slices.SortFunc(members, func(a, b member) int { return strings.Compare(a.name, b.name) })
	var buffer bytes.Buffer
	z, err := gzip.NewWriterLevel(&buffer, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	w := tar.NewWriter(z)
	for _, m := range members {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: folder + "/" + m.name, Mode: m.mode, Size: int64(len(m.text)), ModTime: at, Format: tar.FormatUSTAR}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(m.text); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	err = z.Close()
	return buffer.Bytes(), err
}

func sum(text []byte) string {
	s := sha256.Sum256(text)
	return hex.EncodeToString(s[:])
}

// sums writes the checksums of all files in r.out, as sha256sum -c reads them.
func (r *release) sums() error {
	files, err := os.ReadDir(r.out)
	if err != nil {
		return err
	}
	var list strings.Builder
	for _, f := range files {
		if !f.Type().IsRegular() || f.Name() == sumsFile {
			continue
		}
		text, err := os.ReadFile(filepath.Join(r.out, f.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&list, "%s  %s\n", sum(text), f.Name())
	}
	return os.WriteFile(filepath.Join(r.out, sumsFile), []byte(list.String()), 0o644)
}

// krew writes the plug-in's manifest, if it is known where the archives will be.
func (r *release) krew(archives []archive) error {
	if r.url == "" {
		return nil
	}
	t, err := template.ParseFiles(filepath.Join(r.root, "build", "krew.yaml.tmpl"))
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := t.Execute(&text, map[string]any{"Version": r.version, "URL": strings.TrimSuffix(r.url, "/"), "Archives": archives}); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.out, "swell.yaml"), text.Bytes(), 0o644)
}
