// Package ledger records what the scaler is about to do and what came of it, as append-only JSON lines.
package ledger

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// FileName is the ledger's file in its folder.
const FileName = "ledger.jsonl"

// Ledger appends entries to a file.
type Ledger struct {
	mu   sync.Mutex
	file *os.File
	followers
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
	defer l.tell(e)
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
