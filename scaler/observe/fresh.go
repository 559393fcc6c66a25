package observe

import (
	"fmt"
	"time"

	"swell/api/v1alpha1"
)

// ReadSince says of which pool's groups, given by name, no reading began after a time; empty is none.
func (g *Groups) ReadSince(t time.Time, pools []string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, name := range pools {
		if !g.pools[name].at.After(t) {
			return fmt.Sprintf("the groups of pool %s were not read", name)
		}
	}
	return ""
}

// Takeover is when a scaler took over, in model time, until all that it returns nodes by was read since; then it is zero.
type Takeover struct{ At time.Time }

// Unread is why nothing may be returned yet: what a predecessor saw last, or what a cache held while nobody acted on it, is no
// ground to take a node away. Both the API server, whose last answer was at apiAt, and every pool's groups must have answered
// since.
func (t *Takeover) Unread(g *Groups, pools []v1alpha1.CapacityPool, apiAt time.Time) string {
	if t.At.IsZero() {
		return ""
	}
	var names []string
	for _, p := range pools {
		names = append(names, p.Name)
	}
	why := g.ReadSince(t.At, names)
	if !apiAt.After(t.At) {
		why = "the API server was not asked"
	}
	if why != "" {
		return fmt.Sprintf("%s since this scaler took over at %s", why, t.At.UTC().Format("15:04:05"))
	}
	*t = Takeover{}
	return ""
}
