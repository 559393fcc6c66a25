package consumers

import (
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/config"
	"swell/metrics/lag"
	"swell/metrics/store"
)

func TestNamespaceRulesHoldForEveryWayToAsk(t *testing.T) {
	mine, foreign := consumer("orders", "main"), consumer("salaries", "main")
	c, st := newConsumers(mine, foreign)
	m := newConfig()
	m.NamespaceRules = config.NamespaceRules{{Namespaces: []string{"shop"}, Groups: []string{"orders", "/mail-.*/"}}}
	c.SetConfig(m)
	polls(c, st, "orders", 4, 600)
	polls(c, st, "salaries", 4, 600)
	if r, _ := c.Get(named("orders")); r.Problem != "" {
		t.Errorf("an allowed group: %s", r.Problem)
	}
	r, ok := c.Get(named("salaries"))
	if !ok || r.Reason != ReasonForbidden || !strings.Contains(r.LagProblem, `{namespaces: ["shop"], clusters: ["main"], groups: ["salaries"], topics: ["orders"]}`) || r.Total != 0 {
		t.Errorf("a forbidden group: %+v", r)
	}
	if cond := ready(r); cond.Status != metav1.ConditionFalse || cond.Reason != "Forbidden" {
		t.Errorf("its condition: %+v", cond)
	}
	if wants := c.Wanted("main"); len(wants) != 1 || wants[0].Group != "orders" {
		t.Errorf("wanted: %+v, want none on behalf of the forbidden one", wants)
	}
	if _, _, err := c.Partitions(named("salaries")); !errors.Is(err, ErrForbidden) {
		t.Errorf("its partitions: %v", err)
	}
	for group, allowed := range map[string]bool{"orders": true, "mail-1": true, "mail": false, "salaries": false} {
		q := Question{Namespace: "shop", Cluster: "main", Group: group}
		_, asking := c.Ask(q)
		_, _, listing := c.PartitionsOf(q)
		_, _, rating := c.Rates(q)
		for _, err := range []error{asking, listing, rating} {
			if errors.Is(err, ErrForbidden) == allowed {
				t.Errorf("%s: %v; want allowed %t", group, err, allowed)
			}
		}
	}
	if _, err := c.Ask(Question{Namespace: "bank", Cluster: "main", Group: "orders"}); !errors.Is(err, ErrForbidden) {
		t.Errorf("another namespace: %v", err)
	}
	for _, g := range c.Groups() {
		if g.Group == "salaries" {
			t.Errorf("the forbidden group is among all: %+v", g)
		}
	}
	c.SetConfig(newConfig())
	polls(c, st, "salaries", 4, 600)
	if r, _ := c.Get(named("salaries")); r.Problem != "" {
		t.Errorf("after the rules are gone: %s", r.Problem)
	}
}

func TestNamespaceRulesOfTopicsHoldForEveryWayToAsk(t *testing.T) {
	c, st := newConsumers(consumer("orders", "main"))
	m := newConfig()
	m.NamespaceRules = config.NamespaceRules{{Namespaces: []string{"shop"}, Groups: []string{"/.*/"}, Topics: []string{"mail"}}}
	c.SetConfig(m)
	polls(c, st, "orders", 4, 600)
	if r, _ := c.Get(named("orders")); r.Reason != ReasonForbidden || !strings.Contains(r.LagProblem, `in topics orders`) || r.Total != 0 {
		t.Errorf("a QueueConsumer of another topic: %+v", r)
	}
	if _, _, err := c.Partitions(named("orders")); !errors.Is(err, ErrForbidden) {
		t.Errorf("its partitions: %v", err)
	}
	if wants := c.Wanted("main"); len(wants) != 0 {
		t.Errorf("wanted: %+v", wants)
	}
	m = newConfig()
	m.NamespaceRules = config.NamespaceRules{{Namespaces: []string{"shop"}, Groups: []string{"/.*/"}, Topics: []string{"mail", "orders"}}}
	c.SetConfig(m)
	if wants := c.Wanted("main"); len(wants) != 1 {
		t.Errorf("wanted by one that may name its topic: %+v", wants)
	}
	polls(c, st, "orders", 4, 600)
	if readings, _, err := c.Partitions(named("orders")); err != nil || len(readings) != 1 {
		t.Errorf("its partitions: %+v, %v", readings, err)
	}
	c.opts.Objects.(*objects).fail = errors.New("the cache is stopped")
	c.SetConfig(m)
	if r, _ := c.Get(named("orders")); r.Reason != "" {
		t.Errorf("while the objects cannot be listed: %+v", r)
	}
	if wants := c.Wanted("main"); len(wants) != 1 {
		t.Errorf("wanted meanwhile: %+v", wants)
	}
	c.opts.Objects.(*objects).fail = nil
	m = newConfig()
	m.NamespaceRules = config.NamespaceRules{{Namespaces: []string{"shop"}, Groups: []string{"/.*/"}, Topics: []string{"mail"}}}
	c.SetConfig(m)
	for topics, allowed := range map[string]bool{"mail": true, "": false, "orders": false, "mail,orders": false} {
		q := Question{Namespace: "shop", Cluster: "main", Group: "orders", Topics: topics}
		_, asking := c.Ask(q)
		_, _, listing := c.PartitionsOf(q)
		_, _, rating := c.Rates(q)
		for _, err := range []error{asking, listing, rating} {
			if errors.Is(err, ErrForbidden) == allowed {
				t.Errorf("topics %q: %v; want allowed %t", topics, err, allowed)
			}
		}
	}
}

func TestAVerdictIsOfOneListOfTopics(t *testing.T) {
	g := &gate{rules: config.NamespaceRules{{Namespaces: []string{"shop"}, Groups: []string{"g"}, Topics: []string{"/public-[^/]+/"}}}}
	for _, topics := range [][]string{{"public-a\nsecret"}, {"public-a,secret"}, {`public-a" "secret`}, {"public-a"}} {
		_ = g.refuse("shop", "main", "g", topics)
	}
	if err := g.refuse("shop", "main", "g", []string{"public-a", "secret"}); !errors.Is(err, ErrForbidden) {
		t.Errorf("allowed by the verdict on another list: %v", err)
	}
}

func TestARuleThatIsTakenAwayHoldsAtOnce(t *testing.T) {
	c, st := newConsumers(consumer("orders", "main"))
	polls(c, st, "orders", 4, 600)
	m := newConfig()
	m.NamespaceRules = config.NamespaceRules{{Namespaces: []string{"bank"}, Groups: []string{"orders"}}}
	c.SetConfig(m)
	if r, _ := c.Get(named("orders")); r.Reason != ReasonForbidden || r.Lag != 0 {
		t.Errorf("before the next poll: %+v", r)
	}
}

func TestSetConfigForgetsRemovedClustersOnly(t *testing.T) {
	c, st := newConsumers(consumer("orders", "main"), consumer("mail", "second"))
	polls(c, st, "orders", 4, 600)
	at := time.Now()
	st.Record(store.Key{Cluster: "second", Group: "mail"}, store.Poll{At: at, Readings: []lag.Reading{{Topic: "orders", At: at, End: 7, Stable: 7}}})
	c.Evaluate("second")
	_, _ = c.Ask(Question{Cluster: "second", Group: "mail"})
	_, _ = c.Ask(Question{Cluster: "main", Group: "orders"})
	before, _ := c.Get(named("orders"))

	m := newConfig()
	m.Clusters = append(m.Clusters[:1], config.KafkaCluster{Name: "third", StaleAfter: metav1.Duration{Duration: time.Minute}})
	c.SetConfig(m)
	if r, _ := c.Get(named("mail")); r.Reason != reasonCluster || r.Lag != 0 || !strings.Contains(r.Problem, "give one of main, third") {
		t.Errorf("of the removed cluster: %+v", r)
	}
	if r, _ := c.Get(named("orders")); r.Lag != 600 || r.Replicas != before.Replicas || c.Fresh(r) != nil {
		t.Errorf("of the one that stays: %+v", r)
	}
	if v := st.View(store.Key{Cluster: "second", Group: "mail"}, at, time.Minute, store.Selection{}); len(v.Readings) != 0 {
		t.Errorf("its readings are kept: %+v", v)
	}
	if n := len(c.Wanted("second")); n != 0 {
		t.Errorf("%d groups of it are wanted", n)
	}
	if len(c.asked.questions) != 1 || len(c.trackers) != 1 {
		t.Errorf("%d questions and %d trackers are kept, want those of the one that stays", len(c.asked.questions), len(c.trackers))
	}
	if n := len(c.Wanted("main")); n != 2 {
		t.Errorf("%d groups of the one that stays are wanted, want 2", n)
	}
	if _, err := c.Ask(Question{Cluster: "third", Group: "new"}); err == nil || !strings.Contains(err.Error(), "not sampled yet") {
		t.Errorf("the new cluster: %v", err)
	}
}
