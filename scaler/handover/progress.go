package handover

import (
	"math"
	"slices"
	"time"

	"swell/scaler/history"
)

// State of an application on its way.
type State string

const (
	NotBegun State = "not begun"
	OnTime   State = "on time"
	Behind   State = "behind"
	Done     State = "done"
	// Unknown is that no share is recorded or given.
	Unknown State = "unknown"
)

// Progress of one application's move.
type Progress struct {
	State State `json:"state"`
	// Begun is when the new cluster first served a share; Finish is when it has all, at the pace since.
	Begun  *time.Time `json:"begun"`
	Finish *time.Time `json:"finish"`
	Why    string     `json:"why"`
}

// Judge says whether an application arrives by a deadline. Share is the new cluster's now, NaN for unknown; shares are its
// record there, oldest first. The pace is the share so far over the time since traffic first came after the last share of none;
// a zero deadline is none.
func Judge(now, deadline time.Time, share float64, shares []history.SharePart) Progress {
	var p Progress
	for _, s := range shares {
		switch {
		case s.Share <= 0: // as when the old cluster's record was taken over, with its own shares
			p.Begun = nil
		case s.Share < 1 && p.Begun == nil:
			at := s.From
			p.Begun = &at
		}
	}
	late := !deadline.IsZero() && now.After(deadline)
	switch {
	case math.IsNaN(share):
		p.State, p.Why = Unknown, "the share of the new cluster is not known"
	case share >= 1:
		p.State, p.Why = Done, "the new cluster is ready for all of it"
	case late:
		p.State, p.Why = Behind, "the deadline is over"
	case share <= 0 || p.Begun == nil || !p.Begun.Before(now):
		p.State, p.Why = NotBegun, "no traffic has moved yet"
	default:
		moved := now.Sub(*p.Begun)
		finish := now.Add(time.Duration(float64(moved) * (1 - share) / share)).Truncate(time.Minute)
		p.Finish, p.State, p.Why = &finish, OnTime, "at the pace so far"
		if !deadline.IsZero() && finish.After(deadline) {
			p.State = Behind
		}
	}
	return p
}

// Rank orders states, those that need somebody first.
func (s State) Rank() int { return slices.Index([]State{Behind, Unknown, NotBegun, OnTime, Done}, s) }
