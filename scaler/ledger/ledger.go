// Package ledger records what the scaler is about to do and what came of it, as append-only JSON lines that hang on one another by
// their hashes.
package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// Ledger appends entries to a file, and keeps its folder within bounds. Its methods may be called at once.
type Ledger struct {
	dir     string
	options Options
	copies  chan []byte
	copied  chan struct{} // closed when the last was taken
	ended   sync.WaitGroup
	packing sync.WaitGroup
	// files is held while a segment's file is replaced or deleted.
	files sync.Mutex
	// slow says that the disk did not answer within the patience, and has not since.
	slow atomic.Bool

	mu     sync.Mutex
	more   *sync.Cond // there is more in the queue, or the end of it
	closed bool
	// queue waits for its first try, kept for another, and is older.
	queue, kept waiting
	lost        Lost
	lastLost    request // only its times
	why         error   // of the newest entry that was lost or kept
	head        Anchor
	follow      *Anchor

	// These are the writing goroutine's alone.
	file   *os.File
	locked *os.File // of the folder's lock; nil before the first entry
	size   int64
	first  int64 // the file's first line in the chain
	span   Span  // of the file's entries; its number is set when it is closed
	from   time.Time
	seq    int64
	prev   string
	chain  string

	watchers
}

// request is one entry to write, or something else to do in its turn.
type request struct {
	body      []byte
	at, model time.Time
	action    string
	rank      int
	do        func() error
	answer    chan error
}

// mostCopies are the lines that wait for their copy to be taken; more are left out of it, and counted.
const mostCopies = 4096

// lastWrites is how many times the patience the disk is waited for at the end: less than the 30 s after which Kubernetes kills.
const lastWrites = 20

// lastCopies is how many times the patience the copy is waited for at the end.
const lastCopies = 5

// Open opens the ledger in a folder, which is made if need be, with the default options.
func Open(dir string) (*Ledger, error) { return OpenWith(dir, Options{}) }

// OpenWith opens the ledger in a folder, which is made if need be. What is there is read with the first entry that is appended:
// until then another replica may write to the same folder.
func OpenWith(dir string, o Options) (*Ledger, error) {
	const mend = "give ledgerDir a folder that can be written"
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("opening the ledger: %w", err)
	}
	o.setDefaults()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("opening the ledger: %w; %s", err, mend)
	}
	file, err := os.OpenFile(filepath.Join(dir, FileName), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the ledger: %w; %s", err, mend)
	}
	file.Close()
	l := &Ledger{dir: dir, options: o}
	l.more = sync.NewCond(&l.mu)
	if o.Copy != nil {
		l.copies = make(chan []byte, mostCopies)
		l.copied = make(chan struct{})
		go l.runCopies()
	}
	l.ended.Go(l.run)
	return l, nil
}

// Append writes one entry. It is in the file when Append returns without an error. With one it is kept and written before the next that
// can be, once the disk takes it. More than Options.MostWaiting is lost, of which the ledger has a record then.
func (l *Ledger) Append(e Entry) error {
	defer l.tell(e)
	e.Seq = 0
	body, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("writing the ledger: %w", err)
	}
	return l.wait(request{body: body, at: e.At, model: e.Model, action: e.Action, rank: rank(e)})
}

// wait has a request done in its turn.
func (l *Ledger) wait(r request) error {
	r.answer = make(chan error, 1)
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return errors.New("writing the ledger: it is closed")
	}
	l.queue.put(len(l.queue.list), r)
	for _, over := range l.queue.within(l.options.MostWaiting) {
		err := fmt.Errorf("writing the ledger: %d bytes of entries wait for the disk of %s already; see that it answers", l.queue.bytes, l.dir)
		l.lose(over, err)
		over.answer <- err
	}
	l.more.Signal()
	l.countWaiting()
	l.mu.Unlock()
	if l.slow.Load() { // the one before has waited
		select {
		case err := <-r.answer: // it was lost at once
			return err
		default:
			return l.noAnswer()
		}
	}
	patience := time.NewTimer(l.options.Patience)
	defer patience.Stop()
	select {
	case err := <-r.answer:
		return err
	case <-patience.C:
		l.slow.Store(true)
		l.mu.Lock()
		l.countWaiting()
		l.mu.Unlock()
		return l.noAnswer()
	}
}

func (l *Ledger) noAnswer() error {
	return fmt.Errorf("writing the ledger: the disk of %s has not answered for %s; the entry is written once it does", l.dir, l.options.Patience)
}

// Follow names the head that a predecessor kept outside, before the first entry is appended: a chain of another folder is named in
// this one's, and lines that this one lacks are missed.
func (l *Ledger) Follow(a Anchor) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.follow = &a
}

// Head is the newest line that is surely on the disk, to be kept outside of the folder; it is zero before the first entry.
func (l *Ledger) Head() (Anchor, error) {
	var head Anchor
	err := l.wait(request{do: func() error {
		if l.file == nil {
			return nil
		}
		if err := l.file.Sync(); err != nil {
			return fmt.Errorf("writing the ledger: %w", err)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		head = l.head
		return nil
	}})
	if err != nil {
		return Anchor{}, err
	}
	return head, nil
}

// Rotate begins a new file where the one that is written to has entries and is older than age, so that it can be shipped. now and age
// are machine time, model is the model time of now.
func (l *Ledger) Rotate(now, model time.Time, age time.Duration) error {
	return l.wait(request{do: func() error {
		if l.file == nil {
			return nil
		}
		return l.exclusively(func() error {
			if err := l.ready(request{at: now, model: model}); err != nil { // another replica may have begun a new one
				return fmt.Errorf("writing the ledger: %w; see that %s can be written and has room", err, l.dir)
			}
			if now.Sub(l.from) < age || l.seq <= l.first {
				return nil
			}
			return l.rotate(now, model)
		})
	}})
}

// Close writes what waits and closes the file.
func (l *Ledger) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.more.Signal()
	l.mu.Unlock()
	written := make(chan struct{})
	go func() {
		l.ended.Wait()
		l.packing.Wait()
		close(written)
	}()
	select {
	case <-written:
	case <-time.After(lastWrites * l.options.Patience):
		return l.leaveBehind()
	}
	if l.copied != nil {
		select {
		case <-l.copied:
		case <-time.After(lastCopies * l.options.Patience):
			l.options.Log.Error("ledger: lines are left out of its copy, which nobody takes", "lines", len(l.copies)+1)
			copiesLost.Add(float64(len(l.copies) + 1))
		}
	}
	if l.locked != nil {
		l.locked.Close()
	}
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}

func (l *Ledger) run() {
	if l.copies != nil {
		defer close(l.copies)
	}
	for {
		r, some := l.next()
		if !some {
			l.flush()
			return
		}
		var err error
		switch {
		case r.do != nil:
			err = r.do()
		default:
			err = l.exclusively(func() error { return l.write(r) })
		}
		l.slow.Store(false)
		l.mu.Lock()
		l.countWaiting()
		l.mu.Unlock()
		r.answer <- err
	}
}

// next waits for a request; false is that none comes any more.
func (l *Ledger) next() (request, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.queue.list) == 0 && !l.closed {
		l.more.Wait()
	}
	return l.queue.first()
}

// write puts an entry into the file, after those that could not be written before it and the record of what was lost. One that
// cannot be written is kept.
func (l *Ledger) write(r request) error {
	err := l.writeKept(r)
	if err == nil {
		err = l.admitLoss(r)
	}
	if err == nil {
		err = l.append(r)
	}
	if err != nil {
		return l.keep(r, false, err)
	}
	return nil
}

// writeKept opens the file and writes what could not be written before; r is what comes after that.
func (l *Ledger) writeKept(r request) error {
	if err := l.ready(l.oldest(r)); err != nil {
		return fmt.Errorf("writing the ledger: %w; see that %s can be written and has room", err, l.dir)
	}
	for {
		k, some := l.takeKept()
		if !some {
			return nil
		}
		if err := l.append(k); err != nil {
			_ = l.keep(k, true, err)
			return err
		}
	}
}

// append puts an entry's line, and begins a new file after it where that is due.
func (l *Ledger) append(r request) error {
	if err := l.put(r.body); err != nil {
		return err
	}
	l.span.take(r.model)
	if l.size < l.options.SegmentSize && r.at.Sub(l.from) < l.options.SegmentAge {
		return nil
	}
	if err := l.rotate(r.at, r.model); err != nil { // the entry is written
		l.options.Log.Error("ledger: beginning a new file", "error", err)
	}
	return nil
}

// put appends a line; what a failed write left of it is taken back.
func (l *Ledger) put(body []byte) error {
	text, hash := linked(body, l.seq+1, l.prev)
	if _, err := l.file.Write(text); err != nil {
		if l.file.Truncate(l.size) != nil {
			l.close() // what it has is looked at again
		}
		return fmt.Errorf("writing the ledger: %w; see that %s has room", err, filepath.Join(l.dir, FileName))
	}
	l.size += int64(len(text))
	l.seq, l.prev = l.seq+1, hash
	l.mu.Lock()
	l.head = Anchor{Head: Head{l.seq, hash}, Chain: l.chain}
	l.mu.Unlock()
	if l.copies != nil {
		select {
		case l.copies <- text:
		default:
			copiesLost.Inc()
		}
	}
	return nil
}

func (l *Ledger) putEntry(e Entry) error {
	body, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("writing the ledger: %w", err)
	}
	l.span.take(e.Model)
	return l.put(body)
}

func (l *Ledger) close() {
	if l.file != nil {
		l.file.Close()
	}
	l.file = nil
}

func (l *Ledger) runCopies() {
	defer close(l.copied)
	for text := range l.copies {
		if _, err := l.options.Copy.Write(text); err != nil {
			copiesLost.Inc()
		}
	}
}
