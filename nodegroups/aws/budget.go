package aws

import (
	"context"
	"sync"

	"github.com/aws/smithy-go/middleware"
	"golang.org/x/time/rate"
)

// floorShare is the smallest share of the budget that throttles reduce it to, and recoverShare what one success gives back.
const (
	floorShare   = 1.0 / 16
	recoverShare = 1.0 / 20
)

// budget limits calls a second, every retry counted. A throttle halves it; each success gives a twentieth of the whole back.
type budget struct {
	whole   float64
	limiter *rate.Limiter
	mu      sync.Mutex
}

func newBudget(perSecond float64, burst int) *budget {
	return &budget{whole: perSecond, limiter: rate.NewLimiter(rate.Limit(perSecond), burst)}
}

func (b *budget) rate() float64 { return float64(b.limiter.Limit()) }

func (b *budget) observe(err error) {
	switch {
	case err == nil:
		b.mu.Lock()
		defer b.mu.Unlock()
		b.limiter.SetLimit(rate.Limit(min(b.whole, b.rate()+b.whole*recoverShare)))
	case Classify(codeOf(err), "") == throttled:
		b.throttle()
	}
}

func (b *budget) throttle() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.limiter.SetLimit(rate.Limit(max(b.whole*floorShare, b.rate()/2)))
}

// install puts the budget within the SDK's retries, so that each attempt takes from it.
func (b *budget) install(stack *middleware.Stack) error {
	return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("SwellBudget",
		func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			if err := b.limiter.Wait(ctx); err != nil {
				return middleware.FinalizeOutput{}, middleware.Metadata{}, err
			}
			out, metadata, err := next.HandleFinalize(ctx, in)
			b.observe(err)
			return out, metadata, err
		}), "Retry", middleware.After)
}
