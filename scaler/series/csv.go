package series

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
)

// Header is the first line of a series in CSV.
const Header = "timestamp,value"

// ReadFile reads a series from a CSV file, which is decompressed where its name ends in .gz; see Read.
func ReadFile(path string) (Series, error) {
	f, err := os.Open(path)
	if err != nil {
		return Series{}, fmt.Errorf("reading the series: %w; give the path of a CSV file with the header %q", err, Header)
	}
	defer f.Close()
	if !strings.HasSuffix(path, ".gz") {
		return Read(f, path)
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return Series{}, fmt.Errorf("reading %s: %w; compress it with gzip, or leave .gz out of its name", path, err)
	}
	return Read(z, path)
}

type row struct {
	line int
	at   time.Time
}

// Read reads `timestamp,value` rows: RFC3339 in UTC, strictly regular. An empty value is unknown. Anything else that
// is not a row is an error that names the file (name), the line and the mend.
func Read(r io.Reader, name string) (Series, error) {
	s, err := read(r)
	if err != nil {
		return Series{}, fmt.Errorf("reading %s: %w", name, err)
	}
	return s, nil
}

func read(r io.Reader) (Series, error) {
	sc := bufio.NewScanner(r)
	var rows []row
	var s Series
	line, blank := 0, 0
	for sc.Scan() {
		line++
		text := strings.TrimRight(sc.Text(), "\r")
		switch {
		case line == 1:
			if got := strings.TrimPrefix(text, "\ufeff"); got != Header {
				return s, fmt.Errorf("line 1: the header is %q; make it %q", clip(got), Header)
			}
			continue
		case text == "":
			if blank == 0 {
				blank = line
			}
			continue
		case blank != 0:
			return s, fmt.Errorf("line %d: an empty line inside the file; remove it", blank)
		}
		at, v, err := parseRow(text)
		if err != nil {
			return s, fmt.Errorf("line %d: %w", line, err)
		}
		rows = append(rows, row{line, at})
		s.Values = append(s.Values, v)
	}
	if err := sc.Err(); err != nil {
		return s, fmt.Errorf("line %d: %w", line+1, err)
	}
	if line == 0 {
		return s, fmt.Errorf("line 1: the file is empty; its first line must be %q", Header)
	}
	if len(rows) < 2 {
		return s, fmt.Errorf("line %d: %d rows are too few to know the step; give at least two", line, len(rows))
	}
	s.Start, s.Step = rows[0].at, commonStep(rows)
	if s.Step <= 0 {
		return s, irregular(rows[0], rows[1], 0)
	}
	for i := 1; i < len(rows); i++ {
		if rows[i].at.Sub(rows[i-1].at) != s.Step {
			return s, irregular(rows[i-1], rows[i], s.Step)
		}
	}
	return s, nil
}

func parseRow(text string) (time.Time, float64, error) {
	stamp, value, ok := strings.Cut(text, ",")
	if !ok || strings.Contains(value, ",") {
		return time.Time{}, 0, fmt.Errorf("%q is not two fields; write timestamp,value", clip(text))
	}
	at, err := time.Parse(time.RFC3339, stamp)
	if err != nil {
		return time.Time{}, 0, fmt.Errorf("timestamp %q is not RFC3339; write it like 1998-05-05T17:40:00Z", clip(stamp))
	}
	if _, off := at.Zone(); off != 0 {
		return time.Time{}, 0, fmt.Errorf("timestamp %s is not in UTC; write %s", stamp, at.UTC().Format(time.RFC3339))
	}
	if value == "" {
		return at.UTC(), math.NaN(), nil
	}
	v, err := strconv.ParseFloat(value, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return time.Time{}, 0, fmt.Errorf("value %q is not a number; write a decimal number, or nothing where it is not known", clip(value))
	}
	if v < 0 {
		return time.Time{}, 0, fmt.Errorf("value %s is below zero, which a load cannot be; leave it empty if it is not known", clip(value))
	}
	return at.UTC(), v, nil
}

func commonStep(rows []row) time.Duration {
	count := map[time.Duration]int{}
	var best time.Duration
	for i := 1; i < len(rows) && i <= 1000; i++ {
		d := rows[i].at.Sub(rows[i-1].at)
		if d <= 0 {
			continue
		}
		count[d]++
		if c := count[d]; c > count[best] || c == count[best] && d < best {
			best = d
		}
	}
	return best
}

func irregular(before, at row, step time.Duration) error {
	stamp := at.at.Format(time.RFC3339)
	d := at.at.Sub(before.at)
	switch {
	case d == 0:
		return fmt.Errorf("line %d: %s is there twice; remove one of the two rows", at.line, stamp)
	case d < 0:
		return fmt.Errorf("line %d: %s is before the row above it (%s); sort the rows by time", at.line, stamp,
			before.at.Format(time.RFC3339))
	case d%step != 0:
		return fmt.Errorf("line %d: %s is off the grid: it is %v after the row above, the step is %v; resample the file to one step",
			at.line, stamp, d, step)
	case d/step == 2:
		return fmt.Errorf("line %d: 1 row is missing before %s; fill it with an explicit empty value (%q) or cut the file there",
			at.line, stamp, before.at.Add(step).Format(time.RFC3339)+",")
	default:
		return fmt.Errorf("line %d: %d rows are missing before %s; fill them with explicit empty values (%q) or cut the file there",
			at.line, d/step-1, stamp, before.at.Add(step).Format(time.RFC3339)+",")
	}
}

func clip(s string) string {
	if len(s) > 60 {
		return s[:57] + "..."
	}
	return s
}

// Write writes the series as Read reads it, values to the shortest digits that give them back.
func Write(w io.Writer, s Series) error {
	if s.Step%time.Second != 0 || s.Step <= 0 {
		return errors.New("writing the series: its step is not a whole number of seconds; resample it")
	}
	b := bufio.NewWriter(w)
	fmt.Fprintln(b, Header)
	for i, v := range s.Values {
		b.WriteString(s.Time(i).UTC().Format(time.RFC3339))
		b.WriteByte(',')
		if !math.IsNaN(v) {
			b.WriteString(strconv.FormatFloat(v, 'f', -1, 64))
		}
		b.WriteByte('\n')
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("writing the series: %w", err)
	}
	return nil
}
