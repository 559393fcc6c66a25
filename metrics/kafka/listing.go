package kafka

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// bits name the answers that can be got about one partition.
type bits uint16

const (
	latest bits = 1 << iota
	stable
	starting
	looking
	lateFirst
)

// maxLate is how many ages one partition can be asked about in one poll: each needs a pass and a bit.
const maxLate = 8

// listing is one pass of ListOffsets over the leaders: a partition may be named once in a request.
type listing struct {
	kind      bits
	isolation int8
	// stamp is what to ask a partition for; ok is false where it is not to be asked.
	stamp func(pt *part) (stamp int64, ok bool)
	// take gets what was answered, offset -1 where nothing was found.
	take func(pt *part, offset int64)
	// fail gets why a partition was not answered.
	fail func(pt *part, problem string)
}

// listJobs makes one request for each leader of the partitions that a listing is about.
func (p *Poller) listJobs(topics []string, l listing) []job {
	requests := map[int32]*kmsg.ListOffsetsRequest{}
	for _, topic := range topics {
		tv := p.view.topic(topic)
		if tv.problem() != "" {
			continue
		}
		for n := range tv.parts {
			pt := &tv.parts[n]
			stamp, ok := l.stamp(pt)
			if !ok || pt.problem != "" {
				continue
			}
			req := requests[pt.leader]
			if req == nil {
				req = kmsg.NewPtrListOffsetsRequest()
				req.ReplicaID, req.IsolationLevel = -1, l.isolation
				requests[pt.leader] = req
			}
			if k := len(req.Topics); k == 0 || req.Topics[k-1].Topic != topic {
				one := kmsg.NewListOffsetsRequestTopic()
				one.Topic = topic
				req.Topics = append(req.Topics, one)
			}
			one := kmsg.NewListOffsetsRequestTopicPartition()
			one.Partition, one.Timestamp = int32(n), stamp
			last := &req.Topics[len(req.Topics)-1]
			last.Partitions = append(last.Partitions, one)
			pt.asking |= l.kind
		}
	}
	jobs := make([]job, 0, len(requests))
	for broker, req := range requests {
		jobs = append(jobs, job{broker: broker, req: req,
			take: func(resp kmsg.Response) error { return p.takeOffsets(resp, broker, req, l) },
			fail: func(problem string) { p.owed(req, l, problem) }})
	}
	return sortJobs(jobs)
}

// takeOffsets believes the first answer about each partition that was asked for; what is left out has failed.
func (p *Poller) takeOffsets(resp kmsg.Response, broker int32, req *kmsg.ListOffsetsRequest, l listing) error {
	r, ok := resp.(*kmsg.ListOffsetsResponse)
	if !ok {
		return errKind
	}
	name := "broker " + p.view.broker(broker)
	for _, t := range r.Topics {
		for _, one := range t.Partitions {
			pt := p.view.part(t.Topic, one.Partition)
			if pt == nil || pt.leader != broker || pt.asking&l.kind == 0 {
				continue
			}
			pt.asking &^= l.kind
			if err := kerr.ErrorForCode(one.ErrorCode); err != nil {
				p.view.stale()
				l.fail(pt, name+": "+refusal(one.ErrorCode))
				continue
			}
			l.take(pt, one.Offset)
		}
	}
	p.owed(req, l, name+" left the partition out of its answer")
	return nil
}

// owed fails the partitions of a request that were not answered.
func (p *Poller) owed(req *kmsg.ListOffsetsRequest, l listing, problem string) {
	for _, t := range req.Topics {
		for _, one := range t.Partitions {
			if pt := p.view.part(t.Topic, one.Partition); pt != nil && pt.asking&l.kind != 0 {
				pt.asking &^= l.kind
				l.fail(pt, problem)
			}
		}
	}
}
