package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"swell/scaler/ledger"
)

// mostNamed is how many bad lines are named; the others are counted.
const mostNamed = 5

// readEntries reads ledgers: folders, files of JSON lines, and - for standard input. Notes tell what could not be read, and by which
// line a folder's chain shows that it was changed; lines among other output that are no entries are counted.
func readEntries(paths []string, stdin io.Reader) (entries []ledger.Entry, notes []string, err error) {
	for _, path := range paths {
		var more []ledger.Entry
		var told []string
		info, err := os.Stat(path)
		switch {
		case path == "-":
			r := lineReader{of: "standard input", mixed: true}
			err = r.read(stdin)
			more, told = r.entries, r.notes()
		case err != nil:
			err = fmt.Errorf("reading the ledger: %w; give the folder that ledgerDir of swell-scaler's configuration names", err)
		case info.IsDir():
			more, told, err = readFolder(path)
		default:
			more, told, err = readLines([]string{path})
		}
		if err != nil {
			return nil, nil, err
		}
		entries, notes = append(entries, more...), append(notes, told...)
	}
	if len(entries) == 0 {
		return nil, nil, fmt.Errorf("reading the ledger: %s has no entry; give the folder that ledgerDir of swell-scaler's configuration names", strings.Join(paths, ", "))
	}
	return entries, notes, nil
}

// readFolder reads a ledger's folder and checks its chain. One that has lines which cannot be read is read line by line, without them.
func readFolder(dir string) (entries []ledger.Entry, notes []string, err error) {
	entries, torn, err := ledger.Read(dir)
	if torn > 0 && err == nil {
		notes = append(notes, fmt.Sprintf("%s: lines that a crash cut short and that are not here: %d", dir, torn))
	}
	if err != nil {
		files := ledgerFiles(dir)
		if len(files) == 0 {
			return nil, nil, err
		}
		if entries, notes, err = readLines(files); err != nil {
			return nil, nil, err
		}
	}
	chains, err := ledger.Verify(dir)
	if err != nil {
		return entries, append(notes, fmt.Sprintf("whether the ledger was changed is not known: %v", err)), nil
	}
	for _, c := range chains {
		if c.Finding != nil {
			notes = append(notes, fmt.Sprintf("the ledger is not as it was written, and what is told here may be wrong: %s", c.Finding))
		}
		if c.Lost > 0 {
			notes = append(notes, fmt.Sprintf("%s: entries that could not be written and are missing: %d", c.Dir, c.Lost))
		}
	}
	return entries, notes, nil
}

// readLines reads files, one entry a line.
func readLines(files []string) (entries []ledger.Entry, notes []string, err error) {
	for _, file := range files {
		r := lineReader{of: file}
		if err := r.readFile(file); err != nil {
			return nil, nil, fmt.Errorf("reading the ledger: %w; give a folder or file that can be read", err)
		}
		entries, notes = append(entries, r.entries...), append(notes, r.notes()...)
	}
	return entries, notes, nil
}

// ledgerFiles are the files of a ledger's folder and of those right below it, sorted by name.
func ledgerFiles(dir string) []string {
	var files []string
	for _, pattern := range []string{"*.jsonl", "*.jsonl.gz", "*/*.jsonl", "*/*.jsonl.gz"} {
		found, _ := filepath.Glob(filepath.Join(dir, pattern)) // the patterns are well formed
		files = append(files, found...)
	}
	slices.Sort(files)
	return files
}

func (r *lineReader) readFile(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if !strings.HasSuffix(path, ".gz") {
		return r.read(file)
	}
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return r.read(unpacked)
}

// lineReader reads entries, one a line.
type lineReader struct {
	of string
	// mixed says that other lines stand between them, as in a log.
	mixed   bool
	entries []ledger.Entry
	skipped int
	torn    []string
	bad     []string
}

func (r *lineReader) read(from io.Reader) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 64<<10), 16<<20)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		var e ledger.Entry
		err := json.Unmarshal(line, &e)
		switch at := fmt.Sprintf("%s:%d", r.of, n); {
		case err == nil && e.Action != "" && e.Phase != "" && !e.Model.IsZero():
			e.Ledger = r.of
			r.entries = append(r.entries, e)
		case r.mixed:
			r.skipped++
		case !json.Valid(line):
			r.torn = append(r.torn, at)
		case err != nil:
			r.bad = append(r.bad, at+": "+err.Error())
		default:
			r.bad = append(r.bad, at+": it is no entry: it lacks action, phase or model")
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading the ledger %s: %w", r.of, err)
	}
	return nil
}

// notes tell what was not read.
func (r *lineReader) notes() []string {
	var out []string
	if r.skipped > 0 {
		out = append(out, fmt.Sprintf("%s: lines that are no entries of a ledger and were passed over: %d", r.of, r.skipped))
	}
	if len(r.torn) > 0 {
		out = append(out, fmt.Sprintf("lines that a crash cut short, or that someone changed, and that are not here: %d (%s)", len(r.torn), firstOf(r.torn)))
	}
	if len(r.bad) > 0 {
		out = append(out, fmt.Sprintf("lines that are whole and cannot be read, and are not here: %d (%s)", len(r.bad), firstOf(r.bad)))
	}
	return out
}

func firstOf(all []string) string {
	text := strings.Join(all[:min(mostNamed, len(all))], ", ")
	if more := len(all) - mostNamed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// span reads a length of time, which may be in days: 90m, 2h, 7d.
func span(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseFloat(days, 64)
		if err == nil && n > 0 && n < 36500 {
			return time.Duration(n * float64(24*time.Hour)), nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, errors.New("give a time such as 2h or 7d")
	}
	return d, nil
}
