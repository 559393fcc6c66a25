package aws

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// WarmPool keeps instances beside a group that were started once and wait, stopped or running.
type WarmPool struct {
	// Min instances in it.
	Min int `yaml:"min,omitempty" json:"min"`
	// MaxPrepared is the most instances of the group and the pool together; absent is the group's maximum.
	MaxPrepared *int `yaml:"maxPrepared,omitempty" json:"max_prepared,omitempty"`
	// State is Stopped, the default, Running or Hibernated.
	State string `yaml:"state,omitempty" json:"state"`
	// Reuse returns instances to the pool at scale-in.
	Reuse bool `yaml:"reuse,omitempty" json:"reuse,omitempty"`
}

var warmStates = []string{"Stopped", "Running", "Hibernated"}

// warmStart is how long a warm instance takes to its Node's joining, as a share of a new one's boot time.
const warmStart = 0.4

// warmSize is how many instances the group's warm pool should have.
func (g *group) warmSize() int {
	if g.warm == nil || g.warmLeaving {
		return 0
	}
	prepared := g.Max
	if g.warm.MaxPrepared != nil {
		prepared = *g.warm.MaxPrepared
	}
	return max(g.warm.Min, prepared-g.desired, 0)
}

// warmInstances of a group, oldest first.
func (s *state) warmInstances(group string) []*instance {
	var out []*instance
	for _, id := range s.order {
		if i := s.instances[id]; i.Group == group && i.Warm && i.State != stateTerminated && i.State != stateShuttingDown {
			out = append(out, i)
		}
	}
	return out
}

// tendWarm fills a warm pool up, or empties it.
func (e *Emulator) tendWarm(c *change, g *group, due func(time.Time) bool) {
	if g.warm == nil {
		return
	}
	have := e.state.warmInstances(g.Name)
	if g.warmLeaving && len(have) == 0 {
		c.do(record{Op: opWarmPool, Group: g.Name})
		return
	}
	missing := g.warmSize() - len(have)
	for ; missing < 0; missing++ {
		e.end(c, have[0], "warm-pool")
		have = have[1:]
	}
	if missing == 0 || slices.Contains(g.suspended, "Launch") || !g.warmRetry.IsZero() && !due(g.warmRetry) {
		return
	}
	g.warmRetry = time.Time{}
	for range missing {
		i, failed := e.pick(g, e.launchZones(g)[0], "", c.t.At)
		if i == nil {
			g.warmRetry = c.t.At.Add(e.fleet.shorten(time.Minute))
			due(g.warmRetry)
			c.do(failedActivity(g, failed, c.t.At))
			return
		}
		i.Warm, i.Cause = true, "warm-pool"
		c.do(record{Op: opLaunch, Instance: i})
	}
}

// startWarm takes the oldest prepared instance out of the warm pool, of the first zone that has one; nil is none.
func (e *Emulator) startWarm(c *change, g *group, zones []string, cause string) *instance {
	pool := e.state.warmInstances(g.Name)
	for _, zone := range zones {
		n := slices.IndexFunc(pool, func(i *instance) bool { return i.Zone == zone && i.Ready })
		if n < 0 {
			continue
		}
		i := pool[n]
		boot := time.Duration(float64(e.bootTime(zone, e.hash(i.ID, 0))) * warmStart)
		c.do(record{Op: opUnwarm, ID: i.ID, Cause: cause, Until: c.t.At.Add(e.fleet.shorten(boot))})
		return i
	}
	return nil
}

type warmPoolXML struct {
	Config    *warmConfigXML `xml:"WarmPoolConfiguration,omitempty"`
	Instances []memberXML    `xml:"Instances>member"`
	NextToken string         `xml:"NextToken,omitempty"`
}

type warmConfigXML struct {
	MaxPrepared *int   `xml:"MaxGroupPreparedCapacity,omitempty"`
	Min         int    `xml:"MinSize"`
	State       string `xml:"PoolState"`
	Status      string `xml:"Status,omitempty"`
	Reuse       *bool  `xml:"InstanceReusePolicy>ReuseOnScaleIn,omitempty"`
}

func (g *group) warmXML() *warmConfigXML {
	if g.warm == nil {
		return nil
	}
	out := &warmConfigXML{MaxPrepared: g.warm.MaxPrepared, Min: g.warm.Min, State: g.warm.State}
	if g.warm.Reuse {
		out.Reuse = &g.warm.Reuse
	}
	if g.warmLeaving {
		out.Status = "PendingDelete"
	}
	return out
}

func (e *Emulator) describeWarmPool(r *request) (any, *apiError) {
	size, bad := r.number("MaxRecords", 50, 1, 50)
	if bad != nil {
		return nil, bad
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	g, bad := e.find(r.form.Get("AutoScalingGroupName"))
	if bad != nil {
		return nil, bad
	}
	out := warmPoolXML{Config: g.warmXML()}
	found := e.state.warmInstances(g.Name)
	slices.SortFunc(found, func(a, b *instance) int { return strings.Compare(a.ID, b.ID) })
	found, out.NextToken, bad = page(found, func(i *instance) string { return i.ID }, "DescribeWarmPool", r.form.Get("NextToken"), size)
	for _, i := range found {
		out.Instances = append(out.Instances, e.memberXML(i, false))
	}
	return out, bad
}

func (e *Emulator) putWarmPool(r *request) (any, *apiError) {
	r.call.Group = r.form.Get("AutoScalingGroupName")
	least, bad := r.number("MinSize", 0, 0, 1<<30)
	if bad != nil {
		return nil, bad
	}
	prepared, bad := r.number("MaxGroupPreparedCapacity", -1, -1, 1<<30)
	if bad != nil {
		return nil, bad
	}
	p := WarmPool{Min: least, State: r.form.Get("PoolState"), Reuse: r.form.Get("InstanceReusePolicy.ReuseOnScaleIn") == "true"}
	if prepared >= 0 {
		p.MaxPrepared = &prepared
	}
	if p.State == "" {
		p.State = "Stopped"
	}
	if !slices.Contains(warmStates, p.State) {
		return nil, invalid("1 validation error detected: Value '%s' at 'poolState' failed to satisfy constraint: Member must satisfy enum value set: [Stopped, Running, Hibernated]", p.State)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	g, bad := e.find(r.call.Group)
	if bad != nil {
		return nil, bad
	}
	if bad := g.takesWarmPool(); bad != nil {
		return nil, bad
	}
	c := e.change(r.now)
	c.do(record{Op: opWarmPool, Group: g.Name, WarmPool: &p})
	c.commit()
	return struct{}{}, nil
}

// takesWarmPool refuses groups that buy spot instances.
func (g *group) takesWarmPool() *apiError {
	if g.Market != "on-demand" {
		return invalid("You can't add a warm pool to an Auto Scaling group that has a launch template or mixed instances policy that requests Spot Instances.")
	}
	return nil
}

func (e *Emulator) deleteWarmPool(r *request) (any, *apiError) {
	r.call.Group = r.form.Get("AutoScalingGroupName")
	e.mu.Lock()
	defer e.mu.Unlock()
	g, bad := e.find(r.call.Group)
	if bad != nil {
		return nil, bad
	}
	if g.warm == nil {
		return nil, invalid("No warm pool found for AutoScalingGroup %s", g.Name)
	}
	have := e.state.warmInstances(g.Name)
	if len(have) > 0 && r.form.Get("ForceDelete") != "true" {
		return nil, refuse(400, "ResourceInUse", "The warm pool of AutoScalingGroup %s still has instances.", g.Name)
	}
	c := e.change(r.now)
	if len(have) == 0 {
		c.do(record{Op: opWarmPool, Group: g.Name})
	} else {
		c.do(record{Op: opWarmPool, Group: g.Name, WarmPool: g.warm, Yes: true})
	}
	c.commit()
	return struct{}{}, nil
}

func (p WarmPool) validate() error {
	if !slices.Contains(warmStates, p.State) {
		return fmt.Errorf("warmPool.state is %q: give Stopped, Running or Hibernated", p.State)
	}
	return nil
}
