package ledger

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Options of a Ledger.
type Options struct {
	// MaxSize is what all segments may take on disk, in bytes; the oldest are deleted. Default 2 GiB.
	MaxSize int64
	// MaxAge is how old a segment's last line may become before it is deleted. Default 35 days, machine time.
	MaxAge time.Duration
	// SegmentSize is when a new file is begun, in bytes before compression. Default 64 MiB, and at most an eighth of MaxSize.
	SegmentSize int64
	// SegmentAge is when a new file is begun though it is small. Default 24 hours, machine time.
	SegmentAge time.Duration
	// Patience is how long an entry's caller waits for the disk; the entry is written later then, and the next ones' callers do not
	// wait until the disk answers. Default 1 s, machine time.
	Patience time.Duration
	// MostWaiting is what entries that cannot be written, or wait for a disk that does not answer, may take in memory, in bytes; more
	// is lost. Default 16 MiB.
	MostWaiting int
	// Copy is given each line as it was written; what it has no room for is left out and counted. nil is nobody.
	Copy io.Writer
	// Kept says that a segment, by its file's name without .gz, may be deleted for its age; nil is that all may.
	Kept func(name string) bool
	Log  *slog.Logger
}

func (o *Options) setDefaults() {
	for v, d := range map[*int64]int64{&o.MaxSize: 2 << 30, &o.SegmentSize: 64 << 20} {
		if *v == 0 {
			*v = d
		}
	}
	for v, d := range map[*time.Duration]time.Duration{&o.MaxAge: 35 * 24 * time.Hour, &o.SegmentAge: 24 * time.Hour, &o.Patience: time.Second} {
		if *v == 0 {
			*v = d
		}
	}
	if o.MostWaiting == 0 {
		o.MostWaiting = 16 << 20
	}
	o.SegmentSize = min(o.SegmentSize, max(1, o.MaxSize/8))
	if o.Kept == nil {
		o.Kept = func(string) bool { return true }
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
}

// Validate is an error where a bound is below zero.
func (o Options) Validate() error {
	var errs []error
	for name, v := range map[string]int64{"MaxSize": o.MaxSize, "MaxAge": int64(o.MaxAge), "SegmentSize": o.SegmentSize, "SegmentAge": int64(o.SegmentAge), "Patience": int64(o.Patience),
		"MostWaiting": int64(o.MostWaiting)} {
		if v < 0 {
			errs = append(errs, fmt.Errorf("%s is below zero; give more, or 0 for its default", name))
		}
	}
	return errors.Join(errs...)
}
