package conformance_test

import (
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"swell/api/v1alpha1"
)

var topicCases = []testCase{
	{"topic made anew with lower offsets", madeAnew},
	{"topic made anew without a commit", madeAnewUncommitted},
	{"topic deleted", topicDeleted},
	{"partitions added", partitionsAdded},
	{"topics by expression", byExpression},
	{"every committed topic", everyCommitted},
	{"topic that is not there", notThere},
}

func (e *env) alterTopic(topic, key, value string) {
	e.Helper()
	if _, err := e.admin.AlterTopicConfigs(e.Context(), []kadm.AlterConfig{{Name: key, Value: &value}}, topic); err != nil {
		e.Fatalf("alter %s of topic %s: %v", key, topic, err)
	}
}

// madeAnew has a consumer that did not hear of the new topic commit what it read of the old one.
func madeAnew(e *env) {
	topic, group := e.name, e.name
	e.topic(topic, 1)
	e.produce(topic, 0, 10)
	e.commit(group, topic, 0, 8)
	a := committed(group, topic)
	w := e.watch(a)
	w.poll()
	before := lags{at(topic, 0): known(2)}
	w.expect(a, before)
	e.deleteTopic(topic)
	e.until("the topic is gone", func() (bool, error) {
		listed, err := e.admin.ListTopics(e.Context())
		return err == nil && !listed.Has(topic), err
	})
	e.topic(topic, 1)
	e.produce(topic, 0, 3)
	e.commit(group, topic, 0, 8)
	w.turns(a, before, lags{at(topic, 0): unknown("commit 8 is beyond the end 3")})
	if sum := w.sum(a); sum.Complete() || sum.Lag != 0 {
		e.Errorf("the sum is %+v, want unknown", sum)
	}
	e.commit(group, topic, 0, 1)
	w.poll()
	e.final(w, final{ask: a, want: lags{at(topic, 0): known(2)}})
}

// madeAnewUncommitted has a broker forget the commits with the topic: the group has not read the new one.
func madeAnewUncommitted(e *env) {
	topic, group := e.name, e.name
	e.topic(topic, 1)
	e.produce(topic, 0, 10)
	e.commit(group, topic, 0, 8)
	a := committed(group, topic).policy(v1alpha1.UncommittedEarliest)
	w := e.watch(a)
	w.poll()
	before := lags{at(topic, 0): known(2)}
	w.expect(a, before)
	e.deleteTopic(topic)
	e.until("the topic is gone", func() (bool, error) {
		listed, err := e.admin.ListTopics(e.Context())
		return err == nil && !listed.Has(topic), err
	})
	e.topic(topic, 1)
	e.produce(topic, 0, 3)
	after := lags{at(topic, 0): known(3)}
	w.turns(a, before, after)
	e.final(w, final{ask: a, want: after, tool: map[string]string{at(topic, 0): ""}})
}

// topicDeleted must not turn a lag to nothing.
func topicDeleted(e *env) {
	topic, group := e.name, e.name
	e.topic(topic, 1)
	e.produce(topic, 0, 10)
	e.commit(group, topic, 0, 8)
	a := committed(group, topic)
	w := e.watch(a)
	w.poll()
	before := lags{at(topic, 0): known(2)}
	w.expect(a, before)
	e.deleteTopic(topic)
	w.turns(a, before, lags{at(topic, -1): unknown("create the topic")})
}

func partitionsAdded(e *env) {
	topic, group := e.name, e.name
	e.topic(topic, 1)
	e.produce(topic, 0, 5)
	e.commit(group, topic, 0, 5)
	a := committed(group, topic).policy(v1alpha1.UncommittedEarliest)
	w := e.watch(a)
	w.poll()
	before := lags{at(topic, 0): known(0)}
	w.expect(a, before)
	if _, err := e.admin.UpdatePartitions(e.Context(), 3, topic); err != nil {
		e.Fatal(err)
	}
	after := lags{at(topic, 0): known(0), at(topic, 1): known(0), at(topic, 2): known(0)}
	w.turns(a, before, after)
	client := e.open(kgo.RecordPartitioner(kgo.ManualPartitioner())) // which has not heard of a topic with one partition
	for range 4 {
		e.write(client, &kgo.Record{Topic: topic, Partition: 2, Value: []byte("x")})
	}
	w.poll()
	e.final(w, final{ask: a, want: lags{at(topic, 0): known(0), at(topic, 1): known(0), at(topic, 2): known(4)},
		tool: map[string]string{at(topic, 1): "", at(topic, 2): ""}})
}

func byExpression(e *env) {
	one, two, other := e.name+"-a1", e.name+"-a2", e.name+"-b"
	for _, topic := range []string{one, other} {
		e.topic(topic, 1)
		e.produce(topic, 0, 3)
		e.commit(e.name, topic, 0, 1)
	}
	a := committed(e.name, "/"+e.name+"-a.*/").policy(v1alpha1.UncommittedEarliest)
	w := e.watch(a)
	w.poll()
	just := lags{at(one, 0): known(2)}
	w.expect(a, just)
	e.topic(two, 1)
	e.produce(two, 0, 4)
	both := lags{at(one, 0): known(2), at(two, 0): known(4)}
	// It is met by the poller at any time from its making on.
	w.turns(a, just, both)
	e.deleteTopic(two)
	w.turns(a, both, just)
	e.final(w, final{ask: a, want: just})
}

func everyCommitted(e *env) {
	for _, topic := range []string{e.name + "-a", e.name + "-b"} {
		e.topic(topic, 1)
		e.produce(topic, 0, 3)
		e.commit(e.name, topic, 0, 1)
	}
	e.topic(e.name+"-c", 1)
	a := committed(e.name)
	w := e.watch(a)
	w.poll()
	both, one := lags{at(e.name+"-a", 0): known(2), at(e.name+"-b", 0): known(2)}, lags{at(e.name+"-a", 0): known(2)}
	w.expect(a, both)
	e.deleteTopic(e.name + "-b")
	w.turns(a, both, one)
	e.final(w, final{ask: a, want: one})
}

// notThere must not fail its neighbour.
func notThere(e *env) {
	e.topic(e.name, 1)
	e.produce(e.name, 0, 3)
	e.commit(e.name, e.name, 0, 1)
	lost, here := committed(e.name+"-lost", e.name+"-missing"), committed(e.name, e.name)
	w := e.watch(lost, here)
	w.poll()
	if sum := w.sum(lost); sum.Complete() || len(sum.Problems) != 1 {
		e.Errorf("the sum is %+v, want one problem", sum)
	}
	w.expect(lost, lags{at(e.name+"-missing", -1): unknown("create the topic")})
	e.final(w, final{ask: here, want: lags{at(e.name, 0): known(2)}})
}
