package plan

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"swell/nodegroups"
)

// found makes a group's instances ones that had run for three days when they were first seen.
func (c *cluster) found(group string) *cluster {
	g := c.byName(group)
	for i := range g.Instances {
		g.Instances[i].Lifecycle, g.Instances[i].LaunchedAt, g.Instances[i].Found = nodegroups.InService, start.Add(-72*time.Hour), true
	}
	return c
}

// Two clusters whose groups have the same tags: the other's instances have no Node here and never had.
func TestInstancesOfAnotherClusterAreLeftAlone(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).group("1c", nodegroups.Spot, 0.3).up(spotC, 1)
	c.launch(spotA, 20)
	c.found(spotA).pods("web", 40, "1", "")
	p := c.plan()
	expect(t, p, len(p.Lost) == 0 && len(p.Terminations) == 0, "they are another cluster's")
	expect(t, p, launched(p)[spotA] == 0 && launched(p)[spotC] > 0, "what is launched in the group would join the other cluster")
	problems := map[string]bool{}
	for _, x := range p.Problems {
		problems[x.Object] = true
	}
	expect(t, p, problems["group "+spotA], "the group is named")
}

// The other cluster goes on to scale: what its group launches while this one looks on is its own too.
func TestWhatAnotherClusterLaunchesIsLeftAlone(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).group("1c", nodegroups.Spot, 0.3).up(spotC, 1)
	c.launch(spotA, 20)
	c.found(spotA)
	c.launch(spotA, 3)
	c.pods("web", 40, "1", "")
	c.now = c.now.Add(defaultJoinWithin)
	p := c.plan()
	expect(t, p, len(p.Lost) == 0 && len(p.Terminations) == 0, "none of the 23 was ever to be a node here")
	expect(t, p, launched(p)[spotA] == 0 && launched(p)[spotC] > 0, "what is launched in the group would join the other cluster")
}

func TestAForgottenInstanceOfAGroupOfThisClusterIsGivenUp(t *testing.T) {
	for name, change := range map[string]func(*cluster){
		"as it is":           func(*cluster) {},
		"scale-in is frozen": func(c *cluster) { c.policy.Pools[0].Freeze = Freeze{Until: start.Add(time.Hour), Reason: "hand-over"} },
		"it just took over":  func(c *cluster) { c.policy.NoSale = "the groups were not read yet" },
		"a window":           func(c *cluster) { c.policy.Pools[0].NoSale = "a window" },
		"most are elsewhere": func(c *cluster) { c.launch(spotA, 3); c.found(spotA) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 3)
			c.launch(spotA, 1)
			c.found(spotA)
			change(c)
			p := c.plan()
			want := 0
			if name == "as it is" {
				want = 1
			}
			expect(t, p, len(p.Lost) == want, fmt.Sprintf("%d is given up", want))
		})
	}
}

func TestALaunchThatFailedIsGivenUpWhateverStopsSales(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2)
	c.policy.Pools[0].Freeze = Freeze{Until: start.Add(time.Hour), Reason: "hand-over"}
	c.policy.NoSale = "the groups were not read yet"
	c.launch(spotA, 2)
	c.now = c.now.Add(defaultJoinWithin)
	p := c.plan()
	expect(t, p, len(p.Lost) == 2, "both were seen to boot and never joined")
}

// Launch is suspended, or Auto Scaling waits: what a group wants and never starts is no place for pods.
func TestWhatAGroupNeverStartsIsNotCountedOnForEver(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).group("1c", nodegroups.Spot, 0.2).pods("web", 15, "1", "")
	g := c.byName(spotA)
	g.Desired, g.ShortSince = 1, c.now
	p := c.plan()
	expect(t, p, len(p.Launches) == 0, "the instance is on its way")
	c.now = c.now.Add(defaultJoinWithin)
	p = c.plan()
	expect(t, p, launched(p)[spotC] == 1 && len(p.Problems) > 0, "it is not: another group is used, and that is said")

	c.now, g.Unusable = start, "its Launch process is suspended ()"
	p = c.plan()
	expect(t, p, launched(p)[spotC] == 1, "nothing is waited for where nothing is started")
}

func TestWhatAGroupNeverStartsHoldsNoFloor(t *testing.T) {
	pool := testPool()
	pool.MinNodesPerZone = 2
	c := newCluster(pool).group("1a", nodegroups.Spot, 0.2).group("1a", nodegroups.OnDemand, 0.8).up(spotA, 1)
	g := c.byName(spotA)
	g.Desired, g.ShortSince = 2, start.Add(-defaultJoinWithin)
	p := c.plan()
	expect(t, p, launched(p)[odA] == 1, "the zone has one node of two")
}

func TestPodsOfAnotherSchedulerBuyNothing(t *testing.T) {
	for _, name := range []string{"fargate-scheduler", "volcano"} {
		other := func(p *corev1.Pod) { p.Spec.SchedulerName = name }
		c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).pods("web", 30, "1", "", other)
		c.s.Promised = []Promised{{Pod: podOf("batch", "1", other), Count: 30}}
		p := c.plan()
		expect(t, p, len(p.Launches) == 0 && len(p.Unplaced) == 0, "kube-scheduler places no pod of "+name)
		c.policy.Schedulers = []string{corev1.DefaultSchedulerName, name}
		p = c.plan()
		expect(t, p, len(p.Launches) == 1, "it is planned for where the policy names it")
	}
}

// An instance that somebody put into Standby runs on with its pods, and its group wants one less.
func TestPodsOfAnInstanceInStandbyNeedNoOtherPlace(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 1).pods("web", 10, "1", "i-0001")
	g := c.byName(spotA)
	g.Instances[0].Lifecycle, g.Desired = nodegroups.Standby, 0
	c.now = c.now.Add(time.Hour)
	p := c.plan()
	expect(t, p, len(p.Launches)+len(p.Lost)+len(p.Terminations)+len(p.Replacements) == 0, "nobody evicts them")
	p = c.pods("more", 2, "1", "").plan()
	expect(t, p, len(p.Launches) == 1, "it takes no more")
}

func TestANodeThatIsCordonedByHandIsSaidToStay(t *testing.T) {
	c := newCluster(testPool()).group("1a", nodegroups.Spot, 0.2).up(spotA, 2)
	c.s.Nodes[0].Spec.Unschedulable = true
	p := c.slackFor(time.Hour)
	expect(t, p, strings.Contains(keptWhy(p, "i-0001"), "cordoned") && len(p.Terminations) == 1, "the other one goes")
}
