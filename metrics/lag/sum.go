package lag

import (
	"fmt"
	"math"
	"time"
)

// Sum is a group's lag over its partitions.
type Sum struct {
	// Lag is the messages of the partitions that are known; the group's lag only when Complete.
	Lag          int64
	Known, Total int
	// Uncommitted is how many of the known partitions the group never committed.
	Uncommitted int
	// Oldest is the time of the oldest reading that counted.
	Oldest time.Time
	// Late is how many of the messages are late; not known where LateProblem says why. LateExact: brokers stamp all the topics'
	// messages; else it is the least that there can be.
	Late        int64
	LateExact   bool
	LateProblem string
	// Seconds is the age of the oldest unread message; not known where SecondsProblem says why.
	Seconds        float64
	SecondsProblem string
	// Share says that it is a share group.
	Share    bool
	Problems []Problem
}

// Complete says that every partition is known and that there is at least one.
func (s Sum) Complete() bool { return s.Total > 0 && s.Known == s.Total }

// NeverCommitted says that the group has no commit at all, so that its lag is what the rules say, not what was seen.
func (s Sum) NeverCommitted() bool { return s.Complete() && s.Uncommitted == s.Total }

// Add sums the lag of a group's partitions; problems come in the order of the readings. Numbers that would not fit stop
// at the largest that does. That lateness or age is unknown does not make the lag unknown, nor one of them the other.
func Add(readings []Reading, rules Rules) Sum {
	s := Sum{Total: len(readings), LateExact: len(readings) > 0}
	var late, ages doubts
	for _, p := range readings {
		s.Share = s.Share || p.Share
		s.LateExact = s.LateExact && p.BrokerStamped && !p.Share
		messages, problem := Of(p, rules)
		if rules.LateAfter > 0 {
			n, why := lateOf(p, rules, messages, problem)
			s.Late = plus(s.Late, n)
			late.add(p, why)
		}
		seconds, why := secondsOf(p, messages, problem)
		s.Seconds = max(s.Seconds, seconds)
		ages.add(p, why)
		if problem != "" {
			s.Problems = append(s.Problems, Problem{Topic: p.Topic, Partition: p.Partition, Text: problem, Since: p.Since})
			continue
		}
		s.Known++
		s.Lag = plus(s.Lag, messages)
		if p.Commit < 0 && !p.Share {
			s.Uncommitted++
		}
		if s.Oldest.IsZero() || p.At.Before(s.Oldest) {
			s.Oldest = p.At
		}
	}
	s.LateProblem, s.SecondsProblem = late.say(s.Total), ages.say(s.Total)
	if rules.LateAfter <= 0 {
		s.LateExact, s.LateProblem = false, "late messages were not asked for: give lateAfter a time above zero"
	}
	if s.LateProblem != "" {
		s.Late, s.LateExact = 0, false
	}
	if s.SecondsProblem != "" {
		s.Seconds = 0
	}
	return s
}

// lateOf is how many of a partition's unread messages are late. Where producers stamp them, a late one may lie behind one that
// is not, so that there may be more.
func lateOf(p Reading, rules Rules, messages int64, problem string) (late int64, why string) {
	if problem != "" {
		return 0, problem
	}
	if messages == 0 {
		return 0, ""
	}
	offset := Unknown
	for _, l := range p.Late {
		if l.Age == rules.LateAfter {
			offset = l.Offset
		}
	}
	if offset < 0 && p.LateProblem != "" {
		return 0, p.LateProblem
	}
	if offset < 0 {
		return 0, fmt.Sprintf("where its messages older than %s end was not read", rules.LateAfter)
	}
	if offset == NoneSince {
		return messages, ""
	}
	if p.Share && p.Commit < 0 {
		return 0, "the share group's start offset was not read"
	}
	from, end, problem := p.unread(rules)
	if problem != "" {
		return 0, problem
	}
	late = max(0, min(offset, end)-from)
	if p.Share {
		// What share consumers are done with beyond the start may all be among the late ones.
		late = min(messages, max(0, late-max(0, end-from-messages)))
	}
	return late, ""
}

// secondsOf is the age of a partition's oldest unread message.
func secondsOf(p Reading, messages int64, problem string) (seconds float64, why string) {
	switch {
	case problem != "":
		return 0, problem
	case messages == 0:
		return 0, ""
	case p.OldestAt.IsZero():
		return 0, "when its oldest unread message was appended is not known yet"
	}
	return max(0, p.At.Sub(p.OldestAt).Seconds()), ""
}

// doubts are partitions of which something is not known: how many, and the first.
type doubts struct {
	n     int
	first Problem
}

func (d *doubts) add(p Reading, text string) {
	if text == "" {
		return
	}
	if d.n++; d.n == 1 {
		d.first = Problem{Topic: p.Topic, Partition: p.Partition, Text: text, Since: p.Since}
	}
}

func (d *doubts) say(total int) string {
	switch {
	case total == 0:
		return "the group has no partitions"
	case d.n == 0:
		return ""
	}
	return fmt.Sprintf("%d of %d partitions are not known: %s", d.n, total, d.first)
}

// plus adds two counts and stops at the largest number.
func plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
