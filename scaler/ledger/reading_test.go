package ledger_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"swell/scaler/ledger"
)

// What is not wanted is not read: not even that it could not be. What does not begin as all lines do is read.
func TestAReadingLeavesOutWhatIsNotWanted(t *testing.T) {
	lines := strings.Join([]string{
		`{"at":"2026-11-23T09:00:00Z","model":"2026-11-23T09:00:00Z","tick":1,"phase":"note","action":"sample","object":"cluster","sample":7}`,
		`{"at":"2026-11-23T09:00:00Z","model":"2026-11-23T09:00:00Z","tick":1,"phase":"note","action":"size","object":"shop/web"}`,
		`{"at":"2026-11-23T09:00:00Z","model":"2026-11-23T09:00:00Z","tick":1,"phase":"note","action":"size","object":"shop/other","count":"x"}`,
		`{"action":"sample","at":"2026-11-23T09:00:00Z","model":"2026-11-23T09:00:00Z","phase":"note","object":"in another order"}`,
		`{"at":"2026-11-23T09:00:00Z","model":"2026-11-23T09:00:00Z","tick":1,"phase":"note","action":"size","object":"shop/\u0077eb"}`,
		`{"at":"2026-11-23T09:00:00Z","model":"2026-11-23T09:00:00Z","tick":1,"phase":"note","action":"size","object":"shop/web","count":"x"}`,
		`{"at":"2026-11-23T09:00:00Z","mod`, `{}`,
	}, "\n")
	var asked, got, unread []string
	r := ledger.Reading{
		Want: func(action, object string) bool {
			asked = append(asked, action+" "+object)
			return action == "size" && object == "shop/web"
		},
		Unread: func(path string, line int, torn bool, why error) {
			unread = append(unread, path+" "+string(rune('0'+line))+map[bool]string{true: " torn"}[torn])
		},
	}
	err := r.Lines("a log", strings.NewReader(lines), func(e ledger.Entry) error {
		got = append(got, e.Action+" "+e.Object+" of "+e.Ledger)
		return nil
	})
	if want := []string{"sample cluster", "size shop/web", "size shop/other", "size shop/web"}; err != nil || !slices.Equal(asked, want) {
		t.Errorf("%v, asked about %q, want %q", err, asked, want)
	}
	if want := []string{"size shop/web of a log", "sample in another order of a log", "size shop/web of a log"}; !slices.Equal(got, want) {
		t.Errorf("read %q, want %q", got, want)
	}
	if want := []string{"a log 6", "a log 7 torn", "a log 8"}; !slices.Equal(unread, want) {
		t.Errorf("unread are %q, want %q", unread, want)
	}
}

// The end is the latest time of the newest files, of whichever folder, though a line of them cannot be read.
func TestTheEndOfALedger(t *testing.T) {
	dir := t.TempDir()
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for i, of := range []string{"a", "b"} {
		folder := filepath.Join(dir, of)
		book, err := ledger.OpenWith(folder, ledger.Options{MaxAge: 1 << 62})
		if err != nil {
			t.Fatal(err)
		}
		for day := range 3 {
			at := noon.AddDate(0, 0, day-5*i)
			if err := book.Append(ledger.Entry{At: at, Model: at, Phase: ledger.Note, Action: "start"}); err != nil {
				t.Fatal(err)
			}
		}
		book.Close()
		file, err := os.OpenFile(filepath.Join(folder, ledger.FileName), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteString("{\"phase\": 7}\n"); err != nil {
			t.Fatal(err)
		}
		file.Close()
	}
	if end, err := ledger.End(dir); err != nil || !end.Equal(noon.AddDate(0, 0, 2)) {
		t.Errorf("%s, %v", end, err)
	}
	if _, err := ledger.End(t.TempDir()); err == nil || !strings.Contains(err.Error(), "give the folder that ledgerDir names") {
		t.Error(err)
	}
}
