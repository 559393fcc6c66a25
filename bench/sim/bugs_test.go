package sim

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"swell/bench/overlay"
)

var broken = regexp.MustCompile(`: seed (\d+): (.*)`)

// Each of testdata/bugs is a plausible mistake in the product. With any of them planted a seed breaks a promise.
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
	sound := build(t)
	for _, p := range patches {
		name := strings.TrimSuffix(filepath.Base(p), ".patch")
		if only != "all" && !strings.HasPrefix(name, only) {
			continue
		}
		t.Run(name, func(t *testing.T) { plant(t, p, sound) })
	}
}

// plant wants a seed that breaks a promise with the mistake and keeps all of them without it.
func plant(t *testing.T, patch, sound string) {
	list, err := overlay.Write("../..", patch, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	out := seeds(t, build(t, "-overlay", list), "SWELL_SIM_SEEDS=100", "SWELL_SIM_FROM=1", "SWELL_SIM_STOP=30")
	both := 0
	for _, found := range broken.FindAllStringSubmatch(out, -1) {
		if broken.MatchString(seeds(t, sound, "SWELL_SIM_SEEDS=1", "SWELL_SIM_FROM="+found[1])) {
			both++
			continue
		}
		t.Logf("found by seed %s: %s", found[1], found[2])
		return
	}
	t.Fatalf("no seed of 100 found it; %d broke a promise, with it and without", both)
}

func build(t *testing.T, flags ...string) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "sim.test")
	if out, err := exec.CommandContext(t.Context(), "go", append(append([]string{"test", "-c"}, flags...), "-o", program, ".")...).CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	return program
}

// seeds runs some; a run that breaks a promise, or none, is the caller's to tell.
func seeds(t *testing.T, program string, settings ...string) string {
	t.Helper()
	run := exec.CommandContext(t.Context(), program, "-test.run", "^TestSeedsKeepThePromises$")
	run.Env = append(os.Environ(), settings...)
	out, err := run.CombinedOutput()
	if err == nil == broken.Match(out) {
		t.Fatalf("the run of seeds itself failed: %v\n%s", err, out[:min(len(out), 4000)])
	}
	return string(out)
}
