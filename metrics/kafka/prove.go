package kafka

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"swell/metrics/lag"
)

const (
	// provableLag is the most offsets that are looked through for a message.
	provableLag = 1000
	// provableAfter is for how many polls commit and end must have stood still.
	provableAfter = 2
	// proofsPerRequest is how many partitions are looked through in one request; a broker gets one for each isolation in a poll.
	proofsPerRequest = 2000
	// proofBytes is how much of one partition is fetched, proofsBytes how much of all together; brokers add what is left of a
	// request's first batch.
	proofBytes  = 128 << 10
	proofsBytes = 8 << 20
	// batchBytes is how large one batch may become when it is unpacked, unpackedBytes all of an answer together: what is larger
	// proves nothing.
	batchBytes    = 8 << 20
	unpackedBytes = 128 << 20
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
	var due stretches
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
				if !known.tried && known.polls >= provableAfter {
					due.add(stretch{topic, key, pt})
				}
			}
		}
	}
	p.proofs = next
	return p.fetchJobs(due)
}

// stretches are those that one poll looks through, by whom to ask for them.
type stretches map[toFetch]*oneFetch

type toFetch struct {
	broker    int32
	committed bool
}

type oneFetch struct {
	all []stretch
	// named are the partitions in it: each may stand in a request once.
	named map[partitionName]bool
}

type partitionName struct {
	topic string
	n     int32
}

// add leaves a stretch for the next poll where the request is full or has the partition already.
func (s *stretches) add(one stretch) {
	if *s == nil {
		*s = stretches{}
	}
	to := toFetch{one.pt.leader, one.key.committed}
	f := (*s)[to]
	if f == nil {
		f = &oneFetch{named: map[partitionName]bool{}}
		(*s)[to] = f
	}
	name := partitionName{one.topic, one.key.n}
	if len(f.all) < proofsPerRequest && !f.named[name] {
		f.all, f.named[name] = append(f.all, one), true
	}
}

// fetchJobs make one Fetch for each leader and isolation.
func (p *Poller) fetchJobs(due stretches) []job {
	var jobs []job
	for to, f := range due {
		p.budget.spend(1)
		// As they stand in the request, in which a topic stands once.
		slices.SortStableFunc(f.all, func(a, b stretch) int { return strings.Compare(a.topic, b.topic) })
		req := fetchRequest(f.all, to.committed)
		req.MaxBytes = min(req.MaxBytes, int32(max(proofBytes, proofsBytes/len(due))))
		jobs = append(jobs, job{broker: to.broker, req: req, fail: func(string) {},
			take: func(resp kmsg.Response) error { return p.takeFetch(resp, f.all) }})
	}
	return sortJobs(jobs)
}

func fetchRequest(asked []stretch, committed bool) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.MaxBytes = int32(min(proofBytes*len(asked), proofsBytes))
	if committed {
		req.IsolationLevel = 1
	}
	at := map[string]int{}
	for _, s := range asked {
		one := kmsg.NewFetchRequestTopicPartition()
		one.Partition, one.FetchOffset, one.PartitionMaxBytes = s.key.n, s.key.commit, proofBytes
		// A topic stands in a request once.
		i, there := at[s.topic]
		if !there {
			t := kmsg.NewFetchRequestTopic()
			t.Topic, t.TopicID = s.topic, s.key.topicID
			i, at[s.topic] = len(req.Topics), len(req.Topics)
			req.Topics = append(req.Topics, t)
		}
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, one)
	}
	return req
}

// takeFetch judges the stretches that were asked for, in the order of the request: those for which it had no room left are
// asked for again.
func (p *Poller) takeFetch(resp kmsg.Response, asked []stretch) error {
	r, ok := resp.(*kmsg.FetchResponse)
	if !ok || r.ErrorCode != 0 {
		return errKind
	}
	decompressor, ok := p.client.OptValue(kgo.WithDecompressor).(kgo.Decompressor)
	if !ok {
		return fmt.Errorf("read the fetched messages: the client has no decompressor")
	}
	fetched, full := byStretch(r), false
	u := &unpacker{decompressor, unpackedBytes}
	for _, s := range asked {
		known := p.proofs[s.key]
		if known == nil || known.tried {
			continue
		}
		one := fetched.of(s)
		if one != nil && one.ErrorCode == 0 && len(one.RecordBatches) == 0 && full {
			continue
		}
		// One that is left out of the answer is not fetched again at once.
		known.tried = true
		if one != nil {
			full = full || len(one.RecordBatches) > 0
			known.readable = readable(one, s.key, u)
		}
	}
	return nil
}

// fetchedParts finds partitions in an answer, which names topics in one way or the other.
type fetchedParts struct {
	names map[partitionName]*kmsg.FetchResponseTopicPartition
	ids   map[partitionID]*kmsg.FetchResponseTopicPartition
}

type partitionID struct {
	topic [16]byte
	n     int32
}

// byStretch takes the first answer about each partition.
func byStretch(r *kmsg.FetchResponse) fetchedParts {
	f := fetchedParts{map[partitionName]*kmsg.FetchResponseTopicPartition{}, map[partitionID]*kmsg.FetchResponseTopicPartition{}}
	for i := range r.Topics {
		t := &r.Topics[i]
		for j := range t.Partitions {
			one := &t.Partitions[j]
			name, id := partitionName{t.Topic, one.Partition}, partitionID{t.TopicID, one.Partition}
			if f.names[name] == nil && name.topic != "" {
				f.names[name] = one
			}
			if f.ids[id] == nil && id.topic != [16]byte{} {
				f.ids[id] = one
			}
		}
	}
	return f
}

func (f fetchedParts) of(s stretch) *kmsg.FetchResponseTopicPartition {
	if one := f.names[partitionName{s.topic, s.key.n}]; one != nil {
		return one
	}
	return f.ids[partitionID{s.key.topicID, s.key.n}]
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
