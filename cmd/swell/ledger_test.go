package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"swell/scaler/ledger"
)

// chained is a ledger of ten entries, with its head.
func chained(t *testing.T) (dir, head string) {
	t.Helper()
	dir = t.TempDir()
	l, err := ledger.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 10 {
		at := time.Date(2026, 3, 2, 9, 0, n, 0, time.UTC)
		if err := l.Append(ledger.Entry{At: at, Model: at, Phase: ledger.Note, Action: "problem", Object: "web"}); err != nil {
			t.Fatal(err)
		}
	}
	a, err := l.Head()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, a.Head.String()
}

func TestLedgerVerifySaysThatALedgerHolds(t *testing.T) {
	dir, head := chained(t)
	code, stdout, stderr := swell(t, "ledger", "verify", "--ledger", dir)
	if code != 0 || !strings.Contains(stdout, "holds from line 1 to 11") || !strings.Contains(stdout, "no --head was given") {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
	code, stdout, stderr = swell(t, "ledger", "verify", "--ledger", dir, "--head", head, "--json")
	var out verifyOutput
	if err := json.Unmarshal([]byte(stdout), &out); err != nil || code != 0 || !out.OK || len(out.Chains) != 1 || len(out.Chains[0].Anchored) != 1 {
		t.Errorf("exit %d, %v: %s%s", code, err, stdout, stderr)
	}
}

func TestLedgerVerifyNamesTheLine(t *testing.T) {
	dir, head := chained(t)
	path := filepath.Join(dir, ledger.FileName)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(raw), "\n")
	lines[4] = strings.Replace(lines[4], "web", "wob", 1)
	if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{nil, {"--json"}, {"--head", head}} {
		code, stdout, stderr := swell(t, append([]string{"ledger", "verify", "--ledger", dir}, args...)...)
		if code != 1 || !strings.Contains(stderr, path+", line 5: changed") || !strings.Contains(stdout, "changed") {
			t.Errorf("%v: exit %d: %s%s", args, code, stdout, stderr)
		}
	}
	if err := os.WriteFile(path, []byte(strings.Join(strings.SplitAfter(string(raw), "\n")[:7], "")), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := swell(t, "ledger", "verify", "--ledger", dir, "--head", head); code != 1 || !strings.Contains(stderr, "line 8: cut off") || !strings.Contains(stderr, "4 lines are missing") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestLedgerVerifySaysWhatToGive(t *testing.T) {
	dir, _ := chained(t)
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"no folder":    {nil, "--ledger is missing"},
		"no ledger":    {[]string{"--ledger", t.TempDir()}, "has neither ledger.jsonl nor a segment"},
		"not there":    {[]string{"--ledger", filepath.Join(dir, "no")}, "give the folder that ledgerDir names"},
		"a wrong head": {[]string{"--ledger", dir, "--head", "11:abc"}, "give SEQ:HASH"},
	} {
		if code, _, stderr := swell(t, append([]string{"ledger", "verify"}, c.args...)...); code != 2 || !strings.Contains(stderr, c.says) {
			t.Errorf("%s: exit %d: %s: want %q", name, code, stderr, c.says)
		}
	}
}
