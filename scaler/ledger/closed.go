package ledger

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Closed is a file of a ledger that is not written to any more.
type Closed struct {
	// Name is the file's without .gz, From the machine time of its first line.
	Name string
	From time.Time
	in   segment
}

// ClosedIn are those of a folder, oldest first.
func ClosedIn(dir string) ([]Closed, error) {
	list, err := segments(dir)
	if err != nil {
		return nil, fmt.Errorf("listing the ledger's files: %w", err)
	}
	var out []Closed
	for _, s := range list {
		out = append(out, Closed{Name: filepath.Base(s.path), From: s.from, in: s})
	}
	return out, nil
}

// Chain is the id of the chain that the file is of; empty is that it has no line of one.
func (c Closed) Chain() (string, error) {
	s, err := c.in.open()
	if err != nil {
		return "", fmt.Errorf("reading the ledger: %w", err)
	}
	defer s.Close()
	var chain string
	err = s.lines(func(x line) error {
		var e Entry
		if json.Unmarshal(x.text, &e) != nil || e.Action != chainAction || e.Book == nil {
			return nil
		}
		chain = e.Book.Chain
		return errFound
	})
	if err != nil && !errors.Is(err, errFound) {
		return "", fmt.Errorf("reading the ledger %s, %w", s.path, err)
	}
	return chain, nil
}

// Packed is the file, compressed.
func (c Closed) Packed() (io.ReadSeekCloser, error) {
	file, err := os.Open(c.in.path + packedEnd)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return file, err
	}
	plain, err := os.Open(c.in.path)
	if errors.Is(err, fs.ErrNotExist) { // it was compressed since
		return os.Open(c.in.path + packedEnd)
	}
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.Copy(z, plain); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return inMemory{bytes.NewReader(b.Bytes())}, nil
}

type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }
