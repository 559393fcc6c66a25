package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Read returns all entries of the ledger in a folder, oldest first, and how many lines a crash had cut short. The folder is that of
// a scaler or one with a folder for each chain, as swell ships them to S3. A line that is whole and still unreadable is an error that
// names it. See Walk for ledgers that do not fit into memory.
func Read(dir string) (entries []Entry, torn int, err error) {
	torn, err = walk(dir, time.Time{}, time.Time{}, func(e Entry) error {
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		return nil, torn, err
	}
	return entries, torn, nil
}

// Walk gives the entries of model times from from on and before to, oldest first, one at a time; a zero time is no bound. An error of do
// ends it and is returned as it is. It may be called while a scaler writes to the folder.
func Walk(dir string, from, to time.Time, do func(Entry) error) error {
	_, err := walk(dir, from, to, do)
	return err
}

// WalkAll gives all entries as Walk does, and how many lines a crash had cut short.
func WalkAll(dir string, do func(Entry) error) (torn int, err error) {
	return walk(dir, time.Time{}, time.Time{}, do)
}

func walk(dir string, from, to time.Time, do func(Entry) error) (torn int, err error) {
	return Reading{From: from, To: to}.walk(dir, func(e Entry) error {
		if e.Model.Before(from) || !to.IsZero() && !e.Model.Before(to) {
			return nil
		}
		e.Ledger = "" // copies of a ledger give the same entries
		return do(e)
	})
}

// foldersOf are the folders with a ledger in them: the folder itself, and those right below it.
func foldersOf(dir string) ([]string, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []string
	if hasLedger(files) {
		out = append(out, dir)
	}
	for _, f := range files {
		if !f.IsDir() {
			continue
		}
		below := filepath.Join(dir, f.Name())
		if inside, err := os.ReadDir(below); err == nil && hasLedger(inside) {
			out = append(out, below)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s has neither %s nor a segment of a ledger", dir, FileName)
	}
	return out, nil
}

func hasLedger(files []os.DirEntry) bool {
	return slices.ContainsFunc(files, func(f os.DirEntry) bool {
		return !f.IsDir() && (f.Name() == FileName || segmentName.MatchString(f.Name()))
	})
}

// chapters are the files of one folder, oldest first. The file that is written to is opened first, so that none is missed which
// becomes a segment meanwhile.
func chapters(dir string) (closed []segment, current *os.File, err error) {
	current, err = os.Open(filepath.Join(dir, FileName))
	if errors.Is(err, fs.ErrNotExist) {
		current, err = nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	closed, err = segments(dir)
	if err == nil && current != nil {
		closed, err = without(closed, current)
	}
	if err != nil && current != nil {
		current.Close()
		current = nil
	}
	return closed, current, err
}

// without leaves out segments that are, or came after, the file that is open.
func without(closed []segment, current *os.File) ([]segment, error) {
	ours, err := current.Stat()
	if err != nil {
		return nil, err
	}
	for i, s := range closed {
		if there, err := os.Stat(s.path); err == nil && os.SameFile(ours, there) {
			return closed[:i], nil
		}
	}
	var first int64
	err = (&source{path: current.Name(), Reader: current}).lines(func(x line) error {
		if link, ok := linkOf(x.text); ok {
			first = link.Seq
			return errFound
		}
		return nil
	})
	if err != nil && !errors.Is(err, errFound) {
		return nil, err
	}
	if _, err := current.Seek(0, 0); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(closed, func(s segment) bool { return first > 0 && s.first >= first }), nil
}

// entriesOf gives the entries of one folder.
func (r Reading) entriesOf(dir string, do func(Entry) error) (torn int, err error) {
	closed, current, err := chapters(dir)
	if err != nil {
		return 0, fmt.Errorf("reading the ledger %s: %w", dir, err)
	}
	if current != nil {
		defer current.Close()
	}
	closed, err = between(closed, current, r.From, r.To)
	if err != nil {
		return 0, fmt.Errorf("reading the ledger: %w", err)
	}
	var begun bool
	for _, s := range closed {
		chapter, err := s.open()
		if errors.Is(err, fs.ErrNotExist) && !begun {
			continue // dropped meanwhile
		}
		begun = true
		if err != nil {
			return torn, fmt.Errorf("reading the ledger: %w", err)
		}
		n, err := r.entries(chapter, do)
		chapter.Close()
		if torn += n; err != nil {
			return torn, err
		}
	}
	if current == nil {
		return torn, nil
	}
	n, err := r.entries(&source{path: current.Name(), Reader: current}, do)
	return torn + n, err
}

// merged gives the entries of several folders by their machine times.
func (r Reading) merged(folders []string, do func(Entry) error) (torn int, err error) {
	type stream struct {
		next func() (Entry, bool)
		head Entry
	}
	var streams []*stream
	var failed error
	for _, dir := range folders {
		next, stop := iter.Pull(func(yield func(Entry) bool) {
			n, err := r.entriesOf(dir, func(e Entry) error {
				if !yield(e) {
					return errFound
				}
				return nil
			})
			if torn += n; err != nil && !errors.Is(err, errFound) {
				failed = errors.Join(failed, err)
			}
		})
		defer stop()
		s := &stream{next: next}
		var ok bool
		if s.head, ok = next(); ok {
			streams = append(streams, s)
		}
	}
	for len(streams) > 0 && failed == nil {
		s := slices.MinFunc(streams, func(a, b *stream) int { return cmp.Compare(a.head.At.UnixNano(), b.head.At.UnixNano()) })
		if err := do(s.head); err != nil {
			return torn, err
		}
		var ok bool
		if s.head, ok = s.next(); !ok {
			streams = slices.DeleteFunc(streams, func(x *stream) bool { return x == s })
		}
	}
	return torn, failed
}
