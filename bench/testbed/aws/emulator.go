package aws

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// Options of an emulator.
type Options struct {
	Fleet Fleet
	// Dir holds the logs; empty keeps nothing.
	Dir string
	// Seed of boot times and of the choice of throttled calls.
	Seed uint64
	// Kubeconfig of the cluster that booted instances join; empty posts no Nodes.
	Kubeconfig string
	// Now is the machine's clock; nil is time.Now.
	Now func() time.Time
	// Manual leaves the passing of time to calls of Step: nothing boots, repairs or ends between them.
	Manual bool
	Log    *slog.Logger // nil is slog.Default
}

// Emulator is a running emulation. It is an http.Handler.
type Emulator struct {
	fleet Fleet
	seed  uint64
	now   func() time.Time
	log   *slog.Logger
	nodes *nodeWriter // nil without a cluster

	mu      sync.Mutex
	state   *state
	journal *journal
	dice    *rand.Rand
	started time.Time
	changed chan struct{} // closed and replaced at every change

	stop context.CancelFunc
	done sync.WaitGroup
}

// New starts an emulator, from its directory's logs if there are any.
func New(o Options) (*Emulator, error) {
	o.Fleet.fill()
	if err := o.Fleet.Validate(); err != nil {
		return nil, fmt.Errorf("starting the emulator: %w", err)
	}
	e := &Emulator{fleet: o.Fleet, seed: o.Seed, now: o.Now, log: o.Log, changed: make(chan struct{})}
	if e.now == nil {
		e.now = time.Now
	}
	if e.log == nil {
		e.log = slog.Default()
	}
	e.state = newState(e.fleet)
	if o.Dir != "" {
		j, err := openJournal(o.Dir, e.state)
		if err != nil {
			return nil, err
		}
		e.journal = j
	}
	e.dice = rand.New(rand.NewPCG(e.seed, uint64(e.state.events)))
	e.begin()
	ctx, stop := context.WithCancel(context.Background())
	e.stop = stop
	if o.Kubeconfig != "" {
		w, err := newNodeWriter(o.Kubeconfig, e.fleet, e.log)
		if err != nil {
			stop()
			e.journal.Close()
			return nil, err
		}
		e.nodes = w
		e.restoreNodes(ctx)
	}
	if !o.Manual {
		e.done.Go(func() { e.run(ctx) })
	}
	return e, nil
}

// begin gives groups that start below their desired capacity a reason to launch at once.
func (e *Emulator) begin() {
	now := e.now()
	e.started = now
	for _, g := range e.state.groups {
		g.created = now
		g.repairCause = "self-repair"
		if len(e.state.order) == 0 {
			g.repairAt, g.repairCause = now, "initial"
		}
	}
}

// Close stops the emulator and closes its logs.
func (e *Emulator) Close() {
	e.stop()
	e.done.Wait()
	if e.nodes != nil {
		e.nodes.wait()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.journal.Close()
	e.journal = nil
}

// run steps whenever something is due or was changed.
func (e *Emulator) run(ctx context.Context) {
	for {
		e.mu.Lock()
		changed := e.changed
		e.mu.Unlock()
		wait := time.Second
		if next := e.Step(); !next.IsZero() {
			wait = min(wait, max(next.Sub(e.now()), time.Millisecond))
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// change is a transaction under way: each record takes effect at once and all are written together. The lock is held.
type change struct {
	e      *Emulator
	t      transaction
	events []Event
}

func (e *Emulator) change(now time.Time) *change {
	return &change{e: e, t: transaction{At: now}}
}

func (c *change) do(r record) {
	c.t.Records = append(c.t.Records, r)
	c.events = append(c.events, c.e.state.apply(c.t.At, r)...)
}

// commit writes the transaction and wakes who waits for one.
func (c *change) commit() {
	if len(c.t.Records) == 0 {
		return
	}
	if err := c.e.journal.commit(c.t, c.events); err != nil {
		c.e.log.Error("the log was not written", "error", err)
	}
	for _, event := range c.events {
		c.e.follow(event)
	}
	close(c.e.changed)
	c.e.changed = make(chan struct{})
}

// follow brings the cluster's Nodes after an instance.
func (e *Emulator) follow(event Event) {
	if e.nodes == nil {
		return
	}
	switch event.Event {
	case opRunning:
		e.nodes.post(*e.state.instances[event.Instance], e.state.groups[event.Group].Group)
	case opTerminated:
		e.nodes.remove(*e.state.instances[event.Instance])
	}
}

// restoreNodes makes up for what a kill kept from the cluster.
func (e *Emulator) restoreNodes(ctx context.Context) {
	gone := map[string]instance{}
	for _, id := range e.state.order {
		switch i := e.state.instances[id]; i.State {
		case stateRunning:
			if g := e.state.groups[i.Group]; i.Joined && g != nil {
				e.nodes.post(*i, g.Group)
			}
		case stateTerminated:
			gone[id] = *i
		}
	}
	e.nodes.start(ctx, gone)
}
