package ledger_test

import (
	"os"
	"testing"
	"time"

	"swell/scaler/ledger"
)

// The newest entry is found without a look at the files before its own: those are a month's, and a scaler that starts waits for it.
func TestTheNewestEntryIsFoundInTheNewestFiles(t *testing.T) {
	dir := t.TempDir()
	filled(t, dir, 0, 63, small)
	paths, lines := files(t, dir)
	for _, path := range paths[:len(paths)-2] { // nobody could read them
		if err := os.WriteFile(path, []byte("no gzip"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if len(paths) < 4 {
		t.Fatalf("%d files: want several", len(paths))
	}
	put(t, paths[len(paths)-1], append(lines[len(paths)-1], `{"at":"2026-03-02T13:00:00Z","model":"2026-03-02T13:`)) // torn
	inLast := len(lines[len(paths)-1]) - 1                                                                           // but for its beginning
	for _, before := range []int{1000, 62, 61, 63 - inLast, 62 - inLast} {
		got, err := ledger.Newest(dir, noon.Add(time.Duration(before)*time.Second))
		if want := noon.Add(time.Duration(min(before-1, 62)) * time.Second); err != nil || !got.Equal(want) {
			t.Errorf("before second %d: %s, %v: want %s", before, got, err, want)
		}
	}
	if got, err := ledger.Newest(dir, noon.Add(-time.Hour)); err == nil {
		t.Errorf("%s, though a file could not be read that may have it", got)
	}
	if got, err := ledger.Newest(both(t), noon.Add(time.Hour)); err != nil || !got.Equal(entry(19).Model) {
		t.Errorf("of two chains: %s, %v: want the newer's", got, err)
	}
	empty := t.TempDir()
	filled(t, empty, 5, 1, ledger.Options{})
	if got, err := ledger.Newest(empty, entry(5).Model); err != nil || !got.IsZero() {
		t.Errorf("of a ledger that has nothing before: %s, %v", got, err)
	}
}

// both is a folder with two chains, of which the first is the newer.
func both(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	filled(t, dir+"/a", 10, 10, ledger.Options{})
	filled(t, dir+"/b", 0, 10, ledger.Options{})
	return dir
}
