package scaler

import (
	"testing"

	"swell/scaler/ledger"
)

// newBook is an empty ledger.
func newBook(t testing.TB) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}
