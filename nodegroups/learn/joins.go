package learn

import (
	"fmt"
	"time"

	"swell/nodegroups"
)

const (
	freezeAfter = 3 // instances in a row that did not join
	firstFreeze = 30 * time.Minute
	mostFreeze  = 6 * time.Hour
)

// joins is how a group's newest instances fared.
type joins struct {
	Image  string    `json:"image"`
	Failed int       `json:"failed"` // in a row
	Until  time.Time `json:"until"`  // no launch before
	// Launched is when the newest of them was.
	Launched time.Time `json:"launched"`
}

// NeverJoined notes at now an instance of a group, launched at launched, that did not become a Ready node. After three in a row the group is not
// bought from for a while, and longer after each that follows: more of them would be paid for and serve nobody.
func (c *Capacity) NeverJoined(now, launched time.Time, group, image string) {
	j := c.joins[group]
	if j.Image != image {
		j = joins{Image: image}
	}
	if launched.After(j.Launched) {
		j.Launched = launched
	}
	if j.Failed++; j.Failed >= freezeAfter && !now.Before(j.Until) {
		j.Until = now.Add(min(firstFreeze<<min(j.Failed-freezeAfter, 10), mostFreeze))
	}
	c.joins[group] = j
}

// Joined notes an instance of a group that became a Ready node. One of another image, or that was launched before those that
// did not, says nothing of them.
func (c *Capacity) Joined(launched time.Time, group, image string) {
	if j := c.joins[group]; j.Image == image && launched.After(j.Launched) {
		delete(c.joins, group)
	}
}

// FailedJoins is how many of a group's newest instances, in a row, did not become Ready nodes.
func (c *Capacity) FailedJoins(g nodegroups.Group) int {
	if j := c.joins[g.Name]; j.Image == g.Image {
		return j.Failed
	}
	return 0
}

// frozen is why a group is not bought from as its instances do not join. Another image is another matter.
func (c *Capacity) frozen(now time.Time, g nodegroups.Group) (nodegroups.Unavailable, bool) {
	j := c.joins[g.Name]
	if j.Image != g.Image || !now.Before(j.Until) {
		return nodegroups.Unavailable{}, false
	}
	return nodegroups.Unavailable{Group: g.Name, Zone: g.Zone, Types: g.InstanceTypes, Market: g.Market, Class: nodegroups.BadTemplate, Until: j.Until,
		Reason: fmt.Sprintf("its last %d instances of image %s never became Ready nodes", j.Failed, g.Image)}, true
}
