// Package ledger records what the scaler is about to do and what came of it, as append-only JSON lines.
package ledger

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// FileName is the ledger's file in its folder.
const FileName = "ledger.jsonl"

// Phase says whether an entry stands before or after its action.
type Phase string

const (
	// Intent is written before the action; one without an outcome is an action that was cut short.
	Intent Phase = "intent"
	// Done and Failed are written after it.
	Done   Phase = "done"
	Failed Phase = "failed"
	// Note records what needs no action.
	Note Phase = "note"
)

// Entry is one line.
type Entry struct {
	// At is machine time, Model the time that was decided in.
	At    time.Time `json:"at"`
	Model time.Time `json:"model"`
	// Tick numbers the plan within one run of the scaler.
	Tick  int64 `json:"tick"`
	Phase Phase `json:"phase"`
	// Action is launch, pop, create-balloons, delete-balloon, drain, terminate, problem or start; would-launch, would-return,
	// node-came and shadow of pools that only observe.
	Action string `json:"action"`
	// Object is the group, pod or node that it is done to.
	Object string `json:"object"`
	Count  int    `json:"count,omitempty"`
	// Token ties an intent to its outcome and to the call.
	Token string `json:"token,omitempty"`
	// Instances that a launch gave.
	Instances []string `json:"instances,omitempty"`
	Reason    string   `json:"reason,omitempty"`
	Rejected  []string `json:"rejected,omitempty"`
	Error     string   `json:"error,omitempty"`
	// Pool, Zone, Market and Hourly, the price of one instance an hour, 0 for unknown, are of what a pool that only observes
	// would have done, and of nodes that came meanwhile.
	Pool   string  `json:"pool,omitempty"`
	Zone   string  `json:"zone,omitempty"`
	Market string  `json:"market,omitempty"`
	Hourly float64 `json:"hourly,omitempty"`
	// Group and Node are of an instance that would have been returned.
	Group string `json:"group,omitempty"`
	Node  string `json:"node,omitempty"`
	// Nodes are counted once a minute while a pool only observes.
	Nodes []NodeCount `json:"nodes,omitempty"`
	// Waits are the seconds that pods had waited for a place which found one in that minute, by upper bound; the last is more.
	Waits map[string]int `json:"waits,omitempty"`
}

// NodeCount is one group's, at one time.
type NodeCount struct {
	Group string `json:"group"`
	Real  int    `json:"real"`
	// Wanted are imagined on top, Unneeded would have been returned.
	Wanted   int     `json:"wanted,omitempty"`
	Unneeded int     `json:"unneeded,omitempty"`
	Pool     string  `json:"pool"`
	Zone     string  `json:"zone"`
	Market   string  `json:"market"`
	Hourly   float64 `json:"hourly,omitempty"`
}

// Ledger appends entries to a file.
type Ledger struct {
	mu   sync.Mutex
	file *os.File
}

// Open opens the ledger in a folder, which is made if need be. A line that a crash left unfinished is closed.
func Open(dir string) (*Ledger, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("opening the ledger: %w; give ledgerDir a folder that can be written", err)
	}
	path := filepath.Join(dir, FileName)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the ledger: %w; give ledgerDir a folder that can be written", err)
	}
	if err := closeTornLine(file); err != nil {
		file.Close()
		return nil, fmt.Errorf("opening the ledger %s: %w", path, err)
	}
	return &Ledger{file: file}, nil
}

func closeTornLine(file *os.File) error {
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	last := make([]byte, 1)
	if _, err := file.ReadAt(last, info.Size()-1); err != nil {
		return err
	}
	if last[0] != '\n' {
		_, err = file.Write([]byte("\n"))
	}
	return err
}

// Append writes one entry; it is in the file when Append returns.
func (l *Ledger) Append(e Entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("writing the ledger: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("writing the ledger: %w; see that %s has room", err, l.file.Name())
	}
	return nil
}

// Close closes the file.
func (l *Ledger) Close() error { return l.file.Close() }
