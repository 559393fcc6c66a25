package kafka

import (
	"fmt"
	"regexp"
	"testing"

	"pgregory.net/rapid"
)

// TestMatchesAgainstEveryName has topics and expressions come and go, and tries every expression with every name.
func TestMatchesAgainstEveryName(t *testing.T) {
	texts := []string{"a.*", ".*b", "[ab]+", "c", ".*"}
	rapid.Check(t, func(t *rapid.T) {
		var m matches
		for range rapid.IntRange(1, 12).Draw(t, "reads") {
			names, exprs := map[string]bool{}, map[string]*regexp.Regexp{}
			v := clusterView{topics: map[string]*topicView{}, exprs: map[string]bool{}}
			for _, name := range rapid.SliceOfDistinct(rapid.StringMatching("[abc]{1,3}"), rapid.ID).Draw(t, "names") {
				names[name] = true
				v.topics[name] = &topicView{parts: make([]part, 1+len(name)), gone: rapid.Bool().Draw(t, "gone")}
			}
			for _, text := range rapid.SliceOfDistinct(rapid.SampledFrom(texts), rapid.ID).Draw(t, "expressions") {
				exprs[text] = regexp.MustCompile("^(?:" + text + ")$")
			}
			byText := map[string]*regexp.Regexp{}
			for _, e := range exprs {
				byText[e.String()], v.exprs[e.String()] = e, true
			}
			m.see(names, byText)
			m.look(&v)
			for text, e := range exprs {
				got, want, partitions := m.of(Topics{exprs: []*regexp.Regexp{e}, key: text}, &v), map[string]bool{}, 0
				for name, tv := range v.topics {
					if e.MatchString(name) && !tv.gone {
						want[name] = true
						partitions += len(tv.parts)
					}
				}
				n := 0
				for place := range got.topics.all {
					if n++; !want[m.names[place]] {
						t.Fatalf("%q matches %q", text, m.names[place])
					}
				}
				if n != len(want) || got.partitions != partitions {
					t.Fatalf("%q: %d topics with %d partitions, want %v with %d", text, n, got.partitions, want, partitions)
				}
			}
		}
	})
}

// crowdOfExpressions is a view of 5,000 topics, and 2,000 groups with one expression each.
func crowdOfExpressions(b *testing.B) (*Poller, []*groupPoll) {
	b.Helper()
	p := &Poller{room: maxBeside}
	p.view.reset()
	p.view.exprs = map[string]bool{}
	for i := range 5000 {
		p.view.topics[fmt.Sprintf("team-%d.orders.events.v%d", i%100, i)] = &topicView{parts: make([]part, 10)}
	}
	var groups []*groupPoll
	for i := range 2000 {
		of, err := ParseTopics([]string{fmt.Sprintf("/.*orders\\.(events|mails)\\.w%d/", i)})
		if err != nil {
			b.Fatal(err)
		}
		p.view.exprs[of.exprs[0].String()] = true
		groups = append(groups, &groupPoll{name: fmt.Sprint(i), want: &want{topics: []Topics{of}}, memory: &groupMemory{}, commits: commits{}})
	}
	return p, groups
}

// BenchmarkExpressionsInAPoll is what expressions cost in a poll that reads no metadata.
func BenchmarkExpressionsInAPoll(b *testing.B) {
	p, groups := crowdOfExpressions(b)
	p.chooseTopics(groups, p.room)
	for b.Loop() {
		p.chooseTopics(groups, p.room)
	}
}

// BenchmarkExpressionsOfARead is what they cost where the metadata was read and one topic is new.
func BenchmarkExpressionsOfARead(b *testing.B) {
	p, groups := crowdOfExpressions(b)
	p.chooseTopics(groups, p.room)
	names := map[string]bool{}
	for name := range p.view.topics {
		names[name] = true
	}
	m, read := &p.choices.matches, 0
	for b.Loop() {
		delete(names, fmt.Sprint("team.orders.events.", read))
		read++
		names[fmt.Sprint("team.orders.events.", read)] = true
		m.see(names, neededTopics(groups).exprs)
		m.look(&p.view)
	}
}
