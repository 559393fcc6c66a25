package guardrail

import (
	"fmt"
	"slices"
	"time"
)

// ToPutBack says whether the object that Step saw last is to get the last good spec back.
func (r *Record) ToPutBack() bool { return r.due }

// Trying notes, before a roll-back is tried, what it writes on the object and over which generation. The first note stays, so that
// whichever try came through is known by it.
func (w *Watch) Trying(note string, over int64) {
	if w.Note == "" {
		w.Note = note
	}
	w.Over = over
}

// PutBack notes the generation that a roll-back made, unless something else is watched by now.
func (r *Record) PutBack(note string, generation int64) {
	if r.Phase == RollingBack && r.Watch.Note == note {
		r.Watch.Back, r.due = generation, false
	}
}

// remade begins anew with an object that was deleted and made again, to which nothing that is known applies.
func (r *Record) remade(o Object) []News {
	if r.UID == "" || o.UID == r.UID {
		return nil
	}
	w := r.Watch
	*r = Record{}
	if w == nil {
		return nil
	}
	return []News{{Kind: Ended, What: fmt.Sprintf("generation %d is no longer watched, as the object was deleted and made anew; its spec as it is counts as good", w.Generation)}}
}

// lags says that an object is older than what was seen of it, by this scaler or the one before.
func (r *Record) lags(o Object) bool {
	return o.Generation < r.Seen || r.Phase == RollingBack && o.Generation < r.Watch.Back
}

// mostBehind is how long an object may be older than what was seen of it, as in a cache that lags; longer, it was restored.
const mostBehind = 10 * time.Minute

// fallBehind begins anew with an object that stays older than what was seen of it.
func (r *Record) fallBehind(now time.Time, o Object) []News {
	if r.Behind.IsZero() {
		r.Behind = now
	}
	if now.Sub(r.Behind) < mostBehind {
		return nil
	}
	what := fmt.Sprintf("the object is at generation %d, and generation %d was seen: it was restored, and its spec as it is counts as good", o.Generation, max(r.Seen, r.Generation))
	*r = Record{UID: o.UID, Past: r.Past}
	r.accept(o)
	return []News{{Kind: Ended, What: what}}
}

// sameInOtherWords takes over how another version of swell, or a default that the API server adds, writes a spec: it is no change
// while the generation is the same.
func (r *Record) sameInOtherWords(o Object, hash string) {
	switch {
	case r.UID == "" || o.Generation != r.Seen || hash == hashOf(r.Good):
	case r.Phase == Settled:
		r.Good = slices.Clone(o.Spec)
	default:
		r.Watch.Hash = hash
	}
}

// landed ends a roll-back that is known to have been in force, though the object may have been changed again since.
func (r *Record) landed(now time.Time, o Object) []News {
	if r.Phase != RollingBack {
		return nil
	}
	w, back := r.Watch, r.Watch.Back
	if back == 0 && w.Note != "" && o.Note == w.Note { // a patch makes the next generation, or it is refused
		back = w.Over + 1
	}
	if back == 0 {
		return nil
	}
	news := r.goodInForce(now, back)
	if o.Generation <= back { // what the API server made of the good spec
		r.Good, r.Generation = slices.Clone(o.Spec), o.Generation
	}
	return news
}
