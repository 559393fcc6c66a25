package measure

import (
	"slices"
	"testing"
	"time"
)

func at(seconds float64) time.Time { return minute.Add(time.Duration(seconds * float64(time.Second))) }

func waiting(name string, unschedulable, bound float64) Pod {
	p := Pod{Namespace: "shop", Name: name, Created: at(0), Unschedulable: at(unschedulable)}
	if bound > 0 {
		p.Bound = at(bound)
	}
	return p
}

func launch(seconds float64, token string, ids ...string) Call {
	return Call{At: at(seconds), Action: "LaunchInstances", Status: 200, Token: token, Instances: ids}
}

func desired(seconds float64, group string, n int) Call {
	return Call{At: at(seconds), Action: "SetDesiredCapacity", Status: 200, Group: group, Count: n}
}

// fleet is n instances that group g had before, and one that was leaving.
func fleet(n int) []Instance {
	out := []Instance{{ID: "gone", Group: "g", Launched: at(-60), Terminating: at(-1)}}
	for range n {
		out = append(out, Instance{ID: "held", Group: "g", Launched: at(-60), Running: at(-30)})
	}
	return out
}

func TestReact(t *testing.T) {
	for _, c := range []struct {
		name                string
		pods                []Pod
		calls               []Call
		instances           []Instance
		want                []time.Duration
		covered, unanswered int
	}{
		{name: "the longest waiting pod counts", pods: []Pod{waiting("a", 1, 9), waiting("b", 2, 9)},
			calls: []Call{launch(3, "t", "i-1")}, want: []time.Duration{2 * time.Second}},
		{name: "a pod that got a balloon's place asks for nothing", pods: []Pod{waiting("a", 1, 2), waiting("b", 5, 9)},
			calls: []Call{launch(6, "t", "i-1")}, want: []time.Duration{time.Second}, unanswered: 1},
		{name: "a launch without waiting pods is no reaction", pods: []Pod{waiting("a", 1, 2)}, calls: []Call{launch(3, "t", "i-1")}, unanswered: 1},
		{name: "no launch ever", pods: []Pod{waiting("a", 1, 0), waiting("b", 2, 0)}, unanswered: 2},
		{name: "a booting instance covers later pods until it runs", pods: []Pod{waiting("a", 4, 9), waiting("b", 6, 9)},
			calls: []Call{launch(3, "t", "i-1"), launch(8, "u", "i-2")}, instances: []Instance{{ID: "i-1", Launched: at(3), Running: at(5)}},
			want: []time.Duration{2 * time.Second}, covered: 1},
		{name: "what one launch has no place for waits for the next", pods: []Pod{waiting("a", 1, 9), waiting("b", 1, 9), waiting("c", 1.5, 9)},
			calls: []Call{launch(2, "t", "i-1"), launch(4, "u", "i-2")}, want: []time.Duration{time.Second, 2500 * time.Millisecond}},
		{name: "a repetition under one token is one launch", pods: []Pod{waiting("a", 1, 9), waiting("b", 1, 9), waiting("c", 1, 9)},
			calls: []Call{launch(2, "t", "i-1"), launch(4, "t", "i-1")}, want: []time.Duration{time.Second}, unanswered: 1},
		{name: "a failed launch answers nothing", pods: []Pod{waiting("a", 1, 9)},
			calls: []Call{{At: at(2), Action: "LaunchInstances", Status: 400, Code: "InsufficientInstanceCapacity"}, {At: at(3), Action: "SetDesiredCapacity", Status: 200, Count: 4}},
			want:  []time.Duration{2 * time.Second}},
		{name: "a desired capacity below what the group holds answers nothing", pods: []Pod{waiting("a", 3, 9)}, instances: fleet(2),
			calls: []Call{desired(4, "g", 1)}, unanswered: 1},
		{name: "a desired capacity that the group holds answers nothing", pods: []Pod{waiting("a", 3, 9)}, instances: fleet(2),
			calls: []Call{desired(4, "g", 2)}, unanswered: 1},
		{name: "the same desired capacity again answers nothing", pods: []Pod{waiting("a", 3, 9)}, instances: fleet(2),
			calls: []Call{desired(2, "g", 3), desired(4, "g", 3)}, unanswered: 1},
		{name: "another group's desired capacity is another's", pods: []Pod{waiting("a", 3, 9)}, instances: fleet(2),
			calls: []Call{desired(2, "h", 3), desired(4, "g", 3)}, want: []time.Duration{time.Second}},
		{name: "a desired capacity after one left raises", pods: []Pod{waiting("a", 3, 9)}, instances: fleet(1),
			calls: []Call{desired(1, "g", 2), {At: at(2), Action: "TerminateInstanceInAutoScalingGroup", Status: 200, Group: "g"}, desired(4, "g", 2)}, want: []time.Duration{time.Second}},
		{name: "balloons do not count", pods: []Pod{{Balloon: "web", Unschedulable: at(1)}}, calls: []Call{launch(2, "t", "i-1")}},
	} {
		got := React(c.pods, c.calls, c.instances, 2)
		if !slices.Equal(got.Times, c.want) || got.Covered != c.covered || got.Unanswered != c.unanswered {
			t.Errorf("%s: %v with %d covered, %d unanswered, want %v with %d, %d", c.name, got.Times, got.Covered, got.Unanswered, c.want, c.covered, c.unanswered)
		}
	}
}
