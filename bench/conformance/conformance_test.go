package conformance_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"swell/bench/testbed/kafka"
)

// testCase sets up a cluster's topics and groups and says what must be read of them. Cases run at the same time on one cluster, so
// each names its own topics and groups.
type testCase struct {
	name string
	run  func(e *env)
}

var cases = slices.Concat(groupCases, rebalanceCases, transactionCases, offsetCases, topicCases, latenessCases, walkCases, aclCases, authCases)

func TestFake(t *testing.T) {
	run(t, startFake(t))
}

func TestReal(t *testing.T) {
	target, err := startReal(t)
	if errors.Is(err, kafka.ErrNoJava) && !slices.Contains(strings.Split(os.Getenv("SWELL_REQUIRE"), ","), "kafka") {
		t.Skipf("skipped: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	run(t, target)
}

// run runs every case, then asks about all their groups at once and compares with the tools, then kills the brokers.
func run(t *testing.T, target *target) {
	all := cases
	if !target.isFake() {
		all = slices.Concat(cases, realCases)
	}
	t.Run("case", func(t *testing.T) {
		for _, c := range all {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				c.run(newEnv(t, target, c.name))
			})
		}
	})
	if len(target.finals) == 0 { // a filter by -run chose other cases
		return
	}
	t.Run("all groups at once", func(t *testing.T) { allAtOnce(t, target) })
	t.Run("brokers killed and back", func(t *testing.T) { killedAndBack(t, target) })
}
