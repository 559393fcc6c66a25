package scaler

import (
	"context"
	"testing"
)

// A server that never answers holds fills and queries of its own kind only: histories are read and saved meanwhile, and
// queries asked while a fill hangs.
func TestAHangingFillHoldsNothingElseUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l := New(nil, nil, nil, newBook(t), Options{})
	hanging, done := make(chan struct{}, 64), make(chan string, 64)
	job := func(name string, hangs bool) func(context.Context) func() {
		return func(ctx context.Context) func() {
			if hangs {
				hanging <- struct{}{}
				<-ctx.Done()
			}
			done <- name
			return func() {}
		}
	}
	for range 8 {
		l.background(ctx, l.jobs.fills, job("fill", true))
	}
	<-hanging
	l.background(ctx, l.jobs.queries, job("query", false))
	if got := <-done; got != "query" {
		t.Errorf("%s ended: want the query to be asked while a fill hangs", got)
	}
	for range 8 {
		l.background(ctx, l.jobs.queries, job("query", true))
	}
	<-hanging
	<-hanging
	l.background(ctx, l.jobs.loads, job("load", false))
	if got := <-done; got != "load" {
		t.Errorf("%s ended: want a load while fills and queries hang", got)
	}
	if n := len(l.jobs.fills); n != 1 {
		t.Errorf("%d fills run: want one at a time", n)
	}
}
