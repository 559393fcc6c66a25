package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"
)

// What a testbed in the background leaves in its folder.
const (
	environmentFile = "environment" // what up prints; there once all is up
	pidFile         = "pid"
	logFile         = "up.log"
)

// downWithin is how long all parts have to end.
const downWithin = 30 * time.Second

// announce prints where everything is, or leaves it in the folder of a testbed in the background.
func announce(dir, text string) error {
	if os.Getenv(detachedEnv) == "" {
		fmt.Print(text + "# Ctrl-C ends it\n")
		return nil
	}
	path := filepath.Join(dir, environmentFile)
	if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
		return fmt.Errorf("saying that all is up: %w", err)
	}
	return os.Rename(path+".new", path)
}

// detachedEnv marks the process in the background.
const detachedEnv = "SWELL_TESTBED_DETACHED"

// detach starts up anew in a session of its own, and waits until all is up.
func detach(ctx context.Context, args []string, o upOptions) (err error) {
	if o.dir == "" {
		if o.dir, err = os.MkdirTemp("", "swell-testbed-"); err != nil {
			return fmt.Errorf("making a folder: %w; point TMPDIR to a writable one", err)
		}
		args = append(args, "--dir="+o.dir)
	} else if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return fmt.Errorf("making the folder of --dir: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding the running program: %w", err)
	}
	log, err := os.Create(filepath.Join(o.dir, logFile))
	if err != nil {
		return fmt.Errorf("writing to the folder: %w", err)
	}
	defer log.Close()
	args = slices.DeleteFunc(slices.Clone(args), func(a string) bool { return strings.HasPrefix(a, "--detach") })
	child := exec.Command(self, append([]string{"up"}, args...)...)
	child.Env = append(os.Environ(), detachedEnv+"=1")
	child.Stdout, child.Stderr = log, log
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := child.Start(); err != nil {
		return fmt.Errorf("starting in the background: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	began, _ := lifeOf(child.Process.Pid)
	if err := os.WriteFile(filepath.Join(o.dir, pidFile), fmt.Appendf(nil, "%d %s", child.Process.Pid, began), 0o644); err != nil {
		return errors.Join(fmt.Errorf("writing to the folder: %w", err), child.Process.Signal(syscall.SIGTERM))
	}
	text, err := awaitEnvironment(ctx, o.dir, ended)
	if err != nil {
		if ctx.Err() != nil {
			_ = child.Process.Signal(syscall.SIGTERM) // it may be gone
		}
		return err
	}
	fmt.Printf("%s# it goes on in the background: testbed down ends it\n", text)
	return nil
}

func awaitEnvironment(ctx context.Context, dir string, ended chan error) (string, error) {
	said := 0
	for {
		// the boot is told as it goes, where a terminal's eval does not take it
		if log, err := os.ReadFile(filepath.Join(dir, logFile)); err == nil {
			if end := bytes.LastIndexByte(log, '\n') + 1; end > said {
				os.Stderr.Write(log[said:end])
				said = end
			}
		}
		if text, err := os.ReadFile(filepath.Join(dir, environmentFile)); err == nil {
			return string(text), nil
		}
		select {
		case err := <-ended:
			return "", fmt.Errorf("the testbed ended before all was up: %w; see %s", err, filepath.Join(dir, logFile))
		case <-ctx.Done():
			return "", fmt.Errorf("waiting until all is up: %w", context.Cause(ctx))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// down ends a testbed in the background and removes its folder.
func down(args []string) int {
	flags := pflag.NewFlagSet("testbed down", pflag.ContinueOnError)
	dir := flags.String("dir", os.Getenv("TESTBED"), "the testbed's folder; $TESTBED by default")
	keep := flags.Bool("keep", false, "keep the folder of data and logs")
	flags.Usage = func() {
		fmt.Printf("testbed down ends a testbed that testbed up --detach left in the background.\n\nUsage:\n  testbed down [flags]\n\nFlags:\n%s", flags.FlagUsages())
	}
	if code, done := parse(flags, args); done {
		return code
	}
	if *dir == "" {
		fmt.Fprintln(os.Stderr, "testbed down: TESTBED is not set: export it as testbed up --detach printed it, or give --dir")
		return 2
	}
	if err := end(*dir, *keep); err != nil {
		fmt.Fprintf(os.Stderr, "testbed down: %v\n", err)
		return 1
	}
	return 0
}

// end asks the process of a folder to end, waits for it, and removes the folder.
func end(dir string, keep bool) error {
	raw, err := os.ReadFile(filepath.Join(dir, pidFile))
	if err != nil {
		return fmt.Errorf("finding the testbed: %w; give the folder of a testbed that runs in the background", err)
	}
	number, began, _ := strings.Cut(string(raw), " ")
	pid, err := strconv.Atoi(number)
	if err != nil || pid < 2 {
		return fmt.Errorf("finding the testbed: %s holds %q, which is no process id", filepath.Join(dir, pidFile), raw)
	}
	runs := func() bool {
		now, runs := lifeOf(pid)
		return runs && now == began
	}
	if runs() {
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("ending process %d: %w", pid, err)
		}
		for deadline := time.Now().Add(downWithin); runs(); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				return fmt.Errorf("process %d has not ended within %s: see %s", pid, downWithin, filepath.Join(dir, logFile))
			}
		}
	}
	if keep {
		return nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("removing the folder: %w; remove it by hand", err)
	}
	return nil
}

// lifeOf is when a process began, as the kernel counts it, by which it is told from a later one with its id; none has ended.
func lifeOf(pid int) (began string, runs bool) {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", false
	}
	// the name before the bracket may have anything in it; behind it the first is the state, the twentieth the beginning
	fields := strings.Fields(string(line[bytes.LastIndexByte(line, ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" {
		return "", false
	}
	return fields[19], true
}
