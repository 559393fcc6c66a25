// Command jsonlines turns the output of `go test -bench` into one JSON line a figure.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/perf/benchfmt"

	"swell/bench/figure"
)

func main() {
	if err := convert(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "jsonlines:", err)
		os.Exit(1)
	}
}

// convert writes a line for each value; no benchmark at all is an error, so that a broken run is not taken for an empty one.
func convert(in io.Reader, out io.Writer) error {
	reader := benchfmt.NewReader(in, "standard input")
	encoder := json.NewEncoder(out)
	lines := 0
	for reader.Scan() {
		result, ok := reader.Result().(*benchfmt.Result)
		if !ok {
			continue
		}
		base, parts := result.Name.Parts()
		labels := map[string]string{"package": result.GetConfig("pkg")}
		for _, p := range parts {
			if key, value, found := strings.Cut(strings.TrimPrefix(string(p), "/"), "="); found {
				labels[key] = value
			} else if name, isSub := strings.CutPrefix(string(p), "/"); isSub {
				labels["case"] = name
			}
		}
		for _, v := range result.Values {
			metric, unit := metricOf(v.Unit)
			if err := encoder.Encode(figure.Figure{Bench: string(base), Metric: metric, Value: v.Value, Unit: unit, Labels: labels}); err != nil {
				return err
			}
			lines++
		}
	}
	if err := reader.Err(); err != nil {
		return fmt.Errorf("reading the benchmarks: %w", err)
	}
	if lines == 0 {
		return fmt.Errorf("reading the benchmarks: there was none; run `go test -bench . ./...` and look at its errors")
	}
	return nil
}

// metricOf splits benchfmt's unit, as in sec/op or tick_ms, into the metric's name and its unit.
func metricOf(unit string) (metric, of string) {
	switch unit {
	case "sec/op":
		return "time_per_op", "s"
	case "B/op":
		return "bytes_per_op", "B"
	case "allocs/op":
		return "allocs_per_op", "allocations"
	}
	if i := strings.LastIndex(unit, "_"); i > 0 {
		return unit, unit[i+1:]
	}
	return unit, ""
}
