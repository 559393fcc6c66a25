package ledger

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Archive writes the files of a ledger's folder as a tar, oldest first, byte for byte, so that the copy can be verified. The file that
// is written to comes last, up to its last whole line; a writer may go on meanwhile.
func Archive(dir string, w io.Writer) error {
	closed, current, err := chapters(dir)
	if err != nil {
		return fmt.Errorf("copying the ledger %s: %w", dir, err)
	}
	if current != nil {
		defer current.Close()
	}
	out := tar.NewWriter(w)
	for _, s := range closed {
		if err := archiveSegment(out, s); err != nil {
			return fmt.Errorf("copying the ledger %s: %w", dir, err)
		}
	}
	if current != nil {
		size, err := wholeLines(current)
		if err == nil {
			err = archiveFile(out, FileName, current, size)
		}
		if err != nil {
			return fmt.Errorf("copying the ledger %s: %w", dir, err)
		}
	}
	return out.Close()
}

func archiveSegment(out *tar.Writer, s segment) error {
	for _, path := range []string{s.path + packedEnd, s.path, s.path + packedEnd} { // it may be compressed meanwhile
		file, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			return err
		}
		return archiveFile(out, filepath.Base(path), file, info.Size())
	}
	return nil // it was dropped to stay within the bounds
}

func archiveFile(out *tar.Writer, name string, from io.ReaderAt, size int64) error {
	err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, Format: tar.FormatPAX, ModTime: time.Unix(0, 0)})
	if err != nil {
		return err
	}
	_, err = io.Copy(out, io.NewSectionReader(from, 0, size))
	return err
}

// wholeLines is how long a file is up to its last newline.
func wholeLines(file *os.File) (int64, error) {
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	const step = 64 << 10
	for end := info.Size(); end > 0; end = max(end-step, 0) {
		begin := max(end-step, 0)
		part := make([]byte, end-begin)
		if _, err := file.ReadAt(part, begin); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(part, '\n'); i >= 0 {
			return begin + int64(i) + 1, nil
		}
	}
	return 0, nil
}

// Extract puts the files of an Archive into a folder, which is made if need be and must hold no ledger yet, and says how many they are.
func Extract(from io.Reader, dir string) (files int, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return 0, fmt.Errorf("storing the ledger: %w; give a folder that can be written", err)
	}
	there, err := os.ReadDir(dir)
	if err != nil {
		return 0, fmt.Errorf("storing the ledger: %w", err)
	}
	if hasLedger(there) {
		return 0, fmt.Errorf("storing the ledger: %s has a ledger already; give another folder", dir)
	}
	for in := tar.NewReader(from); ; files++ {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return files, fmt.Errorf("storing the ledger: %w; what came is in %s, ask again with another folder", err, dir)
		}
		if h.Typeflag != tar.TypeReg || h.Name != FileName && !segmentName.MatchString(h.Name) {
			return files, fmt.Errorf("storing the ledger: %q is no file of a ledger", h.Name)
		}
		if err := extractFile(in, filepath.Join(dir, h.Name)); err != nil {
			return files, fmt.Errorf("storing the ledger: %w; what came is in %s, ask again with another folder", err, dir)
		}
	}
}

func extractFile(from io.Reader, path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, from)
	return errors.Join(err, file.Close())
}
