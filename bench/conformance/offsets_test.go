package conformance_test

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

var offsetCases = []testCase{
	{"commit beyond the end", commitBeyondEnd},
	{"records deleted past the commit", recordsDeleted},
	{"retention past the commit", retention},
	{"records deleted past a commit that moves", deletedPastMovingCommit},
	{"all records gone", allGone},
	{"compacted topic", compacted},
	{"commits gone", commitsGone},
}

func commitBeyondEnd(e *env) {
	topic, group := e.name, e.name
	e.topic(topic, 2)
	e.produce(topic, 0, 10)
	e.produce(topic, 1, 10)
	e.commit(group, topic, 0, 50)
	e.commit(group, topic, 1, 9)
	a := committed(group, topic)
	w := e.watch(a)
	w.poll()
	if sum := w.sum(a); sum.Complete() || sum.Known != 1 || sum.Lag != 1 {
		e.Errorf("the sum is %+v, want one of two partitions known", sum)
	}
	e.final(w, final{ask: a, want: lags{at(topic, 0): unknown("commit 50 is beyond the end 10"), at(topic, 1): known(1)}, tool: map[string]string{at(topic, 0): "-40"}})
}

func recordsDeleted(e *env) {
	topic, group := e.name, e.name
	e.topic(topic, 1)
	e.produce(topic, 0, 10)
	e.commit(group, topic, 0, 2)
	a := committed(group, topic)
	w := e.watch(a)
	w.poll()
	w.expect(a, lags{at(topic, 0): known(8)})
	e.deleteRecords(topic, 0, 7)
	after := lags{at(topic, 0): known(3)}
	w.turns(a, lags{at(topic, 0): known(8)}, after)
	e.final(w, final{ask: a, want: after, tool: map[string]string{at(topic, 0): "8"}})
	if n := len(e.readAll(topic, 0, 7, kgo.ReadUncommitted())); n != 3 {
		e.Errorf("%d messages are left, want 3", n)
	}
}

// deletedPastMovingCommit has a group that works off what it fetched before its messages were deleted.
func deletedPastMovingCommit(e *env) {
	topic, group := e.name, e.name
	e.topic(topic, 1)
	e.produce(topic, 0, 20)
	a := committed(group, topic)
	w := e.watch(a)
	e.commit(group, topic, 0, 0)
	w.poll()
	for commit := range int64(5) {
		e.commit(group, topic, 0, commit+1)
		e.deleteRecords(topic, 0, 10+commit)
		w.poll()
	}
	e.final(w, final{ask: a, want: lags{at(topic, 0): known(6)}, tool: map[string]string{at(topic, 0): "15"}})
}

// retention lets the broker's own retention delete what was produced, and then keeps what comes.
func retention(e *env) {
	topic, group := e.name, e.name
	e.topic(topic, 1, "retention.ms", "300", "segment.ms", "100")
	e.produce(topic, 0, 10)
	e.commit(group, topic, 0, 2)
	e.until("retention deleted the messages", func() (bool, error) {
		if e.target.isFake() {
			e.target.fake.ApplyRetention()
		}
		starts, err := e.admin.ListStartOffsets(e.Context(), topic)
		start, _ := starts.Lookup(topic, 0)
		return start.Offset == 10, err
	})
	e.alterTopic(topic, "retention.ms", "3600000")
	e.produce(topic, 0, 3)
	a := committed(group, topic)
	w := e.watch(a)
	w.poll()
	e.final(w, final{ask: a, want: lags{at(topic, 0): known(3)}, tool: map[string]string{at(topic, 0): "11"}})
}

func allGone(e *env) {
	topic, group := e.name, e.name
	e.topic(topic, 1)
	e.produce(topic, 0, 10)
	e.commit(group, topic, 0, 2)
	e.deleteRecords(topic, 0, 10)
	a := committed(group, topic)
	w := e.watch(a)
	w.poll()
	e.final(w, final{ask: a, want: lags{at(topic, 0): known(0)}, tool: map[string]string{at(topic, 0): "8"}})
}

// compacted commits in a hole that compaction made. The lag is by offsets, as the tool's, and so the most that there can be.
func compacted(e *env) {
	topic, group := e.name, e.name
	e.topic(topic, 1, "cleanup.policy", "compact", "segment.ms", "100", "min.cleanable.dirty.ratio", "0.01", "max.compaction.lag.ms", "200")
	for round := range 3 {
		for key := range 5 {
			e.write(e.client, &kgo.Record{Topic: topic, Key: fmt.Append(nil, key), Value: fmt.Append(nil, round)})
		}
	}
	const overwritten = 10
	left, written, tries := 0, 15, 0
	e.until("compaction took what was overwritten", func() (bool, error) {
		if e.target.isFake() {
			e.target.fake.Compact()
		}
		if tries%50 == 0 {
			// The last segment is not compacted; another is begun when something is written after its time.
			time.Sleep(150 * time.Millisecond)
			e.write(e.client, &kgo.Record{Topic: topic, Key: fmt.Append(nil, "last", tries), Value: []byte("x")})
			written++
		}
		tries++
		left = len(e.readAll(topic, 0, 0, kgo.ReadUncommitted()))
		return left == written-overwritten, nil
	})
	ends, err := e.admin.ListEndOffsets(e.Context(), topic)
	if err != nil {
		e.Fatal(err)
	}
	end, _ := ends.Lookup(topic, 0)
	starts, err := e.admin.ListStartOffsets(e.Context(), topic)
	if err != nil {
		e.Fatal(err)
	}
	start, _ := starts.Lookup(topic, 0) // which kfake moves, and a broker does not
	const commit = 2
	e.commit(group, topic, 0, commit)
	a, offsets := committed(group, topic), end.Offset-max(commit, start.Offset)
	w := e.watch(a)
	w.poll()
	e.final(w, final{ask: a, want: lags{at(topic, 0): known(offsets)}, tool: map[string]string{at(topic, 0): fmt.Sprint(end.Offset - commit)}})
}

// commitsGone has offsets vanish, as they do when they expire or somebody deletes a group: the lag is not that of one that never committed.
func commitsGone(e *env) {
	topic, group := e.name, e.name
	e.topic(topic, 1)
	e.produce(topic, 0, 10)
	e.commit(group, topic, 0, 4)
	a := committed(group, topic)
	w := e.watch(a)
	w.poll()
	w.expect(a, lags{at(topic, 0): known(6)})
	if _, err := e.admin.DeleteGroup(e.Context(), group); err != nil {
		e.Fatal(err)
	}
	w.poll()
	w.expect(a, lags{at(topic, 0): unknown("its commit 4 is gone")})
	e.commit(group, topic, 0, 5)
	w.poll()
	e.final(w, final{ask: a, want: lags{at(topic, 0): known(5)}})
}
