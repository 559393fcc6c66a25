package history

import "time"

// KeptUntilAnnotation on a checkpoint is a time until which it outlives its Balloon, as when it was moved here ahead of it.
const KeptUntilAnnotation = "capacity.swell/kept-until"

// Take takes the rows of another record, as an older cluster's, into those that nobody sampled here, and its shares where none
// is recorded here; since now, then, the share of this cluster is none, until traffic comes. It gives how many rows became
// known; a second time none do.
func (r *Record) Take(o *Record, now time.Time) int {
	was := len(r.shares)
	minutes, _ := o.Minutes()
	coarse, _ := o.Coarse()
	// the coarse rows first: those that the minutes would be made into are another rounding of the same
	filled := 0
	if coarse.Len() > 0 {
		filled += r.Fill(coarse)
	}
	if minutes.Len() > 0 {
		filled += r.Fill(minutes)
	}
	if was == 0 {
		for _, s := range o.shares {
			r.noteShare(s.from, s.share)
		}
		r.noteShare(floorDiv(now.Unix(), minuteSeconds), 0)
	}
	return filled
}

// kept says that a checkpoint is not to be swept yet.
func kept(until string, now time.Time) bool {
	t, err := time.Parse(time.RFC3339, until)
	return err == nil && now.Before(t)
}
