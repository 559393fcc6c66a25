package scaler

import (
	"context"
	"runtime"
	"time"
)

const (
	// retryLeast and retryMost bound the time until what failed is tried again.
	retryLeast = time.Minute
	retryMost  = time.Hour
)

// attempt is something that is tried again when it fails, after twice as long each time.
type attempt struct {
	done    bool
	running bool
	problem string
	at      time.Time
	wait    time.Duration
}

func (a *attempt) due(now time.Time) bool { return !a.done && !a.running && !now.Before(a.at) }

func (a *attempt) ended(now time.Time, err error) {
	a.running = false
	if err == nil {
		*a = attempt{done: true}
		return
	}
	a.problem = err.Error()
	a.wait = min(max(2*a.wait, retryLeast), retryMost)
	a.at = now.Add(a.wait)
}

// jobs are the slots of what runs beside the loop, by what it waits for: a server of metrics that hangs holds up no checkpoint,
// and what a fill asks for takes no live query's place.
type jobs struct {
	loads   chan struct{} // the API server's, and files: checkpoints are read and written, and learned
	fills   chan struct{} // a past from elsewhere
	queries chan struct{} // demand now
	// rails are written, and specs rolled back, whatever else is loaded
	rails, rollBacks chan struct{}
}

func newJobs() jobs {
	// learning a past keeps a core busy; two wait for the API server even where there is one
	return jobs{make(chan struct{}, max(2, runtime.GOMAXPROCS(0))), make(chan struct{}, 1), make(chan struct{}, 2), make(chan struct{}, 1), make(chan struct{}, 4)}
}

// background runs work beside the loop when a slot is free, and what that returns within it.
func (l *Loop) background(ctx context.Context, slots chan struct{}, work func(context.Context) func()) {
	go func() {
		select {
		case <-ctx.Done():
			return
		case slots <- struct{}{}:
		}
		result := work(ctx)
		<-slots
		l.resultsLock.Lock()
		defer l.resultsLock.Unlock()
		l.results = append(l.results, result)
	}()
}

// collect runs what jobs returned.
func (l *Loop) collect() {
	l.resultsLock.Lock()
	results := l.results
	l.results = nil
	l.resultsLock.Unlock()
	for _, r := range results {
		r()
	}
}
