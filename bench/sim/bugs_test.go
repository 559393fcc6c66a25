package sim

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"swell/bench/overlay"
)

var broken = regexp.MustCompile(`seed (\d+): (.*)`)

// Each of testdata/bugs is a plausible mistake in the product. With any of them planted a seed breaks a promise.
func TestPlantedBugsAreFound(t *testing.T) {
	only := os.Getenv("SWELL_SIM_BUGS")
	if only == "" {
		t.Skip("each bug is a build of its own: make sim-bugs plants them")
	}
	patches, err := filepath.Glob("testdata/bugs/*.patch")
	if err != nil || len(patches) < 10 {
		t.Fatalf("%d patches, %v: want at least 10", len(patches), err)
	}
	for _, p := range patches {
		name := strings.TrimSuffix(filepath.Base(p), ".patch")
		if only != "all" && !strings.HasPrefix(name, only) {
			continue
		}
		t.Run(name, func(t *testing.T) { plant(t, p) })
	}
}

func plant(t *testing.T, patch string) {
	dir := t.TempDir()
	list, err := overlay.Write("../..", patch, dir)
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "sim.test")
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-overlay", list, "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	run := exec.CommandContext(t.Context(), program, "-test.run", "^TestSeedsKeepThePromises$")
	run.Env = append(os.Environ(), "SWELL_SIM_SEEDS=200", "SWELL_SIM_FROM=1")
	out, err := run.CombinedOutput()
	found := broken.FindSubmatch(out)
	if err == nil || found == nil {
		t.Fatalf("200 seeds did not find it: %v\n%s", err, out[:min(len(out), 4000)])
	}
	t.Logf("found by seed %s: %s", found[1], found[2])
}
