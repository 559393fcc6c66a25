package controlplane

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
)

// BinaryEnv names the multi-call binary where it is not bin/testbed of the module.
const BinaryEnv = "SWELL_TESTBED"

const versionPackage = "k8s.io/component-base/version"

// without these the API server calls itself v0.0.0
const versionFlags = "-X " + versionPackage + ".gitVersion=v1.36.3 -X " + versionPackage + ".gitMajor=1 -X " + versionPackage + ".gitMinor=36"

// FindBinary is the multi-call binary: $SWELL_TESTBED, or bin/testbed of the module around the working directory.
func FindBinary() (string, error) {
	if path := os.Getenv(BinaryEnv); path != "" {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("finding the testbed's binary by %s: %w; run \"make build\" and correct or unset %s", BinaryEnv, err, BinaryEnv)
		}
		return filepath.Abs(path)
	}
	root, err := ModuleRoot()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, "bin", "testbed")
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("finding the testbed's binary: %w; run \"make build\" or set %s", err, BinaryEnv)
	}
	return path, nil
}

// ModuleRoot is the nearest folder at or above the working directory that holds a go.mod.
func ModuleRoot() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the module's root: %w", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("finding the module's root: no go.mod at or above %s; run this inside the project or set %s", start, BinaryEnv)
		}
	}
}

// T is what BinaryForTest needs of testing.TB.
type T interface {
	Helper()
	Fatalf(format string, args ...any)
}

var build = sync.OnceValues(func() (string, error) {
	path, err := FindBinary()
	if err == nil || os.Getenv(BinaryEnv) != "" || !errors.Is(err, os.ErrNotExist) {
		return path, err
	}
	return buildBinary()
})

// BinaryForTest is FindBinary for tests: a missing binary is built once, whatever number of test programs ask.
func BinaryForTest(t T) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatalf("%v", err)
	}
	return path
}

func buildBinary() (string, error) {
	root, err := ModuleRoot()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, "bin", "testbed")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", fmt.Errorf("building the testbed: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(root, "bin", ".testbed.lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", fmt.Errorf("building the testbed: %w", err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("building the testbed: waiting for another build: %w", err)
	}
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	// built beside and renamed, so that nobody starts half a binary
	part := path + ".part"
	command := exec.Command("go", "build", "-ldflags", versionFlags, "-o", part, "./bench/testbed")
	command.Dir = root
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the testbed: %w; run \"make build\" to see why:\n%s", err, out)
	}
	if err := os.Rename(part, path); err != nil {
		return "", fmt.Errorf("building the testbed: %w", err)
	}
	return path, nil
}
