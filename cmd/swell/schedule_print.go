package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"swell/scaler/schedule"
)

type previewOutput struct {
	Schedules []string        `json:"schedules"`
	TimeZone  string          `json:"timeZone"`
	From      time.Time       `json:"from"`
	To        time.Time       `json:"to"`
	Stretches []stretchOutput `json:"stretches"` // those with nothing are there, too
	// UsualUntil is when the usual demand is known for the last time in the days shown; null where it is not.
	UsualUntil *time.Time     `json:"usualUntil"`
	DaysOff    []dayOffOutput `json:"daysOff"`
	Problems   []string       `json:"problems"`
}

type stretchOutput struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// The headroom is the largest of these three.
	Pods  float64  `json:"pods"`
	Share float64  `json:"share"` // of demand, 0.15 is 15 %
	Level float64  `json:"level"` // a demand in pods that room is kept for
	Usual *float64 `json:"usual"` // demand in pods, at its highest; null is unknown
	// Headroom in pods on the usual demand, at its highest; null where it depends on a demand that is unknown.
	Headroom *float64 `json:"headroom"`
	Why      []string `json:"why"`
}

type dayOffOutput struct {
	Date     string `json:"date"`
	Schedule string `json:"schedule"`
	Why      string `json:"why"`
	TreatAs  string `json:"treatAs"`
}

func (p *preview) output() previewOutput {
	out := previewOutput{Schedules: p.Names, TimeZone: p.Location.String(), From: p.From, To: p.To, Stretches: []stretchOutput{}, DaysOff: []dayOffOutput{}, Problems: p.Problems}
	if out.Problems == nil {
		out.Problems = []string{}
	}
	if until := p.usualUntil().In(p.Location); !until.Equal(p.From) {
		out.UsualUntil = &until
	}
	for _, x := range p.Stretches {
		usual, room := p.pods(x.From, x.To, x.Headroom)
		s := stretchOutput{From: x.From.In(p.Location), To: x.To.In(p.Location), Pods: x.Pods, Share: x.Share, Level: x.Level,
			Usual: number(usual), Headroom: number(room), Why: x.Why}
		if s.Why == nil {
			s.Why = []string{}
		}
		out.Stretches = append(out.Stretches, s)
	}
	p.eachDay(func(date time.Time) {
		for i, s := range p.Schedules {
			if why, as := s.DayOff(date); why != "" {
				out.DaysOff = append(out.DaysOff, dayOffOutput{date.Format(time.DateOnly), p.Names[i], why, as.String()})
			}
		}
	})
	return out
}

// eachDay gives noon of each local date.
func (p *preview) eachDay(give func(date time.Time)) {
	f := p.From.In(p.Location)
	for i := 0; ; i++ {
		date := time.Date(f.Year(), f.Month(), f.Day()+i, 12, 0, 0, 0, p.Location)
		if !time.Date(f.Year(), f.Month(), f.Day()+i, 0, 0, 0, 0, p.Location).Before(p.To) {
			return
		}
		give(date)
	}
}

// pods are the highest usual demand of a stretch and its highest headroom; NaN is unknown.
func (p *preview) pods(from, to time.Time, h schedule.Headroom) (usual, room float64) {
	usual, room = math.NaN(), math.NaN()
	if h.Share == 0 && h.Level == 0 {
		room = h.Pods
	}
	for at := from; at.Before(to); at = at.Add(5 * time.Minute) {
		v, ok := p.Schedules[0].Usual(at, p.Demand)
		if !ok {
			continue
		}
		if !(v <= usual) {
			usual = v
		}
		if r := h.For(v); !(r <= room) {
			room = r
		}
	}
	return usual, room
}

// usualUntil is the end of the last step in which the usual demand is known; From where there is none.
func (p *preview) usualUntil() time.Time {
	for at := p.To; at.After(p.From); at = at.Add(-5 * time.Minute) {
		if _, known := p.Schedules[0].Usual(later(at.Add(-5*time.Minute), p.From), p.Demand); known {
			return at
		}
	}
	return p.From
}

// usualNote says until when the usual demand is known, where that is not to the end.
func (p *preview) usualNote() string {
	if p.Demand == nil {
		return ""
	}
	switch until := p.usualUntil(); {
	case until.Equal(p.To):
		return ""
	case until.Equal(p.From):
		return "The usual demand is not known on any of these days: give a --demand with at least two like them, within 28 days."
	default:
		return fmt.Sprintf("The usual demand is known until %s; what depends on it is not known in pods from then on.", p.stamp(until))
	}
}

// asked is a headroom in words.
func asked(h schedule.Headroom) string {
	var parts []string
	if h.Pods > 0 {
		parts = append(parts, amount(h.Pods)+" pods")
	}
	if h.Share > 0 {
		parts = append(parts, amount(h.Share*100)+" %")
	}
	if h.Level > 0 {
		parts = append(parts, "up to "+amount(h.Level)+" in all")
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, " or ")
}

func amount(v float64) string {
	if v >= 20 {
		return fmt.Sprintf("%.0f", v)
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
}

// shownStretch is one line of the table.
type shownStretch struct {
	schedule.Stretch
	usual, room float64 // pods, the highest; NaN is unknown
}

// shown are the stretches that ask for something; those of an event that differ in its growth only are one, with the most.
func (p *preview) shown() []shownStretch {
	var out []shownStretch
	for _, x := range p.Stretches {
		if len(x.Why) == 0 {
			continue
		}
		usual, room := p.pods(x.From, x.To, x.Headroom)
		if n := len(out); n > 0 && out[n-1].To.Equal(x.From) && out[n-1].Pods == x.Pods && out[n-1].Share == x.Share && slices.Equal(out[n-1].Why, x.Why) {
			o := &out[n-1]
			o.To, o.Level, o.usual, o.room = x.To, max(o.Level, x.Level), max(o.usual, usual), max(o.room, room)
			continue
		}
		out = append(out, shownStretch{x, usual, room})
	}
	return out
}

func (x shownStretch) inPods() string {
	switch {
	case math.IsNaN(x.room):
		return "unknown"
	case math.IsNaN(x.usual):
		return amount(x.room)
	}
	return fmt.Sprintf("%s on %s", amount(x.room), amount(x.usual))
}

const dayForm = "Mon 2 Jan"

func (p *preview) print(w io.Writer) error {
	last := p.To.Add(-time.Minute).In(p.Location)
	fmt.Fprintf(w, "%s, %s, %s to %s\n\n", strings.Join(p.Names, " and "), p.Location, p.From.In(p.Location).Format(dayForm+" 2006"), last.Format(dayForm+" 2006"))
	rows := p.shown()
	if len(rows) == 0 {
		fmt.Fprintln(w, "Nothing is asked for.")
	} else {
		t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
		usual := ""
		if p.Demand != nil {
			usual = "\tPODS AT THE USUAL DEMAND"
		}
		fmt.Fprintf(t, "FROM\tTO\tHEADROOM%s\tWHY\n", usual)
		for _, x := range rows {
			if p.Demand != nil {
				usual = "\t" + x.inPods()
			}
			fmt.Fprintf(t, "%s\t%s\t%s%s\t%s\n", p.stamp(x.From), p.until(x.From, x.To), asked(x.Headroom), usual, strings.Join(x.Why, ", "))
		}
		if err := t.Flush(); err != nil {
			return err
		}
		p.plot(w)
	}
	if note := p.usualNote(); note != "" {
		fmt.Fprintf(w, "\n%s\n", note)
	}
	if len(p.Problems) > 0 {
		fmt.Fprintln(w, "\nProblems:")
		for _, x := range p.Problems {
			fmt.Fprintln(w, "-", x)
		}
	}
	return nil
}

// stamp is a local time; where the clocks show it twice, with its zone.
func (p *preview) stamp(t time.Time) string {
	local := t.In(p.Location)
	form := dayForm + " 15:04"
	if local.Add(time.Hour).Format("15:04") == local.Format("15:04") || local.Add(-time.Hour).Format("15:04") == local.Format("15:04") {
		form += " MST"
	}
	return local.Format(form)
}

// until is the end of a stretch, without the date where it is that of its beginning, or the midnight after it.
func (p *preview) until(from, to time.Time) string {
	day := func(t time.Time) string { return t.In(p.Location).Format(time.DateOnly) }
	stamp := p.stamp(to)
	switch {
	case day(from) == day(to):
		return strings.TrimPrefix(stamp, to.In(p.Location).Format(dayForm+" "))
	case day(from) == day(to.Add(-time.Second)):
		return "24:00"
	}
	return stamp
}

// unit is what a plot is in.
type unit struct {
	name  string
	value func(from, to time.Time, h schedule.Headroom) float64
}

// units of the plots: pods where anything is known in pods, and shares where the demand that they are of is unknown.
func (p *preview) units() []unit {
	var out []unit
	hasPods, hasShare := false, false
	for _, x := range p.Stretches {
		if len(x.Why) > 0 {
			known := !math.IsNaN(p.inPods(x.From, x.To, x.Headroom))
			hasPods, hasShare = hasPods || known || x.Pods > 0, hasShare || !known && x.Share > 0
		}
	}
	if hasPods {
		out = append(out, unit{"pods", func(from, to time.Time, h schedule.Headroom) float64 {
			if room := p.inPods(from, to, h); !math.IsNaN(room) {
				return room
			}
			return h.Pods // the least that it comes to
		}})
	}
	if hasShare {
		out = append(out, unit{"% of demand", func(from, to time.Time, h schedule.Headroom) float64 {
			if math.IsNaN(p.inPods(from, to, h)) {
				return h.Share * 100
			}
			return 0
		}})
	}
	return out
}

func (p *preview) inPods(from, to time.Time, h schedule.Headroom) float64 {
	_, room := p.pods(from, to, h)
	return room
}

// cells is how many a day of the terminal's plot has.
const cells = 48

// plot draws a line of blocks a day.
func (p *preview) plot(w io.Writer) {
	for _, u := range p.units() {
		var days []time.Time
		var values [][]float64
		most := 0.0
		p.eachDay(func(date time.Time) {
			row := p.day(date, u)
			for _, v := range row {
				if v > most {
					most = v
				}
			}
			days, values = append(days, date), append(values, row)
		})
		if most == 0 {
			continue
		}
		fmt.Fprintf(w, "\n%-12s0     3     6     9     12    15    18    21    24\n", u.name)
		for i, date := range days {
			fmt.Fprintf(w, "%-12s%s%s\n", date.Format(dayForm), blocks(values[i], most), p.notes(date))
		}
		fmt.Fprintf(w, "%-12s█ is %s\n", "", amount(most))
	}
}

// day is the most of each half hour that the clocks show, of both where they show it twice; NaN is one that they skip, or
// that is not previewed.
func (p *preview) day(date time.Time, u unit) []float64 {
	row := make([]float64, cells)
	for i := range row {
		row[i] = math.NaN()
	}
	const step = 15 * time.Minute // the clocks of every zone are whole quarters of an hour from UTC
	for at := date.Add(-14 * time.Hour); at.Before(date.Add(14 * time.Hour)); at = at.Add(step) {
		local, end := at.In(p.Location), at.Add(step)
		if local.Day() != date.Day() || !at.Before(p.To) || !end.After(p.From) {
			continue
		}
		i := (local.Hour()*60 + local.Minute()) * cells / (24 * 60)
		if math.IsNaN(row[i]) {
			row[i] = 0
		}
		for _, x := range p.Stretches {
			a, b := later(x.From, at), earlier(x.To, end)
			if a.Before(b) && len(x.Why) > 0 {
				if v := u.value(a, b, x.Headroom); v > row[i] {
					row[i] = v
				}
			}
		}
	}
	return row
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func blocks(row []float64, most float64) string {
	var b strings.Builder
	for _, v := range row {
		switch {
		case math.IsNaN(v):
			b.WriteRune(' ')
		case v == 0:
			b.WriteRune('·')
		default:
			b.WriteRune([]rune("▁▂▃▄▅▆▇█")[min(int(v/most*8-1e-9), 7)])
		}
	}
	return b.String()
}

// notes are the days off of a date.
func (p *preview) notes(date time.Time) string {
	var out []string
	for _, s := range p.Schedules {
		if why, as := s.DayOff(date); why != "" {
			if note := fmt.Sprintf("%s: as %s", why, as); !slices.Contains(out, note) {
				out = append(out, note)
			}
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "  " + strings.Join(out, "; ")
}
