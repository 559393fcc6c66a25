// Package lag turns a consumer group's offsets and their times into lag, rates and the replicas that
// the backlog needs. It is pure: time comes as an argument.
package lag

import (
	"fmt"
	"math"
	"time"

	"swell/api/v1alpha1"
)

// Unknown stands for an offset that was not read; as a Commit it says that the group never committed.
const Unknown = int64(-1)

// NoneSince as LateFrom.Offset says that the partition holds no message so young.
const NoneSince = int64(math.MaxInt64)

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
	// NotCommitted says that the group has committed nothing in the topic, which is read because somebody names it: it counts only
	// for who does.
	NotCommitted bool
	// Commit is the next offset that the group will read, or Unknown where it never committed.
	Commit int64
	// End is the high watermark, Stable the last stable offset, Start the first offset still held; Unknown where not asked for.
	End, Stable, Start int64
	// Readable is an offset before which, from Commit on, a fetch has proven that there is no message, only what transactions and
	// compaction leave; Unknown where nothing was proven.
	Readable int64
	// Share says that the group is a share group, whose lag the broker counts: ShareLag, Unknown where it does not say.
	Share    bool
	ShareLag int64
	// Late has the first offset stamped at or after At less an age, for each age that is asked for, in the ages' order.
	Late []LateFrom
	// LateProblem says why an age that is asked for is missing from Late; empty where none is.
	LateProblem string
	// BrokerStamped says that the topic's messages are stamped by brokers, so that stamps are in the order of offsets.
	BrokerStamped bool
	// OldestAt is when the message at the commit was appended; zero where that is not known.
	OldestAt time.Time
	// Problem says why the offsets are missing; empty if they are not.
	Problem string
	// Since is when the problem was first seen.
	Since time.Time
}

// LateFrom is where the messages end that are older than an age.
type LateFrom struct {
	Age time.Duration
	// Offset is the first one that is younger, or NoneSince.
	Offset int64
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
		s += " (since " + p.Since.UTC().Format(time.RFC3339) + ")"
	}
	return s
}

// Rules are how a group's offsets are to be read.
type Rules struct {
	Isolation   v1alpha1.Isolation
	Uncommitted v1alpha1.Uncommitted
	// LateAfter is the age from which a message is late; zero: lateness is not asked for.
	LateAfter time.Duration
}

func (r Rules) end(p Reading) int64 {
	if r.Isolation == v1alpha1.ReadUncommitted {
		return p.End
	}
	return p.Stable
}

// needsLag is what mends a share group whose broker does not count its lag.
const needsLag = "the brokers do not say a share group's lag: it needs Kafka 4.2 or newer, and share consumers that have started to read"

// Of is the number of messages that the group has still to read in one partition, or why that is unknown. What the arithmetic
// cannot tell from messages, transactions' markers and what compaction took, counts, unless a fetch proved that nothing else is there.
func Of(p Reading, rules Rules) (messages int64, problem string) {
	switch {
	case p.Problem != "":
		return 0, p.Problem
	case p.Partition == NoPartition:
		return 0, "the topic's partitions are not known"
	case p.Share && p.ShareLag < 0:
		return 0, needsLag
	case p.Share:
		return p.ShareLag, ""
	}
	from, end, problem := p.unread(rules)
	return end - from, problem
}

// unread is the offsets from the next one that the group will read up to the end; from is end where nothing waits.
func (p Reading) unread(rules Rules) (from, end int64, problem string) {
	end = rules.end(p)
	switch {
	case end < 0:
		return 0, 0, "its end offset was not read"
	case p.Start < 0:
		return 0, 0, "its log start was not read"
	case p.Start > end:
		return 0, 0, fmt.Sprintf("log start %d is beyond the end %d: the topic was made anew or truncated", p.Start, end)
	case p.Commit > end:
		return 0, 0, fmt.Sprintf("commit %d is beyond the end %d: the topic was made anew or truncated, or a transaction is open; reset the group's offset if it stays", p.Commit, end)
	case p.Commit < 0 && !p.Share && rules.Uncommitted == v1alpha1.UncommittedError:
		return 0, 0, "the group never committed it and uncommitted is Error: start the consumers, or choose Latest or Earliest"
	case p.Commit < 0 && rules.Uncommitted != v1alpha1.UncommittedEarliest:
		return end, end, ""
	}
	// The fetch that proved it may have seen more of the log than the end offset that was read before.
	return min(max(p.Commit, p.Start, p.Readable), end), end, ""
}
