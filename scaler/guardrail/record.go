package guardrail

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Phase of an object.
type Phase string

const (
	// Settled is that the spec in force is good, or states no bounds.
	Settled Phase = ""
	// Watching a change.
	Watching Phase = "Watching"
	// RollingBack is decided and not seen in force yet.
	RollingBack Phase = "RollingBack"
	// Kept is a change that left its bounds and stays in force, as rolling back is not wanted or would not help.
	Kept Phase = "Kept"
	// Fought is a spec that was rolled back and has come back.
	Fought Phase = "Fought"
)

// Object is one whose changes are watched, as it is now.
type Object struct {
	// UID tells the object from one of the same name that was there before it.
	UID string
	// Generation of the spec, and the Spec as JSON, always written alike by one version of swell.
	Generation int64
	Spec       json.RawMessage
	// Bounds and Override are the annotations' values; empty is none.
	Bounds, Override string
	// By is who applied it last; empty is not known.
	By string
	// Note is what RolledBackAnnotation says.
	Note string
	// Reading of its pods and nodes; nil is that nothing is known now.
	Reading *Reading
}

// Record is what is known of one object. The zero value knows nothing.
type Record struct {
	// Good is the last spec that was good, in force as Generation.
	Good       json.RawMessage `json:"good,omitempty"`
	Generation int64           `json:"generation,omitempty"`
	// UID is of the object, and Seen the newest generation that Good or Watch is of: its spec stays the same.
	UID  string `json:"uid,omitempty"`
	Seen int64  `json:"seen,omitempty"`
	// Behind is since when the object is older than that.
	Behind time.Time `json:"behind,omitzero"`
	Phase  Phase     `json:"phase,omitempty"`
	// Watch is the change that Phase is about.
	Watch *Watch `json:"watch,omitempty"`
	// Bad are the specs that were rolled back, the newest last.
	Bad  []Bad `json:"bad,omitempty"`
	Past Past  `json:"past,omitzero"`
	// At is when the last reading was.
	At time.Time `json:"at,omitzero"`

	due bool // what is in force is to be rolled back
}

// Watch is one change.
type Watch struct {
	Generation int64     `json:"generation"`
	Hash       string    `json:"hash"`
	Since      time.Time `json:"since"`
	Bounds     Bounds    `json:"bounds"`
	Sum        Sum       `json:"sum"`
	// Hours are what becomes of the past if the change is good.
	Hours map[int]Sum `json:"hours,omitempty"`
	// Unpriced is why the last cost was not known.
	Unpriced string `json:"unpriced,omitempty"`
	// Why it was found out of bounds.
	Why string `json:"why,omitempty"`
	// Note is what the roll-back writes on the object, and Over the generation that it is written over; both are kept before it is
	// tried, so that its effect is known although its answer is lost.
	Note string `json:"note,omitempty"`
	Over int64  `json:"over,omitempty"`
	// Back is the generation that the roll-back made; 0 is that no answer came.
	Back int64 `json:"back,omitempty"`
}

// Bad is a spec that was rolled back.
type Bad struct {
	Hash       string    `json:"hash"`
	Generation int64     `json:"generation"`
	At         time.Time `json:"at"`
	Why        string    `json:"why"`
}

// mostBad specs are remembered.
const mostBad = 5

// Kind of what there is to tell.
type Kind string

const (
	Begun      Kind = "GuardWatch"
	Confirmed  Kind = "GuardConfirmed"
	Unjudged   Kind = "GuardNotJudged"
	Breached   Kind = "GuardBreach"
	RolledBack Kind = "GuardRolledBack"
	Fight      Kind = "GuardFight"
	Ended      Kind = "GuardEnded"
)

// News is something to tell.
type News struct {
	Kind Kind
	What string
	Mend string
}

func hashOf(spec json.RawMessage) string {
	sum := sha256.Sum256(spec)
	return hex.EncodeToString(sum[:8])
}

// Step takes what an object is now. whyNot is why nothing may be rolled back, and empty where it may. An error says what of the
// annotations cannot be read; what they mean is then unknown, and nothing is decided.
func (r *Record) Step(now time.Time, o Object, whyNot string) ([]News, error) {
	r.due = false
	news := r.remade(o)
	if r.lags(o) {
		return append(news, r.fallBehind(now, o)...), nil
	}
	r.Behind = time.Time{}
	hash := hashOf(o.Spec)
	bounds, err := Bounds{}, error(nil)
	if o.Bounds != "" {
		if bounds, err = Parse(o.Bounds); err != nil {
			err = fmt.Errorf("annotation %s: %w", BoundsAnnotation, err)
		}
	}
	if o.Override != "" {
		until, wrong := ParseOverride(o.Override)
		switch {
		case wrong != nil && err == nil:
			err = fmt.Errorf("annotation %s: %w", OverrideAnnotation, wrong)
		case wrong == nil && now.Before(until):
			whyNot = "a person keeps it until " + o.Override
		}
	}
	if r.Good == nil {
		r.accept(o)
	}
	r.sameInOtherWords(o, hash)
	news = append(news, r.landed(now, o)...)
	news = append(news, r.seen(now, o, hash, bounds, err)...)
	if r.UID = o.UID; hash == hashOf(r.Good) || r.Watch != nil && r.Watch.Hash == hash { // and no change that is still to be looked at
		r.Seen = o.Generation
	}
	r.read(now, o, hash)
	if r.Phase != Settled && r.Watch.Hash == hash {
		news = append(news, r.decide(now, o, bounds, whyNot, err)...)
	}
	r.due = r.Phase == RollingBack && err == nil
	return news, err
}

// seen follows which spec is in force.
func (r *Record) seen(now time.Time, o Object, hash string, bounds Bounds, unreadable error) []News {
	switch {
	case hash == hashOf(r.Good):
		return r.goodInForce(now, o.Generation)
	case r.Phase != Settled && r.Watch.Hash == hash:
		if o.Bounds == "" && unreadable == nil {
			r.accept(o)
			return []News{{Kind: Ended, What: fmt.Sprintf("generation %d is no longer watched, as its bounds were taken away; it counts as good", o.Generation)}}
		}
		return nil
	case unreadable != nil:
		return nil
	case o.Bounds == "":
		var news []News
		if w := r.Watch; w != nil {
			news = []News{{Kind: Ended, What: fmt.Sprintf("generation %d is no longer watched, as generation %d states no bounds; that counts as good", w.Generation, o.Generation)}}
			r.Watch, r.Phase = nil, Settled // what was seen of another spec is no past of this one
		}
		r.accept(o)
		return news
	}
	r.Watch = &Watch{Generation: o.Generation, Hash: hash, Since: now, Bounds: bounds}
	if i := slices.IndexFunc(r.Bad, func(b Bad) bool { return b.Hash == hash }); i >= 0 {
		return r.fight(o, r.Bad[i])
	}
	r.Phase = Watching
	return []News{{Kind: Begun, What: fmt.Sprintf("generation %d is watched for %s: %s", o.Generation, bounds.For, o.Bounds)}}
}

// goodInForce ends whatever was about another spec.
func (r *Record) goodInForce(now time.Time, generation int64) []News {
	phase, w := r.Phase, r.Watch
	good := r.Generation
	r.Phase, r.Watch, r.Generation = Settled, nil, generation
	switch phase {
	case RollingBack:
		r.Bad = append(r.Bad, Bad{Hash: w.Hash, Generation: w.Generation, At: now, Why: w.Why})
		r.Bad = r.Bad[max(len(r.Bad)-mostBad, 0):]
		return []News{{Kind: RolledBack, What: fmt.Sprintf("generation %d was rolled back to the spec of generation %d: %s", w.Generation, good, w.Why),
			Mend: "take the change back where it is applied from, such as Git, or it comes again"}}
	case Watching, Kept, Fought:
		return []News{{Kind: Ended, What: fmt.Sprintf("the spec of generation %d is in force again in place of generation %d", good, w.Generation)}}
	}
	return nil
}

func (r *Record) fight(o Object, b Bad) []News {
	r.Phase = Fought
	by := ""
	if o.By != "" {
		by = ", applied by " + o.By
	}
	return []News{{Kind: Fight, What: fmt.Sprintf("generation %d is the spec that was rolled back as generation %d%s; it is not rolled back a second time (%s)", o.Generation, b.Generation, by, b.Why),
		Mend: "take the change back in Git or wherever it is applied from, or give another"}}
}

// accept makes the spec in force the good one.
func (r *Record) accept(o Object) {
	if w := r.Watch; w != nil && r.Phase == Watching {
		for h, s := range w.Hours {
			have := r.Past.Hours[h]
			have.Sum, have.Week = s, weekOf(r.At)
			if r.Past.Hours == nil {
				r.Past.Hours = map[int]Hour{}
			}
			r.Past.Hours[h] = have
		}
	}
	r.Good, r.Generation, r.Phase, r.Watch = slices.Clone(o.Spec), o.Generation, Settled, nil
}

// read takes the reading that stood until now.
func (r *Record) read(now time.Time, o Object, hash string) {
	if o.Reading == nil {
		return
	}
	stood := now.Sub(r.At)
	if r.At.IsZero() || stood < 0 {
		stood = 0
	}
	r.At = now
	switch {
	case r.Phase == Settled && hash == hashOf(r.Good):
		var s Sum
		beyond := defaultBeyond
		if b, err := Parse(o.Bounds); err == nil {
			beyond = b.Beyond
		}
		if s.add(now, stood, *o.Reading, beyond, time.Time{}); s.Seconds > 0 {
			r.Past.add(now, s)
		}
	case r.Phase == Watching && r.Watch.Hash == hash:
		w := r.Watch
		var s Sum
		s.add(now, min(stood, now.Sub(w.Since)), *o.Reading, w.Bounds.Beyond, w.Since)
		w.Sum = w.Sum.plus(s)
		if w.Hours == nil {
			w.Hours = map[int]Sum{}
		}
		w.Hours[hourOf(now)] = w.Hours[hourOf(now)].plus(s)
		w.Unpriced = o.Reading.Unpriced
	}
}

// decide ends a watch that is out of bounds, or over, and calls off a roll-back that is not wanted any more.
func (r *Record) decide(now time.Time, o Object, bounds Bounds, whyNot string, unreadable error) []News {
	w := r.Watch
	if unreadable == nil {
		w.Bounds = bounds
	}
	if r.Phase == RollingBack && (whyNot != "" || unreadable == nil && bounds.Observe) { // a person was faster
		return r.breach(verdict{}, whyNot)
	}
	if r.Phase != Watching || unreadable != nil {
		return nil
	}
	v := w.judge(now, r.Past)
	over := w.Sum.Seconds >= w.Bounds.For.Seconds()
	switch {
	case len(v.breach) > 0:
		w.Why = strings.Join(v.breach, "; ")
		return r.breach(v, whyNot)
	case !over:
		return nil
	}
	r.accept(o)
	return []News{confirmed(o.Generation, w.Bounds, v)}
}

func confirmed(generation int64, b Bounds, v verdict) News {
	n := News{Kind: Confirmed, What: fmt.Sprintf("generation %d kept to its bounds for %s: %s", generation, b.For, strings.Join(v.within, "; "))}
	if len(v.unknown) > 0 {
		n.Kind = Unjudged
		n.What = fmt.Sprintf("generation %d stays after %s, and this could not be judged: %s", generation, b.For, strings.Join(append(v.unknown, v.within...), "; "))
		n.Mend = "give the annotation some hours before the next change, and the prices of all groups"
	}
	return n
}

// breach decides what becomes of a change that is out of bounds.
func (r *Record) breach(v verdict, whyNot string) []News {
	w := r.Watch
	n := News{Kind: Breached, What: fmt.Sprintf("generation %d left its bounds: %s", w.Generation, w.Why)}
	switch {
	case w.Bounds.Observe:
		whyNot = "its annotation says mode=Observe"
	case v.asBefore:
		whyNot = "it was no better before the change"
	}
	if whyNot != "" {
		r.Phase = Kept
		n.Mend = fmt.Sprintf("it is not rolled back: %s; give another spec, or that of generation %d", whyNot, r.Generation)
		return []News{n}
	}
	r.Phase = RollingBack
	n.Mend = fmt.Sprintf("the spec of generation %d is put back", r.Generation)
	return []News{n}
}

// WithoutHours is a copy that fits in less: what the hours of the week were like has to be learned anew.
func (r Record) WithoutHours() Record {
	r.Past.Hours = nil
	if r.Watch != nil {
		w := *r.Watch
		w.Hours = nil
		r.Watch = &w
	}
	return r
}
