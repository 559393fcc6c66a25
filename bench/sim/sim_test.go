package sim

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// run is one seed in a bubble of its own.
func run(t *testing.T, seed uint64) Result {
	t.Helper()
	var result Result
	dir := t.TempDir()
	t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var err error
			if result, err = Run(seed, dir); err != nil {
				t.Fatal(err)
			}
		})
	})
	return result
}

func setting(t *testing.T, name string, usual uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s is %q: give a number", name, text)
	}
	return n
}

// figures are the line that a run of seeds prints.
type figures struct {
	Seeds  uint64         `json:"seeds"`
	Found  int            `json:"found"`
	MS     float64        `json:"ms_per_seed"`
	Faults map[string]int `json:"faults"`
}

// TestSeedsKeepThePromises runs seeds FROM to FROM+SEEDS, or one, and stops at the first that breaks a promise.
func TestSeedsKeepThePromises(t *testing.T) {
	from, seeds := setting(t, "SWELL_SIM_FROM", 1), setting(t, "SWELL_SIM_SEEDS", 100)
	sum := figures{Faults: map[string]int{}}
	for _, k := range kinds {
		sum.Faults[k] = 0
	}
	started := time.Now()
	for seed := from; seed < from+seeds; seed++ {
		r := run(t, seed)
		sum.Seeds++
		for k, n := range r.Faults {
			sum.Faults[k] += n
		}
		if r.Timeline == nil {
			return // the run itself failed and has said why
		}
		if len(r.Found) > 0 {
			sum.Found++
			t.Errorf("seed %d: %s\n%s\nrun it again with: make sim SEED=%d", seed, strings.Join(r.Found, "; "), strings.Join(r.Timeline, "\n"), seed)
			if sum.Found == int(setting(t, "SWELL_SIM_STOP", 1)) {
				break
			}
		}
		if sum.Seeds%100 == 0 {
			fmt.Fprintf(os.Stderr, "%d of %d seeds, %.0f ms each\n", sum.Seeds, seeds, ms(started, sum.Seeds))
		}
	}
	sum.MS = ms(started, sum.Seeds)
	line, err := json.Marshal(sum)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(string(line))
	for _, k := range slices.Sorted(maps.Keys(sum.Faults)) {
		if n := sum.Faults[k]; sum.Seeds >= 500 && n < 100 {
			t.Errorf("the fault %q came %d times in %d seeds, want 100", k, n, sum.Seeds)
		}
	}
}

func ms(started time.Time, seeds uint64) float64 {
	return float64(time.Since(started).Milliseconds()) / float64(max(seeds, 1))
}

func TestASeedGivesTheSameRunEachTime(t *testing.T) {
	seeds := setting(t, "SWELL_SIM_TWICE", 10)
	for seed := uint64(1); seed <= seeds; seed++ {
		a, b := run(t, seed), run(t, seed)
		if slices.Equal(a.Timeline, b.Timeline) {
			continue
		}
		for i := range min(len(a.Timeline), len(b.Timeline)) {
			if a.Timeline[i] != b.Timeline[i] {
				t.Fatalf("seed %d: line %d is %q and then %q", seed, i+1, a.Timeline[i], b.Timeline[i])
			}
		}
		t.Fatalf("seed %d: %d lines and then %d", seed, len(a.Timeline), len(b.Timeline))
	}
}
