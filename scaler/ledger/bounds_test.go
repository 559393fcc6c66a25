package ledger_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"swell/scaler/ledger"
)

func sizeOf(t *testing.T, dir string) (total int64) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	return total
}

// Old segments go by size, the rest still holds, and says where it begins.
func TestTheOldestSegmentsGoBySize(t *testing.T) {
	dir := t.TempDir()
	o := ledger.Options{MaxSize: 40_000, SegmentSize: 5000}
	var head ledger.Anchor
	for i := range 20 {
		head = filled(t, dir, 50*i, 50, o)
		if n := sizeOf(t, dir); n > o.MaxSize+o.SegmentSize {
			t.Fatalf("after %d entries the ledger takes %d bytes: want at most %d", 50*(i+1), n, o.MaxSize)
		}
	}
	v := verified(t, dir, head.Head)
	if v.Finding != nil || v.First < 100 {
		t.Fatalf("%+v %v: want a chain that begins late and holds", v, v.Finding)
	}
	entries, _, err := ledger.Read(dir)
	if err != nil || len(entries) == 0 || entries[len(entries)-1].Object != "object 999" {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	for i := 1; i < len(entries); i++ {
		if entries[i].Model.Sub(entries[i-1].Model) != time.Second {
			t.Fatalf("%s follows %s", entries[i].Object, entries[i-1].Object)
		}
	}
	paths, _ := files(t, dir)
	if err := os.Remove(paths[0]); err != nil { // somebody else's deletion is none of the bounds'
		t.Fatal(err)
	}
	if f := verified(t, dir, head.Head).Finding; f == nil || f.Fault != ledger.Removed || f.File != paths[1] || f.Line != 1 {
		t.Fatalf("the oldest segment is missing without a record, and %v was found", f)
	}
}

func TestTheOldestSegmentsGoByAge(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, ledger.Options{SegmentAge: time.Hour, MaxAge: 5 * time.Hour})
	for hour := range 20 {
		for minute := range 60 {
			if err := l.Append(entry(3600*hour + 60*minute)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	entries, _, err := ledger.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if age := entries[len(entries)-1].At.Sub(entries[0].At); age < 5*time.Hour || age > 7*time.Hour {
		t.Errorf("the ledger goes back %s: want 5 hours and up to two segments", age)
	}
	if f := verified(t, dir).Finding; f != nil {
		t.Error(f)
	}
}

// fullAt has the kernel refuse to make files longer, as on a full disk: what fits is written, and then an error comes.
func fullAt(t *testing.T, size uint64) (makeRoom func()) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	makeRoom = func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			t.Fatal(err)
		}
		signal.Reset(syscall.SIGXFSZ)
	}
	t.Cleanup(makeRoom)
	return makeRoom
}

// alone runs a test in a process of its own, as what it sets is of the whole process; false says that this is it.
func alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv("SWELL_TEST_ALONE") == t.Name() {
		return false
	}
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	c.Env = append(os.Environ(), "SWELL_TEST_ALONE="+t.Name())
	if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("%v\n%s", err, out)
	}
	return true
}

// A disk that does not answer holds up nobody for longer than the patience, and what waits for it is written later.
func TestASlowDiskHoldsUpNobody(t *testing.T) {
	dir := t.TempDir()
	const patience, many = 100 * time.Millisecond, 500
	l := open(t, dir, ledger.Options{Patience: patience})
	release := ledger.Stall(l)
	begun := time.Now()
	for n := range many {
		if err := l.Append(entry(n)); err == nil || !strings.Contains(err.Error(), "once it does") {
			t.Fatalf("entry %d: %v", n, err)
		}
	}
	if took := time.Since(begun); took > many*patience/2 { // 50 s if each waits by itself
		t.Errorf("%d entries waited %s: want one to wait for all", many, took)
	}
	release()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	entries, _, err := ledger.Read(dir)
	if err != nil || len(entries) != many {
		t.Fatalf("%d entries, %v: want all %d", len(entries), err, many)
	}
}

func TestWalkGivesATimeOnly(t *testing.T) {
	dir := t.TempDir()
	filled(t, dir, 0, 300, small)
	var got []string
	err := ledger.Walk(dir, noon.Add(100*time.Second), noon.Add(150*time.Second), func(e ledger.Entry) error {
		got = append(got, e.Object)
		return nil
	})
	if err != nil || len(got) != 50 || got[0] != "object 100" || got[49] != "object 149" {
		t.Fatalf("%d entries, %v, %v", len(got), got, err)
	}
	stop := errors.New("enough")
	if err := ledger.Walk(dir, time.Time{}, time.Time{}, func(ledger.Entry) error { return stop }); err != stop {
		t.Errorf("got %v: want the callback's own error", err)
	}
}

// A successor in a folder of its own names its predecessor's head, and both are read as one ledger.
func TestASuccessorsChainNamesItsPredecessors(t *testing.T) {
	both := t.TempDir()
	a, b := filepath.Join(both, "a"), filepath.Join(both, "b")
	first := filled(t, a, 0, 10, ledger.Options{})
	l := open(t, b, ledger.Options{})
	l.Follow(first)
	for n := 10; n < 20; n++ {
		if err := l.Append(entry(n)); err != nil {
			t.Fatal(err)
		}
	}
	second, err := l.Head()
	if err == nil {
		err = l.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	l = open(t, a, ledger.Options{}) // and the first is back
	l.Follow(second)
	if err := errors.Join(l.Append(entry(20)), l.Close()); err != nil {
		t.Fatal(err)
	}
	entries, _, err := ledger.Read(both)
	if err != nil || len(entries) != 21 || !slices.IsSortedFunc(entries, func(x, y ledger.Entry) int { return x.At.Compare(y.At) }) {
		t.Fatalf("%d entries, %v: want 21 in the order of their times", len(entries), err)
	}
	all, err := ledger.Verify(both, first.Head, second.Head)
	if err != nil || len(all) != 2 || all[0].Finding != nil || all[1].Finding != nil || len(all[1].Predecessors) != 1 || all[1].Predecessors[0] != first || all[0].Predecessors[0] != second {
		t.Fatalf("%+v, %v", all, err)
	}
	path := filepath.Join(b, ledger.FileName)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(raw, []byte("\n"))
	if err := os.WriteFile(path, bytes.Join(lines[:8], nil), 0o644); err != nil {
		t.Fatal(err)
	}
	all, err = ledger.Verify(both)
	if f := all[1].Finding; err != nil || f == nil || f.Fault != ledger.CutOff || f.File != path || f.Line != 9 {
		t.Fatalf("the end of the second chain is missing, and %v was found, %v", f, err)
	}
}

// A scaler that finds its folder shorter than the head which was kept outside says so for good.
func TestAStartOnAFolderThatWasCutOffIsRecorded(t *testing.T) {
	dir := t.TempDir()
	head := filled(t, dir, 0, 10, ledger.Options{})
	paths, lines := files(t, dir)
	put(t, paths[0], lines[0][:6])
	l := open(t, dir, ledger.Options{})
	l.Follow(head)
	if err := errors.Join(l.Append(entry(10)), l.Close()); err != nil {
		t.Fatal(err)
	}
	if f := verified(t, dir).Finding; f == nil || f.Fault != ledger.CutOff || f.Line != 7 {
		t.Fatalf("found %v: want the end at line 7 to be told", f)
	}
}

// A scaler that finds its chain written anew, with its own id and as long as before, says so for good: the head that was kept is
// overwritten soon.
func TestAStartOnAFolderThatWasWrittenAnewIsRecorded(t *testing.T) {
	for name, o := range map[string]ledger.Options{"in the file": {}, "in a segment": {SegmentSize: 4000}} {
		dir := t.TempDir()
		head := filled(t, dir, 0, 5, o)
		filled(t, dir, 5, 20, o)
		if v := verified(t, dir, head.Head); v.Finding != nil {
			t.Fatal(v.Finding)
		}
		l := open(t, dir, o) // nothing was done to it
		l.Follow(head)
		if err := errors.Join(l.Append(entry(25)), l.Close()); err != nil {
			t.Fatal(err)
		}
		if f := verified(t, dir).Finding; f != nil {
			t.Fatalf("%s: found %v in a ledger that is as it was written", name, f)
		}
		paths, lines := files(t, dir)
		var all []string
		for _, list := range lines {
			for _, text := range list {
				all = append(all, strings.TrimSuffix(text, "\n"))
			}
		}
		all[2] = strings.Replace(all[2], "because", "by chance", 1)
		all = ledger.Relink(all)
		for i, path := range paths {
			put(t, path, all[:len(lines[i])])
			all = all[len(lines[i]):]
		}
		if f := verified(t, dir).Finding; f != nil {
			t.Fatalf("%s: what was written anew does not hold in itself: %v", name, f)
		}
		l = open(t, dir, ledger.Options{Log: quiet})
		l.Follow(head)
		if err := errors.Join(l.Append(entry(26)), l.Close()); err != nil {
			t.Fatal(err)
		}
		if f := verified(t, dir).Finding; f == nil || f.Fault != ledger.Rewritten || !strings.Contains(f.What, fmt.Sprint(head.Seq)) {
			t.Errorf("%s: found %v: want that it was written anew", name, f)
		}
	}
}

// What is cut off while the scaler runs shows, though it goes on writing.
func TestAnEndThatIsCutOffWhileItIsWrittenIsFound(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, ledger.Options{})
	for n := range 10 {
		if err := l.Append(entry(n)); err != nil {
			t.Fatal(err)
		}
	}
	paths, lines := files(t, dir)
	put(t, paths[0], lines[0][:6])
	if err := errors.Join(l.Append(entry(10)), l.Close()); err != nil {
		t.Fatal(err)
	}
	if f := verified(t, dir).Finding; f == nil || f.Fault != ledger.Removed || f.Line != 7 {
		t.Fatalf("found %v: want lines that are missing before line 7", f)
	}
}

// A piece of a line at the end of a closed file is none that a crash left: the scaler ends those itself.
func TestAPieceAtTheEndOfAClosedFileIsFound(t *testing.T) {
	dir := t.TempDir()
	filled(t, dir, 0, 63, small)
	paths, lines := files(t, dir)
	last := lines[0][len(lines[0])-1]
	if !strings.HasSuffix(last, "\n") {
		lines[0][len(lines[0])-1] += "\n"
	}
	put(t, paths[0], append(lines[0], "{"))
	if f := verified(t, dir).Finding; f == nil || f.Fault != ledger.Inserted || f.File != paths[0] || f.Line != len(lines[0])+1 {
		t.Fatalf("found %v", f)
	}
}

// Two replicas with one folder: the second goes on where the first had come to, though both opened it before.
func TestReplicasMayShareAFolder(t *testing.T) {
	dir := t.TempDir()
	a, b := open(t, dir, small), open(t, dir, small)
	n := 0
	for _, l := range []*ledger.Ledger{a, b, a} {
		for range 25 {
			if err := l.Append(entry(n)); err != nil {
				t.Fatal(err)
			}
			n++
		}
	}
	if err := errors.Join(a.Close(), b.Close()); err != nil {
		t.Fatal(err)
	}
	if v := verified(t, dir); v.Finding != nil || v.Head.Seq < 75 {
		t.Fatalf("%+v %v", v, v.Finding)
	}
}

// A reader beside a scaler that rotates, compresses and drops sees no entry twice and misses none between two it sees.
func TestReadingBesideAWriter(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, ledger.Options{SegmentSize: 3000})
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := range 2000 {
			if err := l.Append(entry(n)); err != nil {
				t.Error(err)
				return
			}
		}
	})
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for reading := true; reading; {
		select {
		case <-done:
			reading = false
		default:
		}
		entries, _, err := ledger.Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range entries {
			if e.Object != fmt.Sprintf("object %d", i) {
				t.Fatalf("entry %d is %s", i, e.Object)
			}
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// What goes to standard output is the ledger's own lines, which hold by themselves.
func TestACopyIsALedger(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	var copied bytes.Buffer
	head := filled(t, dir, 0, 40, ledger.Options{SegmentSize: 4000, Copy: &copied})
	if err := os.WriteFile(filepath.Join(other, ledger.FileName), copied.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	if v := verified(t, other, head.Head); v.Finding != nil {
		t.Error(v.Finding)
	}
	if n := bufio.NewScanner(&copied); !n.Scan() || !strings.Contains(n.Text(), `"action":"chain"`) {
		t.Error("the copy does not begin with the chain")
	}
}
