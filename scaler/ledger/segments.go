package ledger

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"
)

// FileName is the file in its folder that is written to. When it is full or old it becomes a segment, ledger-SEQ-TIME.jsonl by its
// first line, and is compressed to ledger-SEQ-TIME.jsonl.gz.
const FileName = "ledger.jsonl"

const (
	packedEnd = ".gz"
	// temporaryEnd begins the end of what is being compressed.
	temporaryEnd = ".tmp"
	timeLayout   = "20060102T150405Z"
)

var segmentName = regexp.MustCompile(`^ledger-(\d{12})-(\d{8}T\d{6}Z)\.jsonl(\.gz)?$`)

// segment is a file that is not written to any more.
type segment struct {
	path  string // without .gz
	first int64  // its first line
	from  time.Time
	size  int64
}

func nameOf(first int64, from time.Time) string {
	return fmt.Sprintf("ledger-%012d-%s.jsonl", first, from.UTC().Format(timeLayout))
}

// segments of a folder, oldest first.
func segments(dir string) ([]segment, error) {
	var files []os.DirEntry
	for range 2 { // one listing may show neither of a segment and its compressed file, if the one becomes the other meanwhile
		more, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		files = append(files, more...)
	}
	found, seen := map[string]segment{}, map[string]bool{}
	for _, f := range files {
		m := segmentName.FindStringSubmatch(f.Name())
		if m == nil || f.IsDir() || seen[f.Name()] {
			continue
		}
		seen[f.Name()] = true
		var size int64
		if info, err := f.Info(); err == nil {
			size = info.Size()
		} else if !errors.Is(err, fs.ErrNotExist) { // else it was compressed or dropped meanwhile
			return nil, err
		}
		first, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil {
			return nil, err
		}
		from, err := time.Parse(timeLayout, m[2])
		if err != nil {
			return nil, fmt.Errorf("%s: its name has no time: %w", f.Name(), err)
		}
		s := segment{path: filepath.Join(dir, f.Name()[:len(f.Name())-len(m[3])]), first: first, from: from, size: size}
		s.size += found[s.path].size // both, between compressing and deleting
		found[s.path] = s
	}
	var out []segment
	for _, s := range found {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b segment) int { return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.path, b.path)) })
	return out, nil
}

// source is an open file of a ledger.
type source struct {
	path string
	io.Reader
	closers []io.Closer
}

func (s *source) Close() {
	for _, c := range slices.Backward(s.closers) {
		c.Close()
	}
}

// open opens a segment, compressed or not; it may become so meanwhile.
func (s segment) open() (*source, error) {
	var last error
	for _, path := range []string{s.path + packedEnd, s.path, s.path + packedEnd} {
		file, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			last = err
			continue
		}
		if err != nil {
			return nil, err
		}
		from := &source{path: path, Reader: file, closers: []io.Closer{file}}
		if path == s.path {
			return from, nil
		}
		z, err := gzip.NewReader(bufio.NewReaderSize(file, 64<<10))
		if err != nil {
			file.Close()
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		from.Reader, from.closers = z, append(from.closers, z)
		return from, nil
	}
	return nil, last
}

// line of a file.
type line struct {
	path   string
	number int
	// text is without the newline and valid until the next line is read; whole says that there was one.
	text  []byte
	whole bool
}

// longestLine is far above what is ever written.
const longestLine = 64 << 20

// lines gives each line of a file to do, which ends the reading by an error.
func (s *source) lines(do func(line) error) error {
	reader := bufio.NewReaderSize(s.Reader, 256<<10)
	var long []byte
	for n := 1; ; {
		part, err := reader.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			if long = append(long, part...); len(long) > longestLine {
				return fmt.Errorf("line %d: it is longer than %d bytes", n, longestLine)
			}
			continue
		}
		text := part
		if len(long) > 0 {
			text, long = append(long, part...), nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if len(text) > 0 {
			whole := bytes.HasSuffix(text, []byte("\n"))
			if e := do(line{s.path, n, bytes.TrimSuffix(text, []byte("\n")), whole}); e != nil {
				return e
			}
		}
		if err != nil {
			return nil
		}
		n++
	}
}

// pack compresses a segment; a crash leaves it as it was. files is held while it is replaced, unless it is gone by then.
func pack(path string, files sync.Locker) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+packedEnd+temporaryEnd+"*") // another replica may write its own
	if err != nil {
		return err
	}
	temporary := out.Name()
	if err := out.Chmod(0o644); err != nil { // as the others
		return errors.Join(err, out.Close(), os.Remove(temporary))
	}
	z, err := gzip.NewWriterLevel(out, gzip.BestSpeed)
	if err == nil {
		_, err = io.Copy(z, in)
	}
	if err == nil {
		err = z.Close()
	}
	if err == nil {
		err = out.Sync()
	}
	files.Lock()
	defer files.Unlock()
	if err = errors.Join(err, out.Close()); err == nil {
		_, err = os.Stat(path)
	}
	if err == nil {
		err = os.Rename(temporary, path+packedEnd)
	}
	if err != nil {
		os.Remove(temporary)
		return err
	}
	return os.Remove(path)
}
