package consumers

import (
	"fmt"
	"hash/maphash"
	"time"

	"swell/api/v1alpha1"
	"swell/metrics/lag"
)

// What is decided here is pure: times and what is known come as arguments, and what is to be done is the answer.
//
// To no replicas takes proof: every partition known, committed and read to its end, and no end moved, without a break for spec.zero.after.
// A partition without a commit is no proof under uncommitted Latest, although it counts as read: the first message there would find
// consumers that start behind it. Under Earliest an empty one is. Back to one takes a sign: a message that is known to wait, or an end that moved.

// sight is what one poll shows of a group.
type sight struct {
	// at is the time of the oldest reading.
	at time.Time
	// unknown says why the lag is not known; lag is then what is known to wait all the same.
	unknown string
	lag     int64
	// uncommitted names a partition without a commit whose first message the group might miss; empty: none.
	uncommitted string
	// logs are the partitions whose ends are known, in order, and appended the sum of these: while the lag is unknown it is the least
	// that it can be. log is another for any other set of partitions and ends, without a meaning while unknown.
	logs     []logEnd
	appended int64
	log      uint64
}

var seed = maphash.MakeSeed()

// see sums up the readings of a poll.
func see(readings []lag.Reading, rules lag.Rules, sum lag.Sum, unknown string) sight {
	s := sight{at: sum.Oldest, unknown: unknown, lag: sum.Lag}
	s.logs, s.appended = logsOf(readings, rules.Isolation)
	if unknown != "" {
		return s
	}
	var h maphash.Hash
	h.SetSeed(seed)
	for _, l := range s.logs {
		maphash.WriteComparable(&h, l)
	}
	for _, r := range readings {
		if r.Commit < 0 && !r.Share && s.uncommitted == "" && rules.Uncommitted != v1alpha1.UncommittedEarliest {
			s.uncommitted = fmt.Sprintf("%s/%d", r.Topic, r.Partition)
		}
	}
	s.log = h.Sum64()
	return s
}

// idleness is since when a group is known, without a break, to have nothing to read and nothing produced.
type idleness struct {
	// since is zero while it is not idle.
	since time.Time
	// seen is the time of the last reading that counted.
	seen time.Time
	log  uint64
	// resumed says that since was taken over from a status, which does not say where the logs ended.
	resumed bool
}

// next is what is known after one more poll; staleAfter is how far apart two may be without a break.
func (i idleness) next(s sight, staleAfter time.Duration) idleness {
	if s.unknown != "" || s.lag > 0 || s.uncommitted != "" {
		return idleness{}
	}
	moved := s.log != i.log && !i.resumed
	if i.since.IsZero() || moved || s.at.Sub(i.seen) > staleAfter {
		return idleness{since: s.at, seen: s.at, log: s.log}
	}
	return idleness{since: i.since, seen: s.at, log: s.log}
}

// lasts says that it is known by now to have lasted for a time.
func (i idleness) lasts(now time.Time, after, staleAfter time.Duration) bool {
	return !i.since.IsZero() && now.Sub(i.seen) <= staleAfter && now.Sub(i.since) >= after
}

// workload is what is known of a scale target.
type workload struct {
	// replicas is how many it asks for, -1 unknown.
	replicas int
	// ours says that swell took it to none, and nobody has raised it since.
	ours bool
	// base is where the group's logs ended when it went to none.
	base baseline
	// raised is when somebody raised it from none; zero: nobody has.
	raised time.Time
}

// zeroCase is all that a decision rests on.
type zeroCase struct {
	// after is spec.zero.after; zero: spec.zero is not there.
	after time.Duration
	sight sight
	idle  idleness
	// staleAfter is how old the last reading may be to count as knowledge.
	staleAfter time.Duration
	workload   workload
	// unproven says that what waits may be markers alone, which is still being found out.
	unproven bool
	// busy names another consumer of the same workload that is known to have messages waiting, unsure one that is not known to be empty.
	busy, unsure string
}

// zeroAction is what is to be done with a workload.
type zeroAction int

const (
	leave zeroAction = iota
	// look asks how many replicas there are: a decision hangs on it.
	look
	toOne
	toZero
)

// Reasons of the Idle condition.
const (
	reasonEmpty          = "Empty"
	reasonMessagesWait   = "MessagesWait"
	reasonScaledToZero   = "ScaledToZero"
	reasonScaledFromZero = "ScaledFromZero"
	reasonZeroByHand     = "ZeroByHand"
	reasonStillScaled    = "StillScaled"
	reasonScaleFailed    = "ScaleFailed"
)

// zeroVerdict is what to do, and a reason and a sentence for the Idle condition.
type zeroVerdict struct {
	action          zeroAction
	reason, message string
}

// decideZero says whether a workload is to go to no replicas, or back to one.
func decideZero(now time.Time, z zeroCase) zeroVerdict {
	switch {
	case z.workload.replicas == 0:
		return wake(z)
	case z.after <= 0:
		return zeroVerdict{}
	case z.sight.unknown != "":
		return zeroVerdict{reason: reasonUnknown, message: "whether the group is empty is not known: " + z.sight.unknown}
	case z.sight.lag > 0:
		return zeroVerdict{reason: reasonMessagesWait, message: "messages wait"}
	case z.sight.uncommitted != "":
		return zeroVerdict{reason: reasonNeverCommitted, message: fmt.Sprintf("partition %s has no commit, so that consumers could start behind its first message: commit it, or set spec.uncommitted to Earliest where they start at the earliest", z.sight.uncommitted)}
	case z.idle.since.IsZero() || now.Sub(z.idle.seen) > z.staleAfter:
		return zeroVerdict{reason: reasonUnknown, message: "whether the group is empty was not read lately"}
	}
	return fall(now, z)
}

// fall decides for a group that is known to be idle.
func fall(now time.Time, z zeroCase) zeroVerdict {
	from := z.idle.since
	if z.workload.raised.After(from) {
		from = z.workload.raised
	}
	due := from.Add(z.after)
	v := zeroVerdict{reason: reasonEmpty, message: fmt.Sprintf("nothing to read and nothing produced since %s", stamp(z.idle.since))}
	switch {
	case now.Before(due):
		v.message += fmt.Sprintf("; to no replicas at %s if it stays so", stamp(due))
	case z.workload.replicas < 0:
		v.action = look
	case z.workload.replicas > 1:
		v.reason = reasonStillScaled
		v.message += fmt.Sprintf("; %d replicas stand, and swell takes no more than one to none: whoever scales the workload, an HPA for one, takes it there first", z.workload.replicas)
	case z.unsure != "":
		v.reason = reasonStillScaled
		v.message += fmt.Sprintf("; but QueueConsumer %s, of the same workload, has no spec.zero or is not known to be empty", z.unsure)
	default:
		v.action, v.reason = toZero, reasonScaledToZero
		v.message += fmt.Sprintf(": scaled to no replicas, from %d; the first message brings one back", z.workload.replicas)
	}
	return v
}

// wake decides for a workload without replicas.
func wake(z zeroCase) zeroVerdict {
	known := z.sight.unknown == ""
	produced := z.workload.base.produced(z.sight)
	switch {
	case z.workload.ours && z.after <= 0:
		return zeroVerdict{action: toOne, reason: reasonScaledFromZero, message: "spec.zero is gone: scaled from none to one replica"}
	case z.after <= 0:
		return zeroVerdict{}
	case z.workload.ours && z.sight.lag > 0 && !z.unproven:
		return zeroVerdict{action: toOne, reason: reasonScaledFromZero, message: fmt.Sprintf("messages wait (%d): scaled from none to one replica", z.sight.lag)}
	case produced:
		return zeroVerdict{action: toOne, reason: reasonScaledFromZero, message: "a message was produced: scaled from none to one replica"}
	}
	if z.workload.ours && z.busy != "" {
		return zeroVerdict{action: toOne, reason: reasonScaledFromZero,
			message: fmt.Sprintf("messages wait for QueueConsumer %s, of the same workload: scaled from none to one replica", z.busy)}
	}
	v := zeroVerdict{reason: reasonScaledToZero, message: "at no replicas; the first message brings one back"}
	if !z.workload.ours {
		v = zeroVerdict{reason: reasonZeroByHand, message: "somebody else scaled to no replicas: it stays so until a message is produced"}
	}
	if !known {
		v.message += "; none can be seen now: " + z.sight.unknown
	}
	return v
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
