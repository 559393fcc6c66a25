package act

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"swell/nodegroups"
	"swell/nodegroups/learn"
	"swell/scaler/ledger"
	"swell/scaler/plan"
)

// mostPerCall is how many instances one LaunchInstances call may ask for.
const mostPerCall = 100

// tokenLife is how long a client token is relied on to give the same instances again; machine time.
const tokenLife = time.Hour

// declare writes the launches to the fence, split so that each is one call.
func (a *Actor) declare(ctx context.Context, tick int64, launches []plan.Launch) ([]Intent, error) {
	var intents []Intent
	for _, l := range launches {
		for left := l.Count; left > 0; left -= mostPerCall {
			intents = append(intents, Intent{
				Token: strings.ReplaceAll(uuid.NewString(), "-", ""), Group: l.Group, Zone: l.Zone, Count: min(left, mostPerCall),
				At: time.Now(), Reason: l.Reason, Rejected: rejected(l.Rejected), Pool: l.Pool, Market: string(l.Market), Hourly: l.HourlyPrice,
				Inputs: ledger.Inputs{Pods: l.Pods, Balloons: l.Balloons, Names: l.PodNames},
			})
		}
	}
	if len(intents) == 0 {
		return nil, nil
	}
	for _, in := range intents {
		a.record(tick, entryOf(in))
	}
	if err := a.intents.Declare(ctx, intents); err != nil {
		for _, in := range intents {
			a.record(tick, outcome(entryOf(in), err))
		}
		return nil, err
	}
	return intents, nil
}

func entryOf(in Intent) ledger.Entry {
	e := ledger.Entry{Phase: ledger.Intent, Action: "launch", Object: in.Group, Count: in.Count, Token: in.Token, Reason: in.Reason, Rejected: in.Rejected,
		Pool: in.Pool, Zone: in.Zone, Market: in.Market, Hourly: in.Hourly}
	if in.Inputs.Pods+in.Inputs.Balloons > 0 {
		e.Inputs = &in.Inputs
	}
	return e
}

// carryLaunches makes one call for each intent, all at once. Those whose outcome is not known stay open.
func (a *Actor) carryLaunches(ctx context.Context, tick int64, intents []Intent, out *Outcome) error {
	if len(intents) == 0 {
		return nil
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	var errs []error
	var open, ended []Intent
	for _, in := range intents {
		wg.Go(func() {
			got, unavailable, err := a.launch(ctx, tick, &in)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
				open = append(open, in)
				return
			}
			ended = append(ended, answered(in, got))
			out.Answers = append(out.Answers, answerOf(in, got))
			out.Reread = out.Reread || got.Refused && !in.unsureAt.IsZero()
			out.Launched[in.Group] = append(out.Launched[in.Group], got.Instances...)
			if got.Raised > 0 {
				if out.Raised == nil {
					out.Raised = map[string][]nodegroups.Raise{}
				}
				out.Raised[in.Group] = append(out.Raised[in.Group], nodegroups.Raise{By: in.Count, To: in.Target})
				out.Reread = true
			}
			out.Unavailable = append(out.Unavailable, unavailable...)
		})
	}
	wg.Wait()
	a.open = open
	return errors.Join(append(errs, a.intents.Forget(ctx, ended))...)
}

// answered is an intent with what came of it.
func answered(in Intent, got nodegroups.Launched) Intent {
	in.AnsweredAt = time.Now()
	for _, i := range got.Instances {
		in.Instances = append(in.Instances, Instance{ID: i.ID, Type: i.Type, Zone: i.Zone})
	}
	if got.Raised == 0 {
		in.Target = 0
	}
	return in
}

// Answer is what one launch gave: instances, or how many its group launches by itself.
type Answer struct {
	Token, Group string
	Instances    []string
	Raised       int
}

func answerOf(in Intent, got nodegroups.Launched) Answer {
	x := Answer{Token: in.Token, Group: in.Group}
	for _, i := range got.Instances {
		x.Instances = append(x.Instances, i.ID)
	}
	if got.Raised > 0 {
		x.Raised = in.Count
	}
	return x
}

// Late is what launches gave at a time.
type Late struct {
	// At is when they were answered; model time.
	At           time.Time
	Token, Group string
	Launched     map[string][]nodegroups.Instance
	Raised       map[string][]nodegroups.Raise
}

// Answered are the launches of late, of whichever scaler, which AWS's lists may not show yet.
func (a *Actor) Answered() []Late {
	var out []Late
	now := a.options.Clock.Now()
	for _, in := range a.intents.answered() {
		at := a.options.Clock.At(in.AnsweredAt)
		if at.After(now) { // by the clock of another machine
			at = now
		}
		late := Late{At: at, Token: in.Token, Group: in.Group}
		var gave []nodegroups.Instance
		for _, i := range in.Instances {
			gave = append(gave, nodegroups.Instance{ID: i.ID, Type: i.Type, Zone: i.Zone, Lifecycle: nodegroups.Pending, LaunchedAt: at, ProviderID: nodegroups.ProviderID(i.Zone, i.ID)})
		}
		if len(gave) > 0 {
			late.Launched = map[string][]nodegroups.Instance{in.Group: gave}
		}
		if in.Target > 0 {
			late.Raised = map[string][]nodegroups.Raise{in.Group: {{By: in.Count, To: in.Target}}}
		}
		out = append(out, late)
	}
	return out
}

// Open is how many instances of each group were asked for without an answer yet.
func (a *Actor) Open() map[string]int {
	n := map[string]int{}
	for _, in := range a.open {
		n[in.Group] += in.Count
	}
	return n
}

// launch makes one call and says what came of it. An error says that this is not known.
func (a *Actor) launch(ctx context.Context, tick int64, in *Intent) (nodegroups.Launched, []nodegroups.Unavailable, error) {
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	got, err := a.ask(call, in)
	e := outcome(entryOf(*in), err)
	var failures []string
	var unavailable []nodegroups.Unavailable
	now := a.options.Clock.Now()
	for _, f := range got.Failures {
		reason := fmt.Sprintf("%s: %s", f.Code, f.Message)
		failures = append(failures, reason)
		launchFailures.WithLabelValues(string(f.Class)).Inc()
		if d, marked := learn.FirstWait(f.Class); marked {
			u := nodegroups.Unavailable{Group: in.Group, Zone: cmp.Or(f.Zone, in.Zone), Class: f.Class, Until: now.Add(d), Reason: reason}
			if f.Type != "" {
				u.Types = []string{f.Type}
			}
			unavailable = append(unavailable, u)
		}
	}
	if got.Raised > 0 {
		e.Raised = in.Count
	}
	if len(failures) > 0 {
		e.Phase, e.Error = ledger.Failed, strings.Join(failures, "; ")
	}
	for _, i := range got.Instances {
		e.Instances = append(e.Instances, i.ID)
	}
	if got.Request != "" {
		e.Activities = []string{got.Request}
	}
	a.record(tick, e)
	a.options.Log.Info("launch", "group", in.Group, "asked", in.Count, "got", len(got.Instances)+got.Raised, "reason", in.Reason, "error", e.Error)
	return got, unavailable, err
}

// Recover asks again for the launches that a predecessor had begun. Their tokens give the instances that it was given,
// if any. What stays unanswered is asked for again with every plan.
func (a *Actor) Recover(ctx context.Context, begun []Intent) (Outcome, error) {
	begun, err := a.giveUpOld(ctx, 0, begun)
	for i, in := range begun {
		begun[i].unsureAt = time.Now() // it may have been called for until this scaler took over
		begun[i].Reason = fmt.Sprintf("begun at %s by a scaler that did not finish", in.At.Format(time.RFC3339))
		a.record(0, entryOf(begun[i]))
	}
	out := Outcome{Launched: map[string][]nodegroups.Instance{}}
	return out, errors.Join(a.carryLaunches(ctx, 0, begun, &out), err)
}

// giveUpOld returns the intents whose tokens are relied on. With an older one asking again could launch again, as the
// service may have forgotten it: it is noted and forgotten.
func (a *Actor) giveUpOld(ctx context.Context, tick int64, intents []Intent) ([]Intent, error) {
	var young, old []Intent
	now := time.Now()
	for _, in := range intents {
		if now.Round(0).Sub(in.At) <= tokenLife { // wall time: the monotonic clock stands still while a machine sleeps
			young = append(young, in)
			continue
		}
		old = append(old, in)
		a.record(tick, ledger.Entry{Phase: ledger.Note, Action: "launch", Object: in.Group, Count: in.Count, Token: in.Token,
			Reason: fmt.Sprintf("begun at %s and never answered; its token is too old to ask with again", in.At.Format(time.RFC3339))})
	}
	return young, a.intents.Forget(ctx, old)
}
