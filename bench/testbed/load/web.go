package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"swell/api/config"
)

// WebOptions say what the web workload is asked for.
type WebOptions struct {
	// Demand in whole requests of a pod: 30 keeps 30 pods busy at 100 % of their CPU request.
	Demand   Curve
	Selector labels.Selector
	// Target is the share of its request that a pod should use. Default 0.5.
	Target float64
	// Burst is the most that a pod can use, as a share of its request. Default 1.
	Burst float64
	// Noise is the standard deviation of a pod's use, as a share of it. Default 0.02; below zero none.
	Noise float64
	Seed  uint64
	Clock config.Clock
	// Tick of the machine's clock between two looks at the pods. Default 100ms.
	Tick time.Duration
}

func (o *WebOptions) defaults() {
	if o.Target == 0 {
		o.Target = 0.5
	}
	if o.Burst == 0 {
		o.Burst = 1
	}
	if o.Noise == 0 {
		o.Noise = 0.02
	}
	if o.Tick == 0 {
		o.Tick = 100 * time.Millisecond
	}
}

// Validate reports options that cannot be used.
func (o WebOptions) Validate() error {
	if o.Demand == nil {
		return errors.New("web: no demand: give a curve in whole requests of a pod")
	}
	if o.Selector == nil || o.Selector.Empty() {
		return errors.New("web: no selector: give the labels of the serving pods")
	}
	if o.Target <= 0 || o.Burst < o.Target {
		return fmt.Errorf("web: target %g, burst %g: give a target above zero and a burst not below it", o.Target, o.Burst)
	}
	return o.Clock.Validate()
}

// Web models a workload behind a load balancer: the ready pods share its demand evenly.
type Web struct {
	opt  WebOptions
	pods Pods

	mu      sync.Mutex
	noise   *rand.Rand
	stats   WebStats
	ready   int // as of counted, machine time
	counted time.Time
}

// WebStats is where the web workload stands; sums are over model time since the start.
type WebStats struct {
	// Demand in whole requests of a pod, and Wanted pods at the target.
	Demand float64 `json:"demand"`
	Wanted float64 `json:"wanted"`
	Ready  int     `json:"ready"`
	// Dropped is what all ready pods together cannot serve at their burst: max(0, demand − ready × burst).
	Dropped float64 `json:"dropped"`
	// WantedPodSeconds, UnservedPodSeconds: pods at the target, and those of them that were not ready.
	WantedPodSeconds   float64 `json:"wantedPodSeconds"`
	UnservedPodSeconds float64 `json:"unservedPodSeconds"`
	DroppedSeconds     float64 `json:"droppedSeconds"`
}

// NewWeb is a web workload over ready pods.
func NewWeb(opt WebOptions, pods Pods) (*Web, error) {
	opt.defaults()
	if err := opt.Validate(); err != nil {
		return nil, err
	}
	return &Web{opt: opt, pods: pods, noise: rand.New(rand.NewPCG(opt.Seed, 1))}, nil
}

// Run sums what is wanted and what is not served until ctx ends.
func (w *Web) Run(ctx context.Context) error {
	ticker := time.NewTicker(w.opt.Tick)
	defer ticker.Stop()
	last := w.opt.Clock.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		now := w.opt.Clock.Now()
		w.step(last, now)
		last = now
	}
}

func (w *Web) step(from, to time.Time) {
	ready := len(w.pods.Ready(w.opt.Selector))
	demand := w.opt.Demand(to)
	seconds := to.Sub(from).Seconds()
	w.mu.Lock()
	defer w.mu.Unlock()
	s := &w.stats
	s.Demand, s.Wanted, s.Ready = demand, demand/w.opt.Target, ready
	s.Dropped = max(0, demand-float64(ready)*w.opt.Burst)
	s.WantedPodSeconds += s.Wanted * seconds
	s.UnservedPodSeconds += max(0, s.Wanted-float64(ready)) * seconds
	s.DroppedSeconds += s.Dropped * seconds
}

// Stats of the last look.
func (w *Web) Stats() WebStats {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stats
}

// Use of a pod's CPU request, as a share of it, at an instant; unknown for pods that are not of this workload.
func (w *Web) Use(pod Pod, at time.Time) (float64, bool) {
	if !w.opt.Selector.Matches(labels.Set(pod.Labels)) {
		return 0, false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	// a list of metrics asks once a pod, and counting looks at every pod
	if at.Sub(w.counted).Abs() > w.opt.Tick {
		w.ready, w.counted = len(w.pods.Ready(w.opt.Selector)), at
	}
	use := min(w.opt.Demand(w.opt.Clock.At(at))/float64(max(1, w.ready)), w.opt.Burst)
	if w.opt.Noise > 0 {
		use *= max(0, 1+w.opt.Noise*w.noise.NormFloat64())
	}
	return use, true
}
