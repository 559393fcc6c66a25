package consumers

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"swell/api/v1alpha1"
	"swell/metrics/kafka"
	"swell/metrics/lag"
	"swell/metrics/store"
)

// AskedFor is how long a group stays wanted after a selector last asked about it, in the machine's time,
// as is the HPA's own period.
const AskedFor = 10 * time.Minute

// DefaultLateAfter is the age that a question about late messages means where it names none. It is always free to ask about.
const DefaultLateAfter = kafka.CommonAge

const (
	// maxAsked is how many selectors are wanted at a time, so that a caller that makes them up fills neither memory nor polls.
	maxAsked = 5000
	// maxAges is how many ages besides the default selectors may ask about at a time in a cluster: each is one more pass of requests a poll.
	maxAges = 8
	// shares is how many parts both are cut into: of each a namespace takes one at most by asking alone, so that the others are not locked out;
	// foundShares is how many for one that HPAs ask for.
	shares, foundShares = 4, 2
	// freeAsked is how many selectors a namespace may always ask about.
	freeAsked = 20
)

// Question is what a selector asks about: a group, and its topics or none for all that it has committed.
type Question struct {
	Cluster, Group string
	// Topics are joined by commas; empty: all.
	Topics string
	// Namespace is who asks.
	Namespace string
	// LateAfter asks how many messages are older than this; zero: not asked.
	LateAfter time.Duration
	// Ages asks how old the oldest unread message is.
	Ages bool
	// Found says that an HPA was found that asks this: the namespace's share is larger for it.
	Found bool
}

func (q Question) selection() selection {
	return selection{cluster: q.Cluster, group: q.Group, topics: q.Topics}
}

func (q Question) rules() lag.Rules {
	return lag.Rules{Isolation: v1alpha1.ReadCommitted, Uncommitted: v1alpha1.UncommittedLatest, LateAfter: q.LateAfter}
}

// selection is what a question selects, whoever asks.
type selection struct{ cluster, group, topics string }

func (s selection) parse() (kafka.Topics, error) {
	return kafka.ParseTopics(s.names())
}

// names are the topics as they were given.
func (s selection) names() []string {
	if s.topics == "" {
		return nil
	}
	return strings.Split(s.topics, ",")
}

// question is what one namespace asks.
type question struct {
	selection
	namespace string
	lateAfter time.Duration
}

// times are when a question was last asked, when with ages, and when an HPA was last found that asks it; in the machine's time.
type times struct{ asked, ages, found time.Time }

// counts says that a question takes a part of its namespace's share.
func (t *times) counts(now time.Time) bool { return t.found.IsZero() || now.Sub(t.found) > AskedFor }

// asked are the selectors of late.
type asked struct {
	mu        sync.Mutex
	questions map[question]*times
	rates     map[selection]*rated
}

// Ask is the lag of a group without a QueueConsumer. The first time it is asked about, the group becomes
// wanted and the answer is an error. Where namespace rules refuse, the error wraps ErrForbidden. What is not known
// besides the lag has its problem in the sum.
func (c *Consumers) Ask(q Question) (lag.Sum, error) {
	k, topics, err := c.admit(q)
	if err != nil {
		return lag.Sum{}, err
	}
	sum, view := c.opts.Store.Sum(store.Key{Cluster: q.Cluster, Group: q.Group}, store.Ask{Now: c.settings.Load().Clock.Now(),
		StaleAfter: k, Of: topics.Selection(), Rules: q.rules()})
	if problem := lagProblem(view, sum, q.rules()); problem != "" {
		return sum, fmt.Errorf("lag of group %q in Kafka cluster %q: %s", q.Group, q.Cluster, problem)
	}
	return sum, nil
}

// PartitionsOf are the partitions that Ask adds up, and by which rules. One that is not known is there with its problem and must not be
// left out of a sum. The readings are shared: read only.
func (c *Consumers) PartitionsOf(q Question) ([]lag.Reading, lag.Rules, error) {
	staleAfter, topics, err := c.admit(q)
	if err != nil {
		return nil, lag.Rules{}, err
	}
	view := c.opts.Store.View(store.Key{Cluster: q.Cluster, Group: q.Group}, c.settings.Load().Clock.Now(), staleAfter, topics.Selection())
	if len(view.Readings) == 0 {
		return nil, lag.Rules{}, fmt.Errorf("partitions of group %q in Kafka cluster %q: %s", q.Group, q.Cluster, lagProblem(view, lag.Sum{}, q.rules()))
	}
	return view.Readings, q.rules(), nil
}

// admit checks a question, makes its group wanted for a while, and gives the age from which its readings are stale, and its topics.
func (c *Consumers) admit(q Question) (staleAfter time.Duration, topics kafka.Topics, err error) {
	s := c.settings.Load()
	if err := kafka.ValidGroup(q.Group); err != nil {
		return 0, topics, fmt.Errorf("read selector label group: %w", err)
	}
	if topics, err = q.selection().parse(); err != nil {
		return 0, topics, fmt.Errorf("read selector label topic: %w", err)
	}
	if err := s.gate.refuse(q.Namespace, q.Cluster, q.Group, q.selection().names()); err != nil {
		return 0, topics, err
	}
	k, ok := s.clusters[q.Cluster]
	if !ok {
		return 0, topics, s.unknownCluster("selector label cluster", q.Cluster)
	}
	if q.LateAfter < 0 {
		return 0, topics, fmt.Errorf("late messages of group %q: their age is %s: give a duration above zero", q.Group, q.LateAfter)
	}
	return k.StaleAfter.Duration, topics, c.asked.remember(q, time.Now())
}

// remember makes a group wanted for a while.
func (a *asked) remember(q Question, now time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := question{q.selection(), q.Namespace, q.LateAfter}
	t, ok := a.questions[key]
	if !ok {
		if err := a.room(key, q.Found, now); err != nil {
			return err
		}
		t = &times{}
		a.questions[key] = t
	}
	t.asked = now
	if q.Ages {
		t.ages = now
	}
	if q.Found {
		t.found = now
	}
	return nil
}

// room refuses one question more than can be asked at a time, by all or by one namespace.
func (a *asked) room(key question, found bool, now time.Time) error {
	all, own, ages, ownAges := 0, 0, map[time.Duration]bool{}, map[time.Duration]bool{}
	share := shares
	if found {
		share = foundShares
	}
	for other, t := range a.questions {
		if other.namespace == key.namespace {
			all++
		}
		mine := other.namespace == key.namespace && (found || t.counts(now))
		if mine {
			own++
		}
		if other.lateAfter > 0 && other.lateAfter != DefaultLateAfter && other.cluster == key.cluster {
			ages[other.lateAfter] = true
			if mine {
				ownAges[other.lateAfter] = true
			}
		}
	}
	switch who := fmt.Sprintf("group %q in Kafka cluster %q", key.group, key.cluster); {
	case len(a.questions) >= maxAsked && all >= freeAsked:
		return fmt.Errorf("lag of %s: %d other selectors were asked about in the last %s: make a QueueConsumer for each group that is asked for always", who, len(a.questions), AskedFor)
	case own >= maxAsked/share:
		return fmt.Errorf("lag of %s: namespace %q asked about %d other selectors in the last %s: make a QueueConsumer for each group that is asked for always", who, key.namespace, own, AskedFor)
	case key.lateAfter == 0 || key.lateAfter == DefaultLateAfter || ages[key.lateAfter]:
		return nil
	case len(ages) >= maxAges:
		return fmt.Errorf("late messages of %s: selectors asked about %d other ages in the last %s: take one of theirs or %s, or make a QueueConsumer with spec.lateAfter", who, len(ages), AskedFor, DefaultLateAfter)
	case len(ownAges) >= maxAges/share:
		return fmt.Errorf("late messages of %s: selectors of namespace %q asked about %d other ages in the last %s: take one of theirs or %s, or make a QueueConsumer with spec.lateAfter",
			who, key.namespace, len(ownAges), AskedFor, DefaultLateAfter)
	}
	return nil
}

// wanted are the groups of a cluster that were asked about of late; those that were not are forgotten.
func (a *asked) wanted(cluster string, now time.Time) []kafka.Want {
	a.mu.Lock()
	defer a.mu.Unlock()
	var wants []kafka.Want
	for q, t := range a.questions {
		if now.Sub(t.asked) > AskedFor {
			delete(a.questions, q)
			continue
		}
		if topics, err := q.parse(); err == nil && q.cluster == cluster {
			wants = append(wants, kafka.Want{Group: q.group, Topics: topics, Isolation: v1alpha1.ReadCommitted, LateAfter: q.lateAfter,
				Uncommitted: v1alpha1.UncommittedLatest, Ages: !t.ages.IsZero() && now.Sub(t.ages) <= AskedFor})
		}
	}
	maps.DeleteFunc(a.rates, func(_ selection, r *rated) bool { return now.Sub(r.asked) > AskedFor })
	return wants
}

// forget drops what was asked about a cluster.
func (a *asked) forget(cluster string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.questions, func(q question, _ *times) bool { return q.cluster == cluster })
	maps.DeleteFunc(a.rates, func(s selection, _ *rated) bool { return s.cluster == cluster })
}

// selections are what is asked about in a cluster.
func (a *asked) selections(cluster string) []selection {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []selection
	for q := range a.questions {
		if q.cluster == cluster || cluster == "" {
			all = append(all, q.selection)
		}
	}
	return all
}
