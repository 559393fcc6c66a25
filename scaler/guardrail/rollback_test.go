package guardrail_test

import (
	"encoding/json"
	"testing"
	"time"

	"swell/scaler/guardrail"
)

// breached plays up to the decision to roll generation 2 back, and gives the object as it is then, with the bad spec.
func breached(t *testing.T) (*play, guardrail.Object) {
	t.Helper()
	p := begin(t)
	p.run(time.Hour)
	p.change(`{"a":2}`)
	bad := p.object
	p.waiting, p.age = 100, time.Minute
	for p.record.Phase != guardrail.RollingBack {
		p.object = bad
		p.run(every)
	}
	p.object, p.waiting = bad, 0
	p.want("GuardWatch", "GuardBreach")
	return p, bad
}

// step is one look at the object as it is.
func (p *play) step() {
	p.t.Helper()
	news, err := p.record.Step(p.now, p.object, p.whyNot)
	p.wrong = err
	for _, n := range news {
		p.told = append(p.told, p.now.Format("Mon 15:04:05 ")+string(n.Kind)+" "+n.What+"; "+n.Mend)
	}
	p.now = p.now.Add(every)
}

// Git puts the bad spec back before the next look: the good one was never seen in force, and that is not fought over either.
func TestABadSpecThatComesBackUnseenIsNotFought(t *testing.T) {
	p, bad := breached(t)
	p.record.Watch.Trying("generation 2 at noon", bad.Generation)
	p.record.PutBack("generation 2 at noon", 3)
	p.object.Generation, p.object.By = 4, "argocd-controller"
	p.step()
	p.want("GuardRolledBack: generation 2 was rolled back to the spec of generation 1", "GuardFight: generation 4 is the spec that was rolled back as generation 2, applied by argocd-controller")
	if p.record.Phase != guardrail.Fought || p.record.ToPutBack() {
		t.Errorf("%+v", p.record)
	}
}

// A cluster that is restored from a backup has older generations of the same objects, which are guarded again after a while.
func TestARestoredObjectIsGuardedAgain(t *testing.T) {
	p := begin(t)
	p.run(time.Hour)
	bounds := p.object.Bounds
	p.change(`{"a":2}`)
	p.object.Bounds = "" // it is good without being watched
	p.step()
	p.object.Generation, p.object.Spec, p.object.Bounds = 1, json.RawMessage(`{"a":1}`), bounds
	p.step()
	if p.want(); p.record.Phase != guardrail.Settled || string(p.record.Good) != `{"a":2}` {
		t.Errorf("a cache that lags: %+v", p.record)
	}
	for range 10 * time.Minute / every {
		p.step()
	}
	p.want("GuardEnded: the object is at generation 1, and generation 2 was seen: it was restored")
	if string(p.record.Good) != `{"a":1}` {
		t.Errorf("%+v", p.record)
	}
	p.change(`{"a":3}`)
	p.step()
	p.want("GuardWatch: generation 2 is watched")
}

// The same where the answer of the roll-back was lost, as with a scaler that died: its note on the object shows that it was done.
func TestANoteShowsARollBackWhoseAnswerWasLost(t *testing.T) {
	p, bad := breached(t)
	p.record.Watch.Trying("generation 2 at noon", bad.Generation)
	p.step()
	if p.want(); !p.record.ToPutBack() {
		t.Error("it is not tried again although nothing shows that it was done")
	}
	p.record.Watch.Trying("generation 2 at one", bad.Generation)
	p.object.Generation, p.object.Note = 4, "generation 2 at noon" // the first try came through
	p.step()
	p.want("GuardRolledBack", "GuardFight")
}

// What the API server made of the spec that was put back is that spec, though it is written in other words.
func TestTheSpecThatWasPutBackIsNoChange(t *testing.T) {
	for name, done := range map[string]func(*play){
		"answered":    func(p *play) { p.record.PutBack("generation 2 at noon", 3) },
		"answer lost": func(p *play) { p.object.Note = "generation 2 at noon" },
	} {
		p, bad := breached(t)
		p.record.Watch.Trying("generation 2 at noon", bad.Generation)
		done(p)
		p.object.Generation, p.object.Spec = 3, json.RawMessage(`{"a":1,"new":"default"}`)
		p.step()
		if p.want("GuardRolledBack"); p.record.Phase != guardrail.Settled || string(p.record.Good) != `{"a":1,"new":"default"}` || p.record.Generation != 3 {
			t.Errorf("%s: %+v", name, p.record)
		}
	}
}

// A cache that has not heard of the roll-back yet shows the bad spec: nothing is done twice.
func TestACacheThatLagsDecidesNothing(t *testing.T) {
	p, bad := breached(t)
	p.record.Watch.Trying("generation 2 at noon", bad.Generation)
	p.record.PutBack("generation 2 at noon", 3)
	p.step()
	if p.want(); p.record.Phase != guardrail.RollingBack || p.record.ToPutBack() {
		t.Errorf("%+v", p.record)
	}
	p = begin(t)
	p.run(time.Minute)
	before := p.object
	p.change(`{"a":2}`)
	p.run(time.Minute)
	p.want("GuardWatch")
	now := p.object
	p.object = before // as with a successor
	p.run(time.Minute)
	p.object = now
	p.run(time.Minute)
	p.want()
}

// A roll-back is of the spec that was judged, by leave that stands and annotations that can be read.
func TestNoOtherSpecIsRolledBack(t *testing.T) {
	p, bad := breached(t)
	p.record.Watch.Trying("generation 2 at noon", bad.Generation)
	p.record.PutBack("generation 1 at ten", 2) // the late answer of another
	if p.step(); !p.record.ToPutBack() {
		t.Error("another roll-back's answer is taken for this one's")
	}
	p.object.Override = "tomorrow"
	p.step()
	if p.wrong == nil || p.record.ToPutBack() {
		t.Errorf("%v: rolled back against an override that cannot be read", p.wrong)
	}
	p.object = bad
	p.object.Generation, p.object.Spec, p.object.Bounds = 3, json.RawMessage(`{"a":3}`), "miss"
	p.step()
	if p.wrong == nil || p.record.ToPutBack() {
		t.Error("a spec that was not judged is rolled back")
	}
	p.object.Bounds = bad.Bounds
	p.step()
	p.want("GuardWatch: generation 3")
}

// Leave that is taken away counts before annotations that cannot be read.
func TestObserveStopsARollBackWhateverTheAnnotationSays(t *testing.T) {
	p, _ := breached(t)
	p.object.Bounds, p.whyNot = "miss", "guardRails.mode is Observe"
	p.step()
	if p.want("GuardBreach: it is not rolled back: guardRails.mode is Observe"); p.record.ToPutBack() || p.record.Phase != guardrail.Kept {
		t.Errorf("rolled back in Observe: %+v", p.record)
	}
}

// A version of swell with a field more writes each spec in other words: at the same generation that is no change.
func TestAnUpgradeIsNoChange(t *testing.T) {
	p := begin(t)
	p.run(time.Hour)
	p.object.Spec = json.RawMessage(`{"a":1,"new":"default"}`)
	p.run(time.Hour)
	p.want()
	if p.record.Phase != guardrail.Settled || string(p.record.Good) != `{"a":1,"new":"default"}` {
		t.Errorf("%+v", p.record)
	}
	p.change(`{"a":2,"new":"default"}`)
	p.run(time.Minute)
	p.object.Spec = json.RawMessage(`{"a":2,"newer":1}`)
	p.run(time.Hour)
	p.want("GuardWatch: generation 2")
	p.waiting, p.age = 100, time.Minute
	p.run(10 * time.Minute)
	p.want("GuardBreach", "GuardRolledBack")
}

// An object that was deleted and made anew is another: nothing of the one before is put on it.
func TestAnObjectThatWasMadeAnewBeginsAnew(t *testing.T) {
	p, _ := breached(t)
	p.object.UID, p.object.Generation = "b", 1
	p.step()
	if p.want("GuardEnded: generation 2 is no longer watched, as the object was deleted and made anew"); p.record.Phase != guardrail.Settled || p.record.ToPutBack() || string(p.record.Good) != `{"a":2}` {
		t.Errorf("%+v", p.record)
	}
	p = begin(t)
	p.run(time.Hour)
	p.object.UID, p.object.Spec = "b", json.RawMessage(`{"a":5}`)
	p.run(time.Minute)
	if p.want(); string(p.record.Good) != `{"a":5}` {
		t.Errorf("%+v", p.record)
	}
}

// Bounds that go together with another change end the watch, and that is said.
func TestBoundsThatGoWithAChangeEndTheWatch(t *testing.T) {
	p := begin(t)
	p.run(time.Hour)
	p.change(`{"a":2}`)
	p.reading.Hourly = 1e6
	p.run(time.Minute)
	p.change(`{"a":3}`)
	p.object.Bounds, p.reading.Hourly = "", 10
	p.run(time.Minute)
	for h, s := range p.record.Past.Hours {
		if s.Cost > 100 {
			t.Errorf("hour %d of the past has what a spec cost that was never good: %+v", h, s)
		}
	}
	p.want("GuardWatch", "GuardEnded: generation 2 is no longer watched, as generation 3 states no bounds; that counts as good")
}

// A record of a version that kept no UID goes on.
func TestARecordWithoutUIDGoesOn(t *testing.T) {
	p, _ := breached(t)
	p.record.UID, p.record.Seen = "", 0
	p.step()
	if p.want(); !p.record.ToPutBack() {
		t.Errorf("%+v", p.record)
	}
}

// Where nothing is asked for any more, what is left costs something all the same.
func TestNoDemandSaysNothingOfCost(t *testing.T) {
	p := begin(t)
	p.run(7 * 24 * time.Hour)
	p.change(`{"a":2}`)
	p.reading.Pods, p.reading.Cores = 0, 0
	p.run(3 * time.Hour)
	p.want("GuardWatch", "GuardNotJudged: the cost: nothing was asked for since the change")
}
