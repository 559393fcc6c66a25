// Package scaler is the node scaler's loop: it observes the cluster and AWS, sizes balloons by the forecast, plans, and acts.
package scaler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/balloon"
	"swell/scaler/act"
	"swell/scaler/history"
	"swell/scaler/history/backfill"
	"swell/scaler/learned"
	"swell/scaler/ledger"
	"swell/scaler/notices"
	"swell/scaler/observe"
	"swell/scaler/plan"
	"swell/scaler/record"
	"swell/scaler/schedule"
)

// Cloud is what the loop needs of AWS.
type Cloud interface {
	observe.Cloud
	act.Cloud
	// Interruptions waits a while for notices; each is given again until it is acknowledged.
	Interruptions(ctx context.Context) ([]notices.Notice, error)
}

// Options of a Loop.
type Options struct {
	Config config.Scaler
	// Identity of this process in the intents and the Lease.
	Identity string
	// Self is the pod that this process runs in, as namespace/name, whose node is never returned; empty is none of the cluster's.
	Self string
	// Drains and Fence are clients with rate limits of their own: for drains, and for the fence of launches and the probe of the API
	// server, which must not wait behind other calls; and for Events, for which nothing is to wait. nil is New's.
	Drains, Fence, Events kubernetes.Interface
	Log                   *slog.Logger
	// Page is shown what each plan left, by this Replica; nil is none.
	Page    Page
	Replica string
	// Prometheus that Config.History names; nil where it names none.
	Prometheus *backfill.Prometheus
}

// Loop is one scaler. Its exported methods other than Kick are for one goroutine.
type Loop struct {
	options Options
	clock   config.Clock
	client  client.Client
	kube    kubernetes.Interface
	cloud   Cloud
	groups  *observe.Groups
	owed    observe.Owed
	ledger  *ledger.Ledger
	actor   *act.Actor

	kick  chan struct{}
	hurry chan struct{}             // a plan is wanted without waiting for more events
	apiAt atomic.Pointer[time.Time] // model time of the API server's last answer

	tookOver observe.Takeover
	events   events.EventRecorder
	told     map[string]told // what pods were told by Events, by whose pods they are
	decided  decided         // what objects were told by Events
	waits    waiting

	tick      int64
	planner   plan.Planner
	memory    plan.Memory
	workloads map[string]*workload
	known     *learned.Instances
	notices   *notices.Keeper
	leads     *leads
	boots     bootsFile
	// bootMetricsAt is when the quantiles of boots were last given out.
	bootMetricsAt time.Time
	// holiday says of a time whether its day is one; nil is none.
	holiday     func(time.Time) bool
	outputs     map[string]*output
	leftovers   leftovers
	version     string // of the API server, with its minor number and when it was asked for
	minor       int
	versionAt   time.Time
	sampledTurn int64
	sweptAt     time.Time
	said        map[string]time.Time // problems by object, with when they were last recorded
	statusAt    time.Time
	written     map[string]string

	handsLock sync.Mutex
	hands     hands
	guard     others
	shadows   shadows
	aheads    map[string]*ahead // of Balloons, for the page
	telling   *telling
	rails     rails
	recorder  *recorder

	prometheus  *backfill.Prometheus
	datadog     *backfill.Datadog
	jobs        jobs
	resultsLock sync.Mutex
	results     []func()
}

// workload is what the loop remembers of one Balloon.
type workload struct {
	history *history.Workload
	state   balloon.State
	soon    soon
	scaled  scaled
	readAt  time.Time // machine time
	query   answer
	// load reads its past, and fill fills that from elsewhere. No checkpoint is written before the first, or while what the
	// second has found is put there (filling).
	load, fill      attempt
	backfilled      string
	saving, filling bool
	turns           saveTurns
	imported        string // the hand-over that was taken over
	saveProblem     string
	warning         string // of what its past has and is not learned
	found           *foundPast
	fillOf          int64       // the Balloon's generation that fill is of
	past            *pastDemand // nil while no event needs it
	due             due
}

// New returns a Loop; caches behind c must be synced before Run.
func New(c client.Client, kube kubernetes.Interface, cloud Cloud, l *ledger.Ledger, o Options) *Loop {
	RegisterMetrics()
	if o.Log == nil {
		o.Log = slog.Default()
	}
	for _, own := range []*kubernetes.Interface{&o.Drains, &o.Fence, &o.Events} {
		if *own == nil {
			*own = kube
		}
	}
	loop := &Loop{
		options: o, clock: o.Config.Clock, client: c, kube: kube, cloud: cloud, ledger: l,
		groups: observe.NewGroups(cloud), kick: make(chan struct{}, 1), hurry: make(chan struct{}, 1),
		workloads: map[string]*workload{}, outputs: map[string]*output{}, said: map[string]time.Time{}, told: map[string]told{}, decided: newDecided(), written: map[string]string{},
		memory:     plan.Memory{UnneededSince: map[string]time.Time{}},
		prometheus: o.Prometheus, jobs: newJobs(), rails: newRails(),
	}
	loop.notices = loop.newNotices()
	loop.telling = newTelling(o.Config, loop)
	l.Watch(loop.telling.hear)
	if d := o.Config.History.Datadog; d != nil {
		loop.datadog = backfill.NewDatadog(*d)
	}
	return loop
}

// Kick asks for a plan soon. It never blocks.
func (l *Loop) Kick() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// hurryUp asks for a plan at once.
func (l *Loop) hurryUp() {
	select {
	case l.hurry <- struct{}{}:
	default:
	}
}

// NeedLeaderElection says that one replica at a time runs the loop.
func (l *Loop) NeedLeaderElection() bool { return true }

// Start runs the loop until ctx ends or another scaler has taken over.
func (l *Loop) Start(ctx context.Context) error {
	if err := l.takeOver(ctx); err != nil {
		return err
	}
	stop, err := l.startEvents(ctx)
	if err != nil {
		return err
	}
	defer stop()
	l.startTelling(ctx, l.clock.Now())
	go l.watchAPIServer(ctx)
	go l.receiveInterruptions(ctx)
	go l.readGroups(ctx)
	go l.watchHands(ctx)
	go l.watchOthers(ctx)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.hurry:
		case <-l.kick:
			select { // more events may come
			case <-ctx.Done():
				return nil
			case <-l.hurry:
			case <-time.After(l.clock.Wait(l.options.Config.Observe.Settle.Duration)):
			}
		case <-timer.C:
		}
		for _, asked := range []chan struct{}{l.kick, l.hurry} { // one plan answers all that was asked for until it begins
			select {
			case <-asked:
			default:
			}
		}
		err := l.Tick(ctx)
		if errors.Is(err, act.ErrNotLeader) {
			return err
		}
		if err != nil && ctx.Err() == nil {
			l.options.Log.Error("tick", "error", err)
		}
		timer.Reset(l.clock.Wait(l.options.Config.Observe.TickEvery.Duration))
	}
}

// takeOver makes this the scaler that acts, finishes what a predecessor had begun, and reads AWS afresh.
func (l *Loop) takeOver(ctx context.Context) error {
	now := l.clock.Now()
	l.apiAt.Store(&now)
	l.tookOver = observe.Takeover{At: now}
	var err error
	given := l.options.Config.Lead
	if l.known, err = learned.New(priorOf(given.BootP95.Duration), l.clock.At); err == nil {
		l.leads, err = newLeads(given, l.clock, l.known)
	}
	if err != nil {
		return fmt.Errorf("reading the configuration's lead: %w", err)
	}
	if country := l.options.Config.History.Holidays; country != "" {
		if l.holiday, err = schedule.Holidays(country); err != nil {
			return fmt.Errorf("reading the configuration's history.holidays: %w", err)
		}
	}
	intents, open, err := act.TakeOver(ctx, l.options.Fence, l.namespace(), "swell-scaler-intents", l.options.Identity)
	if err != nil {
		return err
	}
	l.recorder = l.newRecorder(now)
	returned, replaced := l.recorder.both(record.Returned, l.groups.Returned), l.recorder.both(record.Replaced, l.groups.Replaced)
	l.actor = act.New(l.client, l.kube, l.cloud, intents, l.ledger, act.Options{Clock: l.clock, Returned: returned, Replaced: replaced, Ending: l.groups.Ending,
		Drains: l.options.Drains, Log: l.options.Log})
	beginRecords := l.followAnchor(ctx)
	l.write(ledger.Entry{Phase: ledger.Note, Action: "start", Object: l.options.Identity, Count: len(open)})
	beginRecords()
	for _, late := range l.actor.Answered() { // the first reading may be older than a predecessor's last launch
		l.groups.Launched(late.At, late.Launched)
		l.groups.Raised(late.At, late.Raised)
		l.recorder.late(late)
	}
	if l.options.Config.Mode == v1alpha1.Observe {
		if len(open) > 0 {
			l.options.Log.Warn("launches that a predecessor began are left as they are: mode is Observe", "launches", len(open))
		}
	} else {
		out, err := l.actor.Recover(ctx, open)
		if err != nil {
			l.options.Log.Warn("recovering launches", "error", err)
		}
		l.note(out)
	}
	l.readHands(ctx)
	l.readOthers(ctx)
	l.loadBoots(ctx, now)
	if err := l.loadRails(ctx); err != nil {
		return err
	}
	world, err := observe.Read(ctx, l.client, l.groups, &l.owed, now)
	if err != nil {
		return err
	}
	if l.options.Config.Mode == v1alpha1.Observe {
		return nil // nothing of a predecessor's is taken back either
	}
	if err := l.actor.UncordonLeftovers(ctx, world.Snapshot.Nodes); err != nil {
		l.options.Log.Warn("taking back drains", "error", err)
	}
	if err := l.groups.Read(ctx, now, l.selections(world)); err != nil {
		l.options.Log.Warn("reading groups", "error", err)
	}
	return nil
}

func (l *Loop) namespace() string {
	if n := l.options.Config.LeaderElection.Namespace; n != "" {
		return n
	}
	return "swell-system"
}

// Tick makes one plan and carries it out.
func (l *Loop) Tick(ctx context.Context) error {
	l.tick++
	now := l.clock.Now()
	world, err := observe.Read(ctx, l.client, l.groups, &l.owed, *l.apiAt.Load())
	if err != nil {
		return err
	}
	policies := l.watchedPolicies(&world)
	l.onlyObserve(&world)
	world.Snapshot.Draining = l.actor.Draining()
	policy, problems, waits := l.policy(ctx, now, &world)
	l.notices.Permit(policy)
	l.readNotices(ctx, now, &world)
	l.learnBoots(ctx, now, &world)
	l.sample(ctx, now, world)
	sizes := l.sizeBalloons(ctx, now, &world)
	policy.JoinWithinOf = l.known.JoinWithin(world.Snapshot.Groups)
	p := l.makePlan(now, &world, policy)
	fillVirtual(sizes, p.Virtual)
	p.Problems = append(append(append(p.Problems, world.Problems...), problems...), l.standing()...)
	l.report(now, p)
	l.shadowing(now, world, policy, p)
	l.waited(world, p)
	l.tell(now, world.Snapshot.Pods, p.Unplaced)
	l.tellPeople(ctx, now, &world, p)
	if l.options.Config.Mode != v1alpha1.Observe {
		if err := l.actor.UncordonLeftovers(ctx, world.Snapshot.Nodes); err != nil {
			l.options.Log.Warn("taking back drains; it is tried again with the next plan", "error", err)
		}
	}
	out := l.actor.Carry(ctx, l.tick, p)
	l.note(out)
	l.tellObjects(now, world, p, out, sizes)
	if out.Reread || waits {
		if err := l.groups.Read(ctx, l.clock.Now(), l.selections(world)); err != nil {
			out.Errors = append(out.Errors, err)
		}
	}
	if len(out.Unavailable) > 0 {
		l.Kick()
	}
	l.guardPolicies(ctx, now, &world, policies)
	l.writeStatus(ctx, now, world, sizes, p, policy)
	l.publish(now, world, sizes, p, policy)
	l.recordWorld(ctx, now, world, policy, sizes)
	return errors.Join(out.Errors...)
}

// note makes the next plan count what this one began.
func (l *Loop) note(out act.Outcome) {
	l.groups.Launched(l.clock.Now(), out.Launched)
	l.groups.Raised(l.clock.Now(), out.Raised)
	l.recordAnswers(l.clock.Now(), out)
	l.groups.Asked(l.actor.Open())
	l.boots.news(l.known.Launched(l.clock.Now(), l.groups.List(), out.Launched, out.Unavailable))
}

// sayAgain is how long the same problem of the same object is not recorded again, though its words may carry new numbers.
const sayAgain = 10 * time.Minute

// report records problems and suppressed actions when they appear, not on every tick.
func (l *Loop) report(now time.Time, p plan.Plan) {
	current := map[string]bool{}
	for _, x := range p.Problems {
		l.say(now, current, "problem", x.Object, x.What+"; "+x.Mend)
	}
	for _, x := range p.Suppressed {
		l.say(now, current, "suppressed", x.Action, x.Reason)
	}
	for _, x := range p.Kept {
		l.record(now, current, slog.LevelDebug, "kept", x.Node, x.Reason)
	}
	for _, x := range p.Unplaced {
		l.say(now, current, "unplaced", x.Pod, plan.Listed(x.Reasons))
	}
	for key := range l.said {
		if !current[key] {
			delete(l.said, key)
		}
	}
}

func (l *Loop) say(now time.Time, current map[string]bool, action, object, what string) {
	l.record(now, current, slog.LevelWarn, action, object, what)
}

func (l *Loop) record(now time.Time, current map[string]bool, level slog.Level, action, object, what string) {
	key := action + " " + object
	current[key] = true
	if last, said := l.said[key]; said && now.Sub(last) < sayAgain {
		return
	}
	l.said[key] = now
	l.options.Log.Log(context.Background(), level, action, "object", object, "what", what)
	l.write(ledger.Entry{Tick: l.tick, Phase: ledger.Note, Action: action, Object: object, Reason: what})
}

// write appends to the ledger; no decision is held up by its record.
func (l *Loop) write(e ledger.Entry) {
	e.At = time.Now()
	e.Model = l.clock.At(e.At)
	if err := l.ledger.Append(e); err != nil {
		l.options.Log.Error("ledger", "error", err)
	}
}

// sleep waits; false says that ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
