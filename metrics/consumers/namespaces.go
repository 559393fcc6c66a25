package consumers

import (
	"errors"
	"fmt"
	"sync"

	"swell/api/config"
)

// ErrForbidden is wrapped by errors that say which namespace rule is missing.
var ErrForbidden = errors.New("no namespace rule of swell-metrics allows it")

// gateKept is how many verdicts are remembered.
const gateKept = 20_000

// gate applies namespace rules. Verdicts are remembered: rules hold expressions, and every request passes here.
type gate struct {
	rules config.NamespaceRules

	mu       sync.Mutex
	verdicts map[subject]bool
}

type subject struct{ namespace, cluster, group string }

// refuse is nil where a namespace may ask about a group, else an error that names the rule to add.
func (g *gate) refuse(namespace, cluster, group string) error {
	if len(g.rules) == 0 || g.allowed(subject{namespace, cluster, group}) {
		return nil
	}
	return fmt.Errorf("namespace %q asks about group %q of Kafka cluster %q: %w: add {namespaces: [%q], clusters: [%q], groups: [%q]} to namespaceRules in its configuration",
		namespace, group, cluster, ErrForbidden, namespace, cluster, group)
}

func (g *gate) allowed(s subject) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	allowed, known := g.verdicts[s]
	if !known {
		if len(g.verdicts) >= gateKept || g.verdicts == nil {
			g.verdicts = map[subject]bool{}
		}
		allowed = g.rules.Allow(s.namespace, s.cluster, s.group)
		g.verdicts[s] = allowed
	}
	return allowed
}
