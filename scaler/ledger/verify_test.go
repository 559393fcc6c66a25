package ledger_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"swell/scaler/ledger"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// entry is the n-th of a test, a second after the one before.
func entry(n int) ledger.Entry {
	at := noon.Add(time.Duration(n) * time.Second)
	return ledger.Entry{At: at, Model: at, Phase: ledger.Note, Action: "problem", Object: fmt.Sprintf("object %d", n), Reason: strings.Repeat("because ", 20)}
}

func open(t testing.TB, dir string, o ledger.Options) *ledger.Ledger {
	t.Helper()
	l, err := ledger.OpenWith(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// filled is a folder with n entries, from the from-th on.
func filled(t testing.TB, dir string, from, n int, o ledger.Options) ledger.Anchor {
	t.Helper()
	l := open(t, dir, o)
	for i := range n {
		if err := l.Append(entry(from + i)); err != nil {
			t.Fatal(err)
		}
	}
	head, err := l.Head()
	if err == nil {
		err = l.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return head
}

// files of a ledger, oldest first, as lines.
func files(t testing.TB, dir string) (paths []string, lines [][]string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "ledger-*"))
	if err != nil {
		t.Fatal(err)
	}
	paths = append(paths, filepath.Join(dir, ledger.FileName))
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(path, ".gz") {
			z, err := gzip.NewReader(bytes.NewReader(raw))
			if err == nil {
				raw, err = io.ReadAll(z)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		lines = append(lines, strings.SplitAfter(strings.TrimSuffix(string(raw), "\n"), "\n"))
	}
	return paths, lines
}

// put writes a file of a ledger anew.
func put(t testing.TB, path string, lines []string) {
	t.Helper()
	text := strings.Join(lines, "")
	if strings.HasSuffix(path, ".gz") {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := io.WriteString(z, text); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		text = b.String()
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func verified(t testing.TB, dir string, heads ...ledger.Head) ledger.Verified {
	t.Helper()
	all, err := ledger.Verify(dir, heads...)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 {
		t.Fatalf("%d chains: want one", len(all))
	}
	return all[0]
}

// small makes several segments of few entries.
var small = ledger.Options{SegmentSize: 4000}

func TestALedgerAsItWasWrittenHolds(t *testing.T) {
	dir := t.TempDir()
	filled(t, dir, 0, 30, small)
	head := filled(t, dir, 30, 30, small) // after a restart
	v := verified(t, dir, head.Head)
	if v.Finding != nil || v.Torn != 0 || v.First != 1 || v.Head != head.Head || v.Chain != head.Chain || !slices.Equal(v.Anchored, []ledger.Head{head.Head}) {
		t.Fatalf("%+v %v: want all lines to hold, and the head to be found", v, v.Finding)
	}
	if v.Files < 4 {
		t.Fatalf("%d files: want several", v.Files)
	}
	entries, torn, err := ledger.Read(dir)
	if err != nil || torn != 0 || len(entries) != 60 {
		t.Fatalf("%d entries, %d torn, %v: want 60", len(entries), torn, err)
	}
	for i, e := range entries {
		if e.Object != fmt.Sprintf("object %d", i) || e.Seq == 0 {
			t.Fatalf("entry %d is %+v", i, e)
		}
	}
}

// Each way to tamper is told at the line where it was done, in a segment and in the newest file.
func TestATamperIsNamedWithItsLine(t *testing.T) {
	whole := func(line string) string { return strings.Replace(line, "object", "abject", 1) }
	for name, c := range map[string]struct {
		do    func(lines []string, at int) []string
		fault ledger.Fault
		line  int // after the line it is done at
	}{
		"changed":        {func(l []string, at int) []string { l[at] = whole(l[at]); return l }, ledger.Changed, 0},
		"no hash left":   {func(l []string, at int) []string { l[at] = "{}\n"; return l }, ledger.Changed, 0},
		"removed":        {func(l []string, at int) []string { return slices.Delete(l, at, at+1) }, ledger.Removed, 0},
		"two removed":    {func(l []string, at int) []string { return slices.Delete(l, at, at+2) }, ledger.Removed, 0},
		"inserted":       {func(l []string, at int) []string { return slices.Insert(l, at, "{\"action\":\"start\"}\n") }, ledger.Inserted, 0},
		"said twice":     {func(l []string, at int) []string { return slices.Insert(l, at+1, l[at]) }, ledger.Inserted, 1},
		"an older again": {func(l []string, at int) []string { return slices.Insert(l, at+1, l[at-1]) }, ledger.Inserted, 1},
		"reordered":      {func(l []string, at int) []string { l[at], l[at+1] = l[at+1], l[at]; return l }, ledger.Reordered, 0},
		"moved far": {func(l []string, at int) []string {
			return slices.Insert(slices.Delete(slices.Clone(l), at, at+1), at+3, l[at])
		}, ledger.Reordered, 0},
		"cut in half":    {func(l []string, at int) []string { l[at] = l[at][:40] + "\n"; return l }, ledger.Changed, 0},
		"hash made anew": {func(l []string, at int) []string { l[at] = ledger.Rehash(whole(l[at])); return l }, ledger.Changed, 0},
	} {
		t.Run(name, func(t *testing.T) {
			for _, file := range []int{0, 2, -1} {
				dir := t.TempDir()
				filled(t, dir, 0, 63, small)
				paths, lines := files(t, dir)
				if file < 0 {
					file = len(paths) - 1
				}
				const at = 2
				if len(lines[file]) < at+5 {
					t.Fatalf("file %d has %d lines: want more", file, len(lines[file]))
				}
				put(t, paths[file], c.do(slices.Clone(lines[file]), at))
				f := verified(t, dir).Finding
				if f == nil || f.Fault != c.fault || f.File != paths[file] || f.Line != at+1+c.line {
					t.Errorf("file %d: found %v: want line %d of %s %s", file, f, at+1+c.line, paths[file], c.fault)
				}
			}
		})
	}
}

// Whatever is done to whichever line is found; what is done to the end needs the head.
func TestAnyTamperIsFound(t *testing.T) {
	dir := t.TempDir()
	head := filled(t, dir, 0, 63, small)
	paths, lines := files(t, dir)
	rapid.Check(t, func(r *rapid.T) {
		file := rapid.IntRange(0, len(paths)-1).Draw(r, "file")
		l := slices.Clone(lines[file])
		at := rapid.IntRange(0, len(l)-1).Draw(r, "line")
		switch rapid.SampledFrom([]string{"byte", "remove", "truncate", "swap", "copy", "rehash"}).Draw(r, "how") {
		case "byte":
			b := []byte(l[at])
			i := rapid.IntRange(0, len(b)-1).Draw(r, "byte")
			b[i] ^= byte(rapid.IntRange(1, 255).Draw(r, "mask"))
			l[at] = string(b)
		case "remove":
			l = slices.Delete(l, at, rapid.IntRange(at+1, len(l)).Draw(r, "to"))
		case "truncate":
			l = append(l[:at], l[at][:rapid.IntRange(0, len(l[at])-1).Draw(r, "bytes")])
		case "swap":
			with := rapid.IntRange(0, len(l)-1).Draw(r, "with")
			if with == at {
				r.Skip()
			}
			l[at], l[with] = l[with], l[at]
		case "copy":
			l = slices.Insert(l, rapid.IntRange(0, len(l)).Draw(r, "to"), l[at])
		case "rehash":
			l[at] = ledger.Rehash(strings.Replace(l[at], ":", ": ", 1))
		}
		put(t, paths[file], l)
		defer put(t, paths[file], lines[file])
		if f := verified(t, dir, head.Head).Finding; f == nil {
			r.Fatalf("nothing was found in %s", paths[file])
		}
	})
	if f := verified(t, dir, head.Head).Finding; f != nil {
		t.Fatalf("found %v after all was put back", f)
	}
}

func TestAMissingSegmentIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		file  int
		fault ledger.Fault
		at    int
	}{"the first": {0, ledger.Removed, 1}, "one between": {1, ledger.Removed, 2}, "the last": {-1, ledger.CutOff, -2}} {
		dir := t.TempDir()
		head := filled(t, dir, 0, 63, small)
		paths, lines := files(t, dir)
		n := len(paths)
		if err := os.Remove(paths[(c.file+n)%n]); err != nil {
			t.Fatal(err)
		}
		f, line := verified(t, dir, head.Head).Finding, 1
		if c.at < 0 {
			line = len(lines[(c.at+n)%n]) + 1
		}
		if f == nil || f.Fault != c.fault || f.File != paths[(c.at+n)%n] || f.Line != line {
			t.Errorf("%s: found %v: want %s at %s, line %d", name, f, c.fault, paths[(c.at+n)%n], line)
		}
	}
}

// The end that was cut off cleanly, and a ledger that was written anew as a whole, show against the head alone.
func TestOnlyTheHeadTellsOfTheTail(t *testing.T) {
	dir := t.TempDir()
	head := filled(t, dir, 0, 20, ledger.Options{})
	paths, lines := files(t, dir)
	put(t, paths[0], lines[0][:15])
	if f := verified(t, dir).Finding; f != nil {
		t.Fatalf("without the head: %v", f)
	}
	if f := verified(t, dir, head.Head).Finding; f == nil || f.Fault != ledger.CutOff || f.Line != 16 || f.Seq != 16 {
		t.Fatalf("with the head: %v", f)
	}
	other := t.TempDir()
	filled(t, other, 0, 25, ledger.Options{})
	if f := verified(t, other, head.Head).Finding; f == nil || f.Fault != ledger.Rewritten || f.Line != 21 {
		t.Fatalf("another ledger with the head: %v", f)
	}
}

// A crash leaves a line without its end: that is no tamper, neither before the scaler starts again nor after it.
func TestATornLineIsNoTamper(t *testing.T) {
	dir := t.TempDir()
	filled(t, dir, 0, 5, ledger.Options{})
	path := filepath.Join(dir, ledger.FileName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := 1; cut < 200; cut += 33 {
		if err := os.WriteFile(path, append(bytes.Clone(whole), whole[:cut]...), 0o644); err != nil {
			t.Fatal(err)
		}
		if v := verified(t, dir); v.Finding != nil || !v.TornEnd || v.Torn != 1 {
			t.Fatalf("torn at %d: %+v %v", cut, v, v.Finding)
		}
		head := filled(t, dir, 5, 2, ledger.Options{})
		if v := verified(t, dir, head.Head); v.Finding != nil || v.TornEnd || v.Torn != 1 {
			t.Fatalf("torn at %d, after a start: %+v %v", cut, v, v.Finding)
		}
		_, lines := files(t, dir)
		lines[0][6] = strings.Replace(lines[0][6], "{", "[", 1) // the torn one
		put(t, path, lines[0])
		if f := verified(t, dir).Finding; f == nil || f.Line != 7 {
			t.Fatalf("a torn line that was changed: %v", f)
		}
	}
	last := bytes.TrimSuffix(whole, []byte("\n")) // whole but for the newline
	if err := os.WriteFile(path, last, 0o644); err != nil {
		t.Fatal(err)
	}
	head := filled(t, dir, 5, 1, ledger.Options{})
	if v := verified(t, dir, head.Head); v.Finding != nil || v.Torn != 0 || v.Lines != 7 {
		t.Fatalf("a line that lacked its newline: %+v %v", v, v.Finding)
	}
}

// A ledger of before there was a chain is read, and its chain begins after it, with a hash of what was there.
func TestAnOldLedgerGoesOn(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, ledger.FileName)
	old := `{"at":"2026-03-02T11:00:00Z","model":"2026-03-02T11:00:00Z","tick":1,"phase":"note","action":"start","object":"a"}` + "\n" + `{"at":"2026-03-02T11:00` + "\n"
	if err := os.WriteFile(path, []byte(old), 0o644); err != nil {
		t.Fatal(err)
	}
	if v := verified(t, dir); v.Finding != nil || v.Unchained != 2 || v.Head.Seq != 0 {
		t.Fatalf("before: %+v %v", v, v.Finding)
	}
	head := filled(t, dir, 0, 3, ledger.Options{})
	v := verified(t, dir, head.Head)
	if v.Finding != nil || v.Unchained != 2 || v.Head.Seq != 4 {
		t.Fatalf("after: %+v %v", v, v.Finding)
	}
	entries, torn, err := ledger.Read(dir)
	if err != nil || torn != 1 || len(entries) != 4 || entries[0].Object != "a" || entries[0].Seq != 0 {
		t.Fatalf("%d entries, %d torn, %v", len(entries), torn, err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Replace(raw, []byte(`"object":"a"`), []byte(`"object":"b"`), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	if f := verified(t, dir).Finding; f == nil || f.Fault != ledger.Changed || f.Line != 1 {
		t.Fatalf("an old line that was changed: %v", f)
	}
}
