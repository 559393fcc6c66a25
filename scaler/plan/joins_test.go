package plan

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"swell/nodegroups"
)

// late is a cluster with one node that is up and one instance that was launched so long ago.
func late(ago time.Duration) *cluster {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 1).pods("web", 10, "1", "i-0001")
	c.launch(spotA, 1)
	g := c.byName(spotA)
	g.Instances[1].LaunchedAt = c.now.Add(-ago)
	return c
}

func lostOf(p Plan) (ids []string) {
	for _, t := range p.Lost {
		ids = append(ids, t.InstanceID)
	}
	return ids
}

// An instance that does not join is waited for as long as its like were seen to take, not a fixed quarter of an hour; then it
// is returned by its id and what waited for it is bought anew.
func TestAnInstanceThatNeverJoinsIsReturnedAndReplaced(t *testing.T) {
	c := late(6*time.Minute).pods("web", 6, "1", "")
	c.policy.JoinWithinOf = map[string]time.Duration{spotA: 7 * time.Minute}
	p := c.plan()
	expect(t, p, len(p.Lost) == 0 && len(p.Launches) == 0, "it is on its way for another minute")
	c.policy.JoinWithinOf[spotA] = 5 * time.Minute
	p = c.plan()
	expect(t, p, slices.Equal(lostOf(p), []string{"i-0012"}) && p.Lost[0].Node == "" && launched(p)[spotA] == 1, "i-0012 is returned, and one is bought in its place")
}

// A broken launch template made healthy capacity shrink: only what never joined goes.
// ka#6795
func TestHealthyNodesStayWhereNewOnesDoNotJoin(t *testing.T) {
	c := late(time.Hour)
	c.s.Nodes[0].Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown}}
	c.byName(spotA).Instances[0].LaunchedAt = c.now.Add(-24 * time.Hour)
	p := c.plan()
	expect(t, p, slices.Equal(lostOf(p), []string{"i-0012"}) && len(p.Terminations) == 0, "i-0001 was Ready once: it is no boot that failed, though it is not Ready now")
	c.s.NeverReady = []string{"i-0001"}
	p = c.plan()
	expect(t, p, slices.Equal(lostOf(p), []string{"i-0012", "i-0001"}) && p.Lost[1].Node == "i-0001", "i-0001 never was Ready either")
}

func TestNothingIsGivenUpOnAStaleSnapshot(t *testing.T) {
	c := late(time.Hour)
	c.policy.MaxAge = time.Minute
	c.s.PodsAt, c.s.GroupsAt = c.now.Add(-2*time.Minute), c.now
	p, _ := Make(c.now, c.s, c.policy, c.memory)
	expect(t, p, len(p.Lost) == 0 && len(p.Suppressed) > 0, "its Node may be there and not seen")
}

// A group ends an instance that is unwell and replaces it. Its Node goes before a reading of the group shows that; to return it as one
// that never joined would lower the group, which has replaced it, by one more.
func TestAnInstanceWhoseNodeWentAwayIsNotGivenUpAtOnce(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 1)
	c.now = c.now.Add(time.Hour)
	_ = c.plan()
	c.s.Nodes = nil
	c.now = c.now.Add(10 * time.Second)
	p := c.plan()
	expect(t, p, len(p.Lost) == 0, "the reading may be older than its end")
	c.now = c.now.Add(defaultJoinWithin)
	p = c.plan()
	expect(t, p, len(p.Lost) == 1, "it runs and is no node")
}
