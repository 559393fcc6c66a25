package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"
)

// Reading is a way through a ledger that is too long to be read whole, or not whole any more.
type Reading struct {
	// From and To leave out the files that have nothing of the model times from From on and before To; of the others all is given. A zero
	// time is no bound.
	From, To time.Time
	// Want says, by its action and object, whether a line is to be read; nil is all.
	Want func(action, object string) bool
	// Unread is told of each line that cannot be read, and why; torn are those that are no JSON, as a crash leaves them. nil ends the
	// reading at the first one that is not torn, with an error.
	Unread func(path string, line int, torn bool, why error)
}

// Walk gives the entries of a ledger in a folder, oldest first, one at a time. An error of do ends it and is returned as it is. It may be
// called while a scaler writes to the folder.
func (r Reading) Walk(dir string, do func(Entry) error) error {
	_, err := r.walk(dir, do)
	return err
}

func (r Reading) walk(dir string, do func(Entry) error) (torn int, err error) {
	folders, err := foldersOf(dir)
	if err != nil {
		return 0, fmt.Errorf("reading the ledger: %w; give the folder that ledgerDir names, or a copy of it", err)
	}
	ofTheScaler := func(e Entry) error {
		if ofTheFiles(e.Action) {
			return nil
		}
		return do(e)
	}
	if len(folders) == 1 {
		return r.entriesOf(folders[0], ofTheScaler)
	}
	return r.merged(folders, ofTheScaler)
}

// Lines gives the entries of a ledger's lines that are no folder: a file, or a log in which other lines stand between them, which are
// told as unread. of is what they are called.
func (r Reading) Lines(of string, from io.Reader, do func(Entry) error) error {
	_, err := r.entries(&source{path: of, Reader: from}, func(e Entry) error {
		if ofTheFiles(e.Action) {
			return nil
		}
		e.Ledger = of
		return do(e)
	})
	return err
}

// entries gives the entries of one file, and counts the lines that are no JSON.
func (r Reading) entries(s *source, do func(Entry) error) (torn int, err error) {
	var own error
	dir := filepath.Dir(s.path)
	err = s.lines(func(x line) error {
		if len(x.text) == 0 || r.Want != nil && !r.wants(x.text) {
			return nil
		}
		e, err := entryOf(x)
		if err == nil && r.Unread != nil && (e.Action == "" || e.Phase == "" || e.Model.IsZero()) {
			err = errors.New("it is no entry: it lacks action, phase or model")
		}
		switch isTorn := err != nil && !json.Valid(x.text); {
		case err == nil:
		case r.Unread != nil:
			r.Unread(s.path, x.number, isTorn, err)
			return nil
		case isTorn:
			torn++
			return nil
		default:
			return fmt.Errorf("line %d: %w", x.number, err)
		}
		e.Ledger = dir
		own = do(e)
		return own
	})
	switch {
	case err == nil:
		return torn, nil
	case own != nil:
		return torn, own
	}
	return torn, fmt.Errorf("reading the ledger %s, %w", s.path, err)
}

// entryOf reads one line.
func entryOf(x line) (Entry, error) {
	var e struct {
		Schema int `json:"v"`
		Entry
	}
	if err := json.Unmarshal(x.text, &e); err != nil {
		return Entry{}, err
	}
	if e.Schema > Schema {
		return Entry{}, fmt.Errorf("it is of schema %d, and this swell reads up to %d; use the swell that goes with the scaler", e.Schema, Schema)
	}
	return e.Entry, nil
}

const (
	lineStart = `{"at":"`
	actionTag = `,"action":"`
	objectTag = `,"object":"`
	// headLen is more than what stands before an object's end in a line, unless its name is very long.
	headLen = 1 << 10
)

// wants asks Want about a line that begins as all do, without reading the rest; any other is read.
func (r Reading) wants(text []byte) bool {
	head := text[:min(len(text), headLen)]
	if !bytes.HasPrefix(head, []byte(lineStart)) {
		return true
	}
	action, rest, ok := quoted(head, actionTag)
	if !ok || !bytes.HasPrefix(rest, []byte(objectTag)) {
		return true
	}
	object, _, ok := quoted(rest, objectTag)
	return !ok || r.Want(string(action), string(object))
}

// quoted is what stands in quotes behind the first of a tag, and what follows; an escape in it is not read.
func quoted(text []byte, tag string) (value, rest []byte, ok bool) {
	_, after, found := bytes.Cut(text, []byte(tag))
	value, rest, closed := bytes.Cut(after, []byte(`"`))
	return value, rest, found && closed && !bytes.ContainsRune(value, '\\')
}

// End is the latest model time in a ledger's newest files; zero is that they have none.
func End(dir string) (time.Time, error) {
	folders, err := foldersOf(dir)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the ledger: %w; give the folder that ledgerDir names, or a copy of it", err)
	}
	var end time.Time
	for _, folder := range folders {
		closed, current, err := chapters(folder)
		if err != nil {
			return end, fmt.Errorf("reading the ledger %s: %w", folder, err)
		}
		files := closed[max(0, len(closed)-1):]
		lenient := Reading{Unread: func(string, int, bool, error) {}, Want: func(action, _ string) bool { return action != "sample" }}
		latest := func(e Entry) error {
			if e.Model.After(end) {
				end = e.Model
			}
			return nil
		}
		for _, s := range files {
			if chapter, err := s.open(); err == nil {
				_, err = lenient.entries(chapter, latest)
				chapter.Close()
				if err != nil {
					return end, err
				}
			}
		}
		if current != nil {
			_, err = lenient.entries(&source{path: current.Name(), Reader: current}, latest)
			current.Close()
			if err != nil {
				return end, err
			}
		}
	}
	return end, nil
}
