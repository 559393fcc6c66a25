package observe

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/nodegroups"
)

// slowly answers when the test lets it, with what was there when it was asked.
type slowly struct {
	mu     sync.Mutex
	groups []nodegroups.Group
	asked  chan chan struct{} // gets each question's own permission to be answered; nil answers at once
}

func (s *slowly) set(g ...nodegroups.Group) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.groups = g
}

func (s *slowly) Groups(_ context.Context, _ nodegroups.Selection) ([]nodegroups.Group, []string, error) {
	s.mu.Lock()
	answer := s.groups
	s.mu.Unlock()
	if s.asked != nil {
		answered := make(chan struct{})
		s.asked <- answered
		<-answered
	}
	return answer, nil, nil
}

func (s *slowly) Prepaid(context.Context, []string) (nodegroups.Prepaid, []string) {
	return nodegroups.Prepaid{}, nil
}

var onePool = map[string]nodegroups.Selection{"good": {Pool: "good"}}

// A reading that was asked for before a launch cannot tell that the launched instance is not there.
func TestAReadingUnderWayDoesNotHideALaunch(t *testing.T) {
	cloud := &slowly{asked: make(chan chan struct{})}
	cloud.set(group("g", 1, "i-1"))
	g := NewGroups(cloud)
	done := make(chan error)
	go func() { done <- g.Read(t.Context(), at, onePool) }()
	answer := <-cloud.asked
	g.Launched(at.Add(time.Second), map[string][]nodegroups.Instance{"g": {{ID: "i-2", Zone: "a"}}})
	close(answer)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if s, _ := snapshot(g); s.Groups[0].Desired != 2 || len(s.Groups[0].Instances) != 2 {
		t.Errorf("%+v: want both instances", s.Groups)
	}
}

// Of two readings that overlap, the one that was begun later counts, whichever ends last.
func TestALateAnswerDoesNotReplaceANewerOne(t *testing.T) {
	cloud := &slowly{asked: make(chan chan struct{})}
	cloud.set(group("g", 1, "i-1"))
	g := NewGroups(cloud)
	late, newer := make(chan error), make(chan error)
	go func() { late <- g.Read(t.Context(), at, onePool) }()
	lateAnswer := <-cloud.asked
	cloud.set(group("g", 2, "i-1", "i-2"))
	go func() { newer <- g.Read(t.Context(), at.Add(time.Second), onePool) }()
	close(<-cloud.asked)
	if err := <-newer; err != nil {
		t.Fatal(err)
	}
	close(lateAnswer)
	if err := <-late; err != nil {
		t.Fatal(err)
	}
	if s, _ := snapshot(g); len(s.Groups[0].Instances) != 2 || !s.GroupsAt.Equal(at.Add(time.Second)) {
		t.Errorf("%+v at %s: want the newer reading", s.Groups, s.GroupsAt)
	}
}

func TestALaunchThatAWSNeverShowsIsForgotten(t *testing.T) {
	g := NewGroups(answers{"good": []nodegroups.Group{group("g", 1, "i-1")}})
	read := func(after time.Duration) int {
		t.Helper()
		if err := g.Read(t.Context(), at.Add(after), onePool); err != nil {
			t.Fatal(err)
		}
		s, _ := snapshot(g)
		return s.Groups[0].Desired
	}
	read(0)
	g.Launched(at, map[string][]nodegroups.Instance{"g": {{ID: "i-2", Zone: "a"}}})
	if n := read(nodegroups.ListedWithin); n != 2 {
		t.Errorf("desired %d at first: want 2", n)
	}
	if n := read(nodegroups.ListedWithin + time.Second); n != 1 {
		t.Errorf("desired %d when it should have been shown: want 1", n)
	}
}

func TestAnInterruptionIsNewsOnceAndKeepsItsDeadline(t *testing.T) {
	g := NewGroups(answers{"good": []nodegroups.Group{group("g", 1, "i-1")}})
	rebalance := nodegroups.Interruption{InstanceID: "i-1", Kind: nodegroups.RebalanceNotice, At: at}
	spot := nodegroups.Interruption{InstanceID: "i-1", Kind: nodegroups.SpotInterruption, At: at, Deadline: at.Add(2 * time.Minute)}
	for i, c := range []struct {
		n    nodegroups.Interruption
		news bool
	}{{rebalance, true}, {rebalance, false}, {spot, true}, {spot, false}} {
		if news := g.Interrupted(c.n); news != c.news {
			t.Errorf("notice %d is news: %t", i, news)
		}
	}
	g.Interrupted(rebalance) // a notice that comes late
	if s, _ := snapshot(g); len(s.Interrupted) != 1 || !s.Interrupted[0].Deadline.Equal(spot.Deadline) {
		t.Errorf("%+v: want one with the deadline", s.Interrupted)
	}
	one := answers{"good": []nodegroups.Group{group("g", 0)}}
	g.cloud = one
	if err := g.Read(t.Context(), at.Add(time.Second), onePool); err != nil {
		t.Fatal(err)
	}
	if s, _ := snapshot(g); len(s.Interrupted) != 1 {
		t.Error("an instance that was only just told of is forgotten")
	}
	if err := g.Read(t.Context(), at.Add(nodegroups.ListedWithin+time.Second), onePool); err != nil {
		t.Fatal(err)
	}
	if s, _ := snapshot(g); len(s.Interrupted) != 0 {
		t.Error("an instance that is gone is still told of")
	}
}

// All at once, as the loop's goroutines do it; what each noted is there in the end. Run with -race.
func TestGroupsAreReadAndNotedAtOnce(t *testing.T) {
	cloud := &slowly{}
	cloud.set(group("g", 1, "i-0"))
	g := NewGroups(cloud)
	const n = 50
	var wg sync.WaitGroup
	each := func(f func(i int)) {
		wg.Go(func() {
			for i := range n {
				f(i)
			}
		})
	}
	each(func(i int) {
		if err := g.Read(t.Context(), at.Add(time.Duration(i)*time.Second), onePool); err != nil {
			t.Error(err)
		}
	})
	each(func(i int) {
		g.Launched(at.Add(time.Minute), map[string][]nodegroups.Instance{"g": {{ID: fmt.Sprintf("i-new-%d", i), Zone: "a"}}})
	})
	each(func(i int) { g.Asked(map[string]int{"g": i}) })
	each(func(i int) {
		g.Interrupted(nodegroups.Interruption{InstanceID: fmt.Sprint(i), At: at.Add(time.Minute)})
	})
	each(func(int) {
		s, _ := snapshot(g)
		for i := range s.Groups { // a snapshot is the planner's own
			for j := range s.Groups[i].Instances {
				s.Groups[i].Instances[j].Lifecycle = nodegroups.Terminating
			}
		}
	})
	wg.Wait()
	s, _ := snapshot(g)
	if len(s.Groups) != 1 || len(s.Groups[0].Instances) != n+1 || s.Groups[0].Desired != n+1+n-1 || len(s.Interrupted) != n {
		t.Errorf("%d groups, %d instances, desired %d, %d interruptions", len(s.Groups), len(s.Groups[0].Instances), s.Groups[0].Desired, len(s.Interrupted))
	}
	if s.Groups[0].Alive() != n+1 {
		t.Errorf("%d are alive: a change of a snapshot has reached the readings", s.Groups[0].Alive())
	}
}

// The loop reads the cluster for its plans, and beside them for the groups. Run with -race.
func TestTheClusterIsReadAtOnce(t *testing.T) {
	cloud := &slowly{}
	g := group("g", 1, "i-1")
	g.InstanceTypes, g.Instances[0].Type, g.Instances[0].ProviderID = []string{"m"}, "m", nodegroups.ProviderID("a", "i-1")
	cloud.set(g)
	groups := NewGroups(cloud)
	if err := groups.Read(t.Context(), at, onePool); err != nil {
		t.Fatal(err)
	}
	c := cluster(t, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1"}, Spec: corev1.NodeSpec{ProviderID: nodegroups.ProviderID("a", "i-1")},
		Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue,
			LastTransitionTime: metav1.NewTime(at), LastHeartbeatTime: metav1.NewTime(at.Add(time.Hour))}}}})
	var owed Owed
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 20 {
				if _, err := Read(t.Context(), c, groups, &owed, at); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// An instance that was returned is of no use from then on, whatever AWS's lists still show; once they do not, it is forgotten.
func TestAReturnedInstanceCountsNoMore(t *testing.T) {
	cloud := &slowly{}
	cloud.set(group("g", 2, "i-1", "i-2"))
	g := NewGroups(cloud)
	read := func(after time.Duration) nodegroups.Group {
		t.Helper()
		if err := g.Read(t.Context(), at.Add(after), onePool); err != nil {
			t.Fatal(err)
		}
		s, _ := snapshot(g)
		return s.Groups[0]
	}
	read(0)
	g.Returned("i-1")
	for i := range 2 { // the old list comes again
		if now := read(time.Duration(i) * time.Second); now.Alive() != 1 || now.Desired != 1 {
			t.Errorf("%d alive, desired %d: want 1 and 1", now.Alive(), now.Desired)
		}
	}
	cloud.set(group("g", 1, "i-2"))
	if now := read(3 * time.Second); now.Alive() != 1 || now.Desired != 1 || len(g.returned) != 0 {
		t.Errorf("%d alive, desired %d, %v remembered: want 1, 1 and nothing", now.Alive(), now.Desired, g.returned)
	}
}
