package nodegroups

import (
	"reflect"
	"testing"
	"time"
)

func TestOfTwoNoticesTheHookStandsAndTheEarlierDeadline(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	notice := func(kind InterruptionKind, minutes int) Interruption {
		n := Interruption{InstanceID: "i-1", Kind: kind, At: at}
		if minutes > 0 {
			n.Deadline = at.Add(time.Duration(minutes) * time.Minute)
		}
		return n
	}
	for name, c := range map[string]struct {
		n, have, want Interruption
		news          bool
	}{
		"a hook after a spot notice":    {notice(TerminationHook, 0), notice(SpotInterruption, 2), notice(TerminationHook, 2), true},
		"a spot notice after a hook":    {notice(SpotInterruption, 2), notice(TerminationHook, 0), notice(TerminationHook, 2), true},
		"a later deadline after a hook": {notice(Maintenance, 9), notice(TerminationHook, 2), notice(TerminationHook, 2), false},
		"a sooner one":                  {notice(SpotInterruption, 2), notice(TerminationHook, 9), notice(TerminationHook, 2), true},
		"none after a hook":             {notice(RebalanceNotice, 0), notice(TerminationHook, 0), notice(TerminationHook, 0), false},
		"the same hook again":           {notice(TerminationHook, 0), notice(TerminationHook, 2), notice(TerminationHook, 2), false},
		"a spot notice after a hint":    {notice(SpotInterruption, 2), notice(RebalanceNotice, 0), notice(SpotInterruption, 2), true},
		"a hint after a spot notice":    {notice(RebalanceNotice, 0), notice(SpotInterruption, 2), notice(SpotInterruption, 2), false},
		"a later maintenance":           {notice(Maintenance, 9), notice(SpotInterruption, 2), notice(SpotInterruption, 2), false},
	} {
		if got, news := c.n.Beside(c.have); !reflect.DeepEqual(got, c.want) || news != c.news {
			t.Errorf("%s: %+v, news %t; want %+v, %t", name, got, news, c.want, c.news)
		}
	}
}
