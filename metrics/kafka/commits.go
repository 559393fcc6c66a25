package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const offsetFetchKey = 9

// partition names a partition of a topic.
type partition struct {
	topic string
	n     int32
}

// commit is a committed offset, or why it was not read.
type commit struct {
	offset  int64
	problem string
}

// groupCommits are one group's commits.
type groupCommits map[partition]commit

// fetchCommits reads the commits of every wanted group with one request for each coordinator. What keeps
// a group from being read is its own problem. It says how many brokers answered.
func (p *Poller) fetchCommits(ctx context.Context, wants map[string]*want) (commits map[string]groupCommits, problems map[string]string, answered int) {
	commits, problems = map[string]groupCommits{}, map[string]string{}
	maps.DeleteFunc(p.view.coordinators, func(group string, _ int32) bool { return wants[group] == nil })
	groups := make([]string, 0, len(wants))
	for g := range wants {
		groups = append(groups, g)
	}
	slices.Sort(groups)
	p.findCoordinators(ctx, groups, problems)
	byBroker := map[int32][]string{}
	for _, g := range groups {
		if id, ok := p.view.coordinators[g]; ok {
			byBroker[id] = append(byBroker[id], g)
		}
	}
	var mu sync.Mutex
	p.view.eachBroker(byBroker, func(broker int32, groups []string) {
		resp, err := p.askCommits(ctx, broker, groups)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			for _, g := range groups {
				delete(p.view.coordinators, g)
				problems[g] = fmt.Sprintf("read the group's commits from its coordinator, broker %s: %v", p.view.broker(broker), err)
			}
			return
		}
		answered++
		p.takeCommits(resp, broker, commits, problems)
		for _, g := range groups {
			if commits[g] == nil && problems[g] == "" {
				problems[g] = fmt.Sprintf("read the group's commits: broker %s left the group out of its answer", p.view.broker(broker))
			}
		}
	})
	return commits, problems, answered
}

func (p *Poller) askCommits(ctx context.Context, broker int32, groups []string) (*kmsg.OffsetFetchResponse, error) {
	req := kmsg.NewPtrOffsetFetchRequest()
	for _, g := range groups {
		one := kmsg.NewOffsetFetchRequestGroup()
		one.Group = g
		req.Groups = append(req.Groups, one)
	}
	ctx, cancel := context.WithTimeout(ctx, p.opts.Cluster.RequestTimeout.Duration)
	defer cancel()
	resp, err := p.client.Broker(int(broker)).Request(ctx, req)
	if err != nil {
		return nil, err
	}
	r := resp.(*kmsg.OffsetFetchResponse)
	if r.Version < 8 {
		return nil, fmt.Errorf("it speaks OffsetFetch version %d: swell needs Kafka 3.0 or newer", r.Version)
	}
	return r, nil
}

func (p *Poller) takeCommits(resp *kmsg.OffsetFetchResponse, broker int32, commits map[string]groupCommits, problems map[string]string) {
	for _, g := range resp.Groups {
		// A group that is not there has committed nothing.
		if err := kerr.ErrorForCode(g.ErrorCode); err != nil && err != kerr.GroupIDNotFound {
			delete(p.view.coordinators, g.Group)
			problems[g.Group] = fmt.Sprintf("read the group's commits from broker %s: %v%s", p.view.broker(broker), err, mendFor(err))
			continue
		}
		got := groupCommits{}
		for _, t := range g.Topics {
			for _, one := range t.Partitions {
				c := commit{offset: one.Offset}
				if err := kerr.ErrorForCode(one.ErrorCode); err != nil {
					c.problem = fmt.Sprintf("read its commit from broker %s: %v%s", p.view.broker(broker), err, mendFor(err))
				}
				got[partition{t.Topic, one.Partition}] = c
			}
		}
		commits[g.Group] = got
	}
}

// findCoordinators asks for the coordinators that are not known, all in one request.
func (p *Poller) findCoordinators(ctx context.Context, groups []string, problems map[string]string) {
	req := kmsg.NewPtrFindCoordinatorRequest()
	for _, g := range groups {
		if _, ok := p.view.coordinators[g]; !ok {
			req.CoordinatorKeys = append(req.CoordinatorKeys, g)
		}
	}
	if len(req.CoordinatorKeys) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, p.opts.Cluster.RequestTimeout.Duration)
	defer cancel()
	resp, err := req.RequestWith(ctx, p.client)
	if err != nil {
		for _, g := range req.CoordinatorKeys {
			problems[g] = fmt.Sprintf("find the group's coordinator: %v", err)
		}
		return
	}
	for _, c := range resp.Coordinators {
		if err := kerr.ErrorForCode(c.ErrorCode); err != nil {
			problems[c.Key] = fmt.Sprintf("find the group's coordinator: %v%s", err, mendFor(err))
			continue
		}
		p.view.coordinators[c.Key] = c.NodeID
		p.view.addBroker(c.NodeID, c.Host, c.Port)
	}
	for _, g := range req.CoordinatorKeys {
		if _, ok := p.view.coordinators[g]; !ok && problems[g] == "" {
			problems[g] = "find the group's coordinator: left out of the answer"
		}
	}
}

// mendFor is what to do about an error that does not pass by itself.
func mendFor(err error) string {
	switch err {
	case kerr.GroupAuthorizationFailed:
		return ": allow swell-metrics to Describe the group"
	case kerr.TopicAuthorizationFailed:
		return ": allow swell-metrics to Describe the topic"
	case kerr.UnknownTopicOrPartition:
		return ": create the topic, or correct spec.kafka.topics"
	}
	return ""
}
