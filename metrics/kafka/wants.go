package kafka

import (
	"slices"
	"time"

	"swell/api/v1alpha1"
)

// Want is a group that somebody asks about.
type Want struct {
	Group     string
	Topics    Topics
	Isolation v1alpha1.Isolation
	// Uncommitted is what a partition counts as that the group never committed: only where that is Earliest is anything late or old
	// there. Default: it may count.
	Uncommitted v1alpha1.Uncommitted
	// LateAfter asks how many messages are older than this; zero: not asked.
	LateAfter time.Duration
	// Ages asks how old the oldest unread message is.
	Ages bool
}

// want is everything asked about one group.
type want struct {
	topics         []Topics
	stable, latest bool
	// lateAfter are the distinct ages, in order.
	lateAfter []time.Duration
	ages      bool
	// uncommitted says that partitions without a commit may count.
	uncommitted bool
}

// counts says whether what a group has not read in a partition may be asked about at all.
func (g *groupPoll) counts(c commit) bool { return c.offset >= 0 || g.uncommitted || g.memory.share }

func (w *want) match(topic string) bool {
	for _, t := range w.topics {
		if t.Match(topic) {
			return true
		}
	}
	return false
}

// ends says which of the end offsets are asked for.
func (w *want) ends() (b bits) {
	if w.latest {
		b |= latest
	}
	if w.stable {
		b |= stable
	}
	return b
}

func mergeWants(wants []Want) map[string]*want {
	merged := map[string]*want{}
	for _, one := range wants {
		w := merged[one.Group]
		if w == nil {
			w = &want{}
			merged[one.Group] = w
		}
		if !slices.ContainsFunc(w.topics, func(t Topics) bool { return t.Key() == one.Topics.Key() }) {
			w.topics = append(w.topics, one.Topics)
		}
		if one.Isolation == v1alpha1.ReadUncommitted {
			w.latest = true
		} else {
			w.stable = true
		}
		w.ages = w.ages || one.Ages
		w.uncommitted = w.uncommitted || one.Uncommitted != v1alpha1.UncommittedLatest && one.Uncommitted != v1alpha1.UncommittedError
		if i, there := slices.BinarySearch(w.lateAfter, one.LateAfter); one.LateAfter > 0 && !there {
			w.lateAfter = slices.Insert(w.lateAfter, i, one.LateAfter)
		}
	}
	return merged
}

// groupPoll is what one poll learns of one group.
type groupPoll struct {
	name string
	*want
	// memory is what is kept of the group from poll to poll.
	memory  *groupMemory
	commits commits
	// topics are those that the group is asked about, sorted; chosen are the same.
	topics []string
	chosen map[string]bool
	// answers are the keys of the selections that were followed, each with why not.
	answers map[string]string
	problem string
	// left is how many offsets it has still to read.
	left int64
}
