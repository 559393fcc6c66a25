package lag

// leader is what the replica that learns and writes status has said, for the others.
type leader struct {
	follows  bool
	replicas int
	perPod   float64
}

// Follow takes over what the leader's status says: the replicas that it asks for and its μ (0: not known). A follower counts
// from its own polls, but learns nothing itself, and stays with the leader's replicas: it does not fall below them while a
// backlog drains, nor leave them for a need that is on the edge of two levels. Call it for every status that is fresh.
func (t *Tracker) Follow(replicas int, perPod float64) {
	t.leader = leader{follows: true, replicas: max(0, replicas), perPod: perPod}
}

// Lead makes it learn again, from the leader's μ on where it followed one.
func (t *Tracker) Lead() {
	if !t.leader.follows {
		return
	}
	if t.leader.perPod > 0 && t.opts.Learn {
		t.mu = learned{}
		t.mu.resume(t.leader.perPod)
	}
	t.leader = leader{}
}

// perPod is μ as it is to be used.
func (t *Tracker) perPod() float64 {
	switch {
	case !t.opts.Learn:
		return t.opts.PerPod
	case t.leader.follows && t.leader.perPod > 0:
		return t.leader.perPod
	}
	return t.mu.estimate(t.opts.PerPod)
}

// join takes the leader's level for the latch's own.
func (h *latch) join(l leader, load Load, p Policy) {
	if !l.follows || l.replicas == 0 {
		return
	}
	if load.backlog(load.Lag, p) {
		h.level = max(h.level, l.replicas)
		return
	}
	h.level = l.replicas
}
