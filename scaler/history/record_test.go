package history

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"swell/scaler/series"
)

var monday = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// full is a record of eight weeks of minutes.
func full(value func(i int) code) *Record {
	r := &Record{}
	first := monday.Unix() / minuteSeconds
	for i := range 56 * 1440 {
		r.minutes.put(first+int64(i), value(i), keepMinuteRows)
		if i%5 == 4 {
			r.deriveSlot((first + int64(i)) / perCoarse)
		}
	}
	return r
}

// The noisiest series there can be for each kind: no row tells anything of the next.
func TestACheckpointTakesAtMost64KiBOnNoise(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for name, value := range map[string]func(int) code{
		"white noise of 20 %":    func(int) code { return codeOf(max(100*(1+0.2*random.NormFloat64()), 0)) },
		"log-normal noise":       func(int) code { return codeOf(100 * math.Exp(random.NormFloat64())) },
		"any load at all":        func(int) code { return codeLeast + code(random.IntN(int(codeMost-codeLeast)+1)) },
		"the ends of the range":  func(i int) code { return []code{codeZero, codeMost}[random.IntN(2)] },
		"any load, every gap":    func(i int) code { return []code{code(i % 11), codeLeast + code(random.IntN(10000))}[i%2] },
		"a swing with 5 % noise": func(i int) code { return codeOf(100 + 80*math.Sin(float64(i)/1440*2*math.Pi) + 5*random.NormFloat64()) },
	} {
		r := full(value)
		// the coarse rows as wild as the minutes
		for i := range r.coarse.codes {
			r.coarse.codes[i] = value(i)
		}
		if len(r.minutes.codes) != keepMinuteRows || len(r.coarse.codes) != keepCoarseRows {
			t.Fatalf("%s: %d minutes and %d coarse rows: want all that are kept", name, len(r.minutes.codes), len(r.coarse.codes))
		}
		raw, err := Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%-24s %.1f KiB", name, float64(len(raw))/1024)
		if len(raw) > mostBytes {
			t.Errorf("%s: %d bytes: want at most %d", name, len(raw), mostBytes)
		}
		back, err := Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		same(t, r, back)
	}
}

func same(t rapid.TB, a, b *Record) {
	t.Helper()
	for _, x := range []struct{ a, b rows }{{a.minutes, b.minutes}, {a.coarse, b.coarse}} {
		if x.a.first != x.b.first || len(x.a.codes) != len(x.b.codes) {
			t.Fatalf("rows from %d, %d of them: want from %d, %d", x.b.first, len(x.b.codes), x.a.first, len(x.a.codes))
		}
		for i := range x.a.codes {
			if x.a.codes[i] != x.b.codes[i] {
				t.Fatalf("row %d is %d: want %d", i, x.b.codes[i], x.a.codes[i])
			}
		}
	}
	if len(a.shares) != len(b.shares) {
		t.Fatalf("%d shares: want %d", len(b.shares), len(a.shares))
	}
	for i := range a.shares {
		if a.shares[i] != b.shares[i] {
			t.Fatalf("share %v: want %v", b.shares[i], a.shares[i])
		}
	}
}

func TestARecordComesBackAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := &Record{}
		row := rapid.Int64Range(-1000, 1e9).Draw(t, "first")
		for range rapid.IntRange(0, 60).Draw(t, "rows") {
			row += rapid.Int64Range(1, 400).Draw(t, "gap")
			c := code(rapid.IntRange(0, int(codeMost)).Filter(func(c int) bool { return c <= int(Invalid) || c >= int(codeZero) }).Draw(t, "code"))
			r.merge(rows{row, []code{c}})
			if rapid.Bool().Draw(t, "share") {
				r.noteShare(row, rapid.Float64Range(0.01, 1).Draw(t, "s"))
			}
		}
		raw, err := Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		same(t, r, back)
		if len(raw) > 9 {
			at := rapid.IntRange(0, len(raw)-1).Draw(t, "flipped")
			raw[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "by"))
			if _, err := Decode(raw); err == nil {
				t.Fatalf("byte %d was changed, and nobody noticed", at)
			}
			if _, err := Decode(raw[:at]); err == nil {
				t.Fatalf("the bytes were cut at %d, and nobody noticed", at)
			}
		}
	})
}

func TestALoadIsKeptToAQuarterOfAPercent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := math.Exp(rapid.Float64Range(math.Log(leastLoad), math.Log(mostLoad)).Draw(t, "log"))
		if got := codeOf(v).value(); math.Abs(got/v-1) > 0.00251 {
			t.Fatalf("%g is kept as %g", v, got)
		}
	})
	for v, want := range map[float64]code{0: codeZero, -1: code(Invalid), math.NaN(): code(Invalid), math.Inf(1): code(Invalid), 2e17: code(Invalid)} {
		if got := codeOf(v); got != want {
			t.Errorf("%g has the code %d: want %d", v, got, want)
		}
	}
}

func TestFiveMinutesAreMadeOfMinutes(t *testing.T) {
	r := &Record{}
	first := monday.Unix() / minuteSeconds
	known, gap := codeOf(100), code(AtMaximum)
	r.merge(rows{first, []code{known, known, known, gap, gap, known, gap, gap, gap, code(Rollout), known, known}})
	s, classes := r.Coarse()
	if s.Len() != 2 || math.Abs(s.Values[0]-100) > 0.3 || classes[1] != AtMaximum {
		t.Fatalf("%v %v: want 100, at maximum, and nothing of the five minutes that are not over", s.Values, classes)
	}
	r.merge(rows{first + 12, []code{known, known, known}})
	if s, _ := r.Coarse(); s.Len() != 3 || math.Abs(s.Values[2]-100) > 0.3 {
		t.Fatalf("%v: want the third five minutes known", s.Values)
	}
}

func TestWhatWasSampledIsNotOverwritten(t *testing.T) {
	r := &Record{}
	first := monday.Unix() / minuteSeconds
	r.merge(rows{first, []code{codeOf(100), code(AtMaximum), code(NoSample), code(NoSample), codeOf(100), codeOf(100)}})
	r.merge(rows{first, []code{codeOf(1), codeOf(1), codeOf(2), code(NoSample), codeOf(1)}}) // a leader that stood still
	past := series.Series{Start: monday.Add(-3 * time.Minute), Step: time.Minute, Values: []float64{7, math.NaN(), 7, 7, 7, 7, 7, 7, 7, 7}}
	if n := r.Fill(past); n != 4 {
		t.Errorf("%d rows were filled: want 4", n)
	}
	s, classes := r.Minutes()
	want := []float64{7, math.NaN(), 7, 100, math.NaN(), 2, 7, 100, 100, 7}
	if s.Len() != len(want) || !s.Start.Equal(past.Start) || classes[4] != AtMaximum {
		t.Fatalf("%v from %s, %v", s.Values, s.Start, classes)
	}
	for i, v := range want {
		if math.Abs(s.Values[i]-v) > v*0.003 || math.IsNaN(s.Values[i]) != math.IsNaN(v) {
			t.Errorf("minute %d is %g: want %g", i, s.Values[i], v)
		}
	}
	coarse := series.Series{Start: monday.Add(-time.Hour), Step: 5 * time.Minute, Values: make([]float64, 15)}
	for i := range coarse.Values {
		coarse.Values[i] = 9
	}
	r.Fill(coarse)
	s, _ = r.Coarse()
	if v, _ := s.At(monday); math.Abs(v-52) > 1 { // of 100, unknown, 2, 7, 100
		t.Errorf("the first five minutes are %g: want what was sampled", v)
	}
	if v, _ := s.At(monday.Add(-time.Hour)); math.Abs(v-9) > 0.1 {
		t.Errorf("an hour before is %g: want 9, from elsewhere", v)
	}
}
