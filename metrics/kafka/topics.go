package kafka

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

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

// What may be asked about, in characters where it is a text; the QueueConsumer's schema has the same bounds. What is beyond them goes no
// further: all groups of a cluster are asked about together, and a broker that cannot read one name hangs up on all of them.
const (
	maxTopics     = 100
	maxExpression = 1024
	// maxGroup is less than Kafka takes, which is 32,767 bytes: they stand in every poll's requests.
	maxGroup = 255
)

// topicName is Kafka's own rule, which forbids "." and ".." as well.
var topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

// ValidGroup says what is wrong with the name of a group.
func ValidGroup(name string) error {
	switch {
	case name == "":
		return errors.New("a consumer group needs a name: give the group.id of the consumers")
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("the name of consumer group %.40q has characters that cannot be printed: give the group.id of the consumers", name)
	case utf8.RuneCountInString(name) > maxGroup:
		return fmt.Errorf("the name of consumer group %.40q... is longer than %d characters: give the group.id of the consumers", name, maxGroup)
	}
	return nil
}

// ParseTopics reads the topics of a QueueConsumer or a selector. An expression must match the whole name.
func ParseTopics(specs []string) (Topics, error) {
	sorted := slices.Clone(specs)
	slices.Sort(sorted)
	sorted = slices.Compact(sorted)
	if len(sorted) > maxTopics {
		return Topics{}, fmt.Errorf("read %d topics: %d may be given: use an expression between slashes for several", len(sorted), maxTopics)
	}
	t := Topics{key: strings.Join(sorted, "\n")}
	for _, s := range sorted {
		e, err := expression(s)
		switch {
		case err != nil:
			return Topics{}, fmt.Errorf("read topic expression %.40q: %w", s, err)
		case e != nil:
			t.exprs = append(t.exprs, e)
		case !topicName.MatchString(s) || s == "." || s == "..":
			return Topics{}, fmt.Errorf("read topic %.40q: no topic of Kafka is called so: give 1 to 249 letters, digits, dots, underscores or hyphens, or an expression between slashes", s)
		default:
			t.names = append(t.names, s)
		}
	}
	return t, nil
}

// expression is nil where the text is none.
func expression(text string) (*regexp.Regexp, error) {
	if !strings.HasPrefix(text, "/") {
		return nil, nil
	}
	switch {
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return nil, errors.New("it has characters that cannot be printed: leave them out")
	case utf8.RuneCountInString(text) > maxExpression:
		return nil, fmt.Errorf("it is longer than %d characters: give a shorter one", maxExpression)
	}
	e, err := config.Expression(text)
	if err != nil {
		return nil, fmt.Errorf("%w: give a regular expression in RE2's syntax", err)
	}
	return e, nil
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
