package main

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"swell/scaler/ledger"
)

// mostNamed is how many bad lines are named; the others are counted.
const mostNamed = 5

// readLedger reads ledgers: folders, files of JSON lines, and - for standard input, and gives their entries one at a time. Notes tell what
// could not be read, and by which line a folder's chain shows that it was changed; lines among other output that are no entries are counted.
func readLedger(paths []string, stdin io.Reader, of ledger.Reading, do func(ledger.Entry)) (notes []string, err error) {
	entries := 0
	take := func(e ledger.Entry) {
		entries++
		do(e)
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		told := &unread{of: path}
		switch {
		case path == "-":
			told.of, told.mixed = "standard input", true
			err = told.read(stdin, of, take)
		case err != nil:
			err = fmt.Errorf("reading the ledger: %w; give the folder that ledgerDir of swell-scaler's configuration names", err)
		case info.IsDir():
			of.Unread = told.line
			if err = of.Walk(path, func(e ledger.Entry) error { take(e); return nil }); err == nil {
				notes = append(notes, checked(path, of.From)...)
			}
		default:
			if err = told.readFile(path, of, take); err != nil {
				err = fmt.Errorf("reading the ledger: %w; give a folder or file that can be read", err)
			}
		}
		if err != nil {
			return nil, err
		}
		notes = append(notes, told.notes()...)
	}
	if entries == 0 {
		return nil, fmt.Errorf("reading the ledger: %s has no entry; give the folder that ledgerDir of swell-scaler's configuration names", strings.Join(paths, ", "))
	}
	return notes, nil
}

// checked says by which line a folder's chains show that they were changed. What was not read for a time's sake is not checked either.
func checked(dir string, from time.Time) (notes []string) {
	if !from.IsZero() {
		files, err := ledger.ClosedIn(dir)
		if err == nil && len(files) > 1 && files[1].From.Before(from) {
			return []string{fmt.Sprintf("%s: files that end before %s were not read, and whether the ledger was changed was not checked; leave --since out for both", dir, from.UTC().Format(time.RFC3339))}
		}
	}
	chains, err := ledger.Verify(dir)
	if err != nil {
		return []string{fmt.Sprintf("whether the ledger was changed is not known: %v", err)}
	}
	for _, c := range chains {
		if c.Finding != nil {
			notes = append(notes, fmt.Sprintf("the ledger is not as it was written, and what is told here may be wrong: %s", c.Finding))
		}
		if c.Lost > 0 {
			notes = append(notes, fmt.Sprintf("%s: entries that could not be written and are missing: %d", c.Dir, c.Lost))
		}
	}
	return notes
}

// unread are the lines of one source that were not.
type unread struct {
	of string
	// mixed says that other lines stand between them, as in a log.
	mixed     bool
	skipped   int
	torn, bad []string
	tornMore  int // beyond those that are named
	badMore   int
}

// line takes one that could not be read.
func (u *unread) line(path string, number int, torn bool, why error) {
	at := fmt.Sprintf("%s:%d", path, number)
	switch {
	case u.mixed:
		u.skipped++
	case torn && len(u.torn) < mostNamed:
		u.torn = append(u.torn, at)
	case torn:
		u.tornMore++
	case len(u.bad) < mostNamed:
		u.bad = append(u.bad, at+": "+why.Error())
	default:
		u.badMore++
	}
}

func (u *unread) readFile(path string, of ledger.Reading, do func(ledger.Entry)) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if !strings.HasSuffix(path, ".gz") {
		return u.read(file, of, do)
	}
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return u.read(unpacked, of, do)
}

func (u *unread) read(from io.Reader, of ledger.Reading, do func(ledger.Entry)) error {
	of.Unread = u.line
	return of.Lines(u.of, from, func(e ledger.Entry) error { do(e); return nil })
}

// notes tell what was not read.
func (u *unread) notes() []string {
	var out []string
	if u.skipped > 0 {
		out = append(out, fmt.Sprintf("%s: lines that are no entries of a ledger and were passed over: %d", u.of, u.skipped))
	}
	if len(u.torn) > 0 {
		out = append(out, fmt.Sprintf("lines that a crash cut short, or that someone changed, and that are not here: %d (%s)", len(u.torn)+u.tornMore, firstOf(u.torn, u.tornMore)))
	}
	if len(u.bad) > 0 {
		out = append(out, fmt.Sprintf("lines that are whole and cannot be read, and are not here: %d (%s)", len(u.bad)+u.badMore, firstOf(u.bad, u.badMore)))
	}
	return out
}

func firstOf(named []string, more int) string {
	text := strings.Join(named, ", ")
	if more > 0 {
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
