package conformance_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

var walkCases = []testCase{{"random walk", randomWalk}}

// steps is how many things happen to each walk's topic.
const steps = 60

// walk is a topic of one partition that things happen to, and what is known of it without asking anyone.
type walk struct {
	*env
	topic, group string
	random       *rand.Rand
	txn          *kgo.Client
	// open is the first offset of the open transaction, or -1; pending are its messages.
	open    int64
	pending []int64
	// messages are the offsets that hold a message for who reads committed ones.
	messages           []int64
	start, end, commit int64
}

// randomWalk polls after each of many things that happen, and compares each time.
func randomWalk(e *env) {
	seed := uint64(time.Now().UnixNano())
	e.Logf("seed %d", seed)
	w := &walk{env: e, topic: e.name, group: e.name, random: rand.New(rand.NewPCG(seed, 0)), open: -1}
	e.topic(w.topic, 1)
	w.txn = e.member(kgo.TransactionalID(e.name), kgo.TransactionTimeout(10*time.Minute), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	w.commitAt(0)
	stable, all := committed(w.group, w.topic), committed(w.group, w.topic).uncommittedToo()
	plain, proving := e.watch(stable, all), e.proving(stable)
	for range steps {
		what := w.step()
		for range 2 { // a log start is read again when the commit has stood still
			plain.poll()
			proving.poll()
		}
		key := at(w.topic, 0)
		if got := plain.lags(stable)[key]; got != w.lag(w.stable()) && (got.problem == "" || w.lag(w.stable()).problem == "") {
			e.Fatalf("after %s the lag is %s, want %s: %s", what, got, w.lag(w.stable()), w)
		}
		if got := plain.lags(all)[key]; got != w.lag(w.end) && (got.problem == "" || w.lag(w.end).problem == "") {
			e.Fatalf("after %s the lag of who reads all is %s, want %s: %s", what, got, w.lag(w.end), w)
		}
		if got := proving.lags(stable)[key]; got.problem == "" && (got.n < w.unread() || got.n > w.lag(w.stable()).n) {
			e.Fatalf("after %s the proven lag is %s, but %d messages wait: %s", what, got, w.unread(), w)
		}
	}
	if w.commit > w.stable() {
		w.commitAt(w.start)
	}
	plain.poll()
	tool := map[string]string{at(w.topic, 0): fmt.Sprint(w.end - w.commit)}
	e.final(plain, final{ask: stable, want: lags{at(w.topic, 0): w.lag(w.stable())}, tool: tool})
	e.final(plain, final{ask: all, want: lags{at(w.topic, 0): w.lag(w.end)}, tool: tool})
}

func (w *walk) String() string {
	return fmt.Sprintf("start %d, commit %d, last stable %d, end %d, messages %v", w.start, w.commit, w.stable(), w.end, w.messages)
}

func (w *walk) stable() int64 {
	if w.open >= 0 {
		return w.open
	}
	return w.end
}

// lag is by offsets.
func (w *walk) lag(end int64) messages {
	if w.commit > end || w.start > end {
		return unknown("beyond the end")
	}
	return known(end - max(w.commit, w.start))
}

// unread counts the messages themselves.
func (w *walk) unread() int64 {
	var n int64
	for _, offset := range w.messages {
		if offset >= max(w.commit, w.start) && offset < w.stable() {
			n++
		}
	}
	return n
}

// step does one thing and says what.
func (w *walk) step() string {
	w.Helper()
	switch w.random.IntN(7) {
	case 0, 1:
		n := 1 + w.random.IntN(3)
		w.produce(w.topic, 0, n)
		for range n {
			w.messages = append(w.messages, w.end)
			w.end++
		}
		return fmt.Sprintf("%d messages", n)
	case 2:
		if w.open < 0 {
			return w.begin()
		}
		return w.finish()
	case 3:
		if w.open >= 0 {
			return w.finish()
		}
		w.commitAt(w.end)
		return "a commit at the end"
	case 4:
		w.commitAt(w.start + w.random.Int64N(w.end-w.start+1))
		return "a commit in between"
	case 5:
		w.commitAt(w.end + w.random.Int64N(3))
		return "a commit at the end or beyond"
	}
	// Records of an open transaction cannot be deleted.
	to := w.start + w.random.Int64N(w.stable()-w.start+1)
	if to > w.start {
		w.deleteRecords(w.topic, 0, to)
		w.start = to
	}
	return "records deleted"
}

func (w *walk) commitAt(offset int64) {
	w.Helper()
	w.env.commit(w.group, w.topic, 0, offset)
	w.commit = offset
}

func (w *walk) begin() string {
	w.Helper()
	if err := w.txn.BeginTransaction(); err != nil {
		w.Fatal(err)
	}
	w.open = w.end
	n := 1 + w.random.IntN(3)
	for range n {
		w.write(w.txn, &kgo.Record{Topic: w.topic, Value: []byte("x")})
		w.pending = append(w.pending, w.end)
		w.end++
	}
	return fmt.Sprintf("a transaction of %d was begun", n)
}

func (w *walk) finish() string {
	w.Helper()
	how := kgo.TransactionEndTry(w.random.IntN(2) == 0)
	w.endTransaction(w.txn, w.topic, how)
	if how == kgo.TryCommit {
		w.messages = append(w.messages, w.pending...)
	}
	w.open, w.pending = -1, nil
	w.end++ // its marker
	return fmt.Sprintf("the transaction was ended, committed %t", how)
}
