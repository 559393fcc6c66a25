package ledger

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Read returns the entries of the ledger in a folder, and how many lines a crash had cut short.
// A line that is whole and still unreadable is an error that names it.
func Read(dir string) (entries []Entry, torn int, err error) {
	path := filepath.Join(dir, FileName)
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, fmt.Errorf("reading the ledger: %w; give the folder that ledgerDir names", err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(make([]byte, 64<<10), 16<<20)
	for n := 1; lines.Scan(); n++ {
		var e Entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			if !json.Valid(lines.Bytes()) {
				torn++
				continue
			}
			return nil, torn, fmt.Errorf("reading the ledger %s, line %d: %w", path, n, err)
		}
		entries = append(entries, e)
	}
	if err := lines.Err(); err != nil {
		return nil, torn, fmt.Errorf("reading the ledger %s: %w", path, err)
	}
	return entries, torn, nil
}
