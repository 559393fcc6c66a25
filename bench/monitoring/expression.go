package main

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// used is what an expression reads: a metric, with the labels that it is selected by.
type used struct {
	metric string
	labels []string
}

// operators are words of PromQL that stand where a metric could; functions are told by their parenthesis.
var operators = []string{"and", "or", "unless", "bool", "offset", "inf", "nan"}

// lists are words that a list of labels follows.
var lists = []string{"by", "without", "on", "ignoring", "group_left", "group_right"}

// aggregations may stand apart from their parenthesis, as in sum by (x) (y).
var aggregations = []string{"sum", "min", "max", "avg", "group", "count", "stddev", "stdvar", "topk", "bottomk", "quantile", "count_values"}

// reads are the metrics of a PromQL expression and the labels that it groups or joins by. It knows as much of the language as that
// takes: whether the expression is right is promtool's to say.
func reads(expr string) (all []used, joined []string, err error) {
	s := &scanner{text: []rune(expr)}
	for s.skip(); s.at < len(s.text); s.skip() {
		switch c := s.text[s.at]; {
		case c == '"' || c == '\'':
			s.quoted()
		case c == '[':
			s.until(']')
		case unicode.IsDigit(c):
			s.word()
		case unicode.IsLetter(c) || c == '_':
			name := s.word()
			s.skip()
			switch {
			case slices.Contains(lists, name):
				for l := range strings.SplitSeq(strings.Trim(s.until(')'), "()"), ",") {
					if l = strings.TrimSpace(l); l != "" {
						joined = append(joined, l)
					}
				}
			case s.next('{'):
				labels, err := s.matchers()
				if err != nil {
					return nil, nil, fmt.Errorf("%w in %s", err, expr)
				}
				all = append(all, used{name, labels})
			case s.next('('), slices.Contains(operators, name), slices.Contains(aggregations, name):
			default:
				all = append(all, used{metric: name})
			}
		default:
			s.at++
		}
	}
	return all, joined, nil
}

type scanner struct {
	text []rune
	at   int
}

func (s *scanner) next(r rune) bool { return s.at < len(s.text) && s.text[s.at] == r }

func (s *scanner) skip() {
	for s.at < len(s.text) && unicode.IsSpace(s.text[s.at]) {
		s.at++
	}
}

func (s *scanner) word() string {
	from := s.at
	for s.at < len(s.text) && (unicode.IsLetter(s.text[s.at]) || unicode.IsDigit(s.text[s.at]) || strings.ContainsRune("_:.", s.text[s.at])) {
		s.at++
	}
	return string(s.text[from:s.at])
}

// until is the text up to and with a rune.
func (s *scanner) until(end rune) string {
	from := s.at
	for s.at < len(s.text) && s.text[s.at] != end {
		s.at++
	}
	s.at = min(s.at+1, len(s.text))
	return string(s.text[from:s.at])
}

func (s *scanner) quoted() {
	quote := s.text[s.at]
	for s.at++; s.at < len(s.text) && s.text[s.at] != quote; s.at++ {
		if s.text[s.at] == '\\' {
			s.at++
		}
	}
	s.at++
}

// matchers are the labels in braces.
func (s *scanner) matchers() ([]string, error) {
	var labels []string
	for s.at++; ; {
		s.skip()
		switch {
		case s.at >= len(s.text):
			return nil, fmt.Errorf("braces do not end")
		case s.next('}'):
			s.at++
			return labels, nil
		case s.next('"') || s.next('\''):
			s.quoted()
		case unicode.IsLetter(s.text[s.at]) || s.next('_'):
			labels = append(labels, s.word())
		default:
			s.at++
		}
	}
}
