package kafka

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	stampConfig   = "message.timestamp.type"
	brokerStamped = "LogAppendTime"
)

// stampJobs ask who stamps the messages of the topics whose lateness or age is asked for: one request, at the
// pace of the metadata or when a topic is new. Where the broker does not say, it is not the brokers.
func (p *Poller) stampJobs(groups []*groupPoll, now time.Time) []job {
	due := now.Sub(p.view.stampsAt) >= p.opts.Cluster.MetadataEvery.Duration
	names := map[string]*topicView{}
	news := false
	for _, g := range groups {
		if !g.ages && len(g.lateAfter) == 0 {
			continue
		}
		for _, topic := range g.topics {
			if tv := p.view.topic(topic); tv.problem() == "" {
				names[topic] = tv
				news = news || !tv.stampsKnown
			}
		}
	}
	broker, ok := p.pick(nil)
	if len(names) == 0 || !ok || !due && !news {
		return nil
	}
	p.view.stampsAt = now
	p.budget.spend(1)
	req := kmsg.NewPtrDescribeConfigsRequest()
	for topic := range names {
		one := kmsg.NewDescribeConfigsRequestResource()
		one.ResourceType, one.ResourceName, one.ConfigNames = kmsg.ConfigResourceTypeTopic, topic, []string{stampConfig}
		req.Resources = append(req.Resources, one)
	}
	slices.SortFunc(req.Resources, func(a, b kmsg.DescribeConfigsRequestResource) int {
		if a.ResourceName < b.ResourceName {
			return -1
		}
		return 1
	})
	return []job{{broker: broker, req: req, fail: func(string) {},
		take: func(resp kmsg.Response) error { return takeStamps(resp, names) }}}
}

// takeStamps believes an answer about the topics that were asked about.
func takeStamps(resp kmsg.Response, names map[string]*topicView) error {
	r, ok := resp.(*kmsg.DescribeConfigsResponse)
	if !ok {
		return errKind
	}
	for _, tv := range names {
		tv.stamped, tv.stampsKnown = false, true
	}
	for _, one := range r.Resources {
		tv := names[one.ResourceName]
		if tv == nil || one.ResourceType != kmsg.ConfigResourceTypeTopic {
			continue
		}
		for _, c := range one.Configs {
			if one.ErrorCode == 0 && c.Name == stampConfig && c.Value != nil {
				tv.stamped = *c.Value == brokerStamped
			}
		}
	}
	return nil
}
