// Package lag turns a consumer group's offsets and their times into lag, rates and the replicas that
// the backlog needs. It is pure: time comes as an argument.
package lag

import (
	"fmt"
	"time"

	"swell/api/v1alpha1"
)

// Unknown stands for an offset that was not read; as a Commit it says that the group never committed.
const Unknown = int64(-1)

// NoPartition stands in place of all partitions of a topic of which nothing is known.
const NoPartition = int32(-1)

// Reading is what one partition looked like to one group at one time. The commit was read first.
type Reading struct {
	Topic string
	// Partition is NoPartition where the Problem is the whole topic's.
	Partition int32
	// TopicID tells a topic from another that was made anew under its name; zero where brokers do not say.
	TopicID [16]byte
	// At is the time before the commit was read.
	At time.Time
	// Commit is the next offset that the group will read, or Unknown where it never committed.
	Commit int64
	// End is the high watermark, Stable the last stable offset, Start the first offset still held; Unknown where not asked for.
	End, Stable, Start int64
	// Problem says why the offsets are missing; empty if they are not.
	Problem string
	// Since is when the problem was first seen.
	Since time.Time
}

// Problem is why one partition's lag is unknown, and since when if that is known.
type Problem struct {
	Topic     string
	Partition int32
	Text      string
	Since     time.Time
}

func (p Problem) String() string {
	s := fmt.Sprintf("%s/%d: %s", p.Topic, p.Partition, p.Text)
	if p.Partition == NoPartition {
		s = fmt.Sprintf("%s: %s", p.Topic, p.Text)
	}
	if !p.Since.IsZero() {
		s += " since " + p.Since.UTC().Format(time.RFC3339)
	}
	return s
}

// Rules are how a group's offsets are to be read.
type Rules struct {
	Isolation   v1alpha1.Isolation
	Uncommitted v1alpha1.Uncommitted
}

func (r Rules) end(p Reading) int64 {
	if r.Isolation == v1alpha1.ReadUncommitted {
		return p.End
	}
	return p.Stable
}

// Of is the number of messages that the group has still to read in one partition, or why that is unknown.
func Of(p Reading, rules Rules) (messages int64, problem string) {
	if p.Problem != "" {
		return 0, p.Problem
	}
	end := rules.end(p)
	switch {
	case p.Partition == NoPartition:
		return 0, "the topic's partitions are not known"
	case end < 0:
		return 0, "its end offset was not read"
	case p.Start < 0:
		return 0, "its log start was not read"
	case p.Start > end:
		return 0, fmt.Sprintf("log start %d is beyond the end %d: the topic was made anew or truncated", p.Start, end)
	case p.Commit > end:
		return 0, fmt.Sprintf("commit %d is beyond the end %d: the topic was made anew or truncated, or a transaction is open; reset the group's offset if it stays", p.Commit, end)
	case p.Commit < 0:
		return uncommitted(p, end, rules.Uncommitted)
	}
	return end - max(p.Commit, p.Start), ""
}

func uncommitted(p Reading, end int64, policy v1alpha1.Uncommitted) (int64, string) {
	switch policy {
	case v1alpha1.UncommittedEarliest:
		return end - p.Start, ""
	case v1alpha1.UncommittedError:
		return 0, "the group never committed it and uncommitted is Error: start the consumers, or choose Latest or Earliest"
	}
	return 0, ""
}

// Sum is a group's lag over its partitions.
type Sum struct {
	// Lag is the messages of the partitions that are known; the group's lag only when Complete.
	Lag          int64
	Known, Total int
	// Uncommitted is how many of the known partitions the group never committed.
	Uncommitted int
	// Oldest is the time of the oldest reading that counted.
	Oldest   time.Time
	Problems []Problem
}

// Complete says that every partition is known and that there is at least one.
func (s Sum) Complete() bool { return s.Total > 0 && s.Known == s.Total }

// NeverCommitted says that the group has no commit at all, so that its lag is what the rules say, not what was seen.
func (s Sum) NeverCommitted() bool { return s.Complete() && s.Uncommitted == s.Total }

// Add sums the lag of a group's partitions; problems come in the order of the readings.
func Add(readings []Reading, rules Rules) Sum {
	s := Sum{Total: len(readings)}
	for _, p := range readings {
		messages, problem := Of(p, rules)
		if problem != "" {
			s.Problems = append(s.Problems, Problem{Topic: p.Topic, Partition: p.Partition, Text: problem, Since: p.Since})
			continue
		}
		s.Known++
		s.Lag += messages
		if p.Commit < 0 {
			s.Uncommitted++
		}
		if s.Oldest.IsZero() || p.At.Before(s.Oldest) {
			s.Oldest = p.At
		}
	}
	return s
}
