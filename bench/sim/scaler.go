package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	krand "k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"swell/api/config"
	"swell/nodegroups"
	"swell/nodegroups/aws"
	"swell/nodegroups/learn"
	"swell/scaler/act"
	"swell/scaler/learned"
	"swell/scaler/ledger"
	"swell/scaler/notices"
	"swell/scaler/observe"
	"swell/scaler/plan"
)

const (
	intentsName = "swell-scaler-intents"
	tickEvery   = 20 * time.Second
	awsEvery    = 40 * time.Second
)

// cloud ties the AWS client to the loop's interfaces, as the program does.
type cloud struct {
	*aws.Client
	last []nodegroups.Group
}

func (c *cloud) Groups(ctx context.Context, s nodegroups.Selection) ([]nodegroups.Group, []string, error) {
	groups, problems, err := c.Select(ctx, s)
	var words []string
	for _, p := range problems {
		words = append(words, p.Group+": "+p.What)
	}
	if err == nil {
		c.last = groups
	}
	return groups, words, err
}

func (c *cloud) Prepaid(ctx context.Context, types []string) (nodegroups.Prepaid, []string) {
	prepaid, problems := c.Client.Prepaid(ctx, types)
	var words []string
	for _, p := range problems {
		words = append(words, p.String())
	}
	return prepaid, words
}

// backoff is about what the SDK waits, without its random source.
func backoff(attempt int, _ error) (time.Duration, error) {
	return time.Duration(attempt) * 700 * time.Millisecond, nil
}

// scaler is one process: the loop's observe, plan and act with its own clients and memory.
type scaler struct {
	w        *world
	wire     *wire
	cloud    *cloud
	kube     kubernetes.Interface
	groups   *observe.Groups
	owed     observe.Owed
	actor    *act.Actor
	ledger   *ledger.Ledger
	tick     int64
	planner  plan.Planner // ends with the process
	memory   plan.Memory
	readAt   time.Time
	known    *learned.Instances
	unsaved  bool // something is known that successors are not handed yet
	notices  *notices.Keeper
	tookOver observe.Takeover
	apiAt    time.Time     // when the cache was last as the API server is
	done     chan struct{} // closed when the process is over
}

func newScaler(ctx context.Context, w *world, id string, dir string) (*scaler, error) {
	c := &wire{w: w, id: id, attempts: 1, fates: map[string]fate{}}
	if w.seed%2 == 0 {
		c.attempts = 3 // as the program has it
	}
	if roll := w.roll("crash " + id); roll%2 == 0 {
		c.crashAt = 20 + roll>>8%400
	}
	quiet := slog.New(slog.DiscardHandler)
	client, err := aws.New(ctx, aws.Options{Region: "ap-northeast-1", Endpoint: "http://127.0.0.1:1", QueueURL: "http://127.0.0.1:1/000000000000/interruptions", Attempts: c.attempts, Backoff: backoff,
		HTTPClient: cloudWire{c}, Prices: map[string]aws.Price{"m6i.xlarge": {OnDemand: 1, Spot: 0.35}}, Log: quiet})
	if err != nil {
		return nil, err
	}
	k, err := kubernetes.NewForConfig(&rest.Config{Host: "http://127.0.0.1:2", Transport: kube{c}, QPS: -1, ContentConfig: rest.ContentConfig{ContentType: "application/json", AcceptContentTypes: "application/json"}})
	if err != nil {
		return nil, err
	}
	l, err := ledger.Open(dir)
	if err != nil {
		return nil, err
	}
	known, err := learned.New(learn.Prior{}, config.Clock{}.At)
	if err != nil {
		return nil, err
	}
	s := &scaler{w: w, wire: c, known: known, kube: k, cloud: &cloud{Client: client}, ledger: l, memory: plan.Memory{UnneededSince: map[string]time.Time{}}, done: make(chan struct{})}
	s.groups = observe.NewGroups(s.cloud)
	s.notices = notices.NewKeeper(notices.Options{Kube: k, Groups: s.groups, Complete: client.Complete, Log: quiet})
	w.mu.Lock()
	defer w.mu.Unlock()
	return s, known.Take(w.now(), w.learned)
}

// run takes over and plans until the process crashes, is overtaken, or ctx ends.
func (s *scaler) run(ctx context.Context) {
	defer close(s.done)
	defer s.ledger.Close()
	for !s.wire.gone() && ctx.Err() == nil {
		if err := s.takeOver(ctx); err == nil {
			break
		}
		_ = sleep(ctx, 5*time.Second) // a process that fails to start is started again
	}
	for !s.wire.gone() && ctx.Err() == nil {
		err := s.step(ctx)
		if errors.Is(err, act.ErrNotLeader) {
			s.w.say("%s finds that it was overtaken", s.wire.id)
			return
		}
		_ = sleep(ctx, tickEvery)
	}
}

func (s *scaler) takeOver(ctx context.Context) error {
	s.tookOver = observe.Takeover{At: time.Now()}
	intents, open, err := act.TakeOver(ctx, s.kube, "swell-system", intentsName, s.wire.id)
	if err != nil {
		return err
	}
	s.w.say("%s takes over, %d launches open", s.wire.id, len(open))
	v := s.w.store.view()
	s.actor = act.New(v, s.kube, s.cloud, intents, s.ledger, act.Options{Returned: s.groups.Returned, Replaced: s.groups.Replaced, Log: slog.New(slog.DiscardHandler)})
	for _, late := range s.actor.Answered() {
		s.groups.Launched(late.At, late.Launched)
		s.groups.Raised(late.At, late.Raised)
	}
	out, _ := s.actor.Recover(ctx, open) // what is not recovered stays open
	s.note(out)
	world, err := observe.Read(ctx, v, s.groups, &s.owed, time.Now())
	if err != nil {
		return err
	}
	_ = s.actor.UncordonLeftovers(ctx, world.Snapshot.Nodes) // the plan sees what is left
	_ = s.read(ctx, world)
	return nil
}

func (s *scaler) note(out act.Outcome) {
	s.groups.Launched(time.Now(), out.Launched)
	s.groups.Raised(time.Now(), out.Raised)
	s.groups.Asked(s.actor.Open())
	news := s.known.Launched(time.Now(), s.groups.List(), out.Launched, out.Unavailable)
	s.unsaved = s.unsaved || news
}

// save hands on what is known, as the loop's checkpoint does.
func (s *scaler) save() error {
	boots, capacity, err := s.known.JSON()
	if err != nil {
		return err
	}
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	data, err := learned.Add(s.w.learned, s.w.now(), boots, capacity, false)
	if err == nil {
		s.w.learned, s.unsaved = data, false
	}
	return err
}

// receive keeps notices.
func (s *scaler) receive(ctx context.Context) {
	received, err := s.cloud.Interruptions(ctx)
	if err != nil {
		return // they come again
	}
	var list []notices.Notice
	for _, r := range received {
		list = append(list, notices.Notice{Interruption: r.Interruption, Ack: func(ctx context.Context) error { return s.cloud.Ack(ctx, r) }})
	}
	s.notices.Take(ctx, s.w.store.view(), list)
}

func (s *scaler) read(ctx context.Context, world observe.World) error {
	s.readAt = time.Now()
	return s.groups.Read(ctx, s.readAt, world.Selections())
}

// step is one tick, in the loop's order.
func (s *scaler) step(ctx context.Context) error {
	s.tick++
	s.receive(ctx)
	v, fresh := s.w.store.view(), true
	if !s.w.calm && time.Now().Before(s.w.broken) {
		v, fresh = s.w.frozen, false
	}
	current := fresh
	if current {
		s.apiAt = time.Now()
	}
	world, err := observe.Read(ctx, v, s.groups, &s.owed, time.Now())
	if err != nil {
		return err
	}
	if time.Since(s.readAt) >= awsEvery {
		if err := s.read(ctx, world); err != nil {
			s.w.say("%s cannot read the groups", s.wire.id)
		}
		if world, err = observe.Read(ctx, v, s.groups, &s.owed, time.Now()); err != nil {
			return err
		}
		fresh = false // the cluster went on while AWS was asked
	}
	p, err := s.plan(ctx, v, &world)
	if err != nil {
		return err
	}
	if s.holds() { // the fence stops the launches of any other
		s.w.checkNeed(p, fresh, s.known.JoinWithin(world.Snapshot.Groups))
	}
	_ = s.actor.UncordonLeftovers(ctx, world.Snapshot.Nodes) // with the next tick again
	krand.Seed(int64(s.w.roll("names")))                     // the packing's engines draw from the same source when they are made
	out := s.actor.Carry(ctx, s.tick, p)
	s.note(out)
	if out.Reread {
		_ = s.read(ctx, world) // it is read again with the next tick
	}
	if current && s.holds() {
		s.w.checkLeft(s.wire.id)
	}
	if s.unsaved && !s.wire.gone() {
		out.Errors = append(out.Errors, s.save())
	}
	return errors.Join(out.Errors...)
}

// plan makes one of what is known now.
func (s *scaler) plan(ctx context.Context, v *view, world *observe.World) (plan.Plan, error) {
	now := time.Now()
	world.Snapshot.Draining = s.actor.Draining()
	world.Snapshot.Balloons = s.w.demands(world.Snapshot.Pods)
	policy, problems := world.Policy(2 * time.Minute)
	policy.NoSale = cmp.Or(s.tookOver.Unread(s.groups, world.Pools, s.apiAt), world.Budgets(ctx, v))
	if len(problems) > 0 {
		return plan.Plan{}, fmt.Errorf("reading the pool: %v", problems)
	}
	s.notices.Permit(policy)
	s.notices.Read(ctx, now, world, func(node string, n nodegroups.Interruption) {
		s.actor.EndLifecycle(ctx, s.tick, node, s.w.store.pool.Spec.ScaleIn.DrainTimeout.Duration, n)
	})
	news := s.known.Observe(now, &world.Snapshot)
	policy.JoinWithinOf = s.known.JoinWithin(world.Snapshot.Groups)
	p, memory, never := s.known.Plan(now, &s.planner, &world.Snapshot, policy, s.memory)
	s.memory, s.unsaved = memory, s.unsaved || news || len(never) > 0
	if len(p.Launches) > 0 {
		for _, g := range world.Snapshot.Groups {
			s.w.say("%s sees %s read at %s: desired %d, alive %d, returning %d, asked for %d", s.wire.id, g.Name,
				world.Snapshot.GroupsAt.UTC().Format("15:04:05"), g.Desired, g.Alive(), g.Returning, s.actor.Open()[g.Name])
		}
	}
	return p, nil
}

// holds says whether the API server has this scaler as the one that acts.
func (s *scaler) holds() bool {
	s.w.store.mu.Lock()
	defer s.w.store.mu.Unlock()
	return s.w.store.holder() == s.wire.id
}
