package act

import "time"

// UnderWay counts the nodes that are being emptied, with when the oldest of these drains began, in model time, zero where there is
// none, and those whose drain failed and is tried again later.
func (a *Actor) UnderWay() (drains int, oldest time.Time, failed int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range a.draining {
		drains++
		if oldest.IsZero() || t.since.Before(oldest) {
			oldest = t.since
		}
	}
	return drains, oldest, len(a.blocked)
}
