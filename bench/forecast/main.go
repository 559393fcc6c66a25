// Command forecast back-tests the forecaster on recorded loads and writes the tables of docs/forecasting.md: what is
// needed, what is reached, and what would be beyond all that was seen.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"swell/bench/traces"
)

type options struct {
	traces string // folder of recorded loads; those the project keeps need none
	doc    string
	check  bool
}

func main() {
	var o options
	flag.StringVar(&o.traces, "traces", traces.Folder(), "folder of the recorded loads (default $SWELL_TRACES, else ../shared/traces where that is there)")
	flag.StringVar(&o.doc, "doc", "docs/forecasting.md", "document whose tables are written")
	flag.BoolVar(&o.check, "check", false, "write nothing; fail if the tables are out of date")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "forecast: %q is not expected\n", flag.Arg(0))
		os.Exit(2)
	}
	if err := run(o, loads(), os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "forecast:", err)
		os.Exit(1)
	}
}

// run scores all loads that are there, prints their figures, and writes or checks the document.
func run(o options, loads []load, out, log io.Writer) error {
	all, absent, err := scoreAll(o.traces, loads, out)
	if err != nil {
		return err
	}
	if len(absent) > 0 {
		fmt.Fprintf(log, "not there: %s; set --traces to the folder of the recorded loads\n", strings.Join(absent, ", "))
	}
	var missed error
	for _, r := range all {
		for _, m := range r.misses() {
			missed = errors.Join(missed, errors.New(m))
		}
	}
	raw, err := os.ReadFile(o.doc)
	if err != nil {
		return fmt.Errorf("reading the document: %w", err)
	}
	before, between, after, err := split(string(raw))
	if err != nil {
		return fmt.Errorf("reading %s: %w", o.doc, err)
	}
	switch {
	case o.check:
		if lines := outdated(between, all); len(lines) > 0 {
			return errors.Join(missed, fmt.Errorf("%s is out of date: run make bench-forecast. It lacks\n%s", o.doc, strings.Join(lines, "\n")))
		}
	case len(absent) > 0:
		return errors.Join(missed, fmt.Errorf("%s is not written, since not all loads are there", o.doc))
	default:
		if err := os.WriteFile(o.doc, []byte(before+tables(all)+after), 0o644); err != nil {
			return fmt.Errorf("writing the tables: %w", err)
		}
	}
	return missed
}

func scoreAll(folder string, loads []load, out io.Writer) (all []scored, absent []string, err error) {
	encoder := json.NewEncoder(out)
	for _, l := range loads {
		s, found, err := l.Read(folder)
		if err != nil {
			return nil, nil, fmt.Errorf("reading %s: %w", l.Name, err)
		}
		if !found {
			absent = append(absent, l.File+".csv")
			continue
		}
		r, err := l.score(s)
		if err != nil {
			return nil, nil, err
		}
		for _, f := range r.figures() {
			if err := encoder.Encode(f); err != nil {
				return nil, nil, fmt.Errorf("printing the figures: %w", err)
			}
		}
		all = append(all, r)
	}
	return all, absent, nil
}
