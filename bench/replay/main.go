// Command replay plays the recorded loads and the built-in scenarios through swell and its peers, and writes the tables of
// docs/replay.md and its pictures.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"swell/bench/figure"
	"swell/bench/traces"
)

type options struct {
	traces string // folder of recorded loads; those the project keeps need none
	docs   string // folder of replay.md and the pictures
	seeds  int64  // of the random scenarios: 1 to this
	check  bool
}

func main() {
	var o options
	flag.StringVar(&o.traces, "traces", traces.Folder(), "folder of the recorded loads (default $SWELL_TRACES, else ../shared/traces where that is there)")
	flag.StringVar(&o.docs, "docs", "docs", "folder of replay.md, whose tables are written, and its pictures")
	flag.Int64Var(&o.seeds, "seeds", 10, "seeds that the random scenarios are played with")
	flag.BoolVar(&o.check, "check", false, "write nothing; play the core scenarios and fail if the document is out of date")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "replay: %q is not expected\n", flag.Arg(0))
		os.Exit(2)
	}
	if err := run(o, traces.All(), os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "replay:", err)
		os.Exit(1)
	}
}

// printer writes figures, one JSON line each, and keeps the first error.
type printer struct {
	encoder *json.Encoder
	err     error
}

// print writes a value; labels are names and values in turn.
func (p *printer) print(metric string, value float64, unit string, labels ...string) {
	f := figure.Figure{Bench: "replay", Metric: metric, Value: value, Unit: unit, Labels: map[string]string{}}
	for i := 0; i+1 < len(labels); i += 2 {
		f.Labels[labels[i]] = labels[i+1]
	}
	if err := p.encoder.Encode(f); p.err == nil && err != nil {
		p.err = fmt.Errorf("printing the figures: %w", err)
	}
}

// run plays what is there, prints the figures, and writes or checks the document.
func run(o options, loads []traces.Recorded, out, log io.Writer) error {
	found, absent, err := readAll(o.traces, loads)
	if err != nil {
		return err
	}
	if len(absent) > 0 {
		fmt.Fprintf(log, "not there: %s; set --traces to the folder of the recorded loads\n", strings.Join(absent, ", "))
	}
	p := &printer{encoder: json.NewEncoder(out)}
	path := filepath.Join(o.docs, "replay.md")
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading the document: %w", err)
	}
	before, between, after, err := split(string(raw))
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	core, err := playCore(found, !o.check, p, log)
	if err != nil {
		return err
	}
	missed := core.misses(len(absent) == 0)
	switch {
	case o.check:
		if lines := outdated(between, core); len(lines) > 0 {
			return errors.Join(missed, fmt.Errorf("%s is out of date: run make bench-replay. It lacks\n%s", path, strings.Join(lines, "\n")))
		}
		return errors.Join(missed, p.err)
	case len(absent) > 0:
		return errors.Join(missed, p.err, fmt.Errorf("%s is not written, since not all loads are there", path))
	}
	random, err := playRandom(found, o.seeds, p, log)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(before+core.tables()+random.tables(o.seeds)+after), 0o644); err != nil {
		return fmt.Errorf("writing the tables: %w", err)
	}
	for _, c := range core {
		if c.picture == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(o.docs, "replay-"+c.load.Name+".svg"), []byte(c.picture), 0o644); err != nil {
			return fmt.Errorf("drawing %s: %w", c.load.Name, err)
		}
	}
	return errors.Join(missed, random.misses(), p.err)
}
