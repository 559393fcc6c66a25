package observe

import (
	"time"

	"swell/nodegroups"
)

// bootsWithin is how old an instance may be when it is first seen and still be one that was launched for this cluster and is on
// its way, model time.
const bootsWithin = 15 * time.Minute

// shortfall is since when a group has had less than it wants, with how many instances.
type shortfall struct {
	since time.Time
	alive int
}

// readAges notes of the readings since when each group is short, and which instances had run for long when they were first seen.
func (g *Groups) readAges() {
	groups, _ := g.all()
	short, seen := map[string]shortfall{}, map[string]bool{}
	for _, x := range groups {
		if alive := x.Alive(); alive < x.Desired {
			s, known := g.short[x.Name]
			if !known || alive > s.alive { // it is getting on
				s.since = x.at
			}
			short[x.Name] = shortfall{s.since, alive}
		}
		for _, i := range x.Instances {
			found, known := g.seen[i.ID]
			if !known {
				found = foundLate(i, x.at)
			}
			seen[i.ID] = found
		}
	}
	g.short, g.seen = short, seen
}

// foundLate says whether an instance that is seen for the first time has run for long. One whose launch is not known is taken to
// be young, as the planner does.
func foundLate(i nodegroups.Instance, at time.Time) bool {
	return !i.LaunchedAt.IsZero() && at.Sub(i.LaunchedAt) > bootsWithin
}
