package kafka

import (
	"fmt"
	"regexp"

	"swell/api/config"
)

// Topics is what a consumer says it reads: names, or regular expressions between slashes. None at all
// means every topic that its group has committed.
type Topics struct {
	names []string
	exprs []*regexp.Regexp
}

// ParseTopics reads the topics of a QueueConsumer or a selector. An expression must match the whole name.
func ParseTopics(specs []string) (Topics, error) {
	var t Topics
	for _, s := range specs {
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
	for _, e := range t.exprs {
		if e.MatchString(topic) {
			return true
		}
	}
	return false
}
