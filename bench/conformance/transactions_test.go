package conformance_test

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

var transactionCases = []testCase{
	{"open transaction", openTransaction},
	{"commit inside an open transaction", commitInOpenTransaction},
	{"committed transaction", func(e *env) { endedTransaction(e, kgo.TryCommit) }},
	{"aborted transaction", func(e *env) { endedTransaction(e, kgo.TryAbort) }},
	{"only markers left", onlyMarkers},
	{"only aborted messages left", onlyAborted},
	{"a message behind the markers", messageBehindMarkers},
}

// transaction begins one whose messages go to partition 0. It lives until it is ended or the target ends.
func (e *env) transaction(topic string, n int) (producer *kgo.Client, end func(kgo.TransactionEndTry)) {
	e.Helper()
	producer = e.member(kgo.TransactionalID(e.name), kgo.TransactionTimeout(10*time.Minute), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	if err := producer.BeginTransaction(); err != nil {
		e.Fatal(err)
	}
	for i := range n {
		e.write(producer, &kgo.Record{Topic: topic, Value: fmt.Append(nil, i)})
	}
	return producer, func(how kgo.TransactionEndTry) { e.endTransaction(producer, topic, how) }
}

// endTransaction waits until partition 0 has the marker, which a broker writes after it answered.
func (e *env) endTransaction(producer *kgo.Client, topic string, how kgo.TransactionEndTry) {
	e.Helper()
	if err := producer.EndTransaction(e.Context(), how); err != nil {
		e.Fatal(err)
	}
	e.until("the marker is written", func() (bool, error) {
		ends, err := e.admin.ListEndOffsets(e.Context(), topic)
		if err != nil {
			return false, err
		}
		stable, err := e.admin.ListCommittedOffsets(e.Context(), topic)
		end, _ := ends.Lookup(topic, 0)
		committed, _ := stable.Lookup(topic, 0)
		return end.Offset == committed.Offset, err
	})
}

// openTransaction asks for both isolations of one group: the last stable offset holds one of them back.
func openTransaction(e *env) {
	topic, group := e.name, e.name
	e.topic(topic, 1)
	e.produce(topic, 0, 5)
	e.transaction(topic, 3)
	e.produce(topic, 0, 2)
	e.commit(group, topic, 0, 2)
	stable, all := committed(group, topic), committed(group, topic).uncommittedToo()
	w := e.watch(stable, all)
	w.poll()
	e.final(w, final{ask: stable, want: lags{at(topic, 0): known(3)}, tool: map[string]string{at(topic, 0): "8"}})
	e.final(w, final{ask: all, want: lags{at(topic, 0): known(8)}})
}

// commitInOpenTransaction has a group of one isolation ahead of what the other may read.
func commitInOpenTransaction(e *env) {
	topic, group := e.name, e.name
	e.topic(topic, 1)
	e.produce(topic, 0, 5)
	e.transaction(topic, 3)
	e.commit(group, topic, 0, 7)
	stable, all := committed(group, topic), committed(group, topic).uncommittedToo()
	w := e.watch(stable, all)
	w.poll()
	e.final(w, final{ask: stable, want: lags{at(topic, 0): unknown("transaction is open")}, tool: map[string]string{at(topic, 0): "1"}})
	e.final(w, final{ask: all, want: lags{at(topic, 0): known(1)}})
}

// endedTransaction reads before and after the end of a transaction; its marker takes an offset.
func endedTransaction(e *env, how kgo.TransactionEndTry) {
	topic, group := e.name, e.name
	e.topic(topic, 1)
	e.produce(topic, 0, 5)
	_, end := e.transaction(topic, 3)
	e.commit(group, topic, 0, 2)
	stable, all := committed(group, topic), committed(group, topic).uncommittedToo()
	w := e.watch(stable, all)
	w.poll()
	w.expect(stable, lags{at(topic, 0): known(3)})
	w.expect(all, lags{at(topic, 0): known(6)})
	end(how)
	e.produce(topic, 0, 1)
	after := lags{at(topic, 0): known(8)}
	w.turns(stable, lags{at(topic, 0): known(3)}, after)
	e.final(w, final{ask: stable, want: after})
	e.final(w, final{ask: all, want: after})
}

// onlyMarkers has a consumer read all that there is, and commit as consumers do: the message's offset and one.
func onlyMarkers(e *env) {
	topic, group := e.name, e.name
	e.topic(topic, 1)
	_, end := e.transaction(topic, 4)
	end(kgo.TryCommit)
	records := e.readAll(topic, 0, 0, kgo.ReadCommitted())
	if len(records) != 4 {
		e.Fatalf("read %d messages, want 4", len(records))
	}
	e.commit(group, topic, 0, records[3].Offset+1)
	nothing(e, group, topic, 1)
}

// onlyAborted has aborted messages behind the commit: nobody who reads committed messages will get one.
func onlyAborted(e *env) {
	topic, group := e.name, e.name
	e.topic(topic, 1)
	e.produce(topic, 0, 3)
	_, end := e.transaction(topic, 4)
	end(kgo.TryAbort)
	e.commit(group, topic, 0, 3)
	if records := e.readAll(topic, 0, 3, kgo.ReadCommitted()); len(records) != 0 {
		e.Fatalf("read %d messages, want none", len(records))
	}
	nothing(e, group, topic, 5)
	all := committed(group, topic).uncommittedToo()
	w := e.proving(all)
	w.poll()
	w.poll()
	if got := w.lags(all)[at(topic, 0)]; got != known(5) {
		e.Errorf("who reads uncommitted messages has %s before it, want the 4 aborted ones and their marker", got)
	}
}

// nothing expects a lag by offsets where there is no message, and that a proof finds that out.
func nothing(e *env, group, topic string, byOffsets int64) {
	e.Helper()
	a := committed(group, topic)
	w := e.watch(a)
	w.poll()
	e.final(w, final{ask: a, want: lags{at(topic, 0): known(byOffsets)}})
	proving := e.proving(a)
	proving.turns(a, lags{at(topic, 0): known(byOffsets)}, lags{at(topic, 0): known(0)})
	e.final(proving, final{ask: a, prove: true, want: lags{at(topic, 0): known(0)}, tool: map[string]string{at(topic, 0): fmt.Sprint(byOffsets)}})
}

// messageBehindMarkers must not prove away what is there.
func messageBehindMarkers(e *env) {
	topic, group := e.name, e.name
	e.topic(topic, 1)
	_, end := e.transaction(topic, 2)
	end(kgo.TryCommit)
	e.commit(group, topic, 0, 2)
	a := committed(group, topic)
	w := e.proving(a)
	w.turns(a, lags{at(topic, 0): known(1)}, lags{at(topic, 0): known(0)})
	e.produce(topic, 0, 1)
	for range 3 {
		w.poll()
		got := w.lags(a)[at(topic, 0)]
		if got.problem != "" || got.n < 1 || got.n > 2 {
			e.Fatalf("the lag is %s with one message and one marker left, want 1 or 2", got)
		}
	}
}

// proving is a watch that may fetch what is left at the ends.
func (e *env) proving(asks ...ask) *watch {
	e.Helper()
	cluster := clusterAt(e.target.plain)
	cluster.ProveEmpty = true
	return newWatch(e.T, cluster, asks...)
}
