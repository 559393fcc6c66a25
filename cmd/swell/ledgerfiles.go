package main

import (
	"bufio"
	"bytes"
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

// readEntries reads ledgers: folders, files of JSON lines, and - for standard input. Lines that are no entries are told in notes,
// by their place where they should be entries, and counted where they stand among other output.
func readEntries(paths []string, stdin io.Reader) (entries []ledger.Entry, notes []string, err error) {
	for _, path := range paths {
		if path == "-" {
			r := lineReader{of: "standard input", mixed: true}
			err := r.read(stdin)
			entries, notes = append(entries, r.entries...), append(notes, r.notes()...)
			if err != nil {
				return nil, nil, err
			}
			continue
		}
		files, err := ledgerFiles(path)
		if err != nil {
			return nil, nil, err
		}
		for _, file := range files {
			f, err := os.Open(file)
			if err != nil {
				return nil, nil, fmt.Errorf("reading the ledger: %w; give a folder or file that can be read", err)
			}
			r := lineReader{of: file}
			err = r.read(f)
			f.Close()
			entries, notes = append(entries, r.entries...), append(notes, r.notes()...)
			if err != nil {
				return nil, nil, err
			}
		}
	}
	if len(entries) == 0 {
		return nil, nil, fmt.Errorf("reading the ledger: %s has no entry; give the folder that ledgerDir of swell-scaler's configuration names", strings.Join(paths, ", "))
	}
	return entries, notes, nil
}

// ledgerFiles are the files of a ledger's folder, sorted by name, or the one file that is named.
func ledgerFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading the ledger: %w; give the folder that ledgerDir of swell-scaler's configuration names", err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	files, err := filepath.Glob(filepath.Join(path, "*.jsonl"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("reading the ledger: %s has no %s; give the folder that ledgerDir of swell-scaler's configuration names", path, ledger.FileName)
	}
	slices.Sort(files)
	return files, nil
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
