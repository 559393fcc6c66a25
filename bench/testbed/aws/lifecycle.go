package aws

import (
	"slices"
	"time"
)

// noticeBefore is how long before its end a spot instance's interruption is announced.
const noticeBefore = 2 * time.Minute

// Step does everything that is due and returns when the next thing will be; zero is nothing planned.
func (e *Emulator) Step() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	c := e.change(now)
	var next time.Time
	due := func(t time.Time) bool {
		if t.IsZero() || !now.Before(t) {
			return !t.IsZero()
		}
		if next.IsZero() || t.Before(next) {
			next = t
		}
		return false
	}
	for _, id := range e.state.order {
		i := e.state.instances[id]
		if i.Warm && !i.Ready && i.State == statePending && due(i.BootsAt) {
			c.do(record{Op: opWarmed, ID: id, Cause: e.warmState(i)})
			e.notify(c, i, i.State)
		}
		if !i.Warm && i.State == statePending && due(e.inServiceAt(i)) {
			c.do(record{Op: opInService, ID: id})
			e.notify(c, i, stateRunning)
			if !i.Leaving {
				e.await(c, i, hookLaunching, "")
			}
		}
		e.expire(c, i, due)
		if i.running() && !i.Warm && !i.Joined && due(i.BootsAt) {
			c.do(record{Op: opRunning, ID: id})
		}
		if i.running() && due(i.LostAt) {
			e.end(c, i, "interruption")
		}
		e.maintain(c, i, due)
		if i.State == stateShuttingDown && due(i.GoneAt) {
			c.do(record{Op: opTerminated, ID: id})
			e.notify(c, i, stateTerminated)
		}
	}
	for _, g := range e.fleet.Groups {
		e.repair(c, e.state.groups[g.Name], due)
		e.rebalance(c, e.state.groups[g.Name], due)
		e.tendWarm(c, e.state.groups[g.Name], due)
	}
	c.commit()
	if len(c.events) > 0 {
		return now // what was done may have made something else due
	}
	return next
}

// inServiceAt is when the services begin to count an instance as running.
func (e *Emulator) inServiceAt(i *instance) time.Time {
	at := i.LaunchedAt.Add(e.fleet.shorten(e.fleet.InServiceAfter))
	if i.BootsAt.Before(at) {
		return i.BootsAt
	}
	return at
}

// repair brings a group back to its desired capacity, some time after it left it.
func (e *Emulator) repair(c *change, g *group, due func(time.Time) bool) {
	alive := e.state.alive(g.Name)
	missing := g.desired - g.units(alive)
	if missing == 0 || missing < 0 && !g.canShrink(alive, -missing) {
		g.repairAt, g.repairCause = time.Time{}, "self-repair"
		return
	}
	if g.repairAt.IsZero() {
		g.repairAt = c.t.At.Add(e.fleet.shorten(e.fleet.RepairAfter))
	}
	if !due(g.repairAt) {
		return
	}
	g.repairAt = time.Time{}
	if missing < 0 {
		if !slices.Contains(g.suspended, "Terminate") {
			e.shrink(c, g, alive, -missing)
		}
		return
	}
	if slices.Contains(g.suspended, "Launch") {
		return
	}
	launched, errs := e.launch(c, g, "", "", missing, "", g.repairCause)
	if launched.units < missing {
		// the real service backs off as well before it tries again
		g.repairAt = c.t.At.Add(e.fleet.shorten(time.Minute))
		c.do(failedActivity(g, errs, c.t.At))
	}
}

func failedActivity(g *group, errs []launchError, at time.Time) record {
	a := &activity{ID: "failed-" + g.Name + "-" + at.UTC().Format("20060102T150405.000000"), Group: g.Name, What: "Launching a new EC2 instance",
		Cause: g.repairCause, Status: "Failed", Start: at, End: at}
	if len(errs) > 0 {
		a.Message, a.Subnet = errs[0].Message+" Launching EC2 instance failed.", errs[0].Subnet
	}
	return record{Op: opActivity, Activity: a}
}

// shrink terminates the oldest instances that are not protected, in the zone that has the most. With weights it never goes
// below the desired capacity.
func (e *Emulator) shrink(c *change, g *group, alive []*instance, n int) {
	for {
		perZone := map[string]int{}
		for _, i := range alive {
			perZone[i.Zone]++
		}
		at := -1
		for k, i := range alive {
			if !i.Protected && g.weight(i.Type) <= n && (at < 0 || perZone[i.Zone] > perZone[alive[at].Zone]) {
				at = k
			}
		}
		if at < 0 {
			return
		}
		n -= g.weight(alive[at].Type)
		e.terminate(c, alive[at], g.repairCause)
		alive = slices.Delete(slices.Clone(alive), at, at+1)
	}
}

func (g *group) canShrink(alive []*instance, n int) bool {
	return slices.ContainsFunc(alive, func(i *instance) bool { return !i.Protected && g.weight(i.Type) <= n })
}

// rebalance launches in the zone that lacks instances where another has two more; repair then ends one of the other's.
func (e *Emulator) rebalance(c *change, g *group, due func(time.Time) bool) {
	if len(g.MoreZones) == 0 || slices.Contains(g.suspended, "AZRebalance") || slices.Contains(g.suspended, "Launch") || slices.Contains(g.suspended, "Terminate") {
		return
	}
	alive := e.state.alive(g.Name)
	perZone := map[string]int{}
	for _, i := range alive {
		perZone[i.Zone]++
	}
	least, most := g.Zone, 0
	for _, z := range append([]string{g.Zone}, g.MoreZones...) {
		if perZone[z] < perZone[least] {
			least = z
		}
		most = max(most, perZone[z])
	}
	if g.units(alive) != g.desired || most-perZone[least] < 2 {
		g.balanceAt = time.Time{}
		return
	}
	if g.balanceAt.IsZero() {
		g.balanceAt = c.t.At.Add(e.fleet.shorten(e.fleet.RepairAfter))
	}
	if !due(g.balanceAt) {
		return
	}
	g.balanceAt = c.t.At.Add(e.fleet.shorten(time.Minute))
	launched, errs := e.launch(c, g, least, "", 1, "", "az-rebalance")
	if launched.units == 0 {
		c.do(failedActivity(g, errs, c.t.At))
		return
	}
	g.repairAt, g.repairCause = c.t.At, "az-rebalance"
}

func (e *Emulator) warmState(i *instance) string {
	if g := e.state.groups[i.Group]; g != nil && g.warm != nil {
		return g.warm.State
	}
	return "Stopped"
}

// terminate ends an instance, after its group's lifecycle hooks where it has some.
func (e *Emulator) terminate(c *change, i *instance, cause string) {
	if i.Leaving || e.await(c, i, hookTerminating, cause) {
		return
	}
	e.end(c, i, cause)
}

// end shuts an instance down at once.
func (e *Emulator) end(c *change, i *instance, cause string) {
	c.do(record{Op: opTerminating, ID: i.ID, Cause: cause, Until: c.t.At.Add(e.fleet.shorten(e.fleet.TerminateTakes))})
	e.notify(c, i, stateShuttingDown)
}

// interrupt announces the end of spot instances.
func (e *Emulator) interrupt(c *change, i *instance) {
	c.do(record{Op: opInterrupted, ID: i.ID, Cause: "interruption", Until: c.t.At.Add(e.fleet.shorten(noticeBefore))})
	e.announce(c, i, "EC2 Spot Instance Interruption Warning", map[string]string{"instance-id": i.ID, "instance-action": "terminate"})
}

func (e *Emulator) notify(c *change, i *instance, state string) {
	e.announce(c, i, "EC2 Instance State-change Notification", map[string]string{"instance-id": i.ID, "state": state})
}
