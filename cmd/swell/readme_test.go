package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// readmeCommands are those of the README's section on the shadow report, as they are printed.
func readmeCommands(t *testing.T) string {
	t.Helper()
	_, section, found := strings.Cut(pages(t)["../../README.md"], "\n## A shadow report in five minutes\n")
	if !found {
		t.Fatal("README.md has no section on the shadow report")
	}
	_, block, found := strings.Cut(section, "\n```sh\n")
	commands, _, closed := strings.Cut(block, "\n```\n")
	if !found || !closed {
		t.Fatal("the section has no block of commands")
	}
	return commands
}

// TestTheReadmeLeadsToAShadowReport runs the README's commands in one shell, and holds the report's figures to what the run itself told.
func TestTheReadmeLeadsToAShadowReport(t *testing.T) {
	t.Parallel()
	commands := readmeCommands(t)
	if n := strings.Count(commands, "\n") + 1; n > 10 {
		t.Errorf("%d lines of commands: a reader is promised a few", n)
	}
	temporary := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute) // make build may have all to do
	defer cancel()
	shell := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", commands)
	shell.Dir = "../.."
	shell.Env = append(os.Environ(), "TMPDIR="+temporary)
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var stdout, stderr bytes.Buffer
	shell.Stdout, shell.Stderr = &stdout, &stderr
	shell.WaitDelay = 10 * time.Second
	t.Cleanup(func() { endTestbeds(t, temporary) })
	began := time.Now()
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	err := shell.Wait()
	_ = syscall.Kill(-shell.Process.Pid, syscall.SIGKILL) // what a failed command left; none is left otherwise
	t.Logf("%s\n%s", stdout.String(), stderr.String())
	if err != nil {
		t.Fatal(err)
	}
	holdsToTheRun(t, stdout.String())
	if page, err := os.Stat("../../out/shadow.html"); err != nil || page.ModTime().Before(began) || page.Size() < 10<<10 {
		t.Errorf("%v, %v: the report is not written, or has nothing in it", page, err)
	}
	if left, err := filepath.Glob(filepath.Join(temporary, "swell-testbed-*")); err != nil || len(left) > 0 {
		t.Errorf("%v, %v: the last command leaves a testbed", left, err)
	}
	if pids := processesOf(t, temporary); len(pids) > 0 {
		t.Errorf("processes %v are left", pids)
	}
}

// holdsToTheRun compares the report with what the play printed.
func holdsToTheRun(t *testing.T, text string) {
	t.Helper()
	figure := func(pattern string) float64 {
		t.Helper()
		m := regexp.MustCompile(pattern).FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("nothing is like %q", pattern)
		}
		n, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	bought := figure(`the other scaler bought (\d+) nodes`)
	watched := figure(`watched for (\d+)m0s`)
	launches, came, returns, hours := 0., 0., 0., 0.
	for _, m := range regexp.MustCompile(`(?m)^ *general +ap-northeast-1[acd] +(?:spot|on-demand) +(\d+) +(\d+) +(\d+) +([\d.]+) +[\d.]+ +[\d.]+ +[\d.]+ *$`).FindAllStringSubmatch(text, -1) {
		for i, sum := range []*float64{&launches, &came, &returns, &hours} {
			n, err := strconv.ParseFloat(m[i+1], 64)
			if err != nil {
				t.Fatal(err)
			}
			*sum += n
		}
	}
	if bought < 2 || came != bought {
		t.Errorf("the report has %g nodes that came, and the other scaler bought %g", came, bought)
	}
	// needs of one zone within a minute are one to the books, so that not every node that came is another launch
	if launches < 2 || launches > bought+1 || returns == 0 {
		t.Errorf("swell would have launched %g and returned %g nodes, and pods waited for %g", launches, returns, bought)
	}
	if most := (3 + bought) * watched / 60; watched < 10 || hours <= 3*watched/60-0.3 || hours > most+0.3 {
		t.Errorf("%g node-hours in %g minutes, of three nodes at first and %g more", hours, watched, bought)
	}
	if ahead := figure(`launched later than swell would have launched them: \d+, by a median of (\d+) s`); ahead > 60 {
		t.Errorf("the other scaler's nodes were launched a median of %g s later: it looks every 10 s", ahead)
	}
	actions := regexp.MustCompile(`(?m)^\S+Z +(launch|return) +(\d+) +general .*\S+ +0\.31 +\S.*$`).FindAllStringSubmatch(text, -1)
	listed := 0.
	for _, m := range actions {
		n, _ := strconv.ParseFloat(m[2], 64)
		listed += n
	}
	if listed != launches+returns {
		t.Errorf("--actions lists %g of %g launches and returns with their price", listed, launches+returns)
	}
}

// endTestbeds ends what a failed run left.
func endTestbeds(t *testing.T, temporary string) {
	dirs, _ := filepath.Glob(filepath.Join(temporary, "swell-testbed-*"))
	for _, dir := range dirs {
		if out, err := exec.Command("../../bin/testbed", "down", "--dir", dir).CombinedOutput(); err != nil {
			t.Logf("ending the testbed in %s: %v: %s", dir, err, out)
		}
	}
	for _, pid := range processesOf(t, temporary) {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
	}
}

// processesOf are those whose command line names a folder, which is this test's own.
func processesOf(t *testing.T, dir string) (pids []int) {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range lines {
		raw, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(raw, []byte(dir)) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}
