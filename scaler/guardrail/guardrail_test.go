package guardrail_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"swell/scaler/guardrail"
)

// A Monday, 10:00.
var monday = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

// play is one object under readings of every fifteen seconds. What is told is written down with its time.
type play struct {
	t       *testing.T
	now     time.Time
	record  guardrail.Record
	object  guardrail.Object
	whyNot  string
	reading guardrail.Reading
	// waiting pods are pending, each for so long already.
	waiting int
	age     time.Duration
	told    []string
	wrong   error
}

func begin(t *testing.T) *play {
	p := &play{t: t, now: monday, reading: guardrail.Reading{Pods: 100, Cores: 100, Hourly: 10}}
	p.object = guardrail.Object{UID: "a", Generation: 1, Spec: json.RawMessage(`{"a":1}`), Bounds: "misses<=0.5%,cost<=+15%,for=2h"}
	return p
}

const every = 15 * time.Second

func (p *play) run(d time.Duration) {
	p.t.Helper()
	for end := p.now.Add(d); p.now.Before(end); p.now = p.now.Add(every) {
		r := p.reading
		for range p.waiting {
			r.Pending = append(r.Pending, p.now.Add(-p.age))
		}
		p.object.Reading = &r
		news, err := p.record.Step(p.now, p.object, p.whyNot)
		p.wrong = err
		for _, n := range news {
			p.told = append(p.told, p.now.Format("Mon 15:04:05 ")+string(n.Kind)+" "+n.What+"; "+n.Mend)
		}
		if p.record.Phase == guardrail.RollingBack && p.object.Generation == p.record.Watch.Generation {
			p.object.Generation++
			p.object.Spec = p.record.Good
		}
	}
}

func (p *play) change(spec string) {
	p.object.Generation++
	p.object.Spec = json.RawMessage(spec)
}

// want is the kinds that were told since the last call, with a text of each.
func (p *play) want(kinds ...string) {
	p.t.Helper()
	ok := len(p.told) == len(kinds)
	for i := range min(len(kinds), len(p.told)) {
		kind, text, _ := strings.Cut(kinds[i], ": ")
		ok = ok && strings.Contains(p.told[i], " "+kind+" ") && strings.Contains(p.told[i], text)
	}
	if !ok {
		p.t.Errorf("told:\n%s\nwant:\n%s", strings.Join(p.told, "\n"), strings.Join(kinds, "\n"))
	}
	p.told = nil
}

func TestAChangeThatMissesIsRolledBack(t *testing.T) {
	p := begin(t)
	p.run(time.Hour)
	p.want()
	p.change(`{"a":2}`)
	p.run(10 * time.Minute)
	p.want("GuardWatch: generation 2")
	p.waiting, p.age = 20, time.Minute
	p.run(2 * time.Minute) // a budget of 3600 pod-seconds: 0.5% of 100 pods in 2 h
	p.want()
	p.run(2 * time.Minute)
	p.want("GuardBreach: the spec of generation 1 is put back", "GuardRolledBack: generation 2 was rolled back to the spec of generation 1: ")
	if string(p.object.Spec) != `{"a":1}` || p.record.Phase != guardrail.Settled || p.record.Generation != 3 {
		t.Errorf("%s, %+v", p.object.Spec, p.record)
	}
}

func TestAChangeThatKeepsToItsBoundsIsConfirmed(t *testing.T) {
	p := begin(t)
	p.run(time.Hour)
	p.change(`{"a":2}`)
	p.reading.Hourly = 11 // 10 % more
	p.waiting, p.age = 1, time.Minute
	p.run(10 * time.Minute) // 600 pod-seconds of 3600
	p.waiting = 0
	p.run(3 * time.Hour)
	p.want("GuardWatch", "GuardConfirmed: 11.00 an hour against 10.00 expected")
	if string(p.record.Good) != `{"a":2}` {
		t.Errorf("the good spec is %s", p.record.Good)
	}
}

func TestAChangeThatCostsTooMuchIsRolledBack(t *testing.T) {
	p := begin(t)
	p.run(time.Hour)
	p.change(`{"a":2}`)
	p.reading.Hourly = 13 // 3 an hour more, where 15 % of 10 in 2 h allow 3 in all
	p.run(58 * time.Minute)
	p.want("GuardWatch")
	p.run(5 * time.Minute)
	p.want("GuardBreach: 13.00 an hour against 10.00 expected (10.00 in 1h0m0s before the change, demand ×1.00): +30%, bound +15%", "GuardRolledBack")
}

// What costs more because more is asked for is not the change's.
func TestCostFollowsDemand(t *testing.T) {
	p := begin(t)
	p.run(time.Hour)
	p.change(`{"a":2}`)
	p.reading = guardrail.Reading{Pods: 200, Cores: 200, Hourly: 21}
	p.run(3 * time.Hour)
	p.want("GuardWatch", "GuardConfirmed: demand ×2.00")
}

// In the evening there is less demand than before the change, and the nodes that must stay cost what they cost.
func TestLessDemandThanBeforeTheChangeLowersNoExpectation(t *testing.T) {
	p := begin(t)
	p.run(time.Hour)
	p.change(`{"a":2}`)
	p.reading = guardrail.Reading{Pods: 20, Cores: 20, Hourly: 9}
	p.run(3 * time.Hour)
	p.want("GuardWatch", "GuardConfirmed")
}

// Where the same hours of a week ago are known they are what is compared with, and less demand is then expected to cost less.
func TestTheSameHoursAreComparedWith(t *testing.T) {
	p := begin(t)
	for range 7 * 24 {
		busy := p.now.Hour() >= 9 && p.now.Hour() < 21
		p.reading = guardrail.Reading{Pods: 20, Cores: 20, Hourly: 2}
		if busy {
			p.reading = guardrail.Reading{Pods: 100, Cores: 100, Hourly: 10}
		}
		p.run(time.Hour)
	}
	p.change(`{"a":2}`) // Monday 10:00
	p.reading = guardrail.Reading{Pods: 50, Cores: 50, Hourly: 8}
	p.run(3 * time.Hour)
	p.want("GuardWatch", "GuardBreach: against 5.00 expected (10.00 in the same hours of past weeks, demand ×0.50)", "GuardRolledBack")
}

// What an hour was like half a year ago says little: the last weeks weigh most.
func TestOldWeeksAreForgotten(t *testing.T) {
	p := begin(t)
	for i := range 12 {
		p.reading.Hourly = 20
		if i >= 6 {
			p.reading.Hourly = 10
		}
		p.run(4 * time.Hour)
		p.now = p.now.Add(7*24*time.Hour - 4*time.Hour)
	}
	p.change(`{"a":2}`)
	p.reading.Hourly = 13
	p.run(3 * time.Hour)
	p.want("GuardWatch", "GuardBreach: expected (10.1", "GuardRolledBack")
}

func TestWhatWasAsBadBeforeIsNotRolledBack(t *testing.T) {
	p := begin(t)
	p.waiting, p.age = 5, time.Minute
	p.run(time.Hour)
	p.change(`{"a":2}`)
	p.age = 35 * time.Second // made after the change, once it is older than that
	p.run(time.Hour)
	p.want("GuardWatch", "GuardBreach: it is not rolled back: it was no better before the change")
	p.run(3 * time.Hour)
	p.want()
}

// Pods that waited when the change came are no matter of it.
func TestPodsFromBeforeTheChangeDoNotCount(t *testing.T) {
	p := begin(t)
	p.run(time.Hour)
	p.change(`{"a":2}`)
	p.waiting, p.age = 50, 3*time.Hour
	p.run(3 * time.Hour)
	p.want("GuardWatch", "GuardConfirmed")
}

func TestABadSpecThatComesBackIsNotFought(t *testing.T) {
	p := begin(t)
	p.run(time.Hour)
	p.change(`{"a":2}`)
	p.waiting, p.age = 50, time.Minute
	p.run(10 * time.Minute)
	p.waiting = 0
	p.want("GuardWatch", "GuardBreach", "GuardRolledBack")
	p.change(`{"a":2}`)
	p.object.By = "argocd-controller"
	p.waiting = 50
	p.run(3 * time.Hour)
	p.want("GuardFight: applied by argocd-controller; it is not rolled back a second time")
	p.change(`{"a":1}`)
	p.run(time.Hour)
	p.want("GuardEnded: is in force again")
}

func TestAPersonGoesBeforeTheGuard(t *testing.T) {
	p := begin(t)
	p.run(time.Hour)
	p.change(`{"a":2}`)
	p.object.Override = p.now.Add(time.Hour).Format(time.RFC3339)
	p.waiting, p.age = 50, time.Minute
	p.run(20 * time.Minute)
	p.want("GuardWatch", "GuardBreach: it is not rolled back: a person keeps it until 2026-03-02T12:00:00Z")
	p.run(3 * time.Hour) // what was kept stays, after that time too
	p.want()
}

// A roll-back that was decided and could not be carried out yet is called off by a person.
func TestAPersonStopsARollBack(t *testing.T) {
	p := begin(t)
	p.run(time.Hour)
	bad := p.object
	bad.Generation, bad.Spec = 2, json.RawMessage(`{"a":2}`)
	p.change(`{"a":2}`)
	p.waiting, p.age = 100, time.Minute
	for p.record.Phase != guardrail.RollingBack {
		p.object = bad
		p.run(every)
	}
	p.object = bad
	p.object.Override = p.now.Add(time.Hour).Format(time.RFC3339)
	p.run(time.Hour)
	p.want("GuardWatch", "GuardBreach: is put back", "GuardBreach: it is not rolled back: a person keeps it until")
	if string(p.object.Spec) != `{"a":2}` || p.record.Phase != guardrail.Kept {
		t.Errorf("%s, %s", p.object.Spec, p.record.Phase)
	}
}

func TestObserveOnlyTells(t *testing.T) {
	for name, set := range map[string]func(*play){
		"its annotation says mode=Observe": func(p *play) { p.object.Bounds += ",mode=Observe" },
		"guardRails.mode is Observe":       func(p *play) { p.whyNot = "guardRails.mode is Observe" },
	} {
		p := begin(t)
		set(p)
		p.run(time.Hour)
		p.change(`{"a":2}`)
		p.waiting, p.age = 50, time.Minute
		p.run(3 * time.Hour)
		p.want("GuardWatch", "GuardBreach: it is not rolled back: "+name)
	}
}

// Nothing is judged on prices that are not known, and that is said.
func TestAnUnknownCostIsNotNothing(t *testing.T) {
	p := begin(t)
	p.run(time.Hour)
	p.change(`{"a":2}`)
	p.reading.Hourly, p.reading.Unpriced = 0, "the price of group spot-a is not known"
	p.run(3 * time.Hour)
	p.want("GuardWatch", "GuardNotJudged: the cost: the price of group spot-a is not known")
	p = begin(t)
	p.change(`{"a":1}`)
	p.run(every)
	p.change(`{"a":2}`) // nothing is known from before
	p.run(3 * time.Hour)
	p.want("GuardWatch", "GuardNotJudged: the cost: what it was before the change is not known")
}

// A scaler that is killed and started again goes on from what was kept, and time that nobody saw does not count.
func TestAWatchSurvivesARestart(t *testing.T) {
	p := begin(t)
	p.run(time.Hour)
	p.change(`{"a":2}`)
	p.waiting, p.age = 20, time.Minute
	p.run(2 * time.Minute)
	text, err := json.Marshal(p.record)
	if err != nil {
		t.Fatal(err)
	}
	p.record = guardrail.Record{}
	if err := json.Unmarshal(text, &p.record); err != nil {
		t.Fatal(err)
	}
	p.now = p.now.Add(time.Hour)
	p.run(every)
	if seconds := p.record.Watch.Sum.Seconds; seconds != 105 {
		t.Errorf("%g s of the watch are known: want 105, without the hour that nobody saw", seconds)
	}
	p.run(4 * time.Minute)
	p.want("GuardWatch", "GuardBreach", "GuardRolledBack")
}

// A scaler that dies between its decision and the patch, or between the patch and its record, does neither twice.
func TestARollBackSurvivesARestart(t *testing.T) {
	p := begin(t)
	p.run(time.Hour)
	bad := p.object
	bad.Generation, bad.Spec = 2, json.RawMessage(`{"a":2}`)
	p.change(`{"a":2}`)
	p.waiting, p.age = 100, time.Minute
	for p.record.Phase != guardrail.RollingBack {
		p.object = bad
		p.run(every)
	}
	p.want("GuardWatch", "GuardBreach")
	kept := p.record
	if _, err := kept.Step(p.now, bad, ""); err != nil || kept.Phase != guardrail.RollingBack {
		t.Errorf("%v, %s: want that it is still to be rolled back", err, kept.Phase)
	}
	p.run(every) // the patch is in force
	p.want("GuardRolledBack")
	p.run(time.Hour)
	p.want()
}

func TestAnotherChangeBeginsAnotherWatch(t *testing.T) {
	p := begin(t)
	p.run(time.Hour)
	p.change(`{"a":2}`)
	p.run(time.Hour)
	p.change(`{"a":3}`)
	p.run(90 * time.Minute)
	p.want("GuardWatch: generation 2", "GuardWatch: generation 3")
	p.change(`{"a":1}`)
	p.run(time.Hour)
	p.want("GuardEnded: the spec of generation 1 is in force again in place of generation 3")
}

// Bounds that cannot be read neither make a spec good nor roll it back; mended, the watch begins.
func TestUnreadableBoundsDecideNothing(t *testing.T) {
	p := begin(t)
	p.run(time.Hour)
	p.change(`{"a":2}`)
	p.object.Bounds = "miss<=1%"
	p.run(5 * time.Hour)
	p.want()
	if p.wrong == nil || !strings.Contains(p.wrong.Error(), `"miss<=1%" is not known; give misses<=0.5%`) || string(p.record.Good) != `{"a":1}` {
		t.Errorf("%v, %s", p.wrong, p.record.Good)
	}
	p.object.Bounds = "misses<=1%"
	p.run(time.Minute)
	p.want("GuardWatch: generation 2")
	p.object.Bounds = ""
	p.run(time.Minute)
	p.want("GuardEnded: it counts as good")
}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"misses<=0.5%,cost<=+15%,for=2h": "0.005 0.15 2h0m0s 30s false",
		" misses <= 1% , for = 90m ":     "0.01 - 1h30m0s 30s false",
		"cost<=+0%,beyond=0s":            "- 0 2h0m0s 0s false",
		"cost<=+15%,mode=Observe":        "- 0.15 2h0m0s 30s true",
		"misses<=0%":                     "0 - 2h0m0s 30s false",
		"":                               `"" is not known`,
		"for=2h":                         "bounds nothing",
		"misses<0.5%":                    "as in misses<=0.5%",
		"misses<=0.5":                    "as in misses<=0.5%",
		"misses<=+0.5%":                  "as in misses<=0.5%",
		"misses<=101%":                   "from 0% to 100%",
		"misses<=NaN%":                   "as in misses<=0.5%",
		"cost<=15%":                      "as in cost<=+15%",
		"cost<=+-1%":                     "as in cost<=+15%",
		"cost<=+1001%":                   "+1000%",
		"misses<=1%,misses<=2%":          "twice",
		"misses<=1%,for=9m":              "from 10m",
		"misses<=1%,for=2d":              "as in for=2h",
		"misses<=1%,beyond=-1s":          "from 0s",
		"misses<=1%,mode=observe":        "mode=Observe",
		"misses<=1%,":                    `"" is not known`,
		"misses<=0x1%":                   "as in misses<=0.5%",
	} {
		b, err := guardrail.Parse(text)
		show := func(v *float64) string {
			if v == nil {
				return "-"
			}
			return fmt.Sprint(*v)
		}
		got := fmt.Sprintf("%s %s %s %s %t", show(b.Misses), show(b.Cost), b.For, b.Beyond, b.Observe)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%q: %s: want %s", text, got, want)
		}
	}
}
