package observe

import (
	"fmt"
	"time"
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
