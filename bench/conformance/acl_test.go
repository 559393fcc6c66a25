package conformance_test

import (
	"errors"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"swell/api/config"
)

var aclCases = []testCase{
	{"all of the documented ACLs", func(e *env) { leastACLs(e, "") }},
	{"without Describe of the group", func(e *env) { leastACLs(e, "Describe group") }},
	{"without Describe of the topic", func(e *env) { leastACLs(e, "Describe topic") }},
	{"without DescribeConfigs", func(e *env) { leastACLs(e, "DescribeConfigs topic") }},
	{"without Read", func(e *env) { leastACLs(e, "Read topic") }},
	{"share group with Describe alone", describeShareGroup},
	{"a group that may not be described", oneGroupForbidden},
	{"right to an unnamed topic taken away", func(e *env) { rightTakenAway(e, false) }},
	{"right to a topic by expression taken away", func(e *env) { rightTakenAway(e, true) }},
}

// allow lets a principal do something with topics or groups of these names.
func (e *env) allow(principal string, operation kadm.ACLOperation, topics, groups []string) {
	e.Helper()
	acl := kadm.NewACLs().Allow(principal).AllowHosts("*").MaybeTopics(topics...).MaybeGroups(groups...).
		Operations(operation).ResourcePatternType(kadm.ACLPatternLiteral)
	results, err := e.admin.CreateACLs(e.Context(), acl)
	if err != nil {
		e.Fatalf("allow %s to %s: %v", principal, operation, err)
	}
	for _, r := range results {
		if r.Err != nil {
			e.Fatalf("allow %s to %s %s: %v", principal, operation, r.Name, r.Err)
		}
	}
}

// disallow takes away what allow gave.
func (e *env) disallow(principal string, operation kadm.ACLOperation, topics, groups []string) {
	e.Helper()
	acl := kadm.NewACLs().Allow(principal).AllowHosts("*").MaybeTopics(topics...).MaybeGroups(groups...).
		Operations(operation).ResourcePatternType(kadm.ACLPatternLiteral)
	results, err := e.admin.DeleteACLs(e.Context(), acl)
	if err != nil {
		e.Fatalf("disallow %s to %s: %v", principal, operation, err)
	}
	for _, r := range results {
		if r.Err != nil || len(r.Deleted) == 0 {
			e.Fatalf("disallow %s to %s: %d are deleted: %v", principal, operation, len(r.Deleted), r.Err)
		}
	}
}

const reader = "User:reader"

// asReader is the configuration of a poller that comes as reader.
func (e *env) asReader() config.KafkaCluster {
	e.Helper()
	cluster := clusterAt(e.target.sasl)
	cluster.TLS = &config.KafkaTLS{CAFile: e.target.pki.authorityFile}
	cluster.SASL = &config.KafkaSASL{Mechanism: config.SASLScramSHA512, Username: "reader", PasswordFile: e.password("reader")}
	return cluster
}

func (e *env) password(user string) string {
	e.Helper()
	return file(e.T, e.TempDir(), "password", []byte(users[user]))
}

// leastACLs grants exactly what is documented, less one, and looks at everything that needs it. Partition 0 ends in a marker,
// partition 1 in messages.
func leastACLs(plain *env, less string) {
	e := newEnvOn(plain.T, plain.target, plain.name, plain.target.operator...)
	topic, group := e.name, e.name
	e.topic(topic, 2, "message.timestamp.type", byBroker)
	_, end := e.transaction(topic, 2)
	end(kgo.TryCommit)
	e.produce(topic, 1, 3)
	e.commit(group, topic, 0, 2)
	e.commit(group, topic, 1, 1)
	time.Sleep(20 * time.Millisecond)
	if less != "Describe group" {
		e.allow(reader, kadm.OpDescribe, nil, []string{group})
	}
	for _, one := range []struct {
		name      string
		operation kadm.ACLOperation
	}{{"Describe topic", kadm.OpDescribe}, {"DescribeConfigs topic", kadm.OpDescribeConfigs}, {"Read topic", kadm.OpRead}} {
		// Read brings Describe with it.
		if one.name != less && !(less == "Describe topic" && one.name == "Read topic") {
			e.allow(reader, one.operation, []string{topic}, nil)
		}
	}
	a := committed(group, topic)
	a.lateAfter, a.ages = time.Millisecond, true
	cluster := e.asReader()
	cluster.ProveEmpty = true
	w := newWatch(e.T, cluster, a)
	if less == "Describe group" {
		w.poll()
		if p := w.view(a).Problem; !strings.Contains(p, "GROUP_AUTHORIZATION_FAILED") || !strings.Contains(p, "Describe the group") {
			e.Errorf("the group's problem is %q, want the broker's error and the ACL", p)
		}
		return
	}
	if less == "Describe topic" {
		w.poll()
		lines := w.lags(a)
		if got := lines[at(topic, -1)].problem; len(lines) != 1 || !strings.Contains(got, "TOPIC_AUTHORIZATION_FAILED") || !strings.Contains(got, "Describe the topic") {
			e.Errorf("the topic reads as %v, want the broker's error and the ACL", lines)
		}
		return
	}
	byOffsets := lags{at(topic, 0): known(1), at(topic, 1): known(2)}
	want := lags{at(topic, 0): known(0), at(topic, 1): known(2)}
	if less == "Read topic" {
		want = byOffsets
	}
	w.turns(a, byOffsets, want)
	w.poll()
	w.expect(a, want)
	sum := w.sum(a)
	if exact := less != "DescribeConfigs topic"; sum.LateProblem != "" || sum.LateExact != exact || sum.Late < 2 {
		e.Errorf("%d late messages, exact %t (%q), want at least 2 and exact %t", sum.Late, sum.LateExact, sum.LateProblem, exact)
	}
}

func describeShareGroup(plain *env) {
	e := newEnvOn(plain.T, plain.target, plain.name, plain.target.operator...)
	topic, group := e.name, e.name
	e.topic(topic, 1)
	e.produce(topic, 0, 6)
	left := e.shareRead(group, topic, []int{6}, func(r *kgo.Record) bool { return r.Offset < 4 })
	e.allow(reader, kadm.OpDescribe, []string{topic}, []string{group})
	a := committed(group, topic)
	w := newWatch(e.T, e.asReader(), a)
	w.poll()
	w.expect(a, left)
}

// oneGroupForbidden asks about two groups at once of which one may be described.
func oneGroupForbidden(plain *env) {
	e := newEnvOn(plain.T, plain.target, plain.name, plain.target.operator...)
	topic, open, closed := e.name, e.name+"-open", e.name+"-closed"
	e.topic(topic, 1)
	e.produce(topic, 0, 5)
	for _, group := range []string{open, closed} {
		e.commit(group, topic, 0, 2)
	}
	e.allow(reader, kadm.OpDescribe, []string{topic}, []string{open})
	w := newWatch(e.T, e.asReader(), committed(open, topic), committed(closed, topic))
	w.poll()
	w.expect(committed(open, topic), lags{at(topic, 0): known(3)})
	view := w.view(committed(closed, topic))
	if !strings.Contains(view.Problem, "GROUP_AUTHORIZATION_FAILED") || !strings.Contains(view.Problem, "Describe the group") {
		e.Errorf("the forbidden group's problem is %q, want the broker's error and the ACL", view.Problem)
	}
	if len(view.Readings) != 0 {
		e.Errorf("the forbidden group has readings: %v", view.Readings)
	}
}

// rightTakenAway must not turn the lag of two topics into that of the one which may still be described.
func rightTakenAway(plain *env, byExpression bool) {
	e := newEnvOn(plain.T, plain.target, plain.name, plain.target.operator...)
	group, open, closed := e.name, e.name+"-open", e.name+"-closed"
	for i, topic := range []string{open, closed} {
		e.topic(topic, 1)
		e.produce(topic, 0, 5*(i+1))
		e.commit(group, topic, 0, 0)
	}
	e.allow(reader, kadm.OpDescribe, []string{open, closed}, []string{group})
	var topics []string
	if byExpression {
		topics = []string{"/" + e.name + "-.*/"}
	}
	a := committed(group, topics...)
	cluster := e.asReader()
	cluster.MetadataEvery.Duration = time.Hour
	w := newWatch(e.T, cluster, a)
	w.poll()
	both := lags{at(open, 0): known(5), at(closed, 0): known(10)}
	w.expect(a, both)
	turns := func(what string, want lags) {
		e.until(what, func() (bool, error) {
			w.poll()
			if sum := w.sum(a); sum.Complete() && sum.Lag != 15 {
				e.Fatalf("the lag is %d and complete, want 15 or a problem", sum.Lag)
			}
			text := want.differs(w.lags(a))
			if text != "" {
				return false, errors.New(text)
			}
			return true, nil
		})
	}
	without := lags{at(open, 0): known(5), at(closed, -1): unknown("Describe the topic")}
	e.disallow(reader, kadm.OpDescribe, []string{closed}, nil)
	turns("the right is known to be gone", without)
	for range 3 {
		w.poll()
		w.expect(a, without)
	}
	e.allow(reader, kadm.OpDescribe, []string{closed}, nil)
	turns("the right is back", both)
}
