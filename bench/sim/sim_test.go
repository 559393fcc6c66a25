package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
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

// add takes another's seeds in.
func (f *figures) add(o figures) {
	f.Seeds += o.Seeds
	f.Found += o.Found
	for k, n := range o.Faults {
		f.Faults[k] += n
	}
}

// enoughSeeds is from how many on each kind of fault must have come often enough.
const enoughSeeds, enoughFaults = 1000, 100

// print writes the line, and says which kind of fault did not come often enough.
func (f *figures) print(t *testing.T, started time.Time) {
	t.Helper()
	f.MS = float64(time.Since(started).Milliseconds()) / float64(max(f.Seeds, 1))
	line, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(string(line))
	for _, k := range slices.Sorted(maps.Keys(f.Faults)) {
		if !slices.Contains(kinds, k) {
			t.Errorf("the fault %q is not listed in kinds", k)
		}
		if n := f.Faults[k]; f.Seeds >= enoughSeeds && n < enoughFaults {
			t.Errorf("the fault %q came %d times in %d seeds, want %d", k, n, f.Seeds, enoughFaults)
		}
	}
}

func newFigures() figures {
	f := figures{Faults: map[string]int{}}
	for _, k := range kinds {
		f.Faults[k] = 0
	}
	return f
}

// TestSeedsKeepThePromises runs seeds FROM to FROM+SEEDS, or one, and stops at the first that breaks a promise whose words match
// UNTIL.
func TestSeedsKeepThePromises(t *testing.T) {
	from, seeds := setting(t, "SWELL_SIM_FROM", 1), setting(t, "SWELL_SIM_SEEDS", 100)
	if n := setting(t, "SWELL_SIM_PROCESSES", 1); n > 1 {
		inProcesses(t, n, from, seeds)
		return
	}
	words := regexp.MustCompile(os.Getenv("SWELL_SIM_UNTIL"))
	sum, started := newFigures(), time.Now()
	for seed := from; seed < from+seeds; seed++ {
		r := run(t, seed)
		sum.add(figures{Seeds: 1, Faults: r.Faults})
		if r.Timeline == nil {
			return // the run itself failed and has said why
		}
		if slices.ContainsFunc(r.Found, words.MatchString) {
			sum.Found++
			t.Errorf("seed %d: %s\n%s\nrun it again with: make sim SEED=%d", seed, strings.Join(r.Found, "; "), strings.Join(r.Timeline, "\n"), seed)
			if sum.Found == int(setting(t, "SWELL_SIM_STOP", 1)) {
				break
			}
		}
	}
	sum.print(t, started)
}

// perProcess is how many seeds a process runs before another is started.
const perProcess = 100

// inProcesses runs seeds in so many processes at once, since one runs one at a time.
func inProcesses(t *testing.T, processes, from, seeds uint64) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	sum, started := newFigures(), time.Now()
	var mu sync.Mutex
	var wg sync.WaitGroup
	next, end := from, from+seeds
	take := func() (first, count uint64) {
		mu.Lock()
		defer mu.Unlock()
		first, count = next, min(perProcess, end-next)
		next += count
		return first, count
	}
	for range processes {
		wg.Go(func() {
			for first, count := take(); count > 0; first, count = take() {
				child := exec.CommandContext(t.Context(), program, "-test.run", "^TestSeedsKeepThePromises$", "-test.timeout", "30m")
				child.Env = append(os.Environ(), "SWELL_SIM_PROCESSES=1", fmt.Sprintf("SWELL_SIM_FROM=%d", first), fmt.Sprintf("SWELL_SIM_SEEDS=%d", count))
				out, err := child.Output()
				var got figures
				unread := json.Unmarshal(out[:max(bytes.IndexByte(out, '\n'), 0)], &got)
				mu.Lock()
				if err != nil || unread != nil {
					t.Errorf("seeds %d to %d: %v\n%s", first, first+count-1, err, out)
					next = end
				}
				sum.add(got)
				if sum.Seeds%1000 == 0 && sum.Seeds > 0 {
					fmt.Fprintf(os.Stderr, "%d of %d seeds in %s\n", sum.Seeds, seeds, time.Since(started).Round(time.Second))
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if sum.Seeds < seeds && !t.Failed() {
		t.Errorf("%d of %d seeds ran", sum.Seeds, seeds)
	}
	sum.print(t, started)
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
