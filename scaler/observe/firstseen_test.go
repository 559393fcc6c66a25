package observe

import (
	"testing"
	"time"

	"swell/nodegroups"
)

func readAt(t *testing.T, g *Groups, cloud answers, now time.Time, found nodegroups.Group) nodegroups.Group {
	t.Helper()
	cloud["good"] = []nodegroups.Group{found}
	if err := g.Read(t.Context(), now, map[string]nodegroups.Selection{"good": {Pool: "good"}}); err != nil {
		t.Fatal(err)
	}
	s, _ := snapshot(g)
	return s.Groups[0]
}

func TestAGroupIsShortSinceItLastGotAnInstance(t *testing.T) {
	cloud := answers{}
	g := NewGroups(cloud)
	if got := readAt(t, g, cloud, at, group("g", 1, "i-1")); !got.ShortSince.IsZero() {
		t.Errorf("short since %s: want never", got.ShortSince)
	}
	for minute, c := range []struct {
		ids   []string
		since int
	}{{[]string{"i-1"}, 0}, {[]string{"i-1"}, 0}, {[]string{"i-1", "i-2"}, 2}, {[]string{"i-1", "i-2"}, 2}, {[]string{"i-1"}, 2}} {
		got := readAt(t, g, cloud, at.Add(time.Duration(minute)*time.Minute), group("g", 3, c.ids...))
		if want := at.Add(time.Duration(c.since) * time.Minute); !got.ShortSince.Equal(want) {
			t.Errorf("minute %d: short since %s, want %s", minute, got.ShortSince, want)
		}
	}
	if got := readAt(t, g, cloud, at.Add(time.Hour), group("g", 1, "i-1")); !got.ShortSince.IsZero() {
		t.Errorf("short since %s: want never", got.ShortSince)
	}
}

func TestInstancesThatHadRunForLongWhenTheyWereFirstSeenAreMarked(t *testing.T) {
	cloud := answers{}
	g := NewGroups(cloud)
	found := group("g", 3, "i-old", "i-young", "i-unknown")
	found.Instances[0].LaunchedAt, found.Instances[1].LaunchedAt = at.Add(-time.Hour), at.Add(-time.Minute)
	for _, now := range []time.Time{at, at.Add(time.Hour)} { // the young one has become old since
		got := readAt(t, g, cloud, now, found)
		for i, want := range []bool{true, false, false} {
			if got.Instances[i].Found != want {
				t.Errorf("at %s %s is found: %v", now.Format(time.TimeOnly), got.Instances[i].ID, got.Instances[i].Found)
			}
		}
	}
}
