package ledger_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"swell/scaler/ledger"
)

// actions of a ledger, in the order of their lines.
func actions(t *testing.T, dir string) (out []string) {
	t.Helper()
	entries, torn, err := ledger.Read(dir)
	if err != nil || torn != 0 {
		t.Fatalf("%d torn, %v", torn, err)
	}
	for i, e := range entries {
		if i > 0 && e.Model.Before(entries[i-1].Model) {
			t.Errorf("%s of %s stands behind %s of %s", e.Object, e.Model, entries[i-1].Object, entries[i-1].Model)
		}
		out = append(out, e.Action+" "+e.Object)
	}
	return out
}

func named(action string, n int) ledger.Entry {
	e := entry(n)
	e.Action = action
	return e
}

// A full disk loses nothing that there is room for in memory: it stands in its place once there is room on the disk, and by then its
// callers have had an error.
func TestWhatAFullDiskRefusedIsWrittenOnceItHasRoom(t *testing.T) {
	if alone(t) {
		return
	}
	dir := t.TempDir()
	l := open(t, dir, ledger.Options{})
	if err := l.Append(entry(0)); err != nil {
		t.Fatal(err)
	}
	size := sizeOf(t, dir)
	makeRoom := fullAt(t, uint64(size)+30) // room for a part of a line
	for n := 1; n < 4; n++ {
		if err := l.Append(entry(n)); err == nil || !strings.Contains(err.Error(), "room") || !strings.Contains(err.Error(), "is kept") {
			t.Fatalf("entry %d on a full disk: %v", n, err)
		}
	}
	makeRoom()
	if n := sizeOf(t, dir); n != size {
		t.Errorf("the file has %d bytes, and had %d before its disk was full", n, size)
	}
	if err := errors.Join(l.Append(entry(4)), l.Append(entry(5)), l.Close()); err != nil {
		t.Fatal(err)
	}
	want := "[problem object 0 problem object 1 problem object 2 problem object 3 problem object 4 problem object 5]"
	if got := fmt.Sprint(actions(t, dir)); got != want {
		t.Errorf("the ledger has %s: want %s", got, want)
	}
	if v := verified(t, dir); v.Finding != nil || v.Lost != 0 || v.Torn != 0 {
		t.Errorf("%+v %v", v, v.Finding)
	}
}

// What there is no room for even in memory goes by how dear it is, and the gap says what it was.
func TestWhatIsLostIsTheLeastDear(t *testing.T) {
	if alone(t) {
		return
	}
	dir := t.TempDir()
	l := open(t, dir, ledger.Options{MostWaiting: 2500}) // about eight entries
	if err := l.Append(entry(0)); err != nil {
		t.Fatal(err)
	}
	makeRoom := fullAt(t, uint64(sizeOf(t, dir))+30)
	for n := 1; n <= 18; n++ {
		action := []string{"instance", "sample", "problem"}[n%3]
		if err := l.Append(named(action, n)); err == nil {
			t.Fatalf("entry %d was written to a full disk", n)
		}
	}
	makeRoom()
	if err := errors.Join(l.Append(entry(19)), l.Close()); err != nil {
		t.Fatal(err)
	}
	got := actions(t, dir)
	var lives int
	for _, a := range got {
		if strings.HasPrefix(a, "problem object") && a != "problem object 0" && a != "problem object 19" {
			t.Errorf("%s is there, and others were lost that nothing tells again", a)
		}
		if strings.HasPrefix(a, "instance") {
			lives++
		}
	}
	if lives != 6 {
		t.Errorf("%d of 6 lives are there: %v", lives, got)
	}
	entries, _, err := ledger.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	gap := entries[len(entries)-2]
	if gap.Action != ledger.GapAction || gap.Book == nil || gap.Count != 20-len(got)+1 || gap.Error == "" {
		t.Fatalf("before the newest stands %+v: want the gap of all that is missing of 20, where %d are", gap, len(got)-1)
	}
	if lost := gap.Book.Lost; lost.Actions["problem"] != 6 || lost.Actions["instance"] != 0 || lost.Actions["sample"] != gap.Count-6 || !lost.From.Equal(entry(1).At) || !lost.To.Equal(entry(17).At) {
		t.Errorf("the gap is of %+v", lost)
	}
	if v := verified(t, dir); v.Finding != nil || v.Lost != gap.Count {
		t.Errorf("%+v %v", v, v.Finding)
	}
}

// A folder that cannot be written to for a while, and the end of the scaler before any other entry.
func TestWhatWaitsIsWrittenAtTheEnd(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ledger")
	l := open(t, dir, ledger.Options{})
	if err := l.Append(entry(0)); err != nil {
		t.Fatal(err)
	}
	away := dir + "-away"
	if err := os.Rename(dir, away); err != nil {
		t.Fatal(err)
	}
	for n := 1; n < 3; n++ {
		if err := l.Append(entry(n)); err == nil {
			t.Fatal("written into a folder that is not there")
		}
	}
	if err := errors.Join(os.Rename(away, dir), l.Close()); err != nil {
		t.Fatal(err)
	}
	if got := actions(t, dir); len(got) != 3 || got[2] != "problem object 2" {
		t.Errorf("the ledger has %v: want all three", got)
	}
}

// A new file that could not be begun, on a full disk, is begun with the chain's id once there is room: what was shipped of it would
// be nobody's else.
func TestANewFileOnAFullDiskIsOfItsChain(t *testing.T) {
	if alone(t) {
		return
	}
	dir := t.TempDir()
	l := open(t, dir, ledger.Options{})
	for n := range 3 {
		if err := l.Append(entry(n)); err != nil {
			t.Fatal(err)
		}
	}
	makeRoom := fullAt(t, 20) // nothing fits into a new file
	if err := l.Rotate(noon.Add(time.Hour), noon.Add(time.Hour), time.Minute); err == nil {
		t.Fatal("a new file was begun on a full disk")
	}
	makeRoom()
	if err := l.Append(entry(3)); err != nil {
		t.Fatal(err)
	}
	head, err := l.Head()
	if err = errors.Join(err, l.Close()); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, ledger.FileName))
	if err != nil {
		t.Fatal(err)
	}
	if first, _, _ := strings.Cut(string(raw), "\n"); !strings.Contains(first, `"book":{"chain":"`+head.Chain+`"`) {
		t.Errorf("the new file begins with %s: want the chain %s", first, head.Chain)
	}
	if after := filled(t, dir, 4, 1, ledger.Options{}); after.Chain != head.Chain {
		t.Errorf("after a restart the chain is %s, and was %s", after.Chain, head.Chain)
	}
	if f := verified(t, dir, head.Head).Finding; f != nil {
		t.Error(f)
	}
}

// For a moment at a fail-over, two replicas write to one folder at once, begin new files in it and drop old ones.
func TestTwoReplicasMayWriteAtOnce(t *testing.T) {
	dir := t.TempDir()
	o := ledger.Options{SegmentSize: 4000, MaxSize: 100_000}
	var writers sync.WaitGroup
	for w := range 2 {
		l := open(t, dir, o)
		writers.Go(func() {
			for n := range 300 {
				if err := l.Append(entry(1000*w + n)); err != nil {
					t.Error(err)
				}
				if n%50 == 49 {
					if err := l.Rotate(noon.Add(2*time.Hour), noon.Add(2*time.Hour), 0); err != nil {
						t.Error(err)
					}
				}
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	if v := verified(t, dir); v.Finding != nil {
		t.Errorf("%+v %v", v, v.Finding)
	}
}

// A replica that was overtaken closes its file as it ends. The folder's file is its successor's by then, which it leaves whole.
func TestAReplicaThatEndsLeavesItsSuccessorsFiles(t *testing.T) {
	dir := t.TempDir()
	old, next := open(t, dir, ledger.Options{}), open(t, dir, ledger.Options{})
	n := 0
	write := func(l *ledger.Ledger, more int) {
		for range more {
			if err := l.Append(entry(n)); err != nil {
				t.Fatal(err)
			}
			n++
		}
	}
	later := noon.Add(time.Hour)
	write(old, 10)
	write(next, 10)
	if err := next.Rotate(later, later, 0); err != nil {
		t.Fatal(err)
	}
	write(next, 10)
	if err := errors.Join(old.Rotate(later, later, 0), old.Close()); err != nil { // as ship.Last does
		t.Fatal(err)
	}
	write(next, 10)
	if err := next.Close(); err != nil {
		t.Fatal(err)
	}
	if v := verified(t, dir); v.Finding != nil {
		t.Errorf("%+v %v", v, v.Finding)
	}
	if got := actions(t, dir); len(got) != n {
		t.Errorf("%d entries of %d are left", len(got), n)
	}
}

// stuck is a standard output that nobody reads.
type stuck struct{ until chan struct{} }

func (s stuck) Write(b []byte) (int, error) {
	<-s.until
	return len(b), nil
}

// A standard output that takes nothing holds up neither the entries nor the end.
func TestACopyThatIsNotTakenHoldsUpNobody(t *testing.T) {
	dir := t.TempDir()
	reader := stuck{make(chan struct{})}
	defer close(reader.until)
	l := open(t, dir, ledger.Options{Copy: reader, Patience: 20 * time.Millisecond})
	ended := make(chan error)
	go func() { ended <- errors.Join(l.Append(entry(0)), l.Append(entry(1)), l.Close()) }()
	select {
	case err := <-ended:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it does not end")
	}
	if got := actions(t, dir); len(got) != 2 {
		t.Errorf("the ledger has %v", got)
	}
}

// A disk that does not answer is seen in the metric at once, and holds up the end for a time only.
func TestADiskThatNeverAnswersIsSeenAndLeft(t *testing.T) {
	l := open(t, t.TempDir(), ledger.Options{Patience: 10 * time.Millisecond})
	release := ledger.Stall(l)
	defer func() { release(); ledger.WaitEnded(l) }()
	for n := range 3 {
		if err := l.Append(entry(n)); err == nil {
			t.Fatal("an entry was written to a disk that does not answer")
		}
	}
	if got := ledger.Waiting(); got != 4 { // and what it does not answer
		t.Errorf("%g entries wait, want 4", got)
	}
	ended := make(chan error)
	go func() { ended <- l.Close() }()
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "4 entries are lost") {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it does not end")
	}
}

// A disk that does not answer for long loses what there is no room for in memory, the least dear first, and says so to whom it lost.
func TestADiskThatDoesNotAnswerLosesTheLeastDear(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, ledger.Options{MostWaiting: 2500, Patience: 10 * time.Millisecond})
	release := ledger.Stall(l)
	told := 0
	for n := range 30 {
		err := l.Append(named([]string{"problem", "instance"}[min(1, n%5)], n)) // four of five are lives
		if err == nil {
			t.Fatalf("entry %d was written to a disk that does not answer", n)
		}
		if strings.Contains(err.Error(), "wait for the disk") {
			told++
		}
	}
	release()
	for answers := false; !answers; time.Sleep(time.Millisecond) {
		_, err := l.Head()
		answers = err == nil
	}
	if err := errors.Join(l.Append(entry(30)), l.Close()); err != nil {
		t.Fatal(err)
	}
	entries, _, err := ledger.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	var lost *ledger.Lost
	for _, e := range entries {
		switch {
		case e.Action == ledger.GapAction:
			lost = e.Book.Lost
		case e.Action == "problem" && e.Object != "object 30":
			t.Errorf("%s is there, and lives were lost", e.Object)
		}
	}
	if lost == nil || lost.Actions["problem"] != 6 || lost.Entries != 31-(len(entries)-1) {
		t.Errorf("lost are %+v of 31, and %d entries are there", lost, len(entries))
	}
	if told == 0 {
		t.Error("nobody whose entry was lost was told so")
	}
}
