package ledger_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"swell/scaler/ledger"
)

// quiet is for errors that a test makes on purpose.
var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// crashing are bounds within which a few hundred entries begin files, compress and drop them all the time.
var crashing = ledger.Options{SegmentSize: 2000, MaxSize: 60_000, Log: quiet}

// TestWriterToBeKilled is the other process of TestAKilledWriterLeavesAWholeLedger: it writes for ever, and says what was written.
func TestWriterToBeKilled(t *testing.T) {
	dir := os.Getenv("SWELL_TEST_LEDGER")
	if dir == "" {
		return // it is run by that test
	}
	n, err := strconv.Atoi(os.Getenv("SWELL_TEST_FROM"))
	if err != nil {
		t.Fatal(err)
	}
	l := open(t, dir, crashing)
	for ; ; n++ {
		if err := l.Append(entry(n)); err != nil {
			t.Fatal(err)
		}
		fmt.Printf("wrote %d\n", n)
	}
}

// killed runs a writer until it has written so many, kills it, and says what the newest was that it knew to be written.
func killed(t *testing.T, dir string, from, many int) (last int) {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWriterToBeKilled$")
	c.Env = append(os.Environ(), "SWELL_TEST_LEDGER="+dir, "SWELL_TEST_FROM="+strconv.Itoa(from))
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.Wait() //nolint:errcheck // it was killed
	last = from - 1
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if word, ok := strings.CutPrefix(lines.Text(), "wrote "); ok {
			if last, err = strconv.Atoi(word); err != nil {
				t.Fatal(err)
			}
			if last == from+many {
				if err := c.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return last
}

// A writer that is killed at any moment, while it begins files, compresses and drops them, leaves a ledger that holds, has all that was
// written, and goes on.
func TestAKilledWriterLeavesAWholeLedger(t *testing.T) {
	dir := t.TempDir()
	next := 0
	for round := range 12 {
		last := killed(t, dir, next, 20+7*round)
		if last < next {
			t.Fatal("the writer wrote nothing")
		}
		if v := verified(t, dir); v.Finding != nil {
			t.Fatalf("round %d: %+v %v", round, v, v.Finding)
		}
		entries, _, err := ledger.Read(dir)
		if err != nil || len(entries) == 0 {
			t.Fatalf("round %d: %d entries, %v", round, len(entries), err)
		}
		first, err := strconv.Atoi(strings.TrimPrefix(entries[0].Object, "object "))
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range entries {
			if e.Object != fmt.Sprintf("object %d", first+i) {
				t.Fatalf("round %d: %s stands where number %d should", round, e.Object, first+i)
			}
		}
		if next = first + len(entries); next <= last {
			t.Fatalf("round %d: it ends before number %d, and %d was written", round, next, last)
		}
	}
	head := filled(t, dir, next, 30, crashing)
	if v := verified(t, dir, head.Head); v.Finding != nil || v.First == 1 {
		t.Errorf("%+v %v: want a chain that has dropped its oldest", v, v.Finding)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*.tmp*"))
	for _, path := range left { // what was half done goes when it is an hour old
		err = errors.Join(err, os.Remove(path))
	}
	if err != nil {
		t.Fatal(err)
	}
	if n := sizeOf(t, dir); n > crashing.MaxSize+2*crashing.SegmentSize {
		t.Errorf("it takes %d bytes: want at most %d", n, crashing.MaxSize)
	}
}

// A crash while old files are deleted leaves some of those that are to go. That is no tamper, and they go next time.
func TestACrashBetweenDeletionsIsNoTamper(t *testing.T) {
	dir, copied := t.TempDir(), t.TempDir()
	filled(t, dir, 0, 200, small)
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	before, _ := files(t, dir)
	few := ledger.Options{SegmentSize: 1, MaxSize: sizeOf(t, dir) / 2, Log: quiet}
	filled(t, dir, 200, 1, few) // begins a file, and drops half of them
	after, _ := files(t, dir)
	gone := slices.DeleteFunc(slices.Clone(before), func(path string) bool { return slices.Contains(after, path) })
	if len(gone) < 3 {
		t.Fatalf("%d files were dropped: want several", len(gone))
	}
	back := func(path string) {
		raw, err := os.ReadFile(filepath.Join(copied, filepath.Base(path)))
		if err == nil {
			err = os.WriteFile(path, raw, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	back(gone[len(gone)-1])
	if v := verified(t, dir); v.Finding != nil {
		t.Errorf("with the newest of what was to go: %v", v.Finding)
	}
	back(gone[len(gone)-3])
	if f := verified(t, dir).Finding; f == nil || f.Fault != ledger.Removed {
		t.Errorf("with one missing between: found %v", f)
	}
	if err := os.Remove(gone[len(gone)-3]); err != nil {
		t.Fatal(err)
	}
	filled(t, dir, 201, 1, few)
	if _, err := os.Stat(gone[len(gone)-1]); err == nil {
		t.Error("what was to go is there for good")
	}
	if v := verified(t, dir); v.Finding != nil {
		t.Errorf("after the next: %v", v.Finding)
	}
}

// A crash between the end of a file and the beginning of the next leaves a folder without a current file, or an empty one.
func TestACrashBetweenFilesIsNoTamper(t *testing.T) {
	for name, empty := range map[string]bool{"no current file": false, "an empty one": true} {
		dir := t.TempDir()
		before := filled(t, dir, 0, 3, ledger.Options{})
		l := open(t, dir, ledger.Options{})
		if err := l.Append(entry(3)); err != nil {
			t.Fatal(err)
		}
		if err := l.Rotate(noon.Add(time.Hour), noon.Add(time.Hour), time.Minute); err != nil {
			t.Fatal(err)
		}
		l.Close()
		current := filepath.Join(dir, ledger.FileName)
		err := os.Remove(current)
		if err == nil && empty {
			err = os.WriteFile(current, nil, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		head := filled(t, dir, 4, 3, ledger.Options{})
		if v := verified(t, dir, before.Head, head.Head); v.Finding != nil || head.Chain != before.Chain {
			t.Errorf("%s: %+v %v", name, v, v.Finding)
		}
		if got := actions(t, dir); len(got) != 7 {
			t.Errorf("%s: %v: want seven", name, got)
		}
	}
}

// A copy that was cut short, as by a sync of S3 beside the writer, is told with its file.
func TestHalfAFileIsNamed(t *testing.T) {
	dir := t.TempDir()
	filled(t, dir, 0, 63, small)
	paths, _ := files(t, dir)
	raw, err := os.ReadFile(paths[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(paths[1], raw[:len(raw)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ledger.Read(dir); err == nil || !strings.Contains(err.Error(), paths[1]) {
		t.Errorf("reading: %v: want %s", err, paths[1])
	}
	if _, err := ledger.Verify(dir); err == nil || !strings.Contains(err.Error(), paths[1]) {
		t.Errorf("verifying: %v: want %s", err, paths[1])
	}
}

// Replicas that share a folder may compress the same file at once: none writes into what another is about to put in its place. What a
// replica left half done goes with the next start.
func TestReplicasMayCompressAtOnce(t *testing.T) {
	dir := t.TempDir()
	filled(t, dir, 0, 100, ledger.Options{})
	path := filepath.Join(dir, "ledger-000000000001-20260302T120000Z.jsonl")
	theirs := path + ".gz.tmp"
	err := errors.Join(os.Rename(filepath.Join(dir, ledger.FileName), path), os.WriteFile(theirs, []byte("half"), 0o644))
	if err = errors.Join(err, ledger.PackAs(path)); err != nil {
		t.Fatal(err)
	}
	if raw, err := os.ReadFile(theirs); err != nil || string(raw) != "half" {
		t.Errorf("what another was writing is %q, %v", raw, err)
	}
	if err := errors.Join(os.Rename(theirs, theirs+"123"), os.Chtimes(theirs+"123", time.Time{}, time.Now().Add(-2*time.Hour))); err != nil {
		t.Fatal(err)
	}
	head := filled(t, dir, 100, 1, ledger.Options{})
	if v := verified(t, dir, head.Head); v.Finding != nil {
		t.Errorf("%+v %v", v, v.Finding)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*.tmp*")); err != nil || len(left) > 0 {
		t.Errorf("%v, %v are left", left, err)
	}
}
