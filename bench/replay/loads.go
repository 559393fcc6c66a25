package main

import (
	"fmt"

	"swell/bench/traces"
	"swell/scaler/replay"
)

// readable is a load with all that a replay takes of it.
type readable struct {
	traces.Recorded
	in replay.Input
}

func readAll(folder string, loads []traces.Recorded) (found []readable, absent []string, err error) {
	for _, l := range loads {
		s, ok, err := l.Read(folder)
		if err != nil {
			return nil, nil, fmt.Errorf("reading %s: %w", l.Name, err)
		}
		if !ok {
			absent = append(absent, l.File+".csv")
			continue
		}
		r := readable{Recorded: l, in: replay.Input{Trace: s, Seed: 1}}
		if r.in.Location, r.in.Holiday, err = l.Local(); err != nil {
			return nil, nil, err
		}
		found = append(found, r)
	}
	return found, absent, nil
}
