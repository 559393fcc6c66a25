package digits

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.0012: "0.0012", -0.0012: "−0.0012", 0.256: "0.26", -0.256: "−0.26", 3.21: "3.21", 9.996: "10.0", 12: "12", 45.67: "45.7", -45.67: "−45.7", 99.97: "100",
		999.4: "999", 999.6: "1,000", 1000: "1,000", 1234567: "1,234,567", -4321: "−4,321", math.Inf(1): Unknown, math.NaN(): Unknown} {
		if got := Number(v); got != want {
			t.Errorf("%g is written %q, want %q", v, got, want)
		}
	}
}

func TestThousandsChangeNoNumber(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strconv.FormatInt(rapid.Int64().Draw(t, "n"), 10)
		got := Thousands(text)
		if plain := strings.NewReplacer(",", "", minus, "-").Replace(got); plain != text {
			t.Fatalf("%s is written %q", text, got)
		}
		for i, group := range strings.Split(strings.TrimPrefix(got, minus), ",") {
			if len(group) != 3 && i > 0 || len(group) > 3 {
				t.Fatalf("%s is written %q", text, got)
			}
		}
	})
}

func TestPercent(t *testing.T) {
	for v, want := range map[float64]string{0: "0.0 %", 0.0123: "1.23 %", -0.0123: "−1.23 %", 0.5: "50.0 %", -0.5: "−50.0 %", 0.9996: "99.96 %", 1: "100.0 %", 1.5: "150.0 %"} {
		if got := Percent(v); got != want {
			t.Errorf("%g is written %q, want %q", v, got, want)
		}
	}
}
