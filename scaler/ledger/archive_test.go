package ledger_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"swell/scaler/ledger"
)

// TestACopyOfTheLedgerHolds copies a ledger of several files while it is written to, with a line that a writer is in the middle of.
func TestACopyOfTheLedgerHolds(t *testing.T) {
	dir := t.TempDir()
	l, err := ledger.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	for i := range 30 {
		if err := l.Append(ledger.Entry{At: at, Model: at, Phase: ledger.Note, Action: "start", Object: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
		if at = at.Add(time.Minute); i%10 == 9 {
			if err := l.Rotate(at, at, time.Second); err != nil {
				t.Fatal(err)
			}
		}
	}
	head, err := l.Head()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	written, err := os.OpenFile(filepath.Join(dir, ledger.FileName), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(written, `{"at":"2026-03-02T09:00:00Z","act`); err != nil {
		t.Fatal(err)
	}
	written.Close()

	var archive bytes.Buffer
	if err := ledger.Archive(dir, &archive); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "new", "ledger")
	files, err := ledger.Extract(bytes.NewReader(archive.Bytes()), copied)
	if err != nil || files < 3 {
		t.Fatalf("%d files, %v: want the current one and those before it", files, err)
	}
	known, err := ledger.ParseHead(fmt.Sprintf("%d:%s", head.Seq, head.Hash))
	if err != nil {
		t.Fatal(err)
	}
	chains, err := ledger.Verify(copied, known)
	if err != nil {
		t.Fatal(err)
	}
	if len(chains) != 1 || chains[0].Finding != nil || chains[0].Torn != 0 || len(chains[0].Anchored) != 1 {
		t.Errorf("the copy is %+v: want a chain that holds to the head, without the line that was being written", chains)
	}
	entries, torn, err := ledger.Read(copied)
	if err != nil || torn != 0 {
		t.Fatalf("%d torn lines, %v", torn, err)
	}
	var starts int
	for _, e := range entries {
		if e.Action == "start" {
			starts++
		}
	}
	if starts != 30 {
		t.Errorf("the copy has %d entries of 30", starts)
	}
	if _, err := ledger.Extract(bytes.NewReader(archive.Bytes()), copied); err == nil || !strings.Contains(err.Error(), "another folder") {
		t.Errorf("over a ledger that is there: %v", err)
	}
	if _, err := ledger.Extract(bytes.NewReader(archive.Bytes()[:archive.Len()/2+100]), t.TempDir()); err == nil {
		t.Error("half of an archive was taken for a whole one")
	}
}

func TestOnlyFilesOfALedgerAreExtracted(t *testing.T) {
	for _, name := range []string{"../ledger.jsonl", "/etc/passwd", "sub/ledger.jsonl", "note.txt"} {
		var archive bytes.Buffer
		w := tar.NewWriter(&archive)
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: 1, Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, "x"); err != nil {
			t.Fatal(err)
		}
		w.Close()
		if _, err := ledger.Extract(&archive, t.TempDir()); err == nil || !strings.Contains(err.Error(), "no file of a ledger") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
