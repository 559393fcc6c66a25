package report

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"swell/scaler/report/digits"
)

// Money is an exact amount in the currency of the prices: seconds times millionths of an hourly price, so that no instance's cost
// is rounded before the sum is. 3600000000 are one dollar.
type Money int64

const oneDollar = 3600 * 1_000_000

// rate is an hourly price in millionths. Finer prices are rounded to that.
func rate(hourly float64) int64 { return int64(math.Round(hourly * 1e6)) }

// Dollars are for plots and ratios, not for sums.
func (m Money) Dollars() float64 { return float64(m) / oneDollar }

// Micros are millionths, rounded to the nearest, halves away from zero.
func (m Money) Micros() int64 { return rounded(int64(m), 3600) }

// Cents are rounded once, from the exact amount.
func (m Money) Cents() int64 { return rounded(int64(m), oneDollar/100) }

func rounded(v, unit int64) int64 {
	if v < 0 {
		return -rounded(-v, unit)
	}
	return (v + unit/2) / unit
}

// String is the amount to the cent.
func (m Money) String() string {
	cents, sign := m.Cents(), ""
	if cents < 0 {
		cents, sign = -cents, "−"
	}
	return fmt.Sprintf("%s$%s.%02d", sign, digits.Thousands(strconv.FormatInt(cents/100, 10)), cents%100)
}

// Decimal is the amount with six digits after the point.
func (m Money) Decimal() string {
	micros, sign := m.Micros(), ""
	if micros < 0 {
		micros, sign = -micros, "-"
	}
	return fmt.Sprintf("%s%d.%06d", sign, micros/1e6, micros%1e6)
}

// MarshalJSON writes the amount as a number with six digits after the point.
func (m Money) MarshalJSON() ([]byte, error) { return []byte(m.Decimal()), nil }

// UnmarshalJSON reads what MarshalJSON writes, to the millionth.
func (m *Money) UnmarshalJSON(text []byte) error {
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return fmt.Errorf("reading the amount %q: %w; give a number", text, err)
	}
	*m = Money(math.Round(v*1e6)) * 3600
	return nil
}

// share of an amount, rounded down; what is left over stays with whoever takes the rest.
func (m Money) share(f float64) Money { return Money(math.Floor(float64(m) * f)) }

// leastBilled is the least time that an instance is paid for, from its launch.
const leastBilled = time.Minute

// life is what of an instance is paid: whole seconds from its launch to its end, at least a minute. An end that is not known is
// horizon, where knowledge ends.
type life struct {
	launched time.Time
	gone     *time.Time
	horizon  time.Time
}

// end is when it ended, or where knowledge does.
func (l life) end() time.Time {
	if l.gone != nil {
		return *l.gone
	}
	return l.horizon
}

// billed are the seconds that are paid up to an instant. The difference of two is what is paid between them, so that the parts
// of a period have the period's sum.
func (l life) billed(until time.Time) int64 {
	end := l.end()
	if least := l.launched.Add(leastBilled); l.gone != nil && end.Before(least) {
		end = least
	}
	if until.Before(end) {
		end = until
	}
	if !end.After(l.launched) {
		return 0
	}
	return int64((end.Sub(l.launched) + time.Second - 1) / time.Second)
}

// step is a price from a time on, in millionths an hour; known false is that it is not known, before that it counts earlier too
// where nothing else is known.
type step struct {
	from   time.Time
	rate   int64
	known  bool
	before bool
}

// paid between two instants by the prices in force: the amount, the seconds that it pays, and those whose price is not known.
func (l life) paid(steps []step, from, to time.Time) (amount Money, priced, unpriced int64) {
	for i, s := range steps {
		a, b := from, to
		if i > 0 && s.from.After(a) {
			a = s.from
		}
		if i+1 < len(steps) && steps[i+1].from.Before(b) {
			b = steps[i+1].from
		}
		if !b.After(a) {
			continue
		}
		n := l.billed(b) - l.billed(a)
		if s.known {
			amount, priced = amount+Money(n*s.rate), priced+n
		} else {
			unpriced += n
		}
	}
	return amount, priced, unpriced
}
