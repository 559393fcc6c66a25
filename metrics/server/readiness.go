package server

import (
	"errors"
	"net/http"
	"sync/atomic"
)

// readiness is whether this replica should be asked. It is about the start and the end: once everything was there, what
// becomes unknown later is an error of its own metric.
type readiness struct {
	// listed says that QueueConsumers and pods are in memory and that the pollers run.
	listed atomic.Bool
	// settled says why the Kafka clusters are not known yet.
	settled func() error
	// began says that the replica was ready once.
	began    atomic.Bool
	draining atomic.Bool
}

func (r *readiness) problem() error {
	switch {
	case r.draining.Load():
		return errors.New("shutting down")
	case r.began.Load():
		return nil
	case !r.listed.Load():
		return errors.New("QueueConsumers and pods are not listed yet")
	}
	if err := r.settled(); err != nil {
		return err
	}
	r.began.Store(true)
	return nil
}

// check is the secure port's, which knows by itself that it is shutting down.
func (r *readiness) check(*http.Request) error { return r.problem() }

func (r *readiness) serve(w http.ResponseWriter, _ *http.Request) {
	if err := r.problem(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	ok(w, nil)
}

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }
