package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"swell/metrics/lag"
)

// pass is one round of ListOffsets over the leaders: one isolation and one timestamp, since a
// partition may be named once in a request.
type pass int

const (
	latest pass = iota
	stable
	earliest
)

func (s pass) isolation() int8 {
	if s == stable {
		return 1
	}
	return 0
}

func (s pass) timestamp() int64 {
	if s == earliest {
		return -2
	}
	return -1
}

// listed are the offsets that a poll read.
type listed struct {
	offsets  [3]map[partition]int64
	problems map[partition]string
	// answered counts the brokers' answers.
	answered int
}

// fetchOffsets runs the passes that the wanted groups need, one request for each leader and pass. Log
// starts move slowly, so they are read at the pace of the metadata and where one is missing.
func (p *Poller) fetchOffsets(ctx context.Context, now time.Time, wants map[string]*want, commits map[string]groupCommits) listed {
	asked := [3]map[partition]bool{{}, {}, {}}
	for group, w := range wants {
		for _, part := range p.partitions(w, commits[group]) {
			if w.latest {
				asked[latest][part] = true
			}
			if w.stable {
				asked[stable][part] = true
			}
			if p.needsStart(now, part) {
				asked[earliest][part] = true
			}
		}
	}
	l := listed{problems: map[partition]string{}}
	for s := range asked {
		l.offsets[s] = map[partition]int64{}
		p.runPass(ctx, pass(s), asked[s], &l)
	}
	if now.Sub(p.view.startsAt) >= p.opts.Cluster.MetadataEvery.Duration {
		p.view.startsAt = now
	}
	for part := range asked[earliest] {
		// One that was not answered is asked for again in the next poll.
		delete(p.view.starts, part)
		if offset, ok := l.offsets[earliest][part]; ok {
			p.view.starts[part] = startOffset{p.view.topics[part.topic].id, offset}
		}
	}
	return l
}

func (p *Poller) needsStart(now time.Time, part partition) bool {
	known, ok := p.view.starts[part]
	return !ok || known.topicID != p.view.topics[part.topic].id || now.Sub(p.view.startsAt) >= p.opts.Cluster.MetadataEvery.Duration
}

// partitions are those of the topics that a group is asked about, as far as they exist.
func (p *Poller) partitions(w *want, commits groupCommits) []partition {
	var parts []partition
	for _, topic := range p.topicsOf(w, commits) {
		for n, l := range p.view.topics[topic].leaders {
			if l.problem == "" {
				parts = append(parts, partition{topic, n})
			}
		}
	}
	return parts
}

// topicsOf are the topics of one group: named, matched by an expression, or committed where none is named.
func (p *Poller) topicsOf(w *want, commits groupCommits) []string {
	topics := map[string]bool{}
	for part := range commits {
		// A commit outlives its topic: only what is not gone, or was asked for by name, counts.
		if w.match(part.topic) && !p.view.topics[part.topic].gone() {
			topics[part.topic] = true
		}
	}
	for _, t := range w.topics {
		for _, name := range t.names {
			topics[name] = true
		}
		if len(t.exprs) == 0 {
			continue
		}
		for name, tv := range p.view.topics {
			if t.Match(name) && !tv.gone() {
				topics[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(topics))
}

func (p *Poller) runPass(ctx context.Context, s pass, asked map[partition]bool, l *listed) {
	byLeader := map[int32]map[string][]int32{}
	for part := range asked {
		id := p.view.topics[part.topic].leaders[part.n].broker
		if byLeader[id] == nil {
			byLeader[id] = map[string][]int32{}
		}
		byLeader[id][part.topic] = append(byLeader[id][part.topic], part.n)
	}
	var (
		wg sync.WaitGroup
		mu sync.Mutex
	)
	for id, topics := range byLeader {
		wg.Go(func() {
			resp, err := p.askOffsets(ctx, id, s, topics)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				p.view.stale()
				for topic, parts := range topics {
					for _, n := range parts {
						l.problems[partition{topic, n}] = fmt.Sprintf("read its offsets from broker %s: %v", p.view.broker(id), err)
					}
				}
				return
			}
			l.answered++
			p.takeOffsets(resp, id, s, l)
		})
	}
	wg.Wait()
}

func (p *Poller) askOffsets(ctx context.Context, broker int32, s pass, topics map[string][]int32) (*kmsg.ListOffsetsResponse, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID, req.IsolationLevel = -1, s.isolation()
	for _, topic := range slices.Sorted(maps.Keys(topics)) {
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic = topic
		slices.Sort(topics[topic])
		for _, n := range topics[topic] {
			one := kmsg.NewListOffsetsRequestTopicPartition()
			one.Partition, one.Timestamp = n, s.timestamp()
			t.Partitions = append(t.Partitions, one)
		}
		req.Topics = append(req.Topics, t)
	}
	ctx, cancel := context.WithTimeout(ctx, p.opts.Cluster.RequestTimeout.Duration)
	defer cancel()
	resp, err := p.client.Broker(int(broker)).Request(ctx, req)
	if err != nil {
		return nil, err
	}
	r, ok := resp.(*kmsg.ListOffsetsResponse)
	if !ok {
		return nil, errors.New("its answer is of another kind")
	}
	return r, nil
}

func (p *Poller) takeOffsets(resp *kmsg.ListOffsetsResponse, broker int32, s pass, l *listed) {
	for _, t := range resp.Topics {
		for _, one := range t.Partitions {
			part := partition{t.Topic, one.Partition}
			if err := kerr.ErrorForCode(one.ErrorCode); err != nil {
				p.view.stale()
				l.problems[part] = fmt.Sprintf("read its offsets from broker %s: %v%s", p.view.broker(broker), err, mendFor(err))
				continue
			}
			l.offsets[s][part] = one.Offset
		}
	}
}

// readings puts one group's commits and offsets together, a reading for every partition that its topics have.
func (p *Poller) readings(at time.Time, w *want, commits groupCommits, l listed) []lag.Reading {
	var out []lag.Reading
	for _, topic := range p.topicsOf(w, commits) {
		tv := p.view.topics[topic]
		if problem := tv.problem(); problem != "" {
			out = append(out, failed(at, topic, lag.NoPartition, tv.id, problem))
			continue
		}
		for _, n := range slices.Sorted(maps.Keys(tv.leaders)) {
			out = append(out, p.reading(at, w, partition{topic, n}, commits, l))
		}
	}
	return out
}

func (p *Poller) reading(at time.Time, w *want, part partition, commits groupCommits, l listed) lag.Reading {
	tv := p.view.topics[part.topic]
	c, committed := commits[part]
	if !committed {
		c.offset = lag.Unknown
	}
	if problem := cmp.Or(tv.leaders[part.n].problem, c.problem, l.problems[part]); problem != "" {
		return failed(at, part.topic, part.n, tv.id, problem)
	}
	r := lag.Reading{Topic: part.topic, Partition: part.n, TopicID: tv.id, At: at, Commit: max(c.offset, lag.Unknown),
		End: offsetOf(l.offsets[latest], part), Stable: offsetOf(l.offsets[stable], part), Start: lag.Unknown}
	if s, ok := p.view.starts[part]; ok && s.topicID == tv.id {
		r.Start = s.offset
	}
	if (w.latest && r.End < 0) || (w.stable && r.Stable < 0) || r.Start < 0 {
		return failed(at, part.topic, part.n, tv.id, fmt.Sprintf("broker %s left the partition out of its answer", p.view.broker(tv.leaders[part.n].broker)))
	}
	if end := max(r.End, r.Stable); r.Start > end || r.Commit > end {
		// The topic may have been made anew, or truncated: look again before the next poll.
		delete(p.view.starts, part)
		p.view.stale()
	}
	return r
}

func failed(at time.Time, topic string, n int32, id [16]byte, problem string) lag.Reading {
	return lag.Reading{Topic: topic, Partition: n, TopicID: id, At: at, Problem: problem,
		Commit: lag.Unknown, End: lag.Unknown, Stable: lag.Unknown, Start: lag.Unknown}
}

func offsetOf(m map[partition]int64, part partition) int64 {
	if o, ok := m[part]; ok {
		return o
	}
	return lag.Unknown
}
