package consumers

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// The lease is lost and won again while the work under the last one is still in a request.
func TestTheLeaseIsWonAgainBeforeTheLastWorkEnds(t *testing.T) {
	a, r := drainer(t)
	busy, release := make(chan struct{}), make(chan struct{})
	var held atomic.Bool
	a.failWith(func(method, _ string) int {
		if method == http.MethodPatch && held.CompareAndSwap(false, true) {
			close(busy)
			a.mu.Unlock()
			<-release
			a.mu.Lock()
		}
		return 0
	})
	r.leading.Store(false)
	r.backlog(day.Add(5*time.Second), small, 0)
	first, lose := context.WithCancel(t.Context())
	second, stop := context.WithCancel(t.Context())
	ended, done := make(chan struct{}), make(chan struct{})
	go func() { r.WriteStatuses(first, a); close(ended) }()
	select {
	case <-busy:
	case <-time.After(20 * time.Second):
		t.Fatal("nothing was written")
	}
	lose()
	go func() { r.WriteStatuses(second, a); close(done) }()
	time.Sleep(100 * time.Millisecond)
	close(release)
	<-ended
	for deadline := time.Now().Add(20 * time.Second); !r.leading.Load(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it holds the lease, and follows")
		}
	}
	time.Sleep(100 * time.Millisecond)
	if !r.leading.Load() {
		t.Error("it holds the lease, and follows after all")
	}
	stop()
	<-done
	if r.leading.Load() {
		t.Error("it leads without the lease")
	}
}
