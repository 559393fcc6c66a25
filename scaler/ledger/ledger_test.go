package ledger_test

import (
	"os"
	"path/filepath"
	"testing"

	"swell/scaler/ledger"
)

func TestEntriesSurviveACrashInTheMiddleOfALine(t *testing.T) {
	dir := t.TempDir()
	l, err := ledger.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Append(ledger.Entry{Phase: ledger.Intent, Action: "launch", Object: "a", Token: "t1"}); err != nil {
		t.Fatal(err)
	}
	l.Close()
	path := filepath.Join(dir, ledger.FileName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(whole, whole[:20]...), 0o644); err != nil {
		t.Fatal(err)
	}

	l, err = ledger.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Append(ledger.Entry{Phase: ledger.Done, Action: "launch", Object: "a", Token: "t1"}); err != nil {
		t.Fatal(err)
	}
	entries, torn, err := ledger.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if torn != 1 || len(entries) != 2 || entries[1].Phase != ledger.Done || entries[1].Token != "t1" {
		t.Fatalf("torn %d, entries %+v: want one torn line and both whole entries", torn, entries)
	}
}

func TestAFolderThatCannotBeMadeIsNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Open(filepath.Join(file, "sub")); err == nil {
		t.Fatal("a ledger below a file was opened")
	}
}
