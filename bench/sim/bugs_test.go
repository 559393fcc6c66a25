package sim

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"swell/bench/overlay"
)

// mostSeeds bounds the search for one bug.
const mostSeeds = 2000

var (
	seedOf   = regexp.MustCompile(`: seed (\d+): (.*)`)
	breaking = regexp.MustCompile(`(?m)^Breaks: (.+)$`)
)

// Each of testdata/bugs is a plausible mistake in the product, and says which promise it breaks. With it planted a seed does.
func TestPlantedBugsAreFound(t *testing.T) {
	only := os.Getenv("SWELL_SIM_BUGS")
	if only == "" && slices.Contains(strings.Split(os.Getenv("SWELL_REQUIRE"), ","), "bugs") {
		only = "all"
	}
	if only == "" {
		t.Skip("each bug is a build of its own: make sim-bugs plants them, and SWELL_REQUIRE=bugs")
	}
	patches, err := filepath.Glob("testdata/bugs/*.patch")
	if err != nil || len(patches) < 10 {
		t.Fatalf("%d patches, %v: want at least 10", len(patches), err)
	}
	sound, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range patches {
		name := strings.TrimSuffix(filepath.Base(p), ".patch")
		if only != "all" && !strings.HasPrefix(name, only) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plant(t, p, sound)
		})
	}
}

// plant wants a seed that breaks the patch's promise with the mistake and keeps all of them without it.
func plant(t *testing.T, patch, sound string) {
	text, err := os.ReadFile(patch)
	if err != nil {
		t.Fatal(err)
	}
	says := breaking.FindSubmatch(text)
	if says == nil {
		t.Fatalf("%s does not say which promise it breaks: give it a line %q before the diff", patch, "Breaks: a regular expression of the promise's words")
	}
	list, err := overlay.Write("../..", patch, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	program := build(t, "-overlay", list)
	for from := 1; from <= mostSeeds; {
		out := seeds(t, program, from, mostSeeds+1-from, string(says[1]))
		found := seedOf.FindStringSubmatch(out)
		if found == nil {
			break
		}
		seed, err := strconv.Atoi(found[1])
		if err != nil {
			t.Fatal(err)
		}
		if !seedOf.MatchString(seeds(t, sound, seed, 1, "")) {
			t.Logf("found by seed %d: %s", seed, found[2])
			return
		}
		t.Logf("seed %d breaks a promise without it too", seed)
		from = seed + 1
	}
	t.Fatalf("no seed of %d found that %s", mostSeeds, says[1])
}

func build(t *testing.T, flags ...string) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "sim.test")
	if out, err := exec.CommandContext(t.Context(), "go", append(append([]string{"test", "-c"}, flags...), "-o", program, ".")...).CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	return program
}

// seeds runs some, up to the first that breaks a promise whose words match; a run that breaks one, or none, is the caller's to
// tell.
func seeds(t *testing.T, program string, from, count int, words string) string {
	t.Helper()
	run := exec.CommandContext(t.Context(), program, "-test.run", "^TestSeedsKeepThePromises$", "-test.timeout", "30m")
	run.Env = append(os.Environ(), "SWELL_SIM_FROM="+strconv.Itoa(from), "SWELL_SIM_SEEDS="+strconv.Itoa(count), "SWELL_SIM_UNTIL="+words, "SWELL_SIM_PROCESSES=1")
	out, err := run.CombinedOutput()
	if err == nil == seedOf.Match(out) {
		t.Fatalf("the run of seeds itself failed: %v\n%s", err, out[:min(len(out), 4000)])
	}
	return string(out)
}
