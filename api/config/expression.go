package config

import (
	"regexp"
	"strings"
)

// Expression is what stands between slashes, as a regular expression in RE2's syntax that must match a whole name; nil for a plain name.
func Expression(text string) (*regexp.Regexp, error) {
	if len(text) < 3 || !strings.HasPrefix(text, "/") || !strings.HasSuffix(text, "/") {
		return nil, nil
	}
	inner := text[1 : len(text)-1]
	// By itself first: "a)|(b" is whole only inside the brackets, and would match more than it says.
	if _, err := regexp.Compile(inner); err != nil {
		return nil, err
	}
	return regexp.Compile("^(?:" + inner + ")$")
}
