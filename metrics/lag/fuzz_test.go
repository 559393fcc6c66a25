package lag

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"swell/api/v1alpha1"
)

// hostile makes readings of bytes: offsets of any size, also negative ones and the largest there are.
type hostile struct{ left []byte }

func (h *hostile) byte() byte {
	if len(h.left) == 0 {
		return 0
	}
	b := h.left[0]
	h.left = h.left[1:]
	return b
}

func (h *hostile) offset() int64 {
	switch kind := h.byte(); kind % 5 {
	case 0:
		return int64(kind)
	case 1:
		return -int64(kind)
	case 2:
		return math.MaxInt64 - int64(kind)/5
	case 3:
		return int64(h.byte())<<8 | int64(h.byte())
	}
	var b [8]byte
	h.left = h.left[copy(b[:], h.left):]
	return int64(binary.LittleEndian.Uint64(b[:]))
}

func (h *hostile) reading(at time.Time, partition int32, share bool) Reading {
	flags := h.byte()
	r := Reading{Topic: "t", Partition: partition, TopicID: [16]byte{flags >> 7}, At: at, Commit: h.offset(), End: h.offset(), Stable: h.offset(),
		Start: h.offset(), Readable: h.offset(), Share: share, ShareLag: h.offset(), BrokerStamped: flags&1 > 0}
	if flags&2 > 0 {
		r.Late = []LateFrom{{Age: time.Minute, Offset: h.offset()}}
	}
	if flags&4 > 0 {
		r.OldestAt = at.Add(-time.Duration(h.offset()))
	}
	if flags&24 == 24 {
		r.Problem, r.Start = "away", 0
	} else if flags&8 > 0 {
		r.End = r.Stable
		r.Start, r.Commit = min(max(r.Start, 0), max(r.End, 0)), min(r.Commit, r.End)
	}
	return r
}

func FuzzTracker(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x00\x01\x08\x02\x02\x02\x02\x02\x02\x08\x00\x07\x07\x00\x00\x00"))
	f.Add([]byte("\x03\x10\x0f\x00\x03\x10\x10\x03\x20\x10\x00\x00\x00\x0c\x02\x02\x02\x00\x00\x02\x02\x02\x02"))
	f.Add([]byte{0xff, 0x3c, 4, 255, 255, 255, 255, 255, 255, 255, 127, 8, 4, 255, 255, 255, 255, 255, 255, 255, 127, 8, 4, 1, 1, 1, 1, 1, 1, 1, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		h := &hostile{left: data}
		shape := h.byte()
		o := Options{Rules: Rules{Isolation: []v1alpha1.Isolation{v1alpha1.ReadCommitted, v1alpha1.ReadUncommitted}[shape&1],
			Uncommitted: []v1alpha1.Uncommitted{v1alpha1.UncommittedLatest, v1alpha1.UncommittedEarliest, v1alpha1.UncommittedError, ""}[shape>>1&3], LateAfter: time.Minute},
			Policy: Policy{DrainTarget: time.Minute, RebalanceTime: 5 * time.Second, Utilization: 0.8, Snap: shape&8 > 0},
			PerPod: math.Pow(10, float64(shape>>4)-8), Learn: shape&16 > 0}
		tr, err := NewTracker(o)
		if err != nil {
			t.Fatal(err)
		}
		at := time.Unix(1_000_000, 0)
		var line Timeline
		for len(h.left) > 0 {
			readings := make([]Reading, 1+h.byte()%4)
			for i := range readings {
				readings[i] = h.reading(at, int32(i), shape&32 > 0)
			}
			members := Members{Pods: Pods{Ready: int(int8(h.byte())), LastReady: at.Add(-time.Duration(h.byte()) * time.Second)}, Rebalancing: h.byte()&1 > 0}
			if b := h.byte(); b&7 == 7 {
				tr.Follow(Known{Replicas: int(int8(b)), PerPod: float64(h.offset()), Saturated: Stretch{Pods: int(b >> 6), Consume: float64(h.offset())}})
			} else if b&15 == 5 {
				tr.Resume(Known{Replicas: int(int8(b)), PerPod: float64(h.offset()), Saturated: Stretch{Pods: int(b >> 6), Consume: float64(h.offset())}})
			} else if b&7 == 6 {
				tr.Lead()
			}
			checkEstimate(t, tr.Observe(at, readings, members), o.Policy, len(readings))
			checkTimeline(t, &line, h, at)
			at = at.Add(time.Duration(h.byte()) * time.Second / 8)
		}
	})
}

func checkEstimate(t *testing.T, e Estimate, p Policy, partitions int) {
	t.Helper()
	if e.Lag < 0 || e.Late < 0 || e.Late > e.Lag || !(e.Seconds >= 0) || math.IsInf(e.Seconds, 0) {
		t.Fatalf("lag %d, late %d, %g s", e.Lag, e.Late, e.Seconds)
	}
	for name, rate := range map[string]float64{"λ": e.Produce, "consume": e.Consume, "μ": e.PerPod} {
		if !(rate >= 0) || math.IsInf(rate, 0) {
			t.Fatalf("%s is %g", name, rate)
		}
	}
	if e.PerPod == 0 || e.Replicas < 0 || !e.Share && e.Replicas > partitions || e.Replicas > math.MaxInt32 {
		t.Fatalf("%d replicas of %d partitions, μ %g: %s", e.Replicas, partitions, e.PerPod, e.Why)
	}
	if e.Unknown == "" && (e.Why == "" || !e.Complete()) || e.Unknown != "" && e.Replicas != 0 {
		t.Fatalf("%d replicas, unknown %q, why %q", e.Replicas, e.Unknown, e.Why)
	}
	if (e.LateProblem != "" && e.Late != 0) || (e.SecondsProblem != "" && e.Seconds != 0) {
		t.Fatalf("a number with a problem: %+v", e.Sum)
	}
	for _, h := range e.Hot {
		if !(h.Need > 1) || h.Lag < 0 {
			t.Fatalf("hot: %+v (T %s)", h, p.DrainTarget)
		}
	}
}

func checkTimeline(t *testing.T, line *Timeline, h *hostile, at time.Time) {
	t.Helper()
	line.Observe(at, h.offset())
	line.Learn(at.Add(-time.Duration(h.offset())), h.offset())
	offset := h.offset()
	after, before, bounded := line.Between(offset)
	got, ok := line.At(offset)
	if len(line.samples) > timelineKept || ok != bounded || ok && (got.Before(after) || got.After(before) || got.After(at)) {
		t.Fatalf("%d is of %s (%t), between %s and %s: %v", offset, got, ok, after, before, line.samples)
	}
	for i := 1; i < len(line.samples); i++ {
		if a, b := line.samples[i-1], line.samples[i]; a.end >= b.end || a.last >= b.first || a.first > a.last {
			t.Fatalf("samples are out of order: %v", line.samples)
		}
	}
	line.Trim(h.offset())
}
