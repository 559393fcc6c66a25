package plan

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	balloons "swell/balloon"
	"swell/nodegroups"
)

// eachDemand changes the demands of a cluster.
func (c *cluster) eachDemand(change func(*BalloonDemand)) *cluster {
	for i := range c.s.Balloons {
		change(&c.s.Balloons[i])
	}
	return c
}

func virtual(d *BalloonDemand) { d.Virtual = true }

func room(p Plan) int {
	n := 0
	for _, v := range p.Virtual {
		n += v.Count
	}
	return n
}

// Virtual balloons buy the nodes that they need and are never created; a pod takes their room without a pop.
func TestVirtualBalloonsBuyRoomAndMakeNoPods(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 1).pods("web", 10, "1", "i-0001")
	c.want("web", "1a", 6, "2500m").eachDemand(virtual)
	p := c.plan()
	expect(t, p, len(p.Creates) == 0 && room(p) == 2, "two of six have a place on the node that is up, and none is created")
	expect(t, p, launched(p)[spotA] == 1 && p.Launches[0].Balloons == 4, "one node is bought for the other four")
	c.carry(p)
	p = c.plan()
	expect(t, p, len(p.Launches) == 0, "what boots is not bought again")
	c.boot()
	p = c.plan()
	expect(t, p, room(p) == 6 && len(p.Launches) == 0, "all six have a place once it is up")
	c.want("web", "1a", 4, "2500m").eachDemand(virtual).pods("web", 5, "1", "")
	p = c.plan()
	expect(t, p, len(p.Pops) == 0 && len(p.Launches) == 0 && room(p) == 4, "five pods take free room, and four balloons keep theirs")
}

// A node that nobody uses is kept for the virtual balloons that have no other place, and returned when they go.
func TestVirtualBalloonsKeepTheirNode(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 2).pods("web", 10, "1", "i-0001")
	c.policy.Pools[0].ScaleInAfter = time.Minute
	c.want("web", "1a", 6, "2500m").eachDemand(virtual)
	for range 3 {
		p := c.plan()
		expect(t, p, len(p.Terminations) == 0, "four balloons need the second node")
		c.now = c.now.Add(time.Minute)
	}
	c.want("web", "1a", 2, "2500m").eachDemand(virtual)
	c.plan()
	c.now = c.now.Add(2 * time.Minute)
	p := c.plan()
	expect(t, p, len(p.Terminations) == 1 && room(p) == 2, "two balloons fit on the first node, and the second goes")
}

// When a Balloon's output becomes Virtual, its pods go and the room stays.
func TestPodsOfAnEarlierOutputGo(t *testing.T) {
	c := full().want("web", "1a", 2, "2500m").eachDemand(virtual)
	p := c.plan()
	expect(t, p, len(p.Deletes) == 2 && len(p.Creates) == 0 && len(p.Launches) == 0 && room(p) == 2, "both pods go and their places are held in memory")
	c = full() // an output that is none of the plan's business
	c.s.Balloons = []BalloonDemand{{Namespace: "shop", Name: "web"}}
	p = c.plan()
	expect(t, p, len(p.Deletes) == 2 && len(p.Creates) == 0 && len(p.Launches) == 0 && room(p) == 0, "both pods go")
}

// Nothing of a Balloon that only observes is deleted, neither to make room nor because there are too many.
func TestPodsOfAnObservedBalloonAreLeftAlone(t *testing.T) {
	c := full().want("web", "1a", 0, "2500m").eachDemand(func(d *BalloonDemand) { d.Observe = true })
	c.promise("web", 3, "1")
	p := c.plan()
	expect(t, p, len(p.Pops)+len(p.Deletes) == 0, "no pod of the Balloon is deleted")
	seen := 0
	for _, s := range p.Suppressed {
		if strings.Contains(s.Reason, "Balloon shop/web only observes") {
			seen++
		}
	}
	expect(t, p, seen == 2, "what would have been done is said")
}

// Balloons that were made like nothing that would be made now are replaced a quarter at a time, in their own room, and no
// further before all have a place again.
func TestOldBalloonsAreMadeAnewInTheirOwnRoom(t *testing.T) {
	made := func(hash string) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Annotations = map[string]string{balloons.HashAnnotation: hash} }
	}
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 2)
	c.balloons("web", "1a", 6, "2500m", "i-0001").balloons("web", "1a", 2, "2500m", "i-0002").want("web", "1a", 8, "2500m")
	for _, p := range c.s.Pods {
		made("old")(p)
	}
	c.eachDemand(func(d *BalloonDemand) { made("new")(d.Pod) })
	for left := 8; left > 0; left -= 2 {
		p := c.plan()
		expect(t, p, len(p.Deletes) == 2 && len(p.Creates) == 1 && p.Creates[0].Count == 2 && len(p.Launches) == 0, "two of eight are replaced and nothing is bought")
		c.carry(p)
		for _, pod := range c.s.Pods {
			if pod.Annotations == nil {
				made("new")(pod)
			}
		}
		p = c.plan()
		expect(t, p, len(p.Deletes)+len(p.Creates) == 0, "the next quarter waits for the last one")
		c.bind()
	}
	p := c.plan()
	expect(t, p, len(p.Deletes)+len(p.Creates) == 0, "all are new")
}

// Of balloons of an old make those that have no place go whatever else waits: they hold nothing.
func TestOldBalloonsWithoutAPlaceAreMadeAnew(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 1)
	c.balloons("web", "1a", 1, "2500m", "i-0001").balloons("web", "1a", 3, "2500m", "").want("web", "1a", 4, "2500m")
	for i, p := range c.s.Pods {
		p.Annotations = map[string]string{balloons.HashAnnotation: []string{"old", "new", "old", "old"}[i]}
	}
	c.eachDemand(func(d *BalloonDemand) { d.Pod.Annotations = map[string]string{balloons.HashAnnotation: "new"} })
	p := c.plan()
	expect(t, p, len(p.Deletes) == 1 && p.Deletes[0].Name == c.s.Pods[2].Name, "the first that is old and has no place goes, and not the one that has")
}

// Balloons that wait for pods to go take the room that is free and buy none.
func TestPatientBalloonsBuyNothing(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 1).pods("web", 10, "1", "i-0001")
	c.want("web", "1a", 6, "2500m").eachDemand(func(d *BalloonDemand) { d.Patient = true })
	p := c.plan()
	expect(t, p, len(p.Launches) == 0 && len(p.Creates) == 1 && p.Creates[0].Count == 6, "all are created and nothing is bought for the four without a place")
}

// Where another scaler owns the nodes there are no pools, so that no reading of groups can be old: balloons are made all
// the same.
func TestWithoutPoolsBalloonsAreMade(t *testing.T) {
	c := full()
	c.s.Groups, c.policy.Pools = nil, nil
	c.want("web", "1a", 3, "2500m")
	c.policy.MaxAge = time.Minute
	c.s.PodsAt = c.now
	p, _ := Make(c.now, c.s, c.policy, c.memory)
	expect(t, p, len(p.Creates) == 1 && p.Creates[0].Count == 1, "a third balloon is made")
	c.s.PodsAt = c.now.Add(-time.Hour)
	p, _ = Make(c.now, c.s, c.policy, c.memory)
	expect(t, p, len(p.Creates) == 0, "nothing is made on an old reading of the pods")
}
