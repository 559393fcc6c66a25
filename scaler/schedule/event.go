package schedule

import (
	"fmt"
	"strconv"
	"time"

	"swell/api/v1alpha1"
)

// event is a one-off stretch of time.
type event struct {
	name, field string
	from, to    time.Time
	// room is minHeadroom, zero where there is none.
	room   Headroom
	growth *growth
	curve  []step
}

// growth is what a past stretch as long as the event had above its usual demand.
type growth struct {
	like   time.Time
	factor float64
}

// step is the headroom from a time on.
type step struct {
	at   time.Time
	room Headroom
}

func compileEvent(e v1alpha1.Event, field string) (event, []Problem) {
	c := event{name: e.Name, field: field, from: e.From.Time, to: e.To.Time}
	var ps, bad []Problem
	say := func(at, what, mend string) { ps = append(ps, Problem{field + at, what, mend}) }
	if e.MinHeadroom != "" {
		c.room, bad = headroom(e.MinHeadroom, "event "+e.Name, field+".minHeadroom")
		ps = append(ps, bad...)
	}
	if !c.to.After(c.from) {
		say(".to", "it is not after from", "give a later time")
	}
	switch {
	case len(e.Curve) > 0 && (e.MinHeadroom != "" || e.Growth != nil):
		say(".curve", "it stands beside minHeadroom or growth", "give the curve alone")
	case len(e.Curve) == 0 && e.Growth == nil && e.MinHeadroom == "":
		say("", "it asks for nothing", "give minHeadroom, growth or a curve")
	}
	if g := e.Growth; g != nil {
		c.growth = &growth{g.Like.Time, 1}
		if g.Like.Add(c.to.Sub(c.from)).After(c.from) {
			say(".growth.like", "the stretch from then on, as long as the event, is not over when the event begins", "give an earlier time")
		}
		if f, err := strconv.ParseFloat(string(g.Factor), 64); g.Factor != "" && (err != nil || !(f > 0 && f <= 100)) {
			say(".growth.factor", fmt.Sprintf("%q is not above 0 and at most 100", g.Factor), `give a number such as "1.5"`)
		} else if g.Factor != "" {
			c.growth.factor = f
		}
	}
	for i, p := range e.Curve {
		at := fmt.Sprintf("%s.curve[%d]", field, i)
		after, err := time.ParseDuration(string(p.After))
		room, bad := headroom(p.Headroom, "event "+e.Name, at+".headroom")
		ps = append(ps, bad...)
		s := step{c.from.Add(after), room}
		switch {
		case err != nil || after < 0:
			ps = append(ps, Problem{at + ".after", fmt.Sprintf("%q is not a time after the event's beginning", p.After), "give a duration such as 30m"})
		case i > 0 && len(c.curve) > 0 && !s.at.After(c.curve[len(c.curve)-1].at):
			ps = append(ps, Problem{at + ".after", "it is not later than the point before it", "give the points in the order of time, each once"})
		case !s.at.Before(c.to):
			ps = append(ps, Problem{at + ".after", "the event is over by then", "give an earlier time, or a later to"})
		}
		c.curve = append(c.curve, s)
	}
	return c, ps
}

// over is the largest headroom of the event at any time from from to to, both included, growth left out.
func (e *event) over(from, to time.Time) Headroom {
	out := e.room
	for i, s := range e.curve {
		until := e.to
		if i+1 < len(e.curve) {
			until = e.curve[i+1].at
		}
		if !s.at.After(to) && until.After(from) {
			out = out.Max(s.room)
		}
	}
	return out
}

// reaches says whether the event happens at any time from from to to, both included.
func (e *event) reaches(from, to time.Time) bool { return !e.from.After(to) && e.to.After(from) }
