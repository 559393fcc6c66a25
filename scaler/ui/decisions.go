package ui

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"swell/scaler/ledger"
)

const (
	// KeptDecisions are how many of the newest decisions the page has.
	KeptDecisions = 200
	// longestReason in bytes that is shown of a decision.
	longestReason = 600
	// tailBytes of the ledger's file are read for the decisions of before.
	tailBytes = 1 << 20
)

// Decision is one entry of the ledger, as it is shown.
type Decision struct {
	// ID orders decisions: the machine's time of the entry in nanoseconds, so that it is the same when the ledger is read again,
	// and follows that of another replica that led before.
	ID int64 `json:"id,string"`
	// At is model time.
	At     time.Time `json:"at"`
	Phase  string    `json:"phase"`
	Action string    `json:"action"`
	Object string    `json:"object"`
	Count  int       `json:"count,omitempty"`
	// What is the rest in words: instances, reason, error.
	What string `json:"what,omitempty"`
}

// decisions are the newest, oldest first. Nothing of it waits for a reader.
type decisions struct {
	mu   sync.Mutex
	last int64
	kept []Decision
}

// unshown actions are samples and counts, words on what was decided elsewhere, and the ledger's own.
var unshown = map[string]bool{"sample": true, "shadow": true, "kept": true, "policy": true, "size": true, "instance": true, "awaited": true,
	"placed": true, "chain": true, "dropped": true}

func (d *decisions) add(e ledger.Entry) bool {
	if unshown[e.Action] {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = max(d.last+1, e.At.UnixNano())
	d.kept = append(d.kept, Decision{ID: d.last, At: e.Model, Phase: string(e.Phase), Action: e.Action, Object: e.Object, Count: e.Count, What: words(e)})
	if len(d.kept) > KeptDecisions {
		d.kept = append([]Decision(nil), d.kept[len(d.kept)-KeptDecisions:]...)
	}
	return true
}

// all are the newest, oldest first; nobody changes them.
func (d *decisions) all() []Decision {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.kept[:len(d.kept):len(d.kept)]
}

// after gives what followed a reader's last decision. whole says that he must begin anew: his is unknown, too old, or not one of
// this ledger's past.
func (d *decisions) after(id string) (list []Decision, whole bool) {
	all := d.all()
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil || len(all) == 0 || n < all[0].ID || n > all[len(all)-1].ID {
		return all, len(all) > 0
	}
	for i, x := range all {
		if x.ID > n {
			return all[i:], false
		}
	}
	return nil, false
}

// words are what an entry says beside its action and object.
func words(e ledger.Entry) string {
	var said []string
	if n := len(e.Instances); n > 0 {
		said = append(said, strings.Join(e.Instances[:min(n, 5)], ", "))
		if n > 5 {
			said = append(said, fmt.Sprintf("and %d more", n-5))
		}
	}
	if e.Reason != "" {
		said = append(said, e.Reason)
	}
	if e.Sizing != nil {
		said = append(said, e.Sizing.Why)
	}
	if e.Error != "" {
		said = append(said, "error: "+e.Error)
	}
	return cut(strings.Join(said, "; "), longestReason)
}

// cut is s with at most n bytes, at the end of a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// Newest reads the last entries of a ledger's file, so that a scaler that starts anew shows what was decided before. Lines that
// cannot be read are left out: the ledger's own reader says what is wrong with them. No file is no entries.
func Newest(path string) ([]ledger.Entry, error) {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the newest decisions: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading the newest decisions: %w", err)
	}
	from := max(info.Size()-tailBytes, 0)
	text, err := io.ReadAll(io.NewSectionReader(file, from, tailBytes))
	if err != nil {
		return nil, fmt.Errorf("reading the newest decisions: %w", err)
	}
	if from > 0 { // the first line may have lost its beginning
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	var out []ledger.Entry
	for line := range bytes.Lines(text) {
		var e ledger.Entry
		if json.Unmarshal(line, &e) == nil && e.Action != "" {
			out = append(out, e)
		}
	}
	return out, nil
}
