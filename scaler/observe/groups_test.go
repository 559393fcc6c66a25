package observe

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"swell/nodegroups"
	"swell/scaler/plan"
)

var at = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// answers gives each pool's groups, or its error.
type answers map[string]any

func (a answers) Groups(_ context.Context, s nodegroups.Selection) ([]nodegroups.Group, []string, error) {
	switch v := a[s.Pool].(type) {
	case error:
		return nil, nil, v
	case []nodegroups.Group:
		return v, nil, nil
	}
	return nil, nil, nil
}

// Prepaid is what is under the name of no pool, with the types that it was asked for among what could not be read.
func (a answers) Prepaid(_ context.Context, types []string) (nodegroups.Prepaid, []string) {
	p, known := a[""].(nodegroups.Prepaid)
	if !known {
		return p, []string{"not read for " + strings.Join(types, " ")}
	}
	return p, nil
}

func group(name string, desired int, ids ...string) nodegroups.Group {
	g := nodegroups.Group{Name: name, Zone: "a", Max: 10, Desired: desired}
	for _, id := range ids {
		g.Instances = append(g.Instances, nodegroups.Instance{ID: id, Zone: "a", Lifecycle: nodegroups.InService})
	}
	return g
}

func snapshot(g *Groups) (plan.Snapshot, []plan.Problem) {
	var s plan.Snapshot
	problems := g.into(&s)
	return s, problems
}

var pools = map[string]nodegroups.Selection{"good": {Pool: "good", Tags: map[string]string{"k": "v"}}, "bad": {Pool: "bad", Tags: map[string]string{"k": "w"}}}

func TestAPoolThatCannotBeReadDoesNotHoldUpOthers(t *testing.T) {
	cloud := answers{"good": []nodegroups.Group{group("g", 1, "i-1")}, "bad": errors.New("no group carries k=w; tag the groups")}
	g := NewGroups(cloud)
	if err := g.Read(t.Context(), at, pools); err == nil {
		t.Fatal("the pool that cannot be read was not told of")
	}
	s, problems := snapshot(g)
	if len(s.Groups) != 1 || !s.GroupsAt.Equal(at) {
		t.Fatalf("groups %v at %s: want the good pool's, fresh", s.Groups, s.GroupsAt)
	}
	if len(problems) != 1 || problems[0].Object != "CapacityPool bad" || !strings.Contains(problems[0].Mend, "tag the groups") {
		t.Fatalf("problems %+v: want the bad pool's with its mend", problems)
	}
}

// While a pool was never read any instance may be one of its groups': a notice of it is not another's yet.
func TestAnInstanceMayBeOfAPoolThatWasNeverRead(t *testing.T) {
	cloud := answers{"good": []nodegroups.Group{group("g", 1, "i-1")}, "bad": errors.New("throttled")}
	g := NewGroups(cloud)
	for _, c := range []struct {
		bad  any
		want time.Time
	}{{errors.New("throttled"), time.Time{}}, {[]nodegroups.Group{group("h", 1, "i-2")}, at.Add(time.Second)}, {errors.New("throttled"), at.Add(time.Second)}} {
		cloud["bad"] = c.bad
		_ = g.Read(t.Context(), at.Add(time.Second), pools)
		if _, known, readAt := g.Of("i-9"); known || !readAt.Equal(c.want) {
			t.Errorf("the other pool's reading gives %v: known %t, read at %s, want %s", c.bad, known, readAt, c.want)
		}
	}
}

// What one pool's reading does not show says nothing of another's groups, however old or new it is.
func TestALaunchIsForgottenByTheReadingOfItsOwnPool(t *testing.T) {
	for name, c := range map[string]struct {
		failing string
		want    int
	}{"its own is read": {"bad", 1}, "another is read": {"good", 3}} {
		cloud := answers{"good": []nodegroups.Group{group("g", 1, "i-1")}, "bad": []nodegroups.Group{group("h", 0)}}
		g := NewGroups(cloud)
		if err := g.Read(t.Context(), at, pools); err != nil {
			t.Fatal(err)
		}
		g.Launched(at.Add(time.Second), map[string][]nodegroups.Instance{"g": {{ID: "i-2", Zone: "a"}}})
		g.Raised(at.Add(time.Second), map[string][]nodegroups.Raise{"g": {{By: 1, To: 3}}})
		cloud[c.failing] = errors.New("timeout")
		if err := g.Read(t.Context(), at.Add(nodegroups.ListedWithin+2*time.Second), pools); err == nil {
			t.Fatal("the pool that cannot be read was not told of")
		}
		s, _ := snapshot(g)
		if s.Groups[0].Desired != c.want {
			t.Errorf("%s: desired %d, want %d", name, s.Groups[0].Desired, c.want)
		}
		if newest := at.Add(nodegroups.ListedWithin + 2*time.Second); !s.GroupsAt.Equal(newest) || !s.PoolsAt[c.failing].Equal(at) {
			t.Errorf("%s: the groups are of %s and those of the pool that fails of %s, want %s and %s", name, s.GroupsAt, s.PoolsAt[c.failing], newest, at)
		}
	}
}

func TestALostReadingKeepsItsAge(t *testing.T) {
	cloud := answers{"good": []nodegroups.Group{group("g", 1, "i-1")}}
	g := NewGroups(cloud)
	one := map[string]nodegroups.Selection{"good": {Pool: "good"}}
	if err := g.Read(t.Context(), at, one); err != nil {
		t.Fatal(err)
	}
	cloud["good"] = errors.New("timeout")
	if err := g.Read(t.Context(), at.Add(time.Minute), one); err == nil {
		t.Fatal("the lost reading was not told of")
	}
	if s, _ := snapshot(g); len(s.Groups) != 1 || !s.GroupsAt.Equal(at) {
		t.Fatalf("groups %v at %s: want the old reading with its own time", s.Groups, s.GroupsAt)
	}
}

func TestWhatWasAskedForIsCountedOnceUntilAWSShowsIt(t *testing.T) {
	cloud := answers{"good": []nodegroups.Group{group("g", 1, "i-1")}}
	g := NewGroups(cloud)
	one := map[string]nodegroups.Selection{"good": {Pool: "good"}}
	count := func(want int, when string) {
		t.Helper()
		s, _ := snapshot(g)
		if n := s.Groups[0].Desired; n != want {
			t.Fatalf("%s: desired %d: want %d", when, n, want)
		}
	}
	if err := g.Read(t.Context(), at, one); err != nil {
		t.Fatal(err)
	}
	count(1, "at first")
	g.Asked(map[string]int{"g": 2})
	count(3, "two asked for without an answer")
	g.Asked(nil)
	g.Launched(at, map[string][]nodegroups.Instance{"g": {{ID: "i-2", Zone: "a"}, {ID: "i-3", Zone: "a"}}})
	count(3, "answered, not shown yet")
	cloud["good"] = []nodegroups.Group{group("g", 3, "i-1", "i-2")}
	if err := g.Read(t.Context(), at.Add(5*time.Second), one); err != nil {
		t.Fatal(err)
	}
	count(3, "half shown")
	cloud["good"] = []nodegroups.Group{group("g", 3, "i-1", "i-2", "i-3")}
	if err := g.Read(t.Context(), at.Add(10*time.Second), one); err != nil {
		t.Fatal(err)
	}
	count(3, "shown")
	cloud["good"] = []nodegroups.Group{group("g", 2, "i-1", "i-2")}
	if err := g.Read(t.Context(), at.Add(15*time.Second), one); err != nil {
		t.Fatal(err)
	}
	count(2, "one gone again")
}

// A raise names no instances, so that nothing but its number stands for them while the groups cannot be read.
func TestARaiseIsCountedUntilItsGroupIsRead(t *testing.T) {
	cloud := answers{"good": []nodegroups.Group{group("g", 1, "i-1")}}
	g := NewGroups(cloud)
	one := map[string]nodegroups.Selection{"good": {Pool: "good"}}
	count := func(want int, when string) {
		t.Helper()
		if s, _ := snapshot(g); s.Groups[0].Desired != want {
			t.Fatalf("%s: desired %d: want %d", when, s.Groups[0].Desired, want)
		}
	}
	if err := g.Read(t.Context(), at, one); err != nil {
		t.Fatal(err)
	}
	g.Raised(at.Add(time.Second), map[string][]nodegroups.Raise{"g": {{By: 2, To: 3}}})
	count(3, "raised by two")
	cloud["good"] = errors.New("timeout")
	_ = g.Read(t.Context(), at.Add(time.Minute), one) // fails, as it is to
	count(3, "not read since")
	cloud["good"] = []nodegroups.Group{group("g", 1, "i-1")}
	if err := g.Read(t.Context(), at.Add(90*time.Second), one); err != nil {
		t.Fatal(err)
	}
	count(3, "read, and the answer is an old one")
	cloud["good"] = []nodegroups.Group{group("g", 3, "i-1")}
	if err := g.Read(t.Context(), at.Add(2*time.Minute), one); err != nil {
		t.Fatal(err)
	}
	count(3, "read")
	cloud["good"] = []nodegroups.Group{group("g", 2, "i-1")}
	if err := g.Read(t.Context(), at.Add(125*time.Second), one); err != nil {
		t.Fatal(err)
	}
	count(2, "shown once, and lowered by somebody")
}

func TestARaiseThatNoReadingShowsIsForgotten(t *testing.T) {
	g := NewGroups(answers{"good": []nodegroups.Group{group("g", 1, "i-1")}})
	g.Raised(at, map[string][]nodegroups.Raise{"g": {{By: 2, To: 3}}})
	for i, want := range []int{3, 1} {
		after := nodegroups.ListedWithin + time.Duration(i)*time.Second
		if err := g.Read(t.Context(), at.Add(after), map[string]nodegroups.Selection{"good": {Pool: "good"}}); err != nil {
			t.Fatal(err)
		}
		if s, _ := snapshot(g); s.Groups[0].Desired != want {
			t.Errorf("desired %d in a reading %s after the raise: want %d", s.Groups[0].Desired, after, want)
		}
	}
}

func TestRaisesAreCountedByWhatTheReadingLacks(t *testing.T) {
	for name, c := range map[string]struct {
		raised   []nodegroups.Raise
		returned string
		read     int
		want     int
	}{
		"two, an old answer":               {raised: []nodegroups.Raise{{By: 1, To: 5}, {By: 2, To: 4}}, read: 2, want: 5},
		"two, an answer from between":      {raised: []nodegroups.Raise{{By: 1, To: 5}, {By: 2, To: 4}}, read: 4, want: 5},
		"two, shown":                       {raised: []nodegroups.Raise{{By: 1, To: 5}, {By: 2, To: 4}}, read: 5, want: 5},
		"one, and a return since":          {raised: []nodegroups.Raise{{By: 2, To: 4}}, returned: "i-2", read: 3, want: 3},
		"one, by no more than was asked":   {raised: []nodegroups.Raise{{By: 1, To: 4}}, read: 2, want: 3},
		"one, raised by another beyond it": {raised: []nodegroups.Raise{{By: 1, To: 3}}, read: 6, want: 6},
	} {
		t.Run(name, func(t *testing.T) {
			cloud := answers{"good": []nodegroups.Group{group("g", 2, "i-1", "i-2")}}
			one := map[string]nodegroups.Selection{"good": {Pool: "good"}}
			g := NewGroups(cloud)
			if err := g.Read(t.Context(), at, one); err != nil {
				t.Fatal(err)
			}
			g.Raised(at.Add(time.Second), map[string][]nodegroups.Raise{"g": c.raised})
			ids := []string{"i-1", "i-2"}
			if c.returned != "" {
				g.Returned(c.returned)
				ids = []string{"i-1"}
			}
			cloud["good"] = []nodegroups.Group{group("g", c.read, ids...)}
			if err := g.Read(t.Context(), at.Add(time.Minute), one); err != nil {
				t.Fatal(err)
			}
			if s, _ := snapshot(g); s.Groups[0].Desired != c.want {
				t.Errorf("desired %d: want %d", s.Groups[0].Desired, c.want)
			}
		})
	}
}

// A launch raises the desired capacity by what it gives, whatever else the group was about to launch by itself.
func TestALaunchComesOnTopOfWhatAGroupLacked(t *testing.T) {
	g := NewGroups(answers{"good": []nodegroups.Group{group("g", 3, "i-1")}})
	if err := g.Read(t.Context(), at, map[string]nodegroups.Selection{"good": {Pool: "good"}}); err != nil {
		t.Fatal(err)
	}
	g.Asked(map[string]int{"g": 1})
	if s, _ := snapshot(g); s.Groups[0].Desired != 4 {
		t.Errorf("desired %d while one is asked for: want 4, as the group was to launch two by itself", s.Groups[0].Desired)
	}
	g.Asked(nil)
	g.Launched(at.Add(time.Second), map[string][]nodegroups.Instance{"g": {{ID: "i-2", Zone: "a"}}})
	if s, _ := snapshot(g); s.Groups[0].Desired != 4 || s.Groups[0].Alive() != 2 {
		t.Errorf("desired %d with %d alive: want 4 with 2, as two are still to come", s.Groups[0].Desired, s.Groups[0].Alive())
	}
	if err := g.Read(t.Context(), at.Add(time.Minute), map[string]nodegroups.Selection{"good": {Pool: "good"}}); err != nil {
		t.Fatal(err)
	}
	if s, _ := snapshot(g); s.Groups[0].Desired != 4 || s.Groups[0].Alive() != 2 {
		t.Errorf("desired %d with %d alive after an old answer: want 4 with 2", s.Groups[0].Desired, s.Groups[0].Alive())
	}
}

// What a predecessor launched is noted before the groups are read at all.
func TestALaunchIsCountedThoughItsGroupWasNotReadBefore(t *testing.T) {
	cloud := answers{"good": []nodegroups.Group{group("g", 3, "i-1")}}
	g := NewGroups(cloud)
	g.Launched(at, map[string][]nodegroups.Instance{"g": {{ID: "i-2", Zone: "a"}}})
	for after, want := range []int{4, 4} { // an old answer, and a new one
		if err := g.Read(t.Context(), at.Add(time.Duration(1+after)*time.Second), map[string]nodegroups.Selection{"good": {Pool: "good"}}); err != nil {
			t.Fatal(err)
		}
		if s, _ := snapshot(g); s.Groups[0].Desired != want || s.Groups[0].Alive() != 2 {
			t.Errorf("desired %d with %d alive: want %d with 2", s.Groups[0].Desired, s.Groups[0].Alive(), want)
		}
		cloud["good"] = []nodegroups.Group{group("g", 4, "i-1", "i-2")}
	}
}

// It is no room for another either, until the return is read back: the group may have been replacing it.
func TestALaunchThatIsReturnedBeforeItIsShownIsReturning(t *testing.T) {
	cloud := answers{"good": []nodegroups.Group{group("g", 1, "i-1")}}
	g := NewGroups(cloud)
	want := func(desired, alive, returning int, when string) {
		t.Helper()
		if err := g.Read(t.Context(), at.Add(time.Second), map[string]nodegroups.Selection{"good": {Pool: "good"}}); err != nil {
			t.Fatal(err)
		}
		if s, _ := snapshot(g); s.Groups[0].Desired != desired || s.Groups[0].Alive() != alive || s.Groups[0].Returning != returning {
			t.Errorf("%s: desired %d with %d alive and %d returning: want %d, %d and %d", when, s.Groups[0].Desired, s.Groups[0].Alive(), s.Groups[0].Returning, desired, alive, returning)
		}
	}
	want(1, 1, 0, "at first")
	g.Launched(at, map[string][]nodegroups.Instance{"g": {{ID: "i-2", Zone: "a"}, {ID: "i-3", Zone: "a"}}})
	g.Returned("i-2")
	want(2, 2, 1, "returned")
	g.Launched(at, map[string][]nodegroups.Instance{"g": {{ID: "i-4", Zone: "a"}}})
	want(3, 3, 1, "launched once more")
	shown := group("g", 3, "i-1", "i-2", "i-3", "i-4")
	shown.Instances[1].Lifecycle = nodegroups.Terminating
	cloud["good"] = []nodegroups.Group{shown}
	want(3, 3, 0, "shown")
}

// An instance is ending once it was returned, before AWS's lists show that, and once they show that its group ends it.
func TestAnInstanceIsEndingOnceItIsReturnedOrItsGroupEndsIt(t *testing.T) {
	listed := group("a", 3, "i-1", "i-2", "i-3")
	listed.Instances[1].Lifecycle = nodegroups.Terminating
	g := NewGroups(answers{"p": []nodegroups.Group{listed}})
	if err := g.Read(t.Context(), at, map[string]nodegroups.Selection{"p": {Pool: "p"}}); err != nil {
		t.Fatal(err)
	}
	g.Returned("i-3")
	for id, want := range map[string]bool{"i-1": false, "i-2": true, "i-3": true, "i-9": false} {
		if got := g.Ending(id); got != want {
			t.Errorf("%s is ending: %t, want %t", id, got, want)
		}
	}
	if name, known, readAt := g.Of("i-2"); name != "a" || !known || !readAt.Equal(at) {
		t.Errorf("i-2 is of %q, %t, read at %s", name, known, readAt)
	}
}

// A plan asks for the groups of many instances, each tick.
func BenchmarkOf(b *testing.B) {
	var groups []nodegroups.Group
	for i := range 6 {
		var ids []string
		for n := range 833 {
			ids = append(ids, fmt.Sprintf("i-%017d", i*1000+n))
		}
		groups = append(groups, group(fmt.Sprintf("g-%d", i), len(ids), ids...))
	}
	g := NewGroups(answers{"p": groups})
	if err := g.Read(b.Context(), at, map[string]nodegroups.Selection{"p": {Pool: "p"}}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for _, x := range groups {
			for _, i := range x.Instances {
				g.Of(i.ID)
			}
		}
	}
}

// An instance that its group replaces by itself is no place any more; the other one is on its way, and is bought by nobody else.
func TestAnInstanceThatItsGroupReplacesLeavesTheDesiredCapacity(t *testing.T) {
	cloud := answers{"good": []nodegroups.Group{group("g", 2, "i-1", "i-2")}}
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
	g.Replaced("i-1")
	for _, after := range []time.Duration{time.Second, time.Minute} { // the reading still shows it
		if x := read(after); x.Desired != 2 || x.Alive() != 1 || x.Returning != 0 || !g.Ending("i-1") {
			t.Errorf("desired %d, alive %d, returning %d, ending %t: want 2, 1, 0 and that it ends", x.Desired, x.Alive(), x.Returning, g.Ending("i-1"))
		}
	}
	cloud["good"] = []nodegroups.Group{group("g", 2, "i-2", "i-3")}
	if x := read(2 * time.Minute); x.Desired != 2 || x.Alive() != 2 || len(g.replaced) != 0 {
		t.Errorf("desired %d, alive %d, remembered %v: want 2 of 2, and nothing", x.Desired, x.Alive(), g.replaced)
	}
}

// A pool whose groups were taken from it has none; it was read all the same.
func TestAnEmptyReadingReplacesTheGroupsAndIsCurrent(t *testing.T) {
	cloud := answers{"pool": []nodegroups.Group{group("g", 1, "i-1")}}
	g := NewGroups(cloud)
	pools := map[string]nodegroups.Selection{"pool": {Pool: "pool", Tags: map[string]string{"k": "pool"}}}
	at := time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)
	if err := g.Read(context.Background(), at, pools); err != nil {
		t.Fatal(err)
	}
	cloud["pool"] = []nodegroups.Group{}
	if err := g.Read(context.Background(), at.Add(10*time.Second), pools); err != nil {
		t.Fatal(err)
	}
	if s, _ := snapshot(g); len(s.Groups) != 0 || !s.GroupsAt.Equal(at.Add(10*time.Second)) {
		t.Errorf("groups %v at %s: want none, read at %s", s.Groups, s.GroupsAt, at.Add(10*time.Second))
	}
}
