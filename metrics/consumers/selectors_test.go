package consumers

import (
	"strings"
	"testing"
	"time"

	"swell/api/v1alpha1"
	"swell/metrics/lag"
	"swell/metrics/store"
)

func TestAskedAgesBecomeWanted(t *testing.T) {
	c, _ := newConsumers()
	q := Question{Cluster: "main", Group: "orders"}
	plain, late, aged := q, q, q
	late.LateAfter, aged.Ages = 30*time.Second, true
	for _, q := range []Question{plain, late, aged, plain} {
		_, _ = c.Ask(q)
	}
	var ages, lates int
	wants := c.Wanted("main")
	for _, w := range wants {
		if w.Ages {
			ages++
		}
		if w.LateAfter == 30*time.Second {
			lates++
		}
	}
	if ages != 1 || lates != 1 || len(wants) != 2 {
		t.Errorf("%d with ages, %d with lateness of %+v; want one each of two", ages, lates, wants)
	}
	c.asked.questions[question{q.selection(), "", 0}].ages = time.Now().Add(-AskedFor - time.Second)
	for _, w := range c.Wanted("main") {
		if w.Ages {
			t.Error("ages are still wanted long after")
		}
	}
	late.LateAfter = -time.Second
	if _, err := c.Ask(late); err == nil || !strings.Contains(err.Error(), "above zero") {
		t.Errorf("a negative age: %v", err)
	}
}

func TestConsumersWantLatenessAndAges(t *testing.T) {
	q := consumer("orders", "main")
	q.Spec.LateAfter.Duration = 20 * time.Second
	c, _ := newConsumers(q)
	if w := c.Wanted("main"); len(w) != 1 || w[0].LateAfter != 20*time.Second || !w[0].Ages {
		t.Errorf("wanted %+v", w)
	}
}

func TestLatenessInTheStatus(t *testing.T) {
	q := consumer("orders", "main")
	q.Spec.LateAfter.Duration = 30 * time.Second
	c, st := newConsumers(q)
	for i := range 4 {
		at := time.Now().Add(time.Duration(i-4) * time.Second)
		r := lag.Reading{Topic: "orders", At: at, Commit: 0, End: 600, Stable: 600, Readable: lag.Unknown, ShareLag: lag.Unknown, OldestAt: at.Add(-time.Minute)}
		if i == 3 {
			r.Late, r.BrokerStamped = []lag.LateFrom{{Age: 30 * time.Second, Offset: 250}}, true
		}
		st.Record(store.Key{Cluster: "main", Group: "orders"}, store.Poll{At: at, Readings: []lag.Reading{r}})
		c.Evaluate("main")
		known, _ := c.Get(named("orders"))
		s := c.status(&q, known)
		switch {
		case i == 3 && (s.LateMessages == nil || *s.LateMessages != 250 || s.LateCount != v1alpha1.LateExact):
			t.Errorf("lateness read: %+v", s)
		case i == 3 && (s.LagSeconds == nil || *s.LagSeconds != "60.00"):
			t.Errorf("seconds: %v", s.LagSeconds)
		case i == 2 && (s.LateMessages != nil || s.LateCount != "" || s.Lag == nil):
			t.Errorf("lateness not read: %+v; want the lag alone", s)
		}
	}
}

func TestRatesAreFollowedFromTheFirstQuestion(t *testing.T) {
	c, st := newConsumers()
	q := Question{Cluster: "main", Group: "orders", Topics: "orders"}
	if _, _, err := c.Rates(q); err == nil || !strings.Contains(err.Error(), "not sampled yet") {
		t.Fatalf("before a poll: %v", err)
	}
	start := time.Now().Add(-10 * time.Second)
	for i := range 6 {
		at, n := start.Add(time.Duration(i)*time.Second), int64(i)
		st.Record(store.Key{Cluster: "main", Group: "orders"}, store.Poll{At: at, Readings: []lag.Reading{
			{Topic: "orders", At: at, Commit: 20 * n, End: 1000 + 50*n, Stable: 1000 + 50*n, Readable: lag.Unknown, ShareLag: lag.Unknown}}})
		c.Evaluate("main")
		produce, consume, err := c.Rates(q)
		switch {
		case i < 3 && (err == nil || !strings.Contains(err.Error(), "three polls")):
			t.Errorf("after poll %d: %g, %g, %v; want why not", i+1, produce, consume, err)
		case i == 5 && (err != nil || produce < 49.9 || produce > 50.1 || consume < 19.9 || consume > 20.1):
			t.Errorf("produced %g/s, read %g/s, %v; want 50 and 20", produce, consume, err)
		}
	}
	c.asked.rates[q.selection()].asked = time.Now().Add(-AskedFor - time.Second)
	_ = c.Wanted("main")
	if len(c.asked.rates) != 0 {
		t.Error("rates are followed long after the last question")
	}
}

func TestPartitionsAndGroups(t *testing.T) {
	q := consumer("orders", "main")
	q.Spec.Isolation = v1alpha1.ReadUncommitted
	c, st := newConsumers(q, consumer("later", "main"))
	at := time.Now()
	read := func(topic string, p int32, end int64) lag.Reading {
		return lag.Reading{Topic: topic, Partition: p, At: at, Commit: 1, End: end, Stable: end - 1, Readable: lag.Unknown, ShareLag: lag.Unknown}
	}
	st.Record(store.Key{Cluster: "main", Group: "orders"}, store.Poll{At: at, Readings: []lag.Reading{read("mail", 0, 50), read("orders", 0, 5), read("orders", 1, 9)}})
	c.Evaluate("main")
	readings, rules, err := c.Partitions(named("orders"))
	if err != nil || len(readings) != 2 || lag.Add(readings, rules).Lag != 12 {
		t.Errorf("%+v by %+v, %v; want the two of its topic, uncommitted messages too", readings, rules, err)
	}
	if _, _, err := c.Partitions(named("later")); err == nil || !strings.Contains(err.Error(), "not sampled yet") {
		t.Errorf("not polled: %v", err)
	}
	if _, _, err := c.Partitions(named("nobody")); err == nil || !strings.Contains(err.Error(), "not there") {
		t.Errorf("not there: %v", err)
	}
	readings, rules, err = c.PartitionsOf(Question{Cluster: "main", Group: "orders", Topics: "mail"})
	if err != nil || len(readings) != 1 || lag.Add(readings, rules).Lag != 48 {
		t.Errorf("by selector: %+v by %+v, %v", readings, rules, err)
	}
	groups := c.Groups()
	if len(groups) != 2 || groups[0].Group != "later" || groups[0].Problem != notSampled || groups[1].Group != "orders" || groups[1].Problem != "" || len(groups[1].Readings) != 3 || groups[1].Sum.Lag != 48+3+7 {
		t.Errorf("groups %+v; want the topics of all who ask, by last stable offsets as the selector asks", groups)
	}
}
