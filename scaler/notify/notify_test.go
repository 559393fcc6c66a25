package notify_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"swell/scaler/notify"
)

var monday = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// timeline plays ticks of ten seconds and writes down what is told, and when.
type timeline struct {
	t      *testing.T
	teller *notify.Teller
	now    time.Time
	told   []string
}

func begin(t *testing.T, o notify.Options) *timeline {
	return &timeline{t: t, teller: notify.New(o), now: monday}
}

func (x *timeline) ticks(d time.Duration, problems ...notify.Fact) {
	for end := x.now.Add(d); x.now.Before(end); x.now = x.now.Add(10 * time.Second) {
		x.teller.See(x.now, problems)
		if m, due := x.teller.Due(x.now); due {
			line := x.now.Format("15:04:05") + " " + m.Summary()
			for _, l := range m.Lines {
				line += " | " + l.Fact.Key
			}
			x.told = append(x.told, line)
		}
	}
}

func (x *timeline) happened(f notify.Fact) { x.teller.Happened(x.now, f) }

func (x *timeline) want(lines ...string) {
	x.t.Helper()
	if got := strings.Join(x.told, "\n"); got != strings.Join(lines, "\n") {
		x.t.Errorf("told:\n%s\nwant:\n%s", got, strings.Join(lines, "\n"))
	}
}

func fact(key string, s notify.Severity) notify.Fact {
	return notify.Fact{Key: key, Severity: s, Object: "CapacityPool general", What: key}
}

func TestAProblemIsToldOnceAndThenThatItIsGone(t *testing.T) {
	x := begin(t, notify.Options{})
	x.ticks(20*time.Minute, fact("price", notify.Warning))
	x.ticks(20 * time.Minute)
	x.want("09:01:00 1 wrong | price", "09:21:20 1 recovered | price")
}

func TestAProblemThatPassesIsNotTold(t *testing.T) {
	x := begin(t, notify.Options{})
	x.ticks(50*time.Second, fact("price", notify.Warning))
	x.ticks(20 * time.Minute)
	x.want()
}

func TestAProblemThatComesAndGoesIsToldOnce(t *testing.T) {
	x := begin(t, notify.Options{})
	x.ticks(2*time.Minute, fact("price", notify.Warning))
	for range 10 {
		x.ticks(40 * time.Second)
		x.ticks(40*time.Second, fact("price", notify.Warning))
	}
	x.want("09:01:00 1 wrong | price")
}

func TestWhatIsCriticalIsToldAtOnceAndNotTooOften(t *testing.T) {
	x := begin(t, notify.Options{})
	x.ticks(10*time.Second, fact("a", notify.Critical))
	x.ticks(10*time.Minute, fact("a", notify.Critical), fact("b", notify.Critical))
	x.want("09:00:00 1 critical | a", "09:00:30 1 critical | b")
}

func TestMessagesAreAtLeastSoFarApart(t *testing.T) {
	x := begin(t, notify.Options{Every: 10 * time.Minute})
	for range 40 {
		x.happened(fact("launch spot-a", notify.Info))
		x.ticks(time.Minute)
	}
	x.want("09:01:00 2 decided | launch spot-a", "09:11:00 10 decided | launch spot-a", "09:21:00 10 decided | launch spot-a", "09:31:00 10 decided | launch spot-a")
}

func TestWhatIsBelowTheSeverityIsNotTold(t *testing.T) {
	x := begin(t, notify.Options{MinSeverity: notify.Warning})
	x.happened(fact("launch", notify.Info))
	x.ticks(10*time.Minute, fact("low", notify.Info), fact("high", notify.Warning))
	x.want("09:01:00 1 wrong | high")
}

func TestAProblemThatLastsIsToldAgain(t *testing.T) {
	x := begin(t, notify.Options{Remind: 6 * time.Hour})
	x.ticks(13*time.Hour, fact("price", notify.Warning))
	x.want("09:01:00 1 wrong | price", "15:01:30 1 wrong | price", "21:02:00 1 wrong | price")
}

// What one scaler told is not told again by the next, which tells that it is gone.
func TestASuccessorGoesOn(t *testing.T) {
	x := begin(t, notify.Options{})
	x.ticks(5*time.Minute, fact("price", notify.Warning), fact("tags", notify.Warning))
	told := x.teller.Told()
	x.teller = notify.New(notify.Options{})
	x.teller.Restore(x.now, told)
	x.ticks(20*time.Minute, fact("price", notify.Warning))
	x.want("09:01:00 2 wrong | price | tags", "09:06:30 1 recovered | tags")
}

func TestWhatIsTooMuchIsCounted(t *testing.T) {
	x := begin(t, notify.Options{})
	for i := range 700 {
		x.happened(fact(fmt.Sprint("thing ", i), notify.Info))
	}
	m, due := x.teller.Due(x.now.Add(time.Hour))
	if !due || len(m.Lines)+m.More != 700 || m.More == 0 {
		t.Errorf("%t, %d lines and %d more: want 700", due, len(m.Lines), m.More)
	}
}
