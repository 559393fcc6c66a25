package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestEachFigureBecomesALine(t *testing.T) {
	in := "pkg: swell/scaler/plan\nBenchmarkMake/nodes=200/spread-2   \t      10\t  21000000 ns/op\t 42.5 tick_ms\nPASS\n"
	var out bytes.Buffer
	if err := convert(strings.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	want := `{"bench":"Make","metric":"time_per_op","value":0.021,"unit":"s","labels":{"case":"spread","nodes":"200","package":"swell/scaler/plan"}}
{"bench":"Make","metric":"tick_ms","value":42.5,"unit":"ms","labels":{"case":"spread","nodes":"200","package":"swell/scaler/plan"}}
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestNoBenchmarkIsAnError(t *testing.T) {
	if err := convert(strings.NewReader("FAIL\n"), &bytes.Buffer{}); err == nil {
		t.Error("a run without a benchmark passed for one")
	}
}
