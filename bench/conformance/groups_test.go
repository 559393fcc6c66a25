package conformance_test

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"swell/api/v1alpha1"
)

var groupCases = []testCase{
	{"classic group", func(e *env) { memberCase(e, "classic", kgo.Balancers(kgo.RangeBalancer())) }},
	{"consumer group", func(e *env) {
		memberCase(e, "consumer", kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer()))
	}},
	{"commits without members", commitsAlone},
	{"share group", shareGroup},
	{"share group that never read", shareGroupUnread},
	{"never committed", neverCommitted},
}

// memberCase has a member of a group read and commit some of a topic; what it read is the oracle.
func memberCase(e *env, kind string, opts ...kgo.Opt) {
	topic, group := e.name, e.name
	e.topic(topic, 3)
	produced := []int{20, 7, 12}
	for p, n := range produced {
		e.produce(topic, int32(p), n)
	}
	member := e.member(append(opts, kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	records := e.readSome(member, 25)
	if err := member.CommitRecords(e.Context(), records...); err != nil {
		e.Fatal(err)
	}
	listed, err := e.admin.ListGroupsByType(e.Context(), []string{kind})
	if err != nil {
		e.Fatal(err)
	}
	if _, ok := listed[group]; !ok {
		e.Fatalf("the broker does not list %s as a %s group: %v", group, kind, slices.Collect(maps.Keys(listed)))
	}
	f := final{ask: committed(group, topic).policy(v1alpha1.UncommittedEarliest), want: lags{}, tool: map[string]string{}}
	for p, n := range produced {
		read := 0
		for _, r := range records {
			if r.Partition == int32(p) {
				read++
			}
		}
		f.want[at(topic, int32(p))] = known(int64(n - read))
		if read == 0 {
			f.tool[at(topic, int32(p))] = "-"
		}
	}
	w := e.watch(f.ask)
	w.poll()
	e.final(w, f)
}

func commitsAlone(e *env) {
	topic, group := e.name, e.name
	e.topic(topic, 3)
	e.produce(topic, 0, 10)
	e.produce(topic, 1, 5)
	e.commit(group, topic, 0, 4)
	e.commit(group, topic, 1, 5)
	e.commit(group, topic, 2, 0)
	w := e.watch(committed(group, topic))
	w.poll()
	e.final(w, final{ask: committed(group, topic), want: lags{at(topic, 0): known(6), at(topic, 1): known(0), at(topic, 2): known(0)}})
}

// shareGroup has a member take every other message of what it was given, so that what is done has holes.
func shareGroup(e *env) {
	topic, group := e.name, e.name
	e.topic(topic, 2)
	e.produce(topic, 0, 10)
	e.produce(topic, 1, 4)
	left := e.shareRead(group, topic, []int{10, 4}, func(r *kgo.Record) bool { return r.Offset%2 == 0 })
	a := committed(group, topic)
	w := e.watch(a)
	w.poll()
	e.final(w, final{ask: a, want: left, share: true})
	if !w.sum(a).Share {
		e.Error("it is not said to be a share group")
	}
}

// shareRead has a member of a share group meet all messages that the topic's partitions hold, take some, give the others back, and
// leave. It is how many were not taken.
func (e *env) shareRead(group, topic string, produced []int, take func(*kgo.Record) bool) lags {
	e.Helper()
	e.groupConfig(group, "share.auto.offset.reset", "earliest")
	member := e.open(kgo.ShareGroup(group), kgo.ConsumeTopics(topic), kgo.FetchMaxWait(200*time.Millisecond))
	ctx, cancel := context.WithTimeout(e.Context(), patience)
	defer cancel()
	type message struct {
		partition int32
		offset    int64
	}
	met, left, total := map[message]int{}, lags{}, 0
	for p, n := range produced {
		left[at(topic, int32(p))] = known(int64(n))
		total += n
	}
	for len(met) < total {
		time.Sleep(50 * time.Millisecond) // so that one poll has all there is: what is given back comes again
		fetches := member.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			e.Fatalf("meet %d messages, met %d: %v", total, len(met), err)
		}
		// What has no answer at the next poll is taken, and what is given back five times is thrown away.
		fetches.EachRecord(func(r *kgo.Record) {
			m := message{r.Partition, r.Offset}
			met[m]++
			if !take(r) && met[m] < 4 {
				r.Ack(kgo.AckRelease)
				return
			}
			r.Ack(kgo.AckAccept)
			key := at(r.Topic, r.Partition)
			left[key] = known(left[key].n - 1)
		})
	}
	if err := member.FlushAcks(ctx); err != nil {
		e.Fatal(err)
	}
	member.Close()
	return left
}

// shareGroupUnread has a share group that exists and of which the broker knows no lag.
func shareGroupUnread(e *env) {
	topic, group := e.name, e.name
	e.topic(topic, 1)
	e.produce(topic, 0, 5)
	e.member(kgo.ShareGroup(group), kgo.ConsumeTopics(topic))
	e.until("the group is listed", func() (bool, error) {
		listed, err := e.admin.ListGroupsByType(e.Context(), []string{"share"})
		_, ok := listed[group]
		return ok, err
	})
	a := committed(group, topic)
	w := e.watch(a)
	w.poll()
	// It begins at the end, so the lag is none; until its state is set up the broker says that it does not know.
	for key, m := range w.lags(a) {
		if m.problem == "" && m.n != 0 {
			e.Errorf("%s is %s, want 0 or unknown", key, m)
		}
	}
}

func neverCommitted(e *env) {
	topic, group := e.name, e.name
	e.topic(topic, 2)
	e.produce(topic, 0, 10)
	e.deleteRecords(topic, 0, 4)
	none := map[string]string{at(topic, 0): "", at(topic, 1): ""}
	for _, c := range []struct {
		policy v1alpha1.Uncommitted
		want   lags
	}{
		{v1alpha1.UncommittedLatest, lags{at(topic, 0): known(0), at(topic, 1): known(0)}},
		{v1alpha1.UncommittedEarliest, lags{at(topic, 0): known(6), at(topic, 1): known(0)}},
		{v1alpha1.UncommittedError, lags{at(topic, 0): unknown("never committed"), at(topic, 1): unknown("never committed")}},
	} {
		a := committed(group, topic).policy(c.policy)
		w := e.watch(a)
		w.poll()
		e.final(w, final{ask: a, want: c.want, tool: none})
	}
}
