package ledger

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// ready opens the file and finds the end of its chain, unless it is as this ledger left it. Another replica may have written to
// the folder.
func (l *Ledger) ready(r request) error {
	path := filepath.Join(l.dir, FileName)
	if l.file != nil {
		ours, err := l.file.Stat()
		if err == nil && ours.Size() == l.size {
			if there, err := os.Stat(path); err == nil && os.SameFile(ours, there) {
				return nil
			}
		}
		l.close()
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	l.file = file
	if err := l.recover(r); err != nil {
		l.close()
		return err
	}
	return nil
}

// tail is what a file ends in.
type tail struct {
	lines int
	first int64 // of the chain, in this file
	span  Span
	from  time.Time
	last  Link
	chain string
	torn  []byte // of the last line, where it has no newline and is not whole
	open  bool   // the last line is whole but for its newline
	// before is of the file before it, which was just closed.
	before *Span
}

func tailOf(s *source) (tail, error) {
	var t tail
	err := s.lines(func(x line) error {
		t.lines++
		t.span.take(modelOf(x.text))
		link, ok := linkOf(x.text)
		ok = ok && link.intact(x.text)
		if !x.whole {
			if t.open = ok || t.last.Seq == 0 && json.Valid(x.text); !t.open {
				t.torn = bytes.Clone(x.text)
				return nil
			}
		}
		if !ok {
			return t.begins(x.text)
		}
		if t.last = link; t.first == 0 {
			t.first = link.Seq
		}
		return t.begins(x.text)
	})
	return t, err
}

// begins takes when a file begins, and which chain it is of.
func (t *tail) begins(text []byte) error {
	if !t.from.IsZero() && t.chain != "" {
		return nil
	}
	var e Entry
	if json.Unmarshal(text, &e) != nil {
		return nil
	}
	if t.from.IsZero() {
		t.from = e.At
	}
	if e.Action == chainAction && e.Book != nil {
		t.chain = e.Book.Chain
	}
	return nil
}

// recover finds where the chain goes on, and writes what it has to say of the file.
func (l *Ledger) recover(r request) error {
	t, err := tailOf(&source{path: l.file.Name(), Reader: l.file})
	if err != nil {
		return err
	}
	l.cleanUp()
	if t.last.Seq == 0 || t.chain == "" {
		if err := l.fromSegments(&t); err != nil {
			return err
		}
	}
	digest, err := l.digest(t)
	if err != nil {
		return err
	}
	if len(t.torn) > 0 || t.open {
		if _, err := l.file.WriteString("\n"); err != nil {
			return err
		}
	}
	info, err := l.file.Stat()
	if err != nil {
		return err
	}
	l.size, l.from, l.first, l.span = info.Size(), t.from, t.first, t.span
	if l.from.IsZero() {
		l.from = r.at
	}
	if l.first == 0 {
		l.first = t.last.Seq + 1
	}
	if t.last.Seq >= l.seq { // fewer: what is missing of the file was not taken out by us
		l.seq, l.prev = t.last.Seq, t.last.Hash
	}
	if l.seq == 0 {
		l.prev = origin
	}
	l.chain = t.chain
	return l.say(r, t, digest)
}

// digest is of the lines before a chain that is about to begin in their file.
func (l *Ledger) digest(t tail) (*Bytes, error) {
	if t.last.Seq > 0 || t.lines == 0 {
		return nil, nil
	}
	if _, err := l.file.Seek(0, 0); err != nil {
		return nil, err
	}
	h := sha256.New()
	n, err := l.file.WriteTo(h)
	if err != nil {
		return nil, err
	}
	if len(t.torn) > 0 || t.open {
		h.Write([]byte("\n"))
		n++
	}
	return &Bytes{Lines: t.lines, Size: n, SHA256: hex.EncodeToString(h.Sum(nil))}, nil
}

// fromSegments finds the end of a chain whose newest file has no line of it yet.
func (l *Ledger) fromSegments(t *tail) error {
	list, err := segments(l.dir)
	if err != nil || len(list) == 0 {
		return err
	}
	s, err := list[len(list)-1].open()
	if err != nil {
		return err
	}
	defer s.Close()
	before, err := tailOf(s)
	if t.last.Seq == 0 {
		t.last = before.last
	}
	t.chain = cmp.Or(t.chain, before.chain)
	return err
}

// say writes the beginning of a chain, or of a file, and what was found in it.
func (l *Ledger) say(r request, t tail, unchained *Bytes) error {
	l.mu.Lock()
	follow := l.follow
	l.mu.Unlock()
	note := Entry{At: r.at, Model: r.model, Phase: Note, Object: l.dir}
	if len(t.torn) > 0 && l.seq > 0 {
		e := note
		e.Action, e.Book = tornAction, &Book{Torn: &Bytes{Size: int64(len(t.torn)), SHA256: sum(t.torn)}}
		e.Reason = "a line before this one was not written to its end"
		if err := l.putEntry(e); err != nil {
			return err
		}
	}
	wrong, err := l.against(follow)
	if err != nil { // what is written now matters more
		l.options.Log.Warn("ledger: it is not known whether it has the line that was kept outside of it", "error", err)
	}
	follows := follow != nil && (follow.Chain != l.chain || wrong != "")
	if l.chain != "" && t.lines > 0 && !follows {
		return nil
	}
	e := note
	e.Action, e.Book = chainAction, &Book{Before: t.before}
	if l.chain == "" {
		var id [8]byte
		if _, err := rand.Read(id[:]); err != nil {
			return err
		}
		l.chain, e.Book.Unchained = hex.EncodeToString(id[:]), unchained
	}
	e.Book.Chain = l.chain
	if follows {
		if e.Book.Predecessor, e.Reason = follow, wrong; wrong != "" {
			l.options.Log.Error("ledger", "error", wrong+"; verify it against heads that were kept elsewhere, such as the log")
		}
	}
	if err := l.putEntry(e); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.follow == follow {
		l.follow = nil
	}
	return nil
}

// halfDone is how old a file that is being compressed becomes at most, by far; an older one was left by a crash.
const halfDone = time.Hour

// cleanUp compresses the segments that a crash left as they were, and removes what it left half done.
func (l *Ledger) cleanUp() {
	left, err := filepath.Glob(filepath.Join(l.dir, "ledger-*"+packedEnd+temporaryEnd+"*"))
	for _, path := range left {
		if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > halfDone {
			os.Remove(path)
		}
	}
	if err != nil {
		l.options.Log.Warn("ledger: looking for what a crash left", "error", err)
	}
	list, err := segments(l.dir)
	if err != nil {
		return
	}
	for _, s := range list {
		if _, err := os.Stat(s.path); err == nil {
			l.pack(s.path)
		}
	}
}

// rotate makes the file a segment and begins a new one. at is machine time.
func (l *Ledger) rotate(at, model time.Time) error {
	if err := l.file.Sync(); err != nil {
		return fmt.Errorf("writing the ledger: %w", err)
	}
	l.close()
	before := l.span
	before.First = l.first
	segment := filepath.Join(l.dir, nameOf(l.first, l.from))
	if err := os.Rename(filepath.Join(l.dir, FileName), segment); err != nil {
		return fmt.Errorf("writing the ledger: %w", err)
	}
	l.pack(segment)
	file, err := os.OpenFile(filepath.Join(l.dir, FileName), os.O_CREATE|os.O_EXCL|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil { // the next entry opens it
		return fmt.Errorf("writing the ledger: %w", err)
	}
	l.file, l.size, l.first, l.from, l.span = file, 0, l.seq+1, at, Span{}
	if err := l.say(request{at: at, model: model}, tail{before: &before}, nil); err != nil {
		l.close() // the next entry begins it again
		return err
	}
	return l.drop(at, model)
}

// pack compresses a segment in the background.
func (l *Ledger) pack(path string) {
	l.packing.Go(func() {
		if err := pack(path, &l.files); err != nil && !errors.Is(err, fs.ErrNotExist) {
			l.options.Log.Warn("ledger: compressing a segment; it stays as it is", "file", path, "error", err)
		}
	})
}

// drop deletes the oldest segments, as far as the bounds want it, after it has recorded where the chain begins then.
func (l *Ledger) drop(now, model time.Time) error {
	list, err := segments(l.dir)
	if err != nil {
		return fmt.Errorf("keeping the ledger within its bounds: %w", err)
	}
	total := l.size
	for _, s := range list {
		total += s.size
	}
	var gone []segment
	begins := l.first
	for i, s := range list {
		until, next := l.from, l.first
		if i+1 < len(list) {
			until, next = list[i+1].from, list[i+1].first
		}
		if total <= l.options.MaxSize && (now.Sub(until) <= l.options.MaxAge || !l.options.Kept(filepath.Base(s.path))) {
			break
		}
		total -= s.size
		gone, begins = append(gone, s), next
	}
	if len(gone) == 0 {
		return nil
	}
	last, err := l.before(begins, list)
	if err != nil {
		return fmt.Errorf("keeping the ledger within its bounds: %w", err)
	}
	err = l.putEntry(Entry{At: now, Model: model, Phase: Note, Action: droppedAction, Object: filepath.Base(gone[len(gone)-1].path), Count: len(gone),
		Reason: fmt.Sprintf("the ledger takes at most %d bytes and %s; its chain begins at line %d", l.options.MaxSize, l.options.MaxAge, begins), Book: &Book{Dropped: &last}})
	if err != nil {
		return err
	}
	l.files.Lock()
	defer l.files.Unlock()
	for _, s := range gone {
		for _, path := range []string{s.path, s.path + packedEnd} {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("keeping the ledger within its bounds: %w", err)
			}
		}
	}
	return nil
}

// errFound ends a reading.
var errFound = errors.New("found")

// before is the line before that with which a file begins.
func (l *Ledger) before(first int64, list []segment) (Head, error) {
	from := &source{path: l.file.Name()}
	if at := slices.IndexFunc(list, func(s segment) bool { return s.first == first }); at >= 0 {
		s, err := list[at].open()
		if err != nil {
			return Head{}, err
		}
		defer s.Close()
		from = s
	} else {
		file, err := os.Open(l.file.Name())
		if err != nil {
			return Head{}, err
		}
		defer file.Close()
		from.Reader = file
	}
	var h Head
	err := from.lines(func(x line) error {
		link, ok := linkOf(x.text)
		if !ok {
			return nil
		}
		h = Head{link.Seq - 1, link.Prev}
		return errFound
	})
	if !errors.Is(err, errFound) {
		return Head{}, errors.Join(err, fmt.Errorf("%s has no line of a chain", from.path))
	}
	return h, nil
}
