package kafka

import (
	"maps"
	mathbits "math/bits"
	"regexp"
)

// matches remembers which topics each expression matches: only new topics and new expressions are tried, and a poll that reads no
// metadata tries nothing.
type matches struct {
	// places numbers the topics that are known, whether anybody asks for them or not; free are numbers that none has any more.
	places map[string]int
	free   []int
	// exprs are the topics that each expression matches, by its text.
	exprs map[string]places
	// selections are what selections choose of a view, by their keys, until the view changes; names and partitions are those of its
	// topics, by their places; there are those of them that are not gone.
	selections map[string]*selected
	names      []string
	partitions []int
	there      places
}

// places is a set of topics.
type places []uint64

func (s places) has(n int) bool { return n/64 < len(s) && s[n/64]&(1<<(n%64)) != 0 }

func (s *places) add(n int) {
	for n/64 >= len(*s) {
		*s = append(*s, 0)
	}
	(*s)[n/64] |= 1 << (n % 64)
}

func (s places) remove(n int) {
	if n/64 < len(s) {
		s[n/64] &^= 1 << (n % 64)
	}
}

// all calls for every place in the set.
func (s places) all(yield func(int) bool) {
	for i, word := range s {
		for ; word != 0; word &= word - 1 {
			if !yield(i*64 + mathbits.TrailingZeros64(word)) {
				return
			}
		}
	}
}

// selected are the topics of a selection and how many readings they make.
type selected struct {
	topics     places
	partitions int
}

// see takes in the names of all topics that there are. What is not among them is forgotten.
func (m *matches) see(names map[string]bool, exprs map[string]*regexp.Regexp) {
	if m.places == nil {
		m.places, m.exprs = map[string]int{}, map[string]places{}
	}
	maps.DeleteFunc(m.exprs, func(text string, _ places) bool { return exprs[text] == nil })
	for name, n := range m.places {
		if !names[name] {
			delete(m.places, name)
			m.free = append(m.free, n)
			for _, matched := range m.exprs {
				matched.remove(n)
			}
		}
	}
	var news []string
	for name := range names {
		if _, known := m.places[name]; !known {
			m.places[name] = m.place()
			news = append(news, name)
		}
	}
	for text, matched := range m.exprs {
		for _, name := range news {
			if exprs[text].MatchString(name) {
				matched.add(m.places[name])
			}
		}
		m.exprs[text] = matched
	}
	for text, e := range exprs {
		if _, known := m.exprs[text]; known {
			continue
		}
		var matched places
		for name, n := range m.places {
			if e.MatchString(name) {
				matched.add(n)
			}
		}
		m.exprs[text] = matched
	}
}

// place is a number for one topic more.
func (m *matches) place() int {
	if last := len(m.free) - 1; last >= 0 {
		n := m.free[last]
		m.free = m.free[:last]
		return n
	}
	// Those that are given away are numbered without gaps.
	return len(m.places)
}

// any are the topics that some expression matches.
func (m *matches) any() (s places) {
	for _, matched := range m.exprs {
		for len(s) < len(matched) {
			s = append(s, 0)
		}
		for i, word := range matched {
			s[i] |= word
		}
	}
	return s
}

// look takes in a view whose topics were seen.
func (m *matches) look(v *clusterView) {
	m.selections, m.there = map[string]*selected{}, nil
	most := len(m.places) + len(m.free)
	m.names, m.partitions = make([]string, most), make([]int, most)
	for name, tv := range v.topics {
		if n, ok := m.places[name]; ok {
			m.names[n], m.partitions[n] = name, v.partitions(name)
			if !tv.isGone() {
				m.there.add(n)
			}
		}
	}
}

// of are the topics of a selection; nil where some of them were not looked for yet.
func (m *matches) of(t Topics, v *clusterView) *selected {
	if s := m.selections[t.Key()]; s != nil {
		return s
	}
	s := &selected{}
	for _, e := range t.exprs {
		matched, looked := m.exprs[e.String()]
		if !looked || !v.exprs[e.String()] {
			return nil
		}
		for i, word := range matched {
			if i >= len(m.there) {
				break
			}
			for len(s.topics) <= i {
				s.topics = append(s.topics, 0)
			}
			s.topics[i] |= word & m.there[i]
		}
	}
	for _, name := range t.names {
		n, ok := m.places[name]
		if !ok || v.topics[name] == nil {
			return nil
		}
		s.topics.add(n)
	}
	for n := range s.topics.all {
		s.partitions += m.partitions[n]
	}
	m.selections[t.Key()] = s
	return s
}

// overlap is how many of a selection's partitions are of some topics.
func (m *matches) overlap(s *selected, topics map[string]bool) (partitions int) {
	for topic := range topics {
		if n, ok := m.places[topic]; ok && s.topics.has(n) {
			partitions += m.partitions[n]
		}
	}
	return partitions
}
