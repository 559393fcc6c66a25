package ledger

import (
	"errors"
	"io"
	"math"
	"os"
	"slices"
	"time"
)

// Span is between which model times the entries of a file are, whose first line has that number.
type Span struct {
	First int64     `json:"first"`
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
}

// take widens it by the time of an entry.
func (s *Span) take(at time.Time) {
	if at.IsZero() {
		return
	}
	if s.From.IsZero() || at.Before(s.From) {
		s.From = at
	}
	if at.After(s.To) {
		s.To = at
	}
}

// slack is how much older than the entry before it an entry's time may be, where no span tells.
const slack = time.Minute

// between leaves out the segments that have nothing of the time: by the span that the file after each has of it or, in ledgers of before
// there were spans, by the first entries. current may be nil.
func between(closed []segment, current *os.File, from, to time.Time) ([]segment, error) {
	if from.IsZero() && to.IsZero() {
		return closed, nil
	}
	begins, spans := make([]time.Time, len(closed)), map[int64]Span{}
	first := func(i int, s *source) error {
		known := true // a first line that cannot be read is told when the file is
		lenient := Reading{Unread: func(string, int, bool, error) { known = false }}
		_, err := lenient.entries(s, func(e Entry) error {
			if i >= 0 && known {
				begins[i] = e.Model
			}
			if e.Book != nil && e.Book.Before != nil {
				spans[e.Book.Before.First] = *e.Book.Before
			}
			return errFound
		})
		if errors.Is(err, errFound) {
			return nil
		}
		return err
	}
	for i, s := range closed {
		chapter, err := s.open()
		if err != nil {
			continue // told when it is read
		}
		err = first(i, chapter)
		chapter.Close()
		if err != nil {
			return nil, err
		}
	}
	if current != nil {
		if err := first(-1, &source{path: current.Name(), Reader: io.NewSectionReader(current, 0, math.MaxInt64)}); err != nil {
			return nil, err
		}
	}
	var out []segment
	next := time.Time{} // the beginning of the next one that can be read
	for i, s := range slices.Backward(closed) {
		late := !to.IsZero() && begins[i].After(to.Add(slack))
		early := next.After(begins[i]) && next.Before(from.Add(-slack))
		if span, known := spans[s.first]; known {
			late, early = !to.IsZero() && !span.From.Before(to), span.To.Before(from)
		}
		if !late && !early {
			out = append(out, s)
		}
		if !begins[i].IsZero() {
			next = begins[i]
		}
	}
	slices.Reverse(out)
	return out, nil
}
