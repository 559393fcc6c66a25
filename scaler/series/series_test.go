package series_test

import (
	"bytes"
	"compress/gzip"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"swell/scaler/series"
)

const head = "timestamp,value\n"

func TestReadSaysWhereAndHow(t *testing.T) {
	good := head + "2026-01-01T00:00:00Z,1\n2026-01-01T00:05:00Z,2\n2026-01-01T00:10:00Z,3\n"
	for name, c := range map[string]struct{ text, want string }{
		"empty":      {"", "reading f.csv: line 1: the file is empty"},
		"header":     {"time,load\n", `line 1: the header is "time,load"; make it "timestamp,value"`},
		"few":        {head + "2026-01-01T00:00:00Z,1\n", "too few"},
		"gap":        {good + "2026-01-01T00:25:00Z,4\n", "line 5: 2 rows are missing before 2026-01-01T00:25:00Z; fill them with explicit empty values (\"2026-01-01T00:15:00Z,\")"},
		"one":        {good + "2026-01-01T00:20:00Z,4\n", "line 5: 1 row is missing before"},
		"twice":      {good + "2026-01-01T00:10:00Z,4\n", "line 5: 2026-01-01T00:10:00Z is there twice; remove one"},
		"order":      {good + "2026-01-01T00:05:00Z,4\n", "line 5: 2026-01-01T00:05:00Z is before the row above it"},
		"grid":       {good + "2026-01-01T00:16:00Z,4\n", "line 5: 2026-01-01T00:16:00Z is off the grid"},
		"number":     {good + "2026-01-01T00:15:00Z,many\n", `line 5: value "many" is not a number`},
		"nan":        {good + "2026-01-01T00:15:00Z,NaN\n", `value "NaN" is not a number`},
		"negative":   {good + "2026-01-01T00:15:00Z,-1\n", "below zero"},
		"stamp":      {good + "yesterday,1\n", `line 5: timestamp "yesterday" is not RFC3339`},
		"zone":       {good + "2026-01-01T09:15:00+09:00,1\n", "not in UTC; write 2026-01-01T00:15:00Z"},
		"fields":     {good + "2026-01-01T00:15:00Z\n", "is not two fields"},
		"blank":      {head + "2026-01-01T00:00:00Z,1\n\n2026-01-01T00:05:00Z,2\n", "line 3: an empty line"},
		"all twice":  {head + "2026-01-01T00:00:00Z,1\n2026-01-01T00:00:00Z,1\n", "line 3: 2026-01-01T00:00:00Z is there twice"},
		"first hole": {head + "2026-01-01T00:00:00Z,1\n2026-01-01T00:10:00Z,2\n2026-01-01T00:15:00Z,3\n2026-01-01T00:20:00Z,3\n", "line 3: 1 row is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := series.Read(strings.NewReader(c.text), "f.csv")
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestEmptyValueIsUnknown(t *testing.T) {
	s, err := series.Read(strings.NewReader(head+"2026-01-01T00:00:00Z,1\r\n2026-01-01T00:05:00Z,\r\n2026-01-01T00:10:00Z,0\r\n"), "f")
	if err != nil {
		t.Fatal(err)
	}
	if _, known := s.At(s.Time(1)); known || s.Step != 5*time.Minute {
		t.Fatalf("the empty value is known, or the step is wrong: %+v", s)
	}
	if v, known := s.At(s.Time(2).Add(4 * time.Minute)); !known || v != 0 {
		t.Fatalf("zero must stay zero and cover its step: %v %v", v, known)
	}
	if _, known := s.At(s.End()); known {
		t.Fatal("the end is past the last row")
	}
}

func TestWriteReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := series.Series{
			Start: time.Unix(rapid.Int64Range(0, 2e9).Draw(t, "start"), 0).UTC(),
			Step:  time.Duration(rapid.Int64Range(1, 7200).Draw(t, "step")) * time.Second,
		}
		for range rapid.IntRange(2, 50).Draw(t, "n") {
			v := rapid.Float64Range(0, 1e9).Draw(t, "v")
			if rapid.Bool().Draw(t, "unknown") {
				v = math.NaN()
			}
			s.Values = append(s.Values, v)
		}
		var b bytes.Buffer
		if err := series.Write(&b, s); err != nil {
			t.Fatal(err)
		}
		got, err := series.Read(&b, "f")
		if err != nil {
			t.Fatal(err)
		}
		if !got.Start.Equal(s.Start) || got.Step != s.Step || got.Len() != s.Len() {
			t.Fatalf("got %v %v %d", got.Start, got.Step, got.Len())
		}
		for i, v := range s.Values {
			if g := got.Values[i]; g != v && !(math.IsNaN(g) && math.IsNaN(v)) {
				t.Fatalf("row %d: %v became %v", i, v, g)
			}
		}
	})
}

func TestResampleKeepsTheMean(t *testing.T) {
	nan := math.NaN()
	s := series.Series{Start: time.Date(2026, 1, 1, 0, 5, 0, 0, time.UTC), Step: 5 * time.Minute,
		Values: []float64{9, 1, 3, 5, nan, nan, nan, 2, 4}}
	got, err := s.Resample(15 * time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	// 00:05 and 00:10 are no full quarter; 00:15 is 3, 5, unknown; 00:30 is mostly unknown.
	if want := time.Date(2026, 1, 1, 0, 15, 0, 0, time.UTC); !got.Start.Equal(want) || got.Len() != 2 {
		t.Fatalf("got %v", got)
	}
	if got.Values[0] != 4 || !math.IsNaN(got.Values[1]) {
		t.Fatalf("got %v, want 4 and unknown", got.Values)
	}
	if _, err := s.Resample(7 * time.Minute); err == nil {
		t.Fatal("7m is no multiple of 5m")
	}
}

func TestAppendKeepsTheNewest(t *testing.T) {
	s := series.Series{Start: time.Unix(0, 0).UTC(), Step: time.Minute}
	for i := range 10 {
		s.Append(float64(i), 4)
	}
	if s.Len() != 4 || s.Values[0] != 6 || s.Values[3] != 9 || !s.Start.Equal(time.Unix(360, 0)) {
		t.Fatalf("got %+v", s)
	}
	cut := s.Slice(time.Unix(361, 0), time.Unix(480, 0))
	if cut.Len() != 1 || cut.Values[0] != 7 || !cut.Start.Equal(time.Unix(420, 0)) {
		t.Fatalf("slice: got %+v", cut)
	}
}

func TestFilesMayBeCompressed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "load.csv.gz")
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(head + "2026-01-01T00:00:00Z,1\n2026-01-01T00:05:00Z,2\n"))
	z.Close()
	for _, c := range []struct {
		text []byte
		want string
	}{
		{b.Bytes(), ""},
		{b.Bytes()[:b.Len()-9], "unexpected EOF"},
		{[]byte(head), "load.csv.gz: gzip: invalid header; compress it"},
	} {
		if err := os.WriteFile(path, c.text, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := series.ReadFile(path)
		if c.want == "" && (err != nil || s.Len() != 2) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%d rows, %v; want %q", s.Len(), err, c.want)
		}
	}
}

func TestShortGapsAreFilledOnALine(t *testing.T) {
	nan := math.NaN()
	s := series.Series{Start: time.Unix(0, 0).UTC(), Step: 30 * time.Minute, Values: []float64{nan, 1, nan, nan, 4, nan, nan, nan, 8, nan}}
	got, rows := s.Filled(time.Hour)
	if rows != 2 || !slices.EqualFunc(got.Values, []float64{nan, 1, 2, 3, 4, nan, nan, nan, 8, nan}, func(a, b float64) bool { return a == b || a != a && b != b }) {
		t.Fatalf("%d rows of %v", rows, got.Values)
	}
	if !math.IsNaN(s.Values[2]) {
		t.Error("the series itself was changed")
	}
}
