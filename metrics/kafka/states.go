package kafka

import (
	"context"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// groupMemory is what is kept of a group from poll to poll.
type groupMemory struct {
	// share says that it is a share group; typed that its type was looked up, at typedAt.
	share, typed bool
	typedAt      time.Time
	// topics are what it was asked about when it was last read; committed those in which it had commits then, had those in which it
	// ever had while they are there.
	topics, committed []string
	had               map[string]bool
	// print stands for its commits as last read.
	print   uint64
	printed bool
	// quiet is how many polls in a row it has not committed with messages left; moved says that it has before. behind is how
	// many in a row it has committed and yet had more left than before, which left was.
	quiet, behind int
	moved         bool
	left          int64
	// rebalancing is what the last look at its state said; a poll since then in which it caught up says no.
	rebalancing bool
}

// look is when a coordinator was last asked for its groups' states, and how many polls to wait from then on.
type look struct {
	at, gap int
	// news says that since then a group has stopped or was still rebalancing, missed that there was no answer about such news.
	news, missed bool
	// rest is how many polls to wait for news that no request can be spared for.
	rest int
}

// A look for which no request can be spared is taken in every second poll at most, and in every sixteenth where the
// looks find nothing: then it is consumers that commit more rarely than swell polls.
const (
	shortRest = 2
	longRest  = 16
)

// learn is told what came of a look.
func (l *look) learn(rebalancing bool) {
	l.rest = min(2*l.rest, longRest)
	if rebalancing {
		l.rest = shortRest
	}
}

// fallsBehind is how many polls in a row a group must have more left to read before its state is looked at although it commits.
const fallsBehind = 2

// Group types and states that are asked for. Those after the first two are of KIP-848's consumer groups.
var (
	shareTypes        = []string{"share"}
	rebalancingStates = []string{"PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling"}
)

// remember finds or makes the memories of the wanted groups, and drops the others.
func (p *Poller) remember(groups []*groupPoll) {
	kept := make(map[string]*groupMemory, len(groups))
	for _, g := range groups {
		g.memory = p.groups[g.name]
		if g.memory == nil {
			g.memory = &groupMemory{}
		}
		kept[g.name] = g.memory
	}
	p.groups = kept
	for group := range p.view.coordinators {
		if kept[group] == nil {
			delete(p.view.coordinators, group)
		}
	}
}

// noteProgress counts for how long a group has not committed although messages are left.
func (p *Poller) noteProgress(g *groupPoll) {
	if g.problem != "" {
		return
	}
	var print uint64
	for topic, all := range g.commits {
		seed := maphash.String(p.seed, topic)
		for _, c := range all {
			print += (seed ^ uint64(c.n)<<40) * (uint64(c.offset)*2 + 1)
		}
	}
	m := g.memory
	stood, changed, grew := m.printed && m.print == print, m.printed && m.print != print, m.printed && g.left > m.left
	m.print, m.printed, m.left = print, true, g.left
	switch {
	case stood && g.left > 0 && len(g.commits) > 0:
		m.quiet++
		return
	case changed && grew:
		// In a storm a group still commits now and then.
		m.behind++
	default:
		m.behind, m.rebalancing = 0, false
	}
	m.quiet, m.moved = 0, m.moved || changed
}

// fetchTypes looks up which of the groups without commits are share groups, at the pace of the metadata, and
// reads those in place of commits. Until a group's type is known, it is not one that never committed.
func (p *Poller) fetchTypes(ctx context.Context, groups []*groupPoll, now time.Time) {
	due := map[int32][]*groupPoll{}
	for _, g := range groups {
		if g.problem != "" || len(g.commits) > 0 || g.memory.share || g.memory.typed && now.Sub(g.memory.typedAt) < p.opts.Cluster.MetadataEvery.Duration {
			continue
		}
		broker := p.view.coordinators[g.name]
		due[broker] = append(due[broker], g)
	}
	var jobs []job
	for broker, untyped := range due {
		jobs = append(jobs, p.typesJob(broker, untyped, now))
	}
	if len(jobs) == 0 {
		return
	}
	p.budget.spend(len(jobs))
	p.ask(ctx, sortJobs(jobs), false)
	jobs = jobs[:0]
	for broker, typed := range due {
		var shares []*groupPoll
		for _, g := range typed {
			if g.memory.share && g.problem == "" {
				shares = append(shares, g)
			}
		}
		if len(shares) > 0 {
			jobs = append(jobs, p.sharesJob(broker, shares))
		}
	}
	p.ask(ctx, sortJobs(jobs), false)
}

func (p *Poller) typesJob(broker int32, groups []*groupPoll, now time.Time) job {
	req := kmsg.NewPtrListGroupsRequest()
	req.TypesFilter = shareTypes
	return job{broker: broker, req: req,
		take: func(resp kmsg.Response) error {
			r, ok := resp.(*kmsg.ListGroupsResponse)
			if !ok {
				return errKind
			}
			for _, g := range groups {
				g.memory.typed, g.memory.typedAt = true, now
			}
			open := byName(groups)
			for _, one := range r.Groups {
				// A broker that does not know of types says none, and has no share groups.
				if g := open[one.Group]; g != nil && strings.EqualFold(one.GroupType, shareTypes[0]) {
					g.memory.share = true
				}
			}
			return nil
		},
		fail: func(problem string) {
			for _, g := range groups {
				if !g.memory.typed {
					g.problem = "look up whether it is a share group: " + problem
				}
			}
		}}
}

// statesJobs ask the coordinators of groups that stand still which of them are rebalancing: at once when one has
// just stopped or still is, then less and less often.
func (p *Poller) statesJobs(groups []*groupPoll) []job {
	still := map[int32][]*groupPoll{}
	news := map[int32]bool{}
	for _, g := range groups {
		m := g.memory
		if broker, ok := p.view.coordinators[g.name]; ok && g.problem == "" && (m.quiet > 0 || m.behind >= fallsBehind) && !m.share {
			still[broker] = append(still[broker], g)
			news[broker] = news[broker] || m.quiet == 1 && m.moved || m.behind == fallsBehind || m.rebalancing
		}
	}
	maps.DeleteFunc(p.looks, func(broker int32, _ *look) bool { _, there := p.view.brokers[broker]; return !there })
	var jobs []job
	for broker, groups := range still {
		l := p.looks[broker]
		if l == nil {
			l = &look{at: p.turn - longRest, gap: 1, rest: shortRest}
			p.looks[broker] = l
		}
		if news[broker] {
			l.news, l.gap = true, 1
		}
		if p.mayLook(l) {
			p.budget.spend(1)
			jobs = append(jobs, l.job(broker, groups))
			l.at, l.gap, l.news, l.missed = p.turn, min(2*l.gap, 16), false, false
		}
	}
	return sortJobs(jobs)
}

// mayLook says whether a coordinator is asked in this poll: as far as requests can be spared, and for news at a slow pace beyond
// that. A rebalance that is not seen calls for pods, which make the next one.
func (p *Poller) mayLook(l *look) bool {
	since := p.turn - l.at
	switch {
	case l.news && p.budget.spare > 0, since >= l.gap && p.budget.spare > p.budget.reserve:
		return true
	}
	return (l.news || l.missed) && since >= l.rest && p.budget.used < p.budget.perPoll
}

// job is a look at the states of a coordinator's groups.
func (l *look) job(broker int32, groups []*groupPoll) job {
	one, urgent := statesJob(broker, groups), l.news || l.missed
	take := one.take
	one.take = func(resp kmsg.Response) error {
		err := take(resp)
		if err == nil {
			l.learn(slices.ContainsFunc(groups, func(g *groupPoll) bool { return g.memory.rebalancing }))
		}
		return err
	}
	one.fail = func(string) {
		l.learn(false)
		l.missed = urgent
	}
	return one
}

func statesJob(broker int32, groups []*groupPoll) job {
	req := kmsg.NewPtrListGroupsRequest()
	req.StatesFilter = rebalancingStates
	return job{broker: broker, req: req, fail: func(string) {},
		take: func(resp kmsg.Response) error {
			r, ok := resp.(*kmsg.ListGroupsResponse)
			if !ok || r.ErrorCode != 0 {
				return errKind
			}
			open := byName(groups)
			for _, g := range groups {
				g.memory.rebalancing = false
			}
			for _, one := range r.Groups {
				g := open[one.Group]
				for _, state := range rebalancingStates {
					if g != nil && strings.EqualFold(one.GroupState, state) {
						g.memory.rebalancing = true
					}
				}
			}
			return nil
		}}
}
