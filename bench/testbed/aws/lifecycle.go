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
		if i.State == statePending && due(e.inServiceAt(i)) {
			c.do(record{Op: opInService, ID: id})
			e.notify(c, i, stateRunning)
		}
		if i.alive() && !i.Joined && due(i.BootsAt) {
			c.do(record{Op: opRunning, ID: id})
		}
		if i.alive() && due(i.LostAt) {
			e.terminate(c, i, "interruption")
		}
		if i.State == stateShuttingDown && due(i.GoneAt) {
			c.do(record{Op: opTerminated, ID: id})
			e.notify(c, i, stateTerminated)
		}
	}
	for _, g := range e.fleet.Groups {
		e.repair(c, e.state.groups[g.Name], due)
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
	missing := g.desired - len(alive)
	if missing == 0 {
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
	ids, errs := e.launch(c, g, g.Zone, "", missing, "", g.repairCause)
	if len(ids) < missing {
		// the real service backs off as well before it tries again
		g.repairAt = c.t.At.Add(e.fleet.shorten(time.Minute))
		c.do(failedActivity(g, errs, c.t.At))
	}
}

func failedActivity(g *group, errs []launchError, at time.Time) record {
	a := &activity{ID: "failed-" + g.Name + "-" + at.UTC().Format("20060102T150405.000000"), Group: g.Name, What: "Launching a new EC2 instance",
		Cause: g.repairCause, Status: "Failed", Start: at, End: at}
	if len(errs) > 0 {
		a.Message = errs[0].Message + " Launching EC2 instance failed."
	}
	return record{Op: opActivity, Activity: a}
}

// shrink terminates the oldest instances that are not protected.
func (e *Emulator) shrink(c *change, g *group, alive []*instance, n int) {
	for _, i := range alive {
		if n == 0 {
			return
		}
		if !i.Protected {
			e.terminate(c, i, g.repairCause)
			n--
		}
	}
}

func (e *Emulator) terminate(c *change, i *instance, cause string) {
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
