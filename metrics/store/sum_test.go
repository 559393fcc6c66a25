package store

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"swell/api/v1alpha1"
	"swell/metrics/lag"
)

// reading draws what one poll may see of a partition.
func reading(t *rapid.T, topic string, n int32, at time.Time) lag.Reading {
	r := lag.Reading{Topic: topic, Partition: n, At: at, Start: 0, Readable: lag.Unknown, ShareLag: lag.Unknown,
		Commit: rapid.Int64Range(-1, 5).Draw(t, "commit"), Stable: rapid.Int64Range(0, 9).Draw(t, "stable")}
	r.End = r.Stable
	r.TopicID[0] = byte(rapid.IntRange(0, 9).Draw(t, "id") / 9)
	if rapid.IntRange(0, 5).Draw(t, "fails") == 0 {
		r.Problem = "broker 1: EOF"
	}
	return r
}

func readings(t *rapid.T, at time.Time) []lag.Reading {
	var all []lag.Reading
	for _, topic := range []string{"a", "b", "c"} {
		if rapid.IntRange(0, 9).Draw(t, "unknown topic") == 0 {
			all = append(all, lag.Reading{Topic: topic, Partition: lag.NoPartition, At: at, Problem: "no metadata", Commit: lag.Unknown, End: lag.Unknown, Stable: lag.Unknown, Start: lag.Unknown})
			continue
		}
		for n := range int32(rapid.IntRange(0, 3).Draw(t, "partitions")) {
			all = append(all, reading(t, topic, n, at))
		}
	}
	return rapid.Permutation(all).Draw(t, "order")
}

// TestSumIsThatOfTheView asks the same again and again between polls, failures and waits, and keeps what it was shown.
func TestSumIsThatOfTheView(t *testing.T) {
	choices := []Selection{all, {Key: "a", Counts: func(s string, _ bool) bool { return s == "a" }}, {Key: "a,c", Counts: func(s string, _ bool) bool { return s != "b" }}}
	cached := 0
	rapid.Check(t, func(t *rapid.T) {
		s, now := New(), start
		var shown, copies [][]lag.Reading
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 12).Draw(t, "seconds")) * time.Second)
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				s.Fail(key, now, "no coordinator")
			case 1, 2:
				s.Record(key, Poll{At: now, Readings: readings(t, now)})
			}
			for _, of := range choices {
				for _, isolation := range []v1alpha1.Isolation{v1alpha1.ReadCommitted, v1alpha1.ReadUncommitted} {
					rules := lag.Rules{Isolation: isolation}
					v := s.View(key, now, 15*time.Second, of)
					if !slices.IsSortedFunc(v.Readings, byPartition) {
						t.Fatalf("not sorted: %+v", v.Readings)
					}
					shown, copies = append(shown, v.Readings), append(copies, slices.Clone(v.Readings))
					want := lag.Add(v.Readings, rules)
					ask := Ask{Now: now, StaleAfter: 15 * time.Second, Of: of, Rules: rules}
					s.Sum(key, ask)
					got, about := s.Sum(key, ask)
					if v.Readings = nil; !reflect.DeepEqual(got, want) || !reflect.DeepEqual(about, v) {
						t.Fatalf("topics %q: sum %+v and %+v, want %+v and %+v", of.Key, got, about, want, v)
					}
				}
			}
			if g := s.groups[key]; g != nil {
				cached += len(g.sums)
			}
		}
		if !reflect.DeepEqual(shown, copies) {
			t.Fatal("a later poll changed what a view had shown")
		}
	})
	if cached == 0 {
		t.Error("no sum was ever kept: the test compares nothing")
	}
}

func TestSumsOfMadeUpQuestionsAreBounded(t *testing.T) {
	s := New()
	s.Record(key, Poll{At: start, Readings: []lag.Reading{good(start, 10)}})
	for i := range 10 * maxSums {
		topics := strings.Repeat("x", i)
		s.Sum(key, Ask{Now: start, StaleAfter: time.Minute, Of: Selection{Key: topics}})
	}
	if n := len(s.groups[key].sums); n > maxSums {
		t.Errorf("%d sums are kept, want %d at most", n, maxSums)
	}
}

func TestSharedReadingsCannotBeAppendedOver(t *testing.T) {
	s := New()
	other := good(start, 7)
	other.Topic = "zoo"
	s.Record(key, Poll{At: start, Readings: []lag.Reading{good(start, 10), other}})
	v := s.View(key, start, time.Minute, Selection{Counts: func(topic string, _ bool) bool { return topic == "orders" }})
	_ = append(v.Readings, lag.Reading{Topic: "intruder"})
	if got := s.View(key, start, time.Minute, all).Readings; len(got) != 2 || got[1].Topic != "zoo" {
		t.Errorf("%+v", got)
	}
}
