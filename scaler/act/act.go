// Package act carries a plan out: it pops and makes balloon pods, launches, drains and terminates,
// with a ledger line before and after each.
package act

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/config"
	"swell/nodegroups"
	"swell/scaler/ledger"
	"swell/scaler/plan"
)

// Cloud is what act needs of AWS.
type Cloud interface {
	// Launch asks for count instances of a group in its zone; the same token gives the same instances.
	Launch(ctx context.Context, group, zone string, count int, token string) (nodegroups.Launched, error)
	// Terminate returns an instance and lowers its group's desired capacity by it; one that is gone is no error, and a group
	// that is at its minimum nodegroups.ErrAtMinimum.
	Terminate(ctx context.Context, instanceID string) error
}

// Raiser is a Cloud that raises a desired capacity where it may not launch by token.
type Raiser interface {
	// Raise sets a group's desired capacity to target where it is lower; the same target again does nothing more.
	Raise(ctx context.Context, group string, target int) (nodegroups.Launched, error)
}

// Replacer is a Cloud that ends an instance and leaves its group to replace it.
type Replacer interface {
	// Replace ends an instance without lowering its group's desired capacity; one that is gone is no error.
	Replace(ctx context.Context, instanceID string) error
}

// Witness is a Cloud that knows by which activity it ended an instance.
type Witness interface {
	// ActivityOf is the activity's id, once; empty is not known.
	ActivityOf(instanceID string) string
}

// Options say how plans are carried out.
type Options struct {
	Clock config.Clock
	// Returned is told of each instance that was returned, before AWS's own lists show it. Optional.
	Returned func(instanceID string)
	// Replaced is told of each instance that was ended and that its group, at its minimum, replaces by itself: a launch that
	// nobody called for. Optional.
	Replaced func(instanceID string)
	// Ending says that an instance is about to go, so that its Node is not taken back. Optional.
	Ending func(instanceID string) bool
	// Drains is a client of its own for the calls of drains, which come by the hundred and would hold up the launches' where both
	// share a rate limit; nil is New's.
	Drains kubernetes.Interface
	Log    *slog.Logger
}

// Actor carries plans out, one at a time; drains go on between them.
type Actor struct {
	client  client.Client
	kube    kubernetes.Interface
	drains  kubernetes.Interface
	cloud   Cloud
	intents *Intents
	ledger  *ledger.Ledger
	options Options

	// refused are Balloons, by namespace/name, whose pods could not be made.
	refused map[string]*refusal

	// deleted are the balloon pods, by namespace/name, that were deleted of late; mu is of them too.
	deleted map[string]time.Time

	// turns are taken by the raises of one Auto Scaling group: its desired capacity is one number.
	turns sync.Map
	// noToken are Auto Scaling groups that may not be launched by token.
	noToken sync.Map

	// open are launches whose outcome is not known; they are asked for again with the same token.
	open []Intent

	mu sync.Mutex
	// draining are the instances that are being returned; blocked are those whose drain failed, with when to try again.
	draining map[string]*task
	blocked  map[string]retry
	// began are the instances whose drain this scaler began; held are those whose lifecycle action it was told to end since the
	// last plan, with when they go by themselves, zero if unknown.
	began map[string]*begun
	held  map[string]time.Time
	// changed are what this scaler did to desired capacities of late, by group.
	changed map[string]changes
}

// New returns an Actor.
func New(c client.Client, kube kubernetes.Interface, cloud Cloud, intents *Intents, l *ledger.Ledger, o Options) *Actor {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	for _, told := range []*func(string){&o.Returned, &o.Replaced} {
		if *told == nil {
			*told = func(string) {}
		}
	}
	if o.Ending == nil {
		o.Ending = func(string) bool { return false }
	}
	if o.Drains == nil {
		o.Drains = kube
	}
	return &Actor{client: c, kube: kube, drains: o.Drains, cloud: cloud, intents: intents, ledger: l, options: o, refused: map[string]*refusal{}, draining: map[string]*task{},
		blocked: map[string]retry{}, began: map[string]*begun{}, deleted: map[string]time.Time{}, held: map[string]time.Time{}, changed: map[string]changes{}}
}

// lastCall is how long before an instance goes it is drained even though its pods have no other place yet; model time.
const lastCall = 90 * time.Second

// Outcome is what the next plan must know before it can be observed.
type Outcome struct {
	// Launched instances by group.
	Launched map[string][]nodegroups.Instance
	// Raised are desired capacities that were raised, by group; Auto Scaling picks the instances.
	Raised map[string][]nodegroups.Raise
	// Answers are the launches that were answered, each by its token.
	Answers []Answer
	// Reread says that instances were asked for that only a fresh reading of the groups can show.
	Reread bool
	// Unavailable groups, by failed launches.
	Unavailable []nodegroups.Unavailable
	// Errors of all actions; each is in the ledger too.
	Errors []error
}

// Carry carries out a plan. Room is made first, then bought, since pods wait for both; returning capacity comes last.
func (a *Actor) Carry(ctx context.Context, tick int64, p plan.Plan) Outcome {
	out := Outcome{Launched: map[string][]nodegroups.Instance{}}
	var mu sync.Mutex
	fail := func(err error) {
		if err != nil {
			mu.Lock()
			out.Errors = append(out.Errors, err)
			mu.Unlock()
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() { a.deletePods(ctx, tick, "pop", p.Pops, fail) })
	err := a.buy(ctx, tick, p, &out)
	fail(err)
	wg.Wait()
	if errors.Is(err, ErrNotLeader) {
		return out
	}
	a.deletePods(ctx, tick, "delete-balloon", p.Deletes, fail)
	a.createBalloons(ctx, tick, p.Creates, fail)
	a.follow(p.Replacements)
	a.forsake(p)
	for _, t := range p.Replacements {
		if t.Placed || !t.Deadline.IsZero() && t.Deadline.Sub(a.options.Clock.Now()) < lastCall {
			a.startDrain(ctx, tick, returning{t, true, true})
		}
	}
	for _, t := range p.Lost {
		a.startDrain(ctx, tick, returning{t, false, true})
	}
	for _, t := range p.Terminations {
		a.startDrain(ctx, tick, returning{t, false, false})
	}
	return out
}

// buy declares and calls for a plan's launches, and again for those without an answer. A plan without launches asks the
// fence all the same, since the rest of it must not be carried out by a scaler that was overtaken.
func (a *Actor) buy(ctx context.Context, tick int64, p plan.Plan, out *Outcome) error {
	declared, err := a.declare(ctx, tick, p.Launches)
	if err == nil && len(declared) == 0 && len(a.open)+len(p.Deletes)+len(p.Creates)+len(p.Replacements)+len(p.Lost)+len(p.Terminations) > 0 {
		err = a.intents.Check(ctx)
	}
	if errors.Is(err, ErrNotLeader) {
		return err
	}
	var forgotten error
	a.open, forgotten = a.giveUpOld(ctx, tick, a.open)
	return errors.Join(err, forgotten, a.carryLaunches(ctx, tick, append(a.open, declared...), out))
}

// record appends to the ledger and says so in the log when that fails; an action is never held up by its record.
func (a *Actor) record(tick int64, e ledger.Entry) {
	e.At = time.Now()
	e.Model = a.options.Clock.At(e.At)
	e.Tick = tick
	if err := a.ledger.Append(e); err != nil {
		a.options.Log.Error("ledger", "error", err)
	}
}

// outcome is the entry that follows an intent.
func outcome(intent ledger.Entry, err error) ledger.Entry {
	intent.Phase = ledger.Done
	intent.Reason, intent.Rejected, intent.Inputs = "", nil, nil
	if err != nil {
		intent.Phase = ledger.Failed
		intent.Error = err.Error()
	}
	return intent
}

func rejected(alternatives []plan.Alternative) []string {
	var words []string
	for _, r := range alternatives {
		words = append(words, fmt.Sprintf("%s: %s", r.Group, r.Reason))
	}
	return words
}
