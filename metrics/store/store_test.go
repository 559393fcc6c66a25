package store

import (
	"strings"
	"testing"
	"time"

	"swell/metrics/lag"
)

var (
	start = time.Date(2026, 11, 20, 8, 40, 0, 0, time.UTC)
	key   = Key{Cluster: "main", Group: "orders"}
	all   = Selection{}
)

func good(at time.Time, end int64) lag.Reading {
	return lag.Reading{Topic: "orders", At: at, End: end, Stable: end}
}

func bad(at time.Time, problem string) lag.Reading {
	return lag.Reading{Topic: "orders", At: at, Problem: problem, End: lag.Unknown}
}

func TestLastGoodReadingIsServedUntilStale(t *testing.T) {
	s := New()
	s.Record(key, Poll{At: start, Readings: []lag.Reading{good(start, 10)}})
	failed := start.Add(5 * time.Second)
	s.Record(key, Poll{At: failed, Readings: []lag.Reading{bad(failed, "broker 2 (b:9092): EOF")}})
	s.Record(key, Poll{At: failed.Add(5 * time.Second), Readings: []lag.Reading{bad(failed.Add(5*time.Second), "broker 2 (b:9092): EOF again")}})

	if r := s.View(key, start.Add(15*time.Second), 15*time.Second, all).Readings[0]; r.Problem != "" || r.End != 10 || !r.At.Equal(start) {
		t.Errorf("at staleAfter: %+v, want the good one of %s", r, start)
	}
	r := s.View(key, start.Add(16*time.Second), 15*time.Second, all).Readings[0]
	if !strings.Contains(r.Problem, "EOF again") || !r.Since.Equal(failed) {
		t.Errorf("after staleAfter: %+v, want the last problem, since %s", r, failed)
	}
	s.Record(key, Poll{At: start.Add(20 * time.Second), Readings: []lag.Reading{good(start.Add(20*time.Second), 12)}})
	if r := s.View(key, start.Add(20*time.Second), 15*time.Second, all).Readings[0]; r.Problem != "" || r.End != 12 {
		t.Errorf("after recovery: %+v", r)
	}
}

func TestNeverGoodIsAProblemAtOnce(t *testing.T) {
	s := New()
	s.Record(key, Poll{At: start, Readings: []lag.Reading{bad(start, "no leader")}})
	if r := s.View(key, start, time.Minute, all).Readings[0]; r.Problem != "no leader" || !r.Since.Equal(start) {
		t.Errorf("%+v", r)
	}
}

func TestTopicMadeAnewForgetsTheOldReading(t *testing.T) {
	s := New()
	s.Record(key, Poll{At: start, Readings: []lag.Reading{good(start, 10)}})
	again := bad(start.Add(time.Second), "no leader")
	again.TopicID[0] = 1
	s.Record(key, Poll{At: start.Add(time.Second), Readings: []lag.Reading{again}})
	if r := s.View(key, start.Add(time.Second), time.Minute, all).Readings[0]; r.Problem == "" {
		t.Errorf("the old topic's offsets are served for the new one: %+v", r)
	}
}

func TestGroupFailureAndPollerThatStopped(t *testing.T) {
	s := New()
	if v := s.View(key, start, time.Minute, all); !v.Polled.IsZero() {
		t.Errorf("a group nobody asked about was polled: %+v", v)
	}
	s.Fail(key, start, "first")
	s.Fail(key, start.Add(time.Second), "second")
	if v := s.View(key, start, time.Minute, all); v.Problem != "second" || !v.Since.Equal(start) {
		t.Errorf("%+v", v)
	}
	s.Record(key, Poll{At: start, Readings: []lag.Reading{good(start, 1)}})
	if r := s.View(key, start.Add(time.Hour), time.Minute, all).Readings[0]; !strings.Contains(r.Problem, "poller") {
		t.Errorf("a reading that nobody renews: %+v", r)
	}
	s.Keep("main", func(string) bool { return false })
	if v := s.View(key, start, time.Minute, all); !v.Polled.IsZero() {
		t.Errorf("a group that nobody wants is kept: %+v", v)
	}
}

func TestCommitThatVanishedIsAProblem(t *testing.T) {
	committed := func(at time.Time, commit int64) lag.Reading {
		r := good(at, 10)
		r.Commit = commit
		return r
	}
	s, now := New(), start
	record := func(r lag.Reading) lag.Reading {
		now = now.Add(time.Hour)
		r.At = now
		s.Record(key, Poll{At: now, Readings: []lag.Reading{r}})
		return s.View(key, now, time.Minute, all).Readings[0]
	}
	if r := record(committed(now, lag.Unknown)); r.Problem != "" {
		t.Errorf("a partition never committed: %s", r.Problem)
	}
	record(committed(now, 7))
	for range 2 {
		if r := record(committed(now, lag.Unknown)); !strings.Contains(r.Problem, "commit 7 is gone") {
			t.Errorf("a commit that is gone: %+v", r)
		}
		record(bad(now, "EOF"))
		topic := bad(now, "LEADER_NOT_AVAILABLE")
		topic.Partition = lag.NoPartition
		record(topic)
	}
	if r := record(committed(now, 9)); r.Problem != "" {
		t.Errorf("committed again: %s", r.Problem)
	}
	anew := committed(now, lag.Unknown)
	anew.TopicID[0] = 1
	if r := record(anew); r.Problem != "" {
		t.Errorf("a topic made anew has no commit to miss: %s", r.Problem)
	}
}
