package consumers

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

// asks asks once; what else than not being sampled yet is why it was refused.
func asks(c *Consumers, q Question) string {
	q.Cluster = "main"
	if q.Group == "" {
		q.Group = "orders"
	}
	if _, err := c.Ask(q); !strings.Contains(err.Error(), "not sampled yet") {
		return err.Error()
	}
	return ""
}

func TestOneNamespaceLeavesRoomForTheOthers(t *testing.T) {
	c, _ := newConsumers()
	refused := 0
	for i := range maxAsked {
		if why := asks(c, Question{Namespace: "greedy", Group: strconv.Itoa(i)}); why != "" {
			refused++
			if !strings.Contains(why, `namespace "greedy"`) || !strings.Contains(why, "make a QueueConsumer") {
				t.Fatal(why)
			}
		}
	}
	if want := maxAsked - maxAsked/shares; refused != want {
		t.Errorf("%d selectors of %d were refused, want %d", refused, maxAsked, want)
	}
	if why := asks(c, Question{Namespace: "greedy", Group: "0"}); why != "" {
		t.Errorf("one that is asked about already: %s", why)
	}
	if why := asks(c, Question{Namespace: "shop", Group: "orders"}); why != "" {
		t.Errorf("another namespace: %s", why)
	}
	if n := len(c.Wanted("main")); n != maxAsked/shares+1 {
		t.Errorf("%d wanted", n)
	}
}

func TestFoundAutoscalersHaveALargerShare(t *testing.T) {
	c, _ := newConsumers()
	for _, namespace := range []string{"shop", "infra"} {
		for i := range maxAsked / foundShares {
			if why := asks(c, Question{Namespace: namespace, Group: strconv.Itoa(i), Found: true}); why != "" {
				t.Fatalf("HPA %d: %s", i, why)
			}
		}
	}
	if why := asks(c, Question{Namespace: "shop", Group: "more", Found: true}); !strings.Contains(why, "make a QueueConsumer") {
		t.Errorf("an HPA beyond the share: %q", why)
	}
	for i := range freeAsked {
		if why := asks(c, Question{Namespace: "bank", Group: strconv.Itoa(i), Found: i%2 == 0}); why != "" {
			t.Errorf("what is always free, number %d: %s", i, why)
		}
	}
	for _, q := range []Question{{Namespace: "bank", Group: "more"}, {Namespace: "bank", Group: "more", Found: true}} {
		if why := asks(c, q); !strings.Contains(why, "make a QueueConsumer") || strings.Contains(why, `namespace "bank"`) {
			t.Errorf("more than the total: %q", why)
		}
	}
	for q := range c.asked.questions {
		if q.namespace == "infra" || q.namespace == "bank" {
			delete(c.asked.questions, q)
		}
	}
	// An HPA that was not found again counts as what its namespace asks.
	for q, known := range c.asked.questions {
		known.found = time.Now().Add(-AskedFor - time.Second)
		if q.group == "0" || q.group == "1" {
			delete(c.asked.questions, q)
		}
	}
	if why := asks(c, Question{Namespace: "shop", Group: "more"}); !strings.Contains(why, `namespace "shop"`) {
		t.Errorf("beyond its share: %q", why)
	}
	if why := asks(c, Question{Namespace: "bank", Group: "more"}); why != "" {
		t.Errorf("within its share: %s", why)
	}
}

func TestAskedAgesAreBounded(t *testing.T) {
	c, _ := newConsumers()
	late := func(namespace string, seconds int) string {
		return asks(c, Question{Namespace: namespace, LateAfter: time.Duration(seconds) * time.Second})
	}
	for namespace := range shares {
		for i := range maxAges / shares {
			if why := late(strconv.Itoa(namespace), 100*namespace+i+1); why != "" {
				t.Errorf("namespace %d, age %d: %s", namespace, i, why)
			}
		}
		if namespace == 0 {
			if why := late("0", 99); !strings.Contains(why, `namespace "0"`) || !strings.Contains(why, "spec.lateAfter") {
				t.Errorf("more than its share: %q", why)
			}
		}
	}
	if why := late("late", 99); !strings.Contains(why, "spec.lateAfter") || strings.Contains(why, `namespace "late"`) {
		t.Errorf("more than the total: %q", why)
	}
	for _, seconds := range []int{1, 30, 0} {
		if why := late("late", seconds); why != "" {
			t.Errorf("an age of others, the default, or none: %d s: %s", seconds, why)
		}
	}
	if _, err := c.Ask(Question{Cluster: "second", Group: "orders", LateAfter: 99 * time.Second}); !strings.Contains(err.Error(), "not sampled yet") {
		t.Errorf("another cluster: %v", err)
	}
}
