package ui

import (
	"context"
	"slices"
	"sync"

	"golang.org/x/time/rate"
)

const (
	// ReviewRate is how many tokens that were not seen before the API server is asked about in a second, ReviewBurst at once.
	ReviewRate  = 20
	ReviewBurst = 40
)

// line lets so many through in a second, one of each source in turn: who comes from a source of his own waits for one of each other
// source, however many those send.
type line struct {
	pace *rate.Limiter

	mu      sync.Mutex
	waiting map[string][]chan struct{} // by source, the oldest first
	turns   []string                   // sources that have somebody waiting
	moving  bool
}

func newLine(perSecond float64, burst int) *line {
	return &line{pace: rate.NewLimiter(rate.Limit(perSecond), burst), waiting: map[string][]chan struct{}{}}
}

// wait returns when it is its turn, or with ctx's error.
func (l *line) wait(ctx context.Context, source string) error {
	place := l.enter(source)
	select {
	case <-place:
		return nil
	case <-ctx.Done():
		l.leave(source, place)
		return ctx.Err()
	}
}

// enter takes a place, which is closed when it is its turn.
func (l *line) enter(source string) chan struct{} {
	place := make(chan struct{})
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting[source]) == 0 {
		l.turns = append(l.turns, source)
	}
	l.waiting[source] = append(l.waiting[source], place)
	if !l.moving {
		l.moving = true
		go l.move()
	}
	return place
}

func (l *line) leave(source string, place chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keep(source, slices.DeleteFunc(l.waiting[source], func(c chan struct{}) bool { return c == place }))
}

// keep the rest of a source's places; one of whom nobody waits has no turn.
func (l *line) keep(source string, rest []chan struct{}) {
	if l.waiting[source] = rest; len(rest) == 0 {
		delete(l.waiting, source)
		l.turns = slices.DeleteFunc(l.turns, func(s string) bool { return s == source })
	}
}

// move calls one after another until nobody waits.
func (l *line) move() {
	for {
		_ = l.pace.Wait(context.Background()) // it has no end
		if !l.call() {
			return
		}
	}
}

// call lets the first of the next source through; false is that nobody waits.
func (l *line) call() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.turns) == 0 {
		l.moving = false
		return false
	}
	source := l.turns[0]
	l.turns = append(l.turns[1:], source)
	places := l.waiting[source]
	close(places[0])
	l.keep(source, places[1:])
	return true
}
