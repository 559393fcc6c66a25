package nodegroups

import (
	"maps"
	"slices"
	"strings"
)

const (
	// clusterTag names a group's cluster; without it the tags that begin with ownedTag do.
	clusterTag = "swell/cluster"
	ownedTag   = "kubernetes.io/cluster/"
)

// Clusters are those that a group's tags name, sorted; none is that it cannot be told.
func Clusters(tags map[string]string) []string {
	if of := tags[clusterTag]; of != "" {
		return []string{of}
	}
	var out []string
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		if name, ok := strings.CutPrefix(key, ownedTag); ok {
			out = append(out, name)
		}
	}
	return out
}
