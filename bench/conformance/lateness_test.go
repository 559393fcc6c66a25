package conformance_test

import (
	"fmt"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"swell/metrics/lag"
)

var latenessCases = []testCase{
	{"late by the broker's stamps", lateByBroker},
	{"late with nothing young", lateWithNothingYoung},
	{"late past the log start", latePastLogStart},
	{"late by producers' stamps", lateByProducers},
	{"late in an open transaction", lateInOpenTransaction},
	{"two ages of one group", twoAges},
	{"late with transactions", lateWithTransactions},
	{"late of a share group", lateOfShareGroup},
	{"oldest message from samples", oldestFromSamples},
	{"oldest message by look-up", oldestByLookUp},
}

const byBroker = "LogAppendTime"

// lateTopic writes 2n messages, some milliseconds apart, and asks for an age in the middle of them.
func (e *env) lateTopic(stamps string, n int) (topic string, between time.Time) {
	e.Helper()
	topic = e.name
	e.topic(topic, 1, "message.timestamp.type", stamps)
	for i := range 2 * n {
		if i == n {
			between = time.Now()
		}
		e.produce(topic, 0, 1)
		time.Sleep(20 * time.Millisecond)
	}
	return topic, between
}

// lateOf asks a group for what is older than an instant, as nearly as the poll comes at once: what is late is counted with the poll's own time.
func lateOf(group, topic string, before time.Time) ask {
	a := committed(group, topic)
	a.lateAfter = time.Since(before)
	return a
}

// countLate counts the messages themselves: those that a consumer of the ask's isolation still gets and whose stamp was older than
// the age at the time of the poll. Stamps and what a broker is asked for are whole milliseconds, so a message on the edge counts as either.
func (e *env) countLate(r lag.Reading, after time.Duration, isolation kgo.IsolationLevel) (least, most int64) {
	e.Helper()
	edge := r.At.Add(-after).UnixMilli()
	for _, m := range e.readAll(r.Topic, r.Partition, max(r.Commit, r.Start), isolation) {
		if stamp := m.Timestamp.UnixMilli(); stamp < edge {
			least++
			most++
		} else if stamp == edge {
			most++
		}
	}
	return least, most
}

// expectLate compares the sum of a single partition with the count.
func (e *env) expectLate(w *watch, a ask, topic string, exact bool) lag.Sum {
	e.Helper()
	w.poll()
	sum, r := w.sum(a), w.reading(a, topic, 0)
	least, most := e.countLate(r, a.lateAfter, kgo.ReadCommitted())
	switch {
	case sum.LateProblem != "" || sum.LateExact != exact:
		e.Errorf("late: %q, exact %t, want no problem and exact %t", sum.LateProblem, sum.LateExact, exact)
	case exact && (sum.Late < least || sum.Late > most):
		e.Errorf("%d late messages, but counted one by one %d to %d", sum.Late, least, most)
	case !exact && sum.Late > most:
		e.Errorf("at least %d late messages, but counted one by one %d", sum.Late, most)
	}
	e.Logf("%d late messages of a lag of %d, counted one by one %d to %d", sum.Late, sum.Lag, least, most)
	return sum
}

func lateByBroker(e *env) {
	topic, between := e.lateTopic(byBroker, 20)
	e.commit(e.name, topic, 0, 4)
	a := lateOf(e.name, topic, between)
	sum := e.expectLate(e.watch(a), a, topic, true)
	if sum.Lag != 36 || sum.Late < 16 || sum.Late == sum.Lag {
		e.Errorf("lag %d with %d late, want 36 with at least the 16 of the first ones, and not all", sum.Lag, sum.Late)
	}
}

func lateWithNothingYoung(e *env) {
	e.topic(e.name, 1, "message.timestamp.type", byBroker)
	e.produce(e.name, 0, 10)
	e.commit(e.name, e.name, 0, 4)
	time.Sleep(20 * time.Millisecond)
	a := committed(e.name, e.name)
	a.lateAfter = time.Millisecond
	if sum := e.expectLate(e.watch(a), a, e.name, true); sum.Late != 6 {
		e.Errorf("%d late, want all 6", sum.Late)
	}
	// Nothing is late where nothing is left.
	e.commit(e.name, e.name, 0, 10)
	if sum := e.expectLate(e.watch(a), a, e.name, true); sum.Late != 0 {
		e.Errorf("%d late of no lag", sum.Late)
	}
}

func latePastLogStart(e *env) {
	topic, between := e.lateTopic(byBroker, 10)
	e.commit(e.name, topic, 0, 2)
	e.deleteRecords(topic, 0, 7)
	a := lateOf(e.name, topic, between)
	if sum := e.expectLate(e.watch(a), a, topic, true); sum.Late < 3 {
		e.Errorf("%d late, want at least the 3 that are left of the first ones", sum.Late)
	}
}

// lateByProducers stamps messages out of order: what is late is at least what comes before the first young one.
func lateByProducers(e *env) {
	topic, group := e.name, e.name
	e.topic(topic, 1, "message.timestamp.type", "CreateTime")
	now := time.Now()
	ages := []time.Duration{100, 90, 80, 2, 70, 60, 1, 50, 0}
	for i, age := range ages {
		e.write(e.client, &kgo.Record{Topic: topic, Value: fmt.Append(nil, i), Timestamp: now.Add(-age * time.Second)})
	}
	e.commit(group, topic, 0, 1)
	a := lateOf(group, topic, now.Add(-30*time.Second))
	sum := e.expectLate(e.watch(a), a, topic, false)
	if sum.Late != 2 {
		e.Errorf("%d late, want the 2 before the first young one; 5 are", sum.Late)
	}
}

// lateInOpenTransaction has old messages that who reads committed ones may not read yet: they are no lag, so they are not late.
func lateInOpenTransaction(e *env) {
	e.topic(e.name, 1, "message.timestamp.type", byBroker)
	e.produce(e.name, 0, 5)
	e.transaction(e.name, 3)
	e.commit(e.name, e.name, 0, 1)
	time.Sleep(20 * time.Millisecond)
	a := committed(e.name, e.name)
	a.lateAfter = time.Millisecond
	all := a.uncommittedToo()
	w := e.watch(a, all)
	if sum := e.expectLate(w, a, e.name, true); sum.Late != 4 || sum.Lag != 4 {
		e.Errorf("%d late of %d, want 4 of 4", sum.Late, sum.Lag)
	}
	if sum := w.sum(all); sum.Late != 7 || sum.Lag != 7 {
		e.Errorf("%d late of %d for who reads uncommitted messages, want 7 of 7", sum.Late, sum.Lag)
	}
}

// lateWithTransactions has markers among the old messages. As in the lag, each counts as one: offsets are what brokers tell.
func lateWithTransactions(e *env) {
	topic, group := e.name, e.name
	e.topic(topic, 1, "message.timestamp.type", byBroker)
	producer, end := e.transaction(topic, 3)
	end(kgo.TryCommit)
	if err := producer.BeginTransaction(); err != nil {
		e.Fatal(err)
	}
	e.write(producer, &kgo.Record{Topic: topic, Value: []byte("x")})
	end(kgo.TryAbort)
	e.produce(topic, 0, 2)
	e.commit(group, topic, 0, 1)
	time.Sleep(20 * time.Millisecond)
	a := committed(group, topic)
	a.lateAfter = time.Millisecond
	w := e.watch(a)
	w.poll()
	sum, r := w.sum(a), w.reading(a, topic, 0)
	least, _ := e.countLate(r, a.lateAfter, kgo.ReadCommitted())
	const notMessages = 3 // two markers and an aborted message
	if sum.Late != sum.Lag || sum.Late != least+notMessages {
		e.Errorf("%d late of a lag of %d, want all, which is %d more than the %d counted one by one", sum.Late, sum.Lag, notMessages, least)
	}
}

// lateOfShareGroup has a group that took messages out of turn: what is late is not said to be more than it is.
func lateOfShareGroup(e *env) {
	topic, group := e.name, e.name
	e.topic(topic, 1, "message.timestamp.type", byBroker)
	e.produce(topic, 0, 8)
	taken := func(r *kgo.Record) bool { return r.Offset < 2 || r.Offset == 5 || r.Offset == 6 }
	left := e.shareRead(group, topic, []int{8}, taken)
	time.Sleep(200 * time.Millisecond)
	between := time.Now()
	time.Sleep(200 * time.Millisecond)
	e.produce(topic, 0, 4)
	a := lateOf(group, topic, between)
	w := e.watch(a)
	w.poll()
	sum, r := w.sum(a), w.reading(a, topic, 0)
	if want := left[at(topic, 0)].n + 4; sum.Lag != want {
		e.Fatalf("the lag is %d, want %d", sum.Lag, want)
	}
	var late int64
	for _, m := range e.readAll(topic, 0, 0, kgo.ReadUncommitted()) {
		if !m.Timestamp.After(r.At.Add(-a.lateAfter)) {
			late++
		}
	}
	late -= 8 - left[at(topic, 0)].n // all that was taken is old
	if sum.LateProblem != "" || sum.LateExact || sum.Late > late || sum.Late < late-2 {
		e.Errorf("%d late, exact %t (%q), want a bound of the %d, at most the 2 lower that were taken out of turn", sum.Late, sum.LateExact, sum.LateProblem, late)
	}
}

// twoAges are asked for by two consumers of one group and topic.
func twoAges(e *env) {
	topic, between := e.lateTopic(byBroker, 10)
	e.commit(e.name, topic, 0, 0)
	some, none := lateOf(e.name, topic, between), committed(e.name, topic)
	none.lateAfter = time.Hour
	w := e.watch(some, none)
	e.expectLate(w, some, topic, true)
	if sum := e.expectLate(w, none, topic, true); sum.Late != 0 {
		e.Errorf("%d messages are older than an hour", sum.Late)
	}
}

// oldestFromSamples polls while messages come, then goes back in them.
func oldestFromSamples(e *env) {
	topic, group := e.name, e.name
	e.topic(topic, 1, "message.timestamp.type", byBroker)
	a := committed(group, topic)
	a.ages = true
	w := e.watch(a)
	var stamps, polled []time.Time
	e.commit(group, topic, 0, 0)
	for range 15 {
		w.poll()
		polled = append(polled, w.reading(a, topic, 0).At)
		for _, r := range e.produce(topic, 0, 3) {
			stamps = append(stamps, r.Timestamp)
		}
		time.Sleep(30 * time.Millisecond)
	}
	w.poll()
	polled = append(polled, w.reading(a, topic, 0).At)
	for _, commit := range []int64{3, 10, 31, 44} {
		e.commit(group, topic, 0, commit)
		w.poll()
		r, sum := w.reading(a, topic, 0), w.sum(a)
		interval := polled[commit/3+1].Sub(polled[commit/3])
		if off := r.OldestAt.Sub(stamps[commit]).Abs(); r.OldestAt.IsZero() || off > interval+time.Millisecond {
			e.Errorf("at %d the oldest message is said to be of %s, it is of %s; the polls around it were %s apart (%s)",
				commit, r.OldestAt, stamps[commit], interval, sum.SecondsProblem)
		}
		if want := r.At.Sub(r.OldestAt).Seconds(); sum.SecondsProblem != "" || math.Abs(sum.Seconds-want) > 0.001 {
			e.Errorf("lag of %g s (%q), want %g s", sum.Seconds, sum.SecondsProblem, want)
		}
	}
	e.commit(group, topic, 0, int64(len(stamps)))
	w.poll()
	if sum := w.sum(a); sum.SecondsProblem != "" || sum.Seconds != 0 {
		e.Errorf("lag of %g s (%q) with all messages read, want 0", sum.Seconds, sum.SecondsProblem)
	}
}

// oldestByLookUp asks with a poller that has seen none of the messages come. Their stamps reach far back, so that the looks have a way to go.
func oldestByLookUp(e *env) {
	topic, group := e.name, e.name
	e.topic(topic, 1, "message.timestamp.type", "CreateTime")
	var stamps []time.Time
	for age := 48 * time.Hour; age > time.Second; age = age * 4 / 5 {
		r := &kgo.Record{Topic: topic, Value: []byte("x"), Timestamp: time.Now().Add(-age).Truncate(time.Millisecond)}
		e.write(e.client, r)
		stamps = append(stamps, r.Timestamp)
	}
	a := committed(group, topic)
	a.ages = true
	w := e.watch(a)
	// To and fro, as a group that is reset.
	for _, commit := range []int{20, 40, 2, len(stamps) - 2} {
		e.commit(group, topic, 0, int64(commit))
		var off, most time.Duration
		for range 40 {
			w.poll()
			r := w.reading(a, topic, 0)
			off, most = r.OldestAt.Sub(stamps[commit]).Abs(), max(time.Second, r.At.Sub(stamps[commit])/10)
			if !r.OldestAt.IsZero() && off <= most {
				break
			}
		}
		if off > most {
			e.Errorf("at %d after 40 polls the time of the oldest message, %s, is wrong by %s, more than %s (%s)", commit, stamps[commit], off, most, w.sum(a).SecondsProblem)
		}
	}
}
