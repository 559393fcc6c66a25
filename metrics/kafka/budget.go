package kafka

import (
	"context"
	"time"

	"golang.org/x/time/rate"
)

// defaultPerSecond is the budget where the configuration gives none.
const defaultPerSecond = 100

// budget bounds the requests to all brokers of a cluster together. What the lag needs waits for its turn;
// what is optional is left out once a poll has used what a poll may.
type budget struct {
	limiter   *rate.Limiter
	perSecond int
	// perPoll is how many requests the time between two polls has room for, used how many this poll has sent.
	perPoll, used int
	// spare is how many requests may still be spent on looks at groups' states: one a poll comes in, and what is
	// read now and then is taken from it. reserve is what one round of that takes.
	spare, reserve int
}

func newBudget(perSecond int, pollEvery time.Duration) *budget {
	if perSecond <= 0 {
		perSecond = defaultPerSecond
	}
	return &budget{limiter: rate.NewLimiter(rate.Limit(perSecond), perSecond), perSecond: perSecond,
		perPoll: max(1, int(float64(perSecond)*pollEvery.Seconds()))}
}

// begin starts the count of a poll of so many brokers, and charges what new connections took.
func (b *budget) begin(now time.Time, brokers, greetings int) {
	b.limiter.ReserveN(now, min(greetings, b.perSecond))
	b.used, b.reserve = 0, brokers+2
	b.spare = min(b.spare+1, 2*b.reserve)
}

// wait takes one request out of the budget, and waits for it as long as the context has time. It says whether
// there was one.
func (b *budget) wait(ctx context.Context, now time.Time, optional bool) bool {
	if optional && b.used >= b.perPoll {
		return false
	}
	r := b.limiter.ReserveN(now, 1)
	delay := r.DelayFrom(now)
	if deadline, ok := ctx.Deadline(); ok && delay > time.Until(deadline)/2 {
		r.CancelAt(now)
		return false
	}
	b.used++
	if delay == 0 {
		return true
	}
	t := time.NewTimer(delay)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// spend takes requests out of what is spare.
func (b *budget) spend(n int) { b.spare = max(b.spare-n, -b.reserve) }
