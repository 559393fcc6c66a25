package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"swell/metrics/lag"
)

// offsetFetchKey and offsetFetchMost pin OffsetFetch: from version 10 on the answer has topic ids only, which
// names a topic that was made anew by an id nobody knows.
const (
	offsetFetchKey  = 9
	offsetFetchMost = 9
)

// commit is what a group has committed in one partition, or why that was not read.
type commit struct {
	n int32
	// offset is lag.Unknown where nothing is committed.
	offset int64
	// lag is what a share group's coordinator counts, else lag.Unknown.
	lag     int64
	problem string
}

// commits are one group's commits, by topic and in the order of partitions.
type commits map[string][]commit

// of is the commit in one partition.
func (c commits) of(topic string, n int32) commit {
	all := c[topic]
	if i, ok := slices.BinarySearchFunc(all, n, func(one commit, n int32) int { return cmp.Compare(one.n, n) }); ok {
		return all[i]
	}
	return commit{n: n, offset: lag.Unknown, lag: lag.Unknown}
}

// order sorts commits and keeps the first of those about one partition.
func order(all []commit) []commit {
	byPartition := func(a, b commit) int { return cmp.Compare(a.n, b.n) }
	if !slices.IsSortedFunc(all, byPartition) {
		slices.SortStableFunc(all, byPartition)
	}
	return slices.CompactFunc(all, func(a, b commit) bool { return a.n == b.n })
}

// fetchCommits reads the commits of every group with one request for each coordinator, share groups apart.
// What keeps a group from being read is its own problem.
func (p *Poller) fetchCommits(ctx context.Context, groups []*groupPoll) {
	p.forgetGaps()
	maps.DeleteFunc(p.view.portions, func(group string, _ *portion) bool { return p.groups[group] == nil })
	p.refuseNames(groups)
	p.findCoordinators(ctx, groups)
	byBroker := map[int32][]*groupPoll{}
	shares := map[int32][]*groupPoll{}
	for _, g := range groups {
		broker, ok := p.view.coordinators[g.name]
		switch {
		case g.problem != "" || !ok:
		case g.memory.share:
			shares[broker] = append(shares[broker], g)
		default:
			byBroker[broker] = append(byBroker[broker], g)
		}
	}
	var jobs []job
	for broker, groups := range shares {
		jobs = append(jobs, p.sharesJob(broker, groups))
	}
	p.askCommits(ctx, byBroker, jobs)
}

// refuseNames keeps names out of the requests that brokers cannot read.
func (p *Poller) refuseNames(groups []*groupPoll) {
	left := len(groups)
	for _, g := range groups {
		if err := ValidGroup(g.name); err != nil {
			g.problem = err.Error()
			left--
		}
	}
	if left == 0 {
		// Nothing else shows whether brokers answer.
		p.view.stale()
	}
}

// groupsFail notes a problem of groups, and has their coordinator looked up again: it may have changed.
func (p *Poller) groupsFail(groups []*groupPoll, problem string) {
	for _, g := range groups {
		delete(p.view.coordinators, g.name)
		g.problem = "read the group's commits from its coordinator, " + problem
	}
}

// commitsJob is none where nothing is left to be asked.
func (p *Poller) commitsJob(broker int32, groups []*groupPoll) []job {
	req := kmsg.NewPtrOffsetFetchRequest()
	asked := make([]*groupPoll, 0, len(groups))
	for _, g := range groups {
		one := kmsg.NewOffsetFetchRequestGroup()
		one.Group = g.name
		if q := p.view.portions[g.name]; q != nil && q.named {
			var ok bool
			if one.Topics, q.asked, ok = p.view.partitionsOf(g); !ok {
				g.problem = "read the group's commits: its topics have too many partitions to be asked about by name: name fewer topics"
				continue
			}
			if len(one.Topics) == 0 {
				continue
			}
		}
		req.Groups, asked = append(req.Groups, one), append(asked, g)
	}
	if len(asked) == 0 {
		return nil
	}
	return []job{{broker: broker, req: req,
		take:     func(resp kmsg.Response) error { return p.takeCommits(resp, broker, asked) },
		fail:     func(problem string) { p.groupsFail(asked, problem) },
		tooLarge: func(problem string) { p.tooLarge(asked, problem) }}}
}

// takeCommits believes the first answer about each group that was asked for, and of it what somebody wants.
func (p *Poller) takeCommits(resp kmsg.Response, broker int32, groups []*groupPoll) error {
	r, ok := resp.(*kmsg.OffsetFetchResponse)
	if !ok {
		return errKind
	}
	if r.Version < 8 {
		return fmt.Errorf("it speaks OffsetFetch version %d: swell needs Kafka 3.0 or newer", r.Version)
	}
	open := byName(groups)
	for i := range r.Groups {
		one := &r.Groups[i]
		g := open[one.Group]
		if g == nil {
			continue
		}
		delete(open, one.Group)
		// A group that is not there has committed nothing.
		if err := kerr.ErrorForCode(one.ErrorCode); err != nil && err != kerr.GroupIDNotFound {
			p.groupRefused(g, broker, one.ErrorCode)
			continue
		}
		p.view.weigh(one)
		for _, t := range one.Topics {
			if g.commits[t.Topic] == nil && g.match(t.Topic) {
				g.takeCommits(t, "read its commit from broker "+p.view.broker(broker))
			}
		}
	}
	p.groupsLeftOut(open, broker)
	return nil
}

func (g *groupPoll) takeCommits(t kmsg.OffsetFetchResponseGroupTopic, what string) {
	all := make([]commit, 0, len(t.Partitions))
	for _, one := range t.Partitions {
		c := commit{n: one.Partition, offset: max(one.Offset, lag.Unknown), lag: lag.Unknown}
		if problem := refusal(one.ErrorCode); problem != "" {
			c.offset, c.problem = lag.Unknown, what+": "+problem
		}
		if c.offset >= 0 || c.problem != "" {
			all = append(all, c)
		}
	}
	if len(all) > 0 {
		g.commits[t.Topic] = order(all)
	}
}

func byName(groups []*groupPoll) map[string]*groupPoll {
	named := make(map[string]*groupPoll, len(groups))
	for _, g := range groups {
		named[g.name] = g
	}
	return named
}

func (p *Poller) groupRefused(g *groupPoll, broker int32, code int16) {
	delete(p.view.coordinators, g.name)
	g.problem = fmt.Sprintf("read the group's commits from broker %s: %s", p.view.broker(broker), refusal(code))
}

func (p *Poller) groupsLeftOut(open map[string]*groupPoll, broker int32) {
	for _, g := range open {
		g.problem = fmt.Sprintf("read the group's commits: broker %s left the group out of its answer", p.view.broker(broker))
	}
}

// findCoordinators asks for the coordinators that are not known, all in one request.
func (p *Poller) findCoordinators(ctx context.Context, groups []*groupPoll) {
	open := map[string]*groupPoll{}
	req := kmsg.NewPtrFindCoordinatorRequest()
	for _, g := range groups {
		if _, ok := p.view.coordinators[g.name]; !ok && g.problem == "" {
			req.CoordinatorKeys = append(req.CoordinatorKeys, g.name)
			open[g.name] = g
		}
	}
	if len(open) == 0 {
		return
	}
	resp, err := p.askAny(ctx, req)
	if err == nil {
		err = p.takeCoordinators(resp, open)
	}
	for _, g := range open {
		if err != nil {
			g.problem = fmt.Sprintf("find the group's coordinator: %v", err)
		} else if g.problem == "" {
			g.problem = "find the group's coordinator: left out of the answer"
		}
	}
}

// takeCoordinators takes those that were found out of the open ones.
func (p *Poller) takeCoordinators(resp kmsg.Response, open map[string]*groupPoll) error {
	r, ok := resp.(*kmsg.FindCoordinatorResponse)
	if !ok {
		return errKind
	}
	if r.Version < 4 {
		return fmt.Errorf("the broker speaks FindCoordinator version %d: swell needs Kafka 3.0 or newer", r.Version)
	}
	for _, c := range r.Coordinators {
		g := open[c.Key]
		switch {
		case g == nil:
		case c.ErrorCode != 0:
			g.problem = "find the group's coordinator: " + refusal(c.ErrorCode)
		case c.NodeID < 0:
			g.problem = "find the group's coordinator: none is named in the answer"
		default:
			p.view.coordinators[c.Key] = c.NodeID
			p.view.addBroker(c.NodeID, c.Host, c.Port)
			delete(open, c.Key)
		}
	}
	return nil
}

// unreachable is an error of the whole cluster.
func (p *Poller) unreachable(err error) error {
	return fmt.Errorf("poll Kafka cluster %q at brokers %s: %w: check that they run, and clusters[name=%s].brokers in swell-metrics' configuration",
		p.Cluster(), joined(p.opts.Cluster.Brokers), err, p.Cluster())
}

// firstOf is one problem for all groups, the same in each poll.
func firstOf(groups []*groupPoll) error {
	least := ""
	for _, g := range groups {
		if g.problem != "" && (least == "" || g.problem < least) {
			least = g.problem
		}
	}
	return errors.New(least)
}
