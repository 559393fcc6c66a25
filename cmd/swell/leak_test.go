package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"swell/bench/traces"
	"swell/scaler/series"
)

// linesOf a recorded load's file, the header first.
func linesOf(t *testing.T, r traces.Recorded) []string {
	t.Helper()
	var text bytes.Buffer
	if err := series.Write(&text, r.ForTest(t)); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimRight(text.String(), "\n"), "\n")
}

// What the back-test says of a row is what `swell forecast` says from a file that ends at the row's origin. SWELL_LEAKS is
// how many rows of each load are tried; `make check-leaks` tries 200.
func TestTheBacktestKnowsNoFuture(t *testing.T) {
	targets := 40
	if n, err := strconv.Atoi(os.Getenv("SWELL_LEAKS")); err == nil {
		targets = n
	}
	for _, c := range traces.All() {
		t.Run(c.File, func(t *testing.T) {
			lines := linesOf(t, c)
			dir := t.TempDir()
			whole, cut, out := filepath.Join(dir, "whole.csv"), filepath.Join(dir, "cut.csv"), filepath.Join(dir, "rows.csv")
			args := func(command, file string) []string {
				a := []string{command, "--series", file, "--horizon", "60m", "--quantile", "0.95", "--timezone", c.Zone, "--json"}
				if c.Country != "" {
					a = append(a, "--holidays", c.Country)
				}
				return a
			}
			save := func(path string, lines []string) {
				if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			save(whole, lines)
			if code, _, stderr := swell(t, append(args("backtest", whole), "--out", out)...); code != 0 {
				t.Fatal(stderr)
			}
			rows := rowsOf(t, out)
			at := map[string]int{} // line by stamp
			for i, l := range lines {
				stamp, _, _ := strings.Cut(l, ",")
				at[stamp] = i
			}
			r := rand.New(rand.NewPCG(5, uint64(len(rows))))
			for range targets {
				row := rows[r.IntN(len(rows))]
				last, ok := at[row[1]]
				if !ok {
					t.Fatalf("the origin of %v is no row of the file", row)
				}
				save(cut, lines[:last+1])
				code, stdout, stderr := swell(t, args("forecast", cut)...)
				if code != 0 {
					t.Fatal(stderr)
				}
				var got struct {
					Origin, Target  string
					Forecast, Upper float64
				}
				if err := json.Unmarshal([]byte(stdout), &got); err != nil {
					t.Fatal(err)
				}
				text := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
				if got.Target != row[0] || got.Origin != row[1] || text(got.Forecast) != row[3] || text(got.Upper) != row[4] {
					t.Fatalf("the back-test says %v, the file cut at its origin gives %+v", row, got)
				}
			}
		})
	}
}

// rowsOf a back-test, without the header.
func rowsOf(t *testing.T, path string) [][]string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(raw)).ReadAll()
	if err != nil || len(rows) < 100 {
		t.Fatal(err, len(rows))
	}
	return rows[1:]
}
