package ui

import (
	"context"
	"errors"
	"testing"
)

// Who comes from elsewhere is second, whoever waits before him.
func TestTheLineTakesSourcesInTurn(t *testing.T) {
	l := newLine(1, 1)
	l.moving = true // the test moves it
	var many []chan struct{}
	for range 1000 {
		many = append(many, l.enter("10.0.0.1"))
	}
	other := l.enter("10.0.0.2")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.wait(gone, "10.0.0.3"); !errors.Is(err, context.Canceled) {
		t.Errorf("who left: %v", err)
	}
	called := func(places ...chan struct{}) (n int) {
		for _, c := range places {
			select {
			case <-c:
				n++
			default:
			}
		}
		return n
	}
	l.call()
	l.call()
	if called(many...) != 1 || called(many[0]) != 1 || called(other) != 1 {
		t.Errorf("after two calls %d of many and %d other were called: want the first of each", called(many...), called(other))
	}
	for range 999 {
		if !l.call() {
			t.Fatal("nobody waits, although there are more")
		}
	}
	if called(many...) != 1000 || l.call() || l.moving || len(l.waiting) != 0 {
		t.Errorf("%d of 1000 were called, %d sources are left", called(many...), len(l.waiting))
	}
}
