package kafka

import (
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"swell/metrics/lag"
)

const (
	// provableLag is the most offsets that are looked through for a message.
	provableLag = 1000
	// provableAfter is for how many polls commit and end must have stood still.
	provableAfter = 2
	// proofsPerPoll is how many partitions are looked through in one poll.
	proofsPerPoll = 16
	// proofBytes is how much of one partition is fetched; brokers add what is left of the first batch.
	proofBytes = 128 << 10
)

// proofKey is a stretch of a partition in which nothing can change: the offsets from a commit to an end.
type proofKey struct {
	topicID     [16]byte
	n           int32
	commit, end int64
	committed   bool
}

// proof is what is known of a stretch.
type proof struct {
	// polls is for how many polls it has been the same.
	polls int
	// tried says that it was fetched; readable is what came out, or lag.Unknown.
	tried    bool
	readable int64
}

// stretch is one that is to be looked through.
type stretch struct {
	topic string
	key   proofKey
	pt    *part
}

// proofOf names the stretch that a group has left in a partition, if it is small enough to be looked through.
func (g *groupPoll) proofOf(tv *topicView, c commit, pt *part) (key proofKey, ok bool) {
	from, lagging := g.unread(c, pt)
	key = proofKey{topicID: tv.id, n: c.n, commit: from, end: pt.stable, committed: !g.latest}
	switch {
	case g.latest && g.stable:
		key.end = min(pt.end, pt.stable)
	case g.latest:
		key.end = pt.end
	}
	return key, lagging && c.offset >= 0 && !g.memory.share && key.end > from && key.end-from <= provableLag
}

// proofJobs fetch what is left of partitions where commit and end stand still. Each stretch is fetched once.
func (p *Poller) proofJobs(groups []*groupPoll) []job {
	if !p.opts.Cluster.ProveEmpty {
		return nil
	}
	next := map[proofKey]*proof{}
	var due []stretch
	for _, g := range groups {
		for _, topic := range g.topics {
			tv := p.view.topic(topic)
			if tv.problem() != "" {
				continue
			}
			for n := range tv.parts {
				pt := &tv.parts[n]
				key, ok := g.proofOf(tv, g.commits.of(topic, int32(n)), pt)
				if !ok || next[key] != nil {
					continue
				}
				known := p.proofs[key]
				if known == nil {
					known = &proof{polls: -1, readable: lag.Unknown}
				}
				known.polls++
				next[key] = known
				if !known.tried && known.polls >= provableAfter && len(due) < proofsPerPoll {
					due = append(due, stretch{topic, key, pt})
				}
			}
		}
	}
	p.proofs = next
	return p.fetchJobs(due)
}

// fetchJobs make one Fetch for each leader and isolation; a partition stands in it once.
func (p *Poller) fetchJobs(due []stretch) []job {
	type to struct {
		broker    int32
		committed bool
	}
	requests := map[to][]stretch{}
	for _, s := range due {
		k := to{s.pt.leader, s.key.committed}
		same := func(o stretch) bool { return o.topic == s.topic && o.key.n == s.key.n }
		if !slices.ContainsFunc(requests[k], same) {
			requests[k] = append(requests[k], s)
		}
	}
	var jobs []job
	for k, stretches := range requests {
		p.budget.spend(1)
		jobs = append(jobs, job{broker: k.broker, req: fetchRequest(stretches, k.committed), fail: func(string) {},
			take: func(resp kmsg.Response) error { return p.takeFetch(resp, stretches) }})
	}
	return sortJobs(jobs)
}

func fetchRequest(stretches []stretch, committed bool) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.MaxBytes = int32(proofBytes * len(stretches))
	if committed {
		req.IsolationLevel = 1
	}
	for _, s := range stretches {
		t := kmsg.NewFetchRequestTopic()
		t.Topic, t.TopicID = s.topic, s.key.topicID
		one := kmsg.NewFetchRequestTopicPartition()
		one.Partition, one.FetchOffset, one.PartitionMaxBytes = s.key.n, s.key.commit, proofBytes
		// A topic stands in a request once.
		if i := slices.IndexFunc(req.Topics, func(o kmsg.FetchRequestTopic) bool { return o.Topic == s.topic }); i >= 0 {
			req.Topics[i].Partitions = append(req.Topics[i].Partitions, one)
			continue
		}
		t.Partitions = append(t.Partitions, one)
		req.Topics = append(req.Topics, t)
	}
	return req
}

// takeFetch judges the stretches that were asked for.
func (p *Poller) takeFetch(resp kmsg.Response, stretches []stretch) error {
	r, ok := resp.(*kmsg.FetchResponse)
	if !ok || r.ErrorCode != 0 {
		return errKind
	}
	decompressor, ok := p.client.OptValue(kgo.WithDecompressor).(kgo.Decompressor)
	if !ok {
		return fmt.Errorf("read the fetched messages: the client has no decompressor")
	}
	for _, s := range stretches {
		for i := range r.Topics {
			t := &r.Topics[i]
			if t.Topic != s.topic && (t.TopicID != s.key.topicID || t.TopicID == [16]byte{}) {
				continue
			}
			for j := range t.Partitions {
				known := p.proofs[s.key]
				if t.Partitions[j].Partition == s.key.n && known != nil && !known.tried {
					known.tried, known.readable = true, readable(&t.Partitions[j], s.key, decompressor)
				}
			}
		}
		// One that is left out of the answer is not fetched again at once.
		if known := p.proofs[s.key]; known != nil {
			known.tried = true
		}
	}
	return nil
}

// readable is the first offset at which a fetch has found a message, or the stretch's end if it has found none in
// all of it; lag.Unknown where the fetch was cut short or proves nothing.
func readable(fetched *kmsg.FetchResponseTopicPartition, key proofKey, decompressor kgo.Decompressor) int64 {
	isolation := kgo.ReadUncommitted()
	if key.committed {
		isolation = kgo.ReadCommitted()
	}
	got, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{KeepControlRecords: true, Offset: key.commit,
		IsolationLevel: isolation}, fetched, decompressor, nil)
	if got.Err != nil {
		return lag.Unknown
	}
	for _, r := range got.Records {
		if r.Offset >= key.commit && r.Offset < key.end && !r.Attrs.IsControl() {
			return r.Offset
		}
	}
	if next < key.end {
		return lag.Unknown
	}
	return key.end
}

// readableOf is what is proven of what a group has left in a partition.
func (p *Poller) readableOf(g *groupPoll, tv *topicView, c commit, pt *part) int64 {
	if len(p.proofs) == 0 {
		return lag.Unknown
	}
	if key, ok := g.proofOf(tv, c, pt); ok && p.proofs[key] != nil {
		return p.proofs[key].readable
	}
	return lag.Unknown
}

// forgetProofs drops what was tried without a result, so that it is tried again: rights may have been given since.
func (p *Poller) forgetProofs() {
	maps.DeleteFunc(p.proofs, func(_ proofKey, known *proof) bool { return known.tried && known.readable < 0 })
}
