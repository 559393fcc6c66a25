package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// against says what is wrong with the chain as it stands by the head that was kept outside of it; empty is nothing.
func (l *Ledger) against(kept *Anchor) (string, error) {
	switch {
	case kept == nil || kept.Chain != l.chain:
		return "", nil
	case kept.Seq > l.seq:
		return fmt.Sprintf("the folder ended at line %d of the chain, and line %d was kept outside of it as written: what lies between was taken away", l.seq, kept.Seq), nil
	}
	hash, err := l.hashOf(kept.Seq)
	if err != nil || hash == "" || hash == kept.Hash {
		return "", err
	}
	return fmt.Sprintf("line %d of the chain has another hash than was kept outside of it: the chain was written anew up to there at least", kept.Seq), nil
}

// hashOf is that of a line of the chain; empty is that the folder does not have it.
func (l *Ledger) hashOf(seq int64) (hash string, err error) {
	list, err := segments(l.dir)
	if err != nil {
		return "", err
	}
	find := func(x line) error {
		if link, ok := linkOf(x.text); ok && link.Seq == seq {
			hash = link.Hash
			return errFound
		}
		return nil
	}
	from := &source{}
	if at := slices.IndexFunc(list, func(s segment) bool { return s.first > seq }); seq < l.first && (at > 0 || at < 0 && len(list) > 0) {
		if at < 0 {
			at = len(list)
		}
		if from, err = list[at-1].open(); err != nil {
			return "", err
		}
	} else {
		file, err := os.Open(filepath.Join(l.dir, FileName))
		if err != nil {
			return "", err
		}
		from.Reader, from.closers = file, append(from.closers, file)
	}
	defer from.Close()
	if err := from.lines(find); err != nil && !errors.Is(err, errFound) {
		return "", err
	}
	return hash, nil
}
