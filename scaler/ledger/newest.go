package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// Newest is the newest model time before another that an entry has; zero is that there is none. Files are read from the newest on, and
// none behind the first that has one.
func Newest(dir string, before time.Time) (time.Time, error) {
	folders, err := foldersOf(dir)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the ledger: %w; give the folder that ledgerDir names, or a copy of it", err)
	}
	var newest time.Time
	for _, folder := range folders {
		at, err := newestIn(folder, before)
		if err != nil {
			return time.Time{}, fmt.Errorf("reading the ledger %s: %w", folder, err)
		}
		if at.After(newest) {
			newest = at
		}
	}
	return newest, nil
}

func newestIn(dir string, before time.Time) (time.Time, error) {
	closed, current, err := chapters(dir)
	if err != nil {
		return time.Time{}, err
	}
	if current != nil {
		defer current.Close()
		at, err := (&source{path: current.Name(), Reader: current}).newest(before)
		if err != nil || !at.IsZero() {
			return at, err
		}
	}
	for _, s := range slices.Backward(closed) {
		chapter, err := s.open()
		if errors.Is(err, fs.ErrNotExist) {
			continue // dropped meanwhile
		}
		if err != nil {
			return time.Time{}, err
		}
		at, err := chapter.newest(before)
		chapter.Close()
		if err != nil || !at.IsZero() {
			return at, err
		}
	}
	return time.Time{}, nil
}

func (s *source) newest(before time.Time) (newest time.Time, err error) {
	err = s.lines(func(x line) error {
		if at := modelOf(x.text); at.Before(before) && at.After(newest) {
			newest = at
		}
		return nil
	})
	return newest, err
}

// modelOf is the model time of a line, without reading the rest of it; zero is that it has none, or is torn.
func modelOf(text []byte) time.Time {
	const tag = `"model":"`
	_, rest, _ := bytes.Cut(text[:min(len(text), 200)], []byte(tag)) // the second field
	word, _, whole := bytes.Cut(rest, []byte(`"`))
	at, err := time.Parse(time.RFC3339Nano, string(word))
	if err != nil || !whole {
		return time.Time{}
	}
	return at
}
