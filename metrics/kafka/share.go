package kafka

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"swell/metrics/lag"
)

// sharesJob asks a coordinator for the start offsets and lags of its share groups, in all their topics.
func (p *Poller) sharesJob(broker int32, groups []*groupPoll) job {
	req := kmsg.NewPtrDescribeShareGroupOffsetsRequest()
	for _, g := range groups {
		one := kmsg.NewDescribeShareGroupOffsetsRequestGroup()
		one.GroupID = g.name
		req.Groups = append(req.Groups, one)
	}
	return job{broker: broker, req: req,
		take: func(resp kmsg.Response) error { return p.takeShares(resp, broker, groups) },
		fail: func(problem string) { p.groupsFail(groups, problem) }}
}

// takeShares believes the first answer about each share group that was asked for. A group that is no more is
// asked for its commits again.
func (p *Poller) takeShares(resp kmsg.Response, broker int32, groups []*groupPoll) error {
	r, ok := resp.(*kmsg.DescribeShareGroupOffsetsResponse)
	if !ok {
		return errKind
	}
	open := byName(groups)
	for _, one := range r.Groups {
		g := open[one.GroupID]
		if g == nil {
			continue
		}
		delete(open, one.GroupID)
		if one.ErrorCode != 0 {
			if kerr.ErrorForCode(one.ErrorCode) == kerr.GroupIDNotFound {
				g.memory.share, g.memory.typed = false, false
			}
			p.groupRefused(g, broker, one.ErrorCode)
			continue
		}
		for _, t := range one.Topics {
			if g.commits[t.Topic] == nil && g.match(t.Topic) {
				g.takeShares(t, "read its share group offset from broker "+p.view.broker(broker))
			}
		}
	}
	p.groupsLeftOut(open, broker)
	return nil
}

func (g *groupPoll) takeShares(t kmsg.DescribeShareGroupOffsetsResponseGroupTopic, what string) {
	all := make([]commit, 0, len(t.Partitions))
	for _, one := range t.Partitions {
		c := commit{n: one.Partition, offset: max(one.StartOffset, lag.Unknown), lag: max(one.Lag, lag.Unknown)}
		if problem := refusal(one.ErrorCode); problem != "" {
			c.problem = what + ": " + problem
		}
		all = append(all, c)
	}
	if len(all) > 0 {
		g.commits[t.Topic] = order(all)
	}
}
