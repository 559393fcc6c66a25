package scaler

import (
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/balloon/apply"
)

// leftovers are the Balloons that had CapacityBuffers when this scaler first asked: one question for all of them.
type leftovers struct {
	of      map[client.ObjectKey]bool // nil is not known
	err     error
	retryAt time.Time
}

// askLeftovers is how long after a failure leftovers are asked for again; model time.
const askLeftovers = time.Minute

// hadBuffers says whether a Balloon had CapacityBuffers of an earlier scaler's.
func (l *Loop) hadBuffers(ctx context.Context, now time.Time, b client.ObjectKey) (bool, error) {
	left := &l.leftovers
	if left.of == nil && !now.Before(left.retryAt) {
		call, cancel := context.WithTimeout(ctx, readWithin)
		left.of, left.err = apply.Buffered(call, l.client)
		cancel()
		left.retryAt = now.Add(askLeftovers)
	}
	return left.of[b], left.err
}

// withoutBuffers takes away what another output has left, once.
func (l *Loop) withoutBuffers(ctx context.Context, now time.Time, o *output, s *size) {
	if o.applied == noBuffers && o.err == nil {
		return
	}
	b := s.balloon
	if o.applied == "" && o.err == nil { // nothing was applied by this scaler
		had, err := l.hadBuffers(ctx, now, client.ObjectKeyFromObject(b))
		if err != nil {
			s.say(buffersGone, false, "CannotList", err.Error()+"; the scaler's role needs list on podtemplates and capacitybuffers, and buffers of an earlier output stay until then")
			return
		}
		if !had {
			o.applied = noBuffers
			return
		}
	}
	if err := l.bring(ctx, now, o, noBuffers, func() error { return apply.DeleteBuffers(ctx, l.client, b) }); err != nil {
		s.say(buffersGone, false, "CannotDelete", err.Error()+"; what an earlier output left stays until then")
	}
}
