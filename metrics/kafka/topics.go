package kafka

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"swell/api/config"
	"swell/metrics/store"
)

// Topics is what a consumer says it reads: names, or regular expressions between slashes. None at all
// means every topic that its group has committed.
type Topics struct {
	names []string
	exprs []*regexp.Regexp
	key   string
}

// ParseTopics reads the topics of a QueueConsumer or a selector. An expression must match the whole name.
func ParseTopics(specs []string) (Topics, error) {
	sorted := slices.Clone(specs)
	slices.Sort(sorted)
	sorted = slices.Compact(sorted)
	t := Topics{key: strings.Join(sorted, "\n")}
	for _, s := range sorted {
		e, err := config.Expression(s)
		switch {
		case err != nil:
			return Topics{}, fmt.Errorf("read topic expression %q: %w: give a regular expression in RE2's syntax", s, err)
		case e != nil:
			t.exprs = append(t.exprs, e)
		default:
			t.names = append(t.names, s)
		}
	}
	return t, nil
}

// Key is the same for topics that mean the same; empty for none at all.
func (t Topics) Key() string { return t.key }

// Counts says whether a topic counts in the lag of a group that has committed in it, or not: one that it has not is read because
// somebody names it, and counts for those who name it alone.
func (t Topics) Counts(topic string, committed bool) bool {
	if t.Any() {
		return committed
	}
	return t.Match(topic)
}

// Selection is what of a group they choose.
func (t Topics) Selection() store.Selection { return store.Selection{Key: t.key, Counts: t.Counts} }

// Any says that every committed topic is meant.
func (t Topics) Any() bool { return len(t.names) == 0 && len(t.exprs) == 0 }

// Match says whether a topic is meant.
func (t Topics) Match(topic string) bool {
	if t.Any() {
		return true
	}
	for _, n := range t.names {
		if n == topic {
			return true
		}
	}
	return t.matchesExpression(topic)
}

func (t Topics) matchesExpression(topic string) bool {
	for _, e := range t.exprs {
		if e.MatchString(topic) {
			return true
		}
	}
	return false
}
