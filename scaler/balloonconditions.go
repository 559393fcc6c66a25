package scaler

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/scaler/plan"
)

// Conditions of a Balloon beside Ready, which is about its forecast.
const (
	// held says whether the decision is carried out.
	held = "Held"
	// withinMax says whether spec.max lets all be held that is wanted.
	withinMax = "WithinMax"
	// buffersGone says, while it is not so, that CapacityBuffers of an earlier output may still be there.
	buffersGone = "BuffersGone"
	// schedulesKnown says whether all of spec.schedules counts.
	schedulesKnown = "SchedulesKnown"
	// imagesPulled says whether the workload's images come with the balloons.
	imagesPulled = "ImagesPulled"
)

// observing is the reason of a decision that is not carried out because nobody wants it to be.
const observing = "Observing"

func (s *size) say(condition string, ok bool, reason, message string) {
	status := metav1.ConditionFalse
	if ok {
		status = metav1.ConditionTrue
	}
	s.says = append(s.says, metav1.Condition{Type: condition, Status: status, Reason: reason, Message: message, ObservedGeneration: s.balloon.Generation})
}

func (s *size) yes(reason, message string) { s.say(held, true, reason, message) }
func (s *size) no(reason, message string)  { s.say(held, false, reason, message) }

// bounds says whether the Balloon's max is in the way.
func (s *size) bounds() {
	for _, p := range s.decision.Problems {
		if strings.Contains(p.Mend, "spec.max") {
			s.say(withinMax, false, "MaxReached", p.What+"; "+p.Mend)
			return
		}
	}
	s.say(withinMax, true, "Within", "all that is wanted is allowed by spec.max")
}

// scheduleProblem is why one of spec.schedules does not count, or not in full.
type scheduleProblem struct{ reason, what, mend string }

// schedules says whether the Balloon's schedules count, where it names any: the first problem, and how many more.
func (s *size) schedules(bad []scheduleProblem) {
	switch {
	case len(s.balloon.Spec.Schedules) == 0:
	case len(bad) == 0:
		s.say(schedulesKnown, true, "Known", "all of spec.schedules count")
	default:
		what := bad[0].what
		if len(bad) > 1 {
			what += fmt.Sprintf(" (and %d more problems)", len(bad)-1)
		}
		s.say(schedulesKnown, false, bad[0].reason, what+"; "+bad[0].mend)
	}
}

// sayInWhy adds to the decision's why that schedules are missing from it.
func (s *size) sayInWhy() {
	for _, c := range s.says {
		if c.Type == schedulesKnown && c.Status == metav1.ConditionFalse {
			what, _, _ := strings.Cut(c.Message, "; ")
			s.decision.Why += "; " + what
		}
	}
}

// fillVirtual tells the sizes where the plan found places for virtual balloons.
func fillVirtual(sizes []size, rooms []plan.VirtualRoom) {
	for i := range sizes {
		s := &sizes[i]
		s.virtual = map[string]int{}
		for _, r := range rooms {
			if r.Namespace == s.balloon.Namespace && r.Name == s.balloon.Name {
				s.virtual[r.Zone] += r.Count
			}
		}
	}
}
