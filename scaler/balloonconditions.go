package scaler

import (
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
