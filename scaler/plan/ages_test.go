package plan

import (
	"testing"
	"time"

	"swell/nodegroups"
)

// A pool whose groups cannot be read returns nothing; the others are not held up.
func TestOnePoolsOldReadingHoldsUpThatPoolAlone(t *testing.T) {
	for name, age := range map[string]time.Duration{"general": 0, "unread": 2 * time.Minute} {
		unread := testPool()
		unread.Name = "unread"
		c := newCluster(testPool(), unread)
		c.policy.MaxAge = time.Minute
		c.group("1a", nodegroups.Spot, 0.2).group("1a", nodegroups.Spot, 0.9, func(g *nodegroups.Group) { g.Pool, g.Name = "unread", "unread-1a-spot" })
		c.up("unread-1a-spot", 2).up(spotA, 2)
		for _, n := range c.s.Nodes {
			c.pods("web", 1, "1", n.Name)
		}
		c.slackFor(time.Hour)
		c.s.PoolsAt = map[string]time.Time{"general": c.now, "unread": c.now.Add(-age)}
		c.promise("api", 1, "14")
		p := c.plan()
		gone, held := map[string]int{}, map[string]int{}
		for _, x := range p.Terminations {
			gone[x.Pool]++
		}
		for _, x := range p.Suppressed {
			held[x.Termination.Pool]++
		}
		expect(t, p, gone["general"] == 1 && len(p.Placed) == 1, "the pool that is read returns one, and promises count")
		stale := age > 0
		expect(t, p, (gone["unread"] == 1) == !stale && (held["unread"] == 1) == stale && (len(p.Problems) == 1) == stale, name+": the other returns one if it is current")
	}
}
