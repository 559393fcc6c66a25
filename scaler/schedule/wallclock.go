package schedule

import "time"

// noon of a local date is on that date whatever the clocks do.
func noon(year int, month time.Month, day int, loc *time.Location) time.Time {
	return time.Date(year, month, day, 12, 0, 0, 0, loc)
}

// begins is the first instant at which a local date's clocks show so many minutes since midnight. A time that they skip
// begins when they jump.
func begins(date time.Time, minutes int) time.Time {
	first, _, skipped := instants(date, minutes)
	if !skipped.IsZero() {
		return skipped
	}
	return first
}

// ends is the last instant at which a local date's clocks show so many minutes since midnight. A time that they skip ends
// as long after the jump as it would have been: no stretch is shorter for the clocks than its reading.
func ends(date time.Time, minutes int) time.Time {
	_, last, _ := instants(date, minutes)
	return last
}

// instants are those at which the clocks show a time, the first and the last of them. Of a time that they skip, they are
// the one that the clocks before the jump would have shown it at, and skipped is the jump.
func instants(date time.Time, minutes int) (first, last, skipped time.Time) {
	loc := date.Location()
	asked := time.Date(date.Year(), date.Month(), date.Day(), 0, minutes, 0, 0, time.UTC)
	got := time.Date(date.Year(), date.Month(), date.Day(), 0, minutes, 0, 0, loc)
	start, end := got.ZoneBounds()
	switch shown := reading(got); {
	case shown.After(asked): // the old zone's answer, beyond the jump
		return got, got, start
	case shown.Before(asked): // the new zone's answer, before the jump
		got = got.Add(asked.Sub(shown))
		return got, got, end
	}
	first, last = got, got
	if !start.IsZero() {
		if other := got.Add(offset(got) - offset(start.Add(-1))); reading(other).Equal(asked) && other.Before(first) {
			first = other
		}
	}
	if !end.IsZero() {
		if other := got.Add(offset(got) - offset(end)); reading(other).Equal(asked) && other.After(last) {
			last = other
		}
	}
	return first, last, time.Time{}
}

// reading is what the clocks show at t, as if it were UTC.
func reading(t time.Time) time.Time { return t.Add(offset(t)).UTC() }

// offset of the local clocks from UTC.
func offset(t time.Time) time.Duration {
	_, s := t.Zone()
	return time.Duration(s) * time.Second
}
