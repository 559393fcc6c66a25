package ledger_test

import (
	"testing"
	"time"

	"swell/scaler/ledger"
)

func BenchmarkAppend(b *testing.B) {
	l := open(b, b.TempDir(), ledger.Options{})
	for n := 0; b.Loop(); n++ {
		if err := l.Append(entry(n)); err != nil {
			b.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
}

// A ledger of 200,000 entries in several files.
func BenchmarkWalkAndVerify(b *testing.B) {
	dir := b.TempDir()
	const entries = 200_000
	filled(b, dir, 0, entries, ledger.Options{SegmentSize: 16 << 20})
	b.Run("walk", func(b *testing.B) {
		for b.Loop() {
			n := 0
			if err := ledger.Walk(dir, time.Time{}, time.Time{}, func(ledger.Entry) error { n++; return nil }); err != nil || n != entries {
				b.Fatal(n, err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/entries, "µs/entry")
	})
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			if v := verified(b, dir); v.Finding != nil {
				b.Fatal(v.Finding)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/entries, "µs/line")
	})
}
