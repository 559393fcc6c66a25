package schedule

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rickar/cal/v2"
)

// Countries are the codes that Holidays knows, of countries and of parts of them, sorted.
func Countries() []string {
	var out []string
	for c := range countries {
		out = append(out, c)
	}
	slices.Sort(out)
	return out
}

// Holidays says whether a local date is a public holiday, as kept or as moved to a working day, in a country by its
// two-letter code, or in a part of one (DE-BY).
func Holidays(country string) (func(date time.Time) bool, error) {
	name, err := holidayNames(country)
	if err != nil {
		return nil, err
	}
	return func(date time.Time) bool { return name(date) != "" }, nil
}

// holidayNames gives the name of the holiday that a local date is; empty where it is none.
func holidayNames(country string) (func(date time.Time) string, error) {
	list, ok := countries[country]
	if upper := strings.ToUpper(country); !ok && countries[upper] != nil {
		return nil, fmt.Errorf("finding the holidays of %q: there is no such calendar; did you mean %s?", country, upper)
	}
	if !ok {
		return nil, fmt.Errorf("finding the holidays of %q: there is no such calendar; give one of %s",
			country, strings.Join(Countries(), ", "))
	}
	c := &cal.Calendar{Cacheable: true}
	c.AddHoliday(list...)
	return func(date time.Time) string {
		actual, observed, h := c.IsHoliday(date)
		switch {
		case !actual && !observed:
			return ""
		case h == nil || h.Name == "":
			return "holiday of " + country
		case !actual:
			return h.Name + " (moved)"
		}
		return h.Name
	}, nil
}
