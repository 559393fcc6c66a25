package lag

// Known is what another run or replica knew of a group; zero is unknown.
type Known struct {
	// Replicas are those that it asked for.
	Replicas int
	// PerPod is the μ that it had learned.
	PerPod float64
	// Saturated is there while more pods than those asked for do not help.
	Saturated Stretch
}

// leader is what the replica that learns and writes status has said, for the others.
type leader struct {
	follows bool
	Known
}

// Follow takes over what the leader's status says. A follower counts from its own polls, but learns nothing itself, and stays
// with the leader's replicas: it does not fall below them while a backlog drains, nor leave them for a need that is on the edge
// of two levels, nor rise above them while more pods do not help. Call it for every status that is fresh.
func (t *Tracker) Follow(k Known) {
	k.Replicas = max(0, k.Replicas)
	t.saturated.follow(k)
	t.leader = leader{follows: true, Known: k}
}

// Lead makes it learn again, from the leader's μ on where it followed one.
func (t *Tracker) Lead() {
	if !t.leader.follows {
		return
	}
	if t.leader.PerPod > 0 && t.opts.Learn {
		t.mu = learned{}
		t.mu.resume(t.leader.PerPod)
	}
	t.leader = leader{}
}

// perPod is μ as it is to be used.
func (t *Tracker) perPod() float64 {
	switch {
	case !t.opts.Learn:
		return t.opts.PerPod
	case t.leader.follows && t.leader.PerPod > 0:
		return t.leader.PerPod
	}
	return t.mu.estimate(t.opts.PerPod)
}

// saturated says that the leader holds its replicas because more do not help.
func (l leader) saturated() bool { return l.follows && l.Replicas > 0 && l.Saturated.told() }

// join takes the leader's level for the latch's own.
func (h *latch) join(l leader, load Load, p Policy) {
	if !l.follows || l.Replicas == 0 {
		return
	}
	if load.backlog(load.Lag, p) && !l.saturated() {
		h.level = max(h.level, l.Replicas)
		return
	}
	h.level = l.Replicas
}
