package consumers

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"

	"swell/api/config"
)

// ErrForbidden is wrapped by errors that say which namespace rule is missing.
var ErrForbidden = errors.New("no namespace rule of swell-metrics allows it")

// ErrUnknownCluster is wrapped by errors about a Kafka cluster that the configuration does not have.
var ErrUnknownCluster = errors.New("it is not in swell-metrics' configuration")

// gateKept is how many verdicts are remembered.
const gateKept = 20_000

// gate applies namespace rules. Verdicts are remembered: rules hold expressions, and every request passes here.
type gate struct {
	rules config.NamespaceRules

	mu       sync.Mutex
	verdicts map[subject]bool
}

// subject is a question; its topics are told by their hash, since a verdict is kept whoever makes them up.
type subject struct {
	namespace, cluster, group string
	topics                    [sha256.Size]byte
}

func subjectOf(namespace, cluster, group string, topics []string) subject {
	return subject{namespace, cluster, group, sha256.Sum256(fmt.Appendf(nil, "%q", topics))}
}

// refuse is nil where a namespace may ask about a group in the topics that it names, else an error that names the rule to add.
func (g *gate) refuse(namespace, cluster, group string, topics []string) error {
	if len(g.rules) == 0 || g.allowed(subjectOf(namespace, cluster, group, topics), topics) {
		return nil
	}
	in, rule := "", fmt.Sprintf("namespaces: [%q], clusters: [%q], groups: [%q]", namespace, cluster, group)
	if len(topics) > 0 {
		in = fmt.Sprintf(" in topics %s", strings.Join(topics, ", "))
		rule += ", topics: [\"" + strings.Join(topics, `", "`) + "\"]"
	}
	return fmt.Errorf("namespace %q asks about group %q of Kafka cluster %q%s: %w: add {%s} to namespaceRules in its configuration",
		namespace, group, cluster, in, ErrForbidden, rule)
}

func (g *gate) allowed(s subject, topics []string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	allowed, known := g.verdicts[s]
	if !known {
		if len(g.verdicts) >= gateKept || g.verdicts == nil {
			g.verdicts = map[subject]bool{}
		}
		allowed = g.rules.Allow(s.namespace, s.cluster, s.group, topics)
		g.verdicts[s] = allowed
	}
	return allowed
}
