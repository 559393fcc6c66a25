package kafka

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"swell/metrics/kafka/wire"
)

// A group may commit up to 4 KiB of words in each partition, so that the answer about it can be larger than is read. The groups of such an
// answer are asked about in smaller portions until it is found out whose commits they are: these are then asked about now and then and
// alone, and the others together again.
const (
	// splitInto is how many portions become of one that was too large.
	splitInto = 8
	// maxRounds is how many requests one coordinator may get for the commits of its groups in one poll.
	maxRounds = 16
	// refusedRest is for how many polls a group is left alone whose own commits are too large.
	refusedRest = 32
	// maxNamed is how many partitions a group is asked about by name.
	maxNamed = 20_000
)

// portion is how a group is asked for its commits.
type portion struct {
	// most is how many groups may stand in one request with it, itself among them; zero: any number, as its weight is known.
	most int
	// weight is the size of its commits in the last answer, by wire.CommitsSize.
	weight int64
	// named says that it is asked about its topics' partitions alone, asked how many of each the last request named.
	named bool
	asked map[string]int
	// refused is why even the answer about it alone was not read, at is in which poll.
	refused string
	at      int
}

// askedFor says that the group was asked about a partition, or about all.
func (v *clusterView) askedFor(group, topic string, n int32) bool {
	q := v.portions[group]
	return q == nil || !q.named || int(n) < q.asked[topic]
}

// portionsOf cuts the groups of one coordinator into the portions that one request each is about, those of known weight first.
// Groups that cannot be asked about now get a problem.
func (p *Poller) portionsOf(groups []*groupPoll) [][]*groupPoll {
	var all [][]*groupPoll
	small := map[int][]*groupPoll{}
	var open []*groupPoll
	weight := int64(0)
	for _, g := range groups {
		q := p.view.portions[g.name]
		switch {
		case q == nil:
			open = append(open, g)
		case !p.name(g, q):
		case q.most > 0:
			small[q.most] = append(small[q.most], g)
		default:
			if weight+q.weight > wire.MaxOther && len(open) > 0 {
				all, open, weight = append(all, open), nil, 0
			}
			open, weight = append(open, g), weight+q.weight
		}
	}
	if len(open) > 0 {
		all = append(all, open)
	}
	var unknown [][]*groupPoll
	for most, these := range small {
		unknown = slices.AppendSeq(unknown, slices.Chunk(these, most))
	}
	slices.SortFunc(unknown, func(a, b []*groupPoll) int { return len(b) - len(a) })
	return append(turned(all, p.turn), turned(unknown, p.turn)...)
}

// turned has another portion first in each poll: what comes last may find no room.
func turned(portions [][]*groupPoll, turn int) [][]*groupPoll {
	if len(portions) < 2 {
		return portions
	}
	first := turn % len(portions)
	return slices.Concat(portions[first:], portions[:first])
}

// name decides whether a group is asked about by its topics' partitions, and whether it is asked at all in this poll.
func (p *Poller) name(g *groupPoll, q *portion) bool {
	literal := !slices.ContainsFunc(g.want.topics, func(t Topics) bool { return t.Any() || len(t.exprs) > 0 })
	if literal != q.named && (!literal || q.refused != "") {
		q.named, q.refused, q.most, q.asked = literal, "", 1, nil
	}
	if q.refused != "" && p.turn-q.at < refusedRest {
		g.problem = q.refused
		return false
	}
	return true
}

// partitionsOf are the partitions of the topics that a group names, as far as they are known; not ok where they are too many.
func (v *clusterView) partitionsOf(g *groupPoll) (topics []kmsg.OffsetFetchRequestGroupTopic, asked map[string]int, ok bool) {
	asked, total := map[string]int{}, 0
	for _, t := range g.want.topics {
		for _, name := range t.names {
			tv := v.topic(name)
			if _, twice := asked[name]; twice || tv == nil || len(tv.parts) == 0 {
				continue
			}
			one := kmsg.NewOffsetFetchRequestGroupTopic()
			one.Topic = name
			for n := range tv.parts {
				one.Partitions = append(one.Partitions, int32(n))
			}
			topics, asked[name], total = append(topics, one), len(tv.parts), total+len(tv.parts)
		}
	}
	return topics, asked, total <= maxNamed
}

// askCommits asks each coordinator about its groups, with one request where their commits have always found room in one answer. It
// takes no longer than a broker may take for an answer that is waited for, and leaves the rest for the next poll.
func (p *Poller) askCommits(ctx context.Context, byBroker map[int32][]*groupPoll, first []job) {
	began := time.Now()
	queues := map[int32][][]*groupPoll{}
	for broker, groups := range byBroker {
		queues[broker] = p.portionsOf(groups)
	}
	for round := range maxRounds {
		jobs := first
		first = nil
		for broker, queue := range queues {
			if len(queue) == 0 {
				continue
			}
			queues[broker] = queue[1:]
			jobs = append(jobs, p.commitsJob(broker, queue[0])...)
		}
		if len(jobs) == 0 {
			if !waiting(queues) {
				return
			}
			continue
		}
		if round > 0 {
			p.budget.spend(len(jobs))
		}
		p.ask(ctx, sortJobs(jobs), false)
		if ctx.Err() != nil || time.Since(began) > p.patience() {
			break
		}
	}
	for _, queue := range queues {
		for _, groups := range queue {
			for _, g := range groups {
				g.problem = "read the group's commits: left for the next poll, as the answer about it and others together was too large"
			}
		}
	}
}

func waiting(queues map[int32][][]*groupPoll) bool {
	for _, queue := range queues {
		if len(queue) > 0 {
			return true
		}
	}
	return false
}

// tooLarge notes that the answer about some groups was larger than is read. They are asked about in smaller portions from the next poll on.
func (p *Poller) tooLarge(groups []*groupPoll, problem string) {
	if p.view.portions == nil {
		p.view.portions = map[string]*portion{}
	}
	for _, g := range groups {
		q := p.view.portions[g.name]
		if q == nil {
			q = &portion{}
			p.view.portions[g.name] = q
		}
		q.most, q.weight = (len(groups)+splitInto-1)/splitInto, 0
		g.problem = "read the group's commits together with others', " + problem
		if len(groups) == 1 {
			q.refused, q.at = fmt.Sprintf("read the group's commits, %s: they hold too much metadata: commit without, or name its topics in spec.kafka.topics", problem), p.turn
			g.problem = q.refused
		}
	}
}

// weigh notes how large a group's part of an answer was, if it once stood in one that was too large.
func (v *clusterView) weigh(one *kmsg.OffsetFetchResponseGroup) {
	if q := v.portions[one.Group]; q != nil {
		q.weight, q.most, q.refused = wire.CommitsSize(one), 0, ""
	}
}
