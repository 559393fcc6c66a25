package history

import (
	"fmt"
	"math"
	"time"
)

const (
	// shareSettle is how long after a change of the share nothing is learned at all.
	shareSettle = 5 * time.Minute
	// shareSteady is how long samples must lie at the new share for the traffic to have followed.
	shareSteady = 2 * time.Minute
	// shareNear is how far they may be from what is expected, as a factor, and shareSame how far while the traffic is still
	// where it was.
	shareNear = 1.25
	shareSame = 1.1
	// shareGiveUp is after how long the share is believed, wherever the traffic is, except that none has come yet: less than
	// shareIdle of what is expected.
	shareGiveUp = 6 * time.Hour
	shareIdle   = 0.1
)

// sharing follows the traffic when spec.share changes. Samples are divided by the share that the traffic has, and are
// unknown while that is between two.
type sharing struct {
	begun    bool
	supposed bool    // no past told of the traffic: it was taken for what is asked
	traffic  float64 // what samples are divided by
	asked    float64
	changing bool
	since    time.Time // of the change
	nearFrom time.Time // since when samples lie at what is asked; zero while they do not
}

// of is the demand of all clusters, from what this one serves. Expected is the demand of all clusters by the forecast; NaN is
// unknown.
func (s *sharing) of(at time.Time, served, asked, expected float64) Demand {
	if !s.begun {
		*s = sharing{begun: true, supposed: true, traffic: asked, asked: asked}
	}
	if asked != s.asked {
		s.asked, s.changing, s.since, s.nearFrom = asked, true, at, time.Time{}
	}
	if s.changing {
		return s.follow(at, served, expected)
	}
	return s.divided(served)
}

func (s *sharing) divided(served float64) Demand {
	if s.traffic == 0 {
		return Unknown(ShareZero, "spec.share is 0%: what this cluster serves tells nothing of the demand of all")
	}
	if s.traffic == 1 {
		return known(served, "")
	}
	return known(served/s.traffic, fmt.Sprintf("%.4g of all clusters at a share of %g%%", served/s.traffic, s.traffic*100))
}

func (s *sharing) follow(at time.Time, served, expected float64) Demand {
	waited := at.Sub(s.since)
	from, to := off(served, s.traffic, expected), off(served, s.asked, expected)
	switch {
	case waited < shareSettle:
		s.nearFrom = time.Time{}
	case waited >= shareGiveUp && !(s.traffic == 0 && served < shareIdle*s.asked*expected):
		s.traffic, s.changing, s.supposed = s.asked, false, false
		return s.divided(served)
	case to <= math.Log(shareNear) && to <= from:
		if s.nearFrom.IsZero() {
			s.nearFrom = at
		}
		if at.Sub(s.nearFrom) >= shareSteady {
			s.traffic, s.changing, s.supposed = s.asked, false, false
			return s.divided(served)
		}
	default:
		s.nearFrom = time.Time{}
		if from <= math.Log(shareSame) && s.traffic > 0 {
			return s.divided(served)
		}
	}
	return Unknown(ShareChange, fmt.Sprintf("spec.share went from %g%% to %g%% at %s, and the traffic has not settled there", s.traffic*100, s.asked*100, s.since.UTC().Format(time.RFC3339)))
}

// off is how far what is served lies from a share of the expected, as a logarithm; a pod more or less is nothing.
func off(served, share, expected float64) float64 {
	if math.IsNaN(expected) {
		return math.Inf(1)
	}
	return math.Abs(math.Log((served + 1) / (share*expected + 1)))
}
