package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"swell/metrics/kafka/wire"
)

// job is one request to one broker.
type job struct {
	broker int32
	req    kmsg.Request
	// take believes an answer; an error says what is wrong with it.
	take func(kmsg.Response) error
	// fail says why there is no answer; the broker is named in it.
	fail func(problem string)
	// tooLarge is called in place of fail where the answer is larger than is read, which is not the broker's fault; nil: it is.
	tooLarge func(problem string)
}

var (
	errStraggler = errors.New("no answer, while other brokers have answered")
	errKind      = errors.New("its answer is of another kind")
	// tooOld is in the client's error where a broker does not offer a request; the error itself is not exported.
	tooOld = "broker is too old"
)

// patience is how long a poll waits for the last brokers when most have answered and these are quick as a rule, in the machine's time:
// a poll has three rounds, and all of them must fit into the time that one request may take.
func (p *Poller) patience() time.Duration { return p.opts.Cluster.RequestTimeout.Duration / 3 }

// ask sends each broker its requests at the same time and hands over the answers one by one, in the caller's
// goroutine. What is optional is left out when brokers or the budget want less, and waited for no longer than
// patience.
func (p *Poller) ask(ctx context.Context, jobs []job, optional bool) {
	timeout := p.opts.Cluster.RequestTimeout.Duration
	if optional {
		timeout = p.patience()
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %s", timeout))
	defer cancel()
	results := make(chan result, len(jobs))
	sent := 0
	waiting := make(map[*job]context.CancelCauseFunc, len(jobs))
	for i := range jobs {
		// Whoever comes last when the budget is short is another one in each poll.
		j := &jobs[(i+p.turn)%len(jobs)]
		if optional {
			j = &jobs[i]
		}
		if problem := p.admit(ctx, j.broker, optional); problem != "" {
			if optional {
				p.stats.skipped.Add(1)
			}
			j.fail(problem)
			continue
		}
		sent++
		own, stop := context.WithCancelCause(ctx)
		waiting[j] = stop
		go func() { results <- p.request(own, j) }()
	}
	patience := time.NewTimer(p.patience())
	defer patience.Stop()
	late, answered := false, 0
	for done := 0; done < sent; {
		select {
		case r := <-results:
			done++
			if p.handle(r, optional) {
				answered++
			}
			waiting[r.job](nil)
			delete(waiting, r.job)
		case <-patience.C:
			late = true
		}
		if late && 2*answered >= sent {
			p.leaveBehind(waiting, optional)
		}
	}
	p.answered += answered
	p.takeThrottles()
}

// leaveBehind ends the requests to brokers that are not worth waiting for any longer.
func (p *Poller) leaveBehind(waiting map[*job]context.CancelCauseFunc, optional bool) {
	for j, stop := range waiting {
		if optional || p.quick(j.broker) {
			stop(errStraggler)
		}
	}
}

type result struct {
	// ctx is the request's own.
	ctx  context.Context
	job  *job
	resp kmsg.Response
	err  error
	took time.Duration
}

func (p *Poller) request(ctx context.Context, j *job) result {
	began := time.Now()
	resp, err := p.client.Broker(int(j.broker)).Request(ctx, j.req)
	return result{ctx, j, resp, p.opts.Explain(err), time.Since(began)}
}

// handle gives a result to its job and says whether it was an answer.
func (p *Poller) handle(r result, optional bool) bool {
	name := "broker " + p.view.broker(r.job.broker)
	if r.err == nil {
		p.brokerAnswered(r.job.broker, r.took)
		if err := r.job.take(r.resp); err != nil {
			r.job.fail(name + ": " + err.Error())
		}
		return true
	}
	if refused, ok := errors.AsType[*wire.Error](r.err); ok && refused.TooLarge && r.job.tooLarge != nil {
		p.brokerAnswered(r.job.broker, r.took)
		r.job.tooLarge(name + ": " + refused.Error())
		return true
	}
	if cause := context.Cause(r.ctx); cause != nil && errors.Is(r.err, r.ctx.Err()) {
		r.err = cause
	}
	switch {
	case strings.Contains(r.err.Error(), tooOld):
		// The client knows so without asking.
		r.job.fail(name + ": it does not know the request: " + r.err.Error())
	case errors.Is(r.err, context.Canceled):
		// The poller is being stopped.
		r.job.fail(name + ": " + r.err.Error())
	case optional:
		p.healthOf(r.job.broker).tired = p.now().Add(2 * p.opts.Cluster.PollEvery.Duration)
		r.job.fail(name + ": " + r.err.Error())
	default:
		p.brokerFailed(r.job.broker, r.err.Error())
		r.job.fail(name + ": " + p.healthOf(r.job.broker).text())
	}
	return false
}

// admit says why a broker is not to be asked, or waits until it may be.
func (p *Poller) admit(ctx context.Context, broker int32, optional bool) (problem string) {
	h, now := p.healthOf(broker), p.now()
	if h.open(now) && !p.trial {
		return "broker " + p.view.broker(broker) + ": " + h.text()
	}
	if optional && now.Before(h.tired) {
		return "left out: broker " + p.view.broker(broker) + " is slow or throttles"
	}
	if !p.budget.wait(ctx, p.machine(), optional) {
		return fmt.Sprintf("the budget of %d requests a second is used up: raise clusters[name=%s].maxRequestsPerSecond in swell-metrics' configuration",
			p.budget.perSecond, p.Cluster())
	}
	return ""
}

// anyBroker stands for the broker that the client found by itself.
const anyBroker = int32(-1)

// askAny asks the broker that answers best, and then others.
func (p *Poller) askAny(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	resp, _, err := p.askBut(ctx, req, nil)
	return resp, err
}

// askBut asks as askAny does, but none of some brokers while there is another one. It says who has answered, or anyBroker.
func (p *Poller) askBut(ctx context.Context, req kmsg.Request, but map[int32]bool) (kmsg.Response, int32, error) {
	var last error
	tried := map[int32]bool{}
	if _, ok := p.pick(but); ok {
		maps.Copy(tried, but)
	}
	for range 2 {
		broker, ok := p.pick(tried)
		if !ok {
			break
		}
		tried[broker] = true
		var resp kmsg.Response
		one := job{broker: broker, req: req,
			take: func(r kmsg.Response) error { resp = r; return nil },
			fail: func(problem string) { last = errors.New(problem) }}
		timeout := p.patience()
		if len(p.view.brokers) == 1 || !p.quick(broker) {
			timeout = p.opts.Cluster.RequestTimeout.Duration
		}
		ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %s", timeout))
		p.ask(ctx, []job{one}, false)
		cancel()
		if resp != nil {
			return resp, broker, nil
		}
	}
	// They may all have moved.
	resp, err := p.askSeeds(ctx, req)
	if err != nil && last != nil {
		err = last
	}
	return resp, anyBroker, err
}

// askSeeds asks whichever broker the client finds.
func (p *Poller) askSeeds(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	if !p.budget.wait(ctx, p.machine(), false) {
		return nil, fmt.Errorf("the budget of %d requests a second is used up", p.budget.perSecond)
	}
	timeout := p.opts.Cluster.RequestTimeout.Duration
	if len(p.view.brokers) > 1 {
		timeout = p.patience()
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	resp, err := p.client.Request(ctx, req)
	if err == nil {
		p.answered++
	}
	return resp, p.opts.Explain(err)
}

// refusal is a broker's error with what to do about it; empty where there is none.
func refusal(code int16) string {
	if err := kerr.ErrorForCode(code); err != nil {
		return err.Error() + mendFor(err)
	}
	return ""
}

// mendFor is what to do about an error that does not pass by itself.
func mendFor(err error) string {
	switch err {
	case kerr.GroupAuthorizationFailed:
		return ": allow swell-metrics to Describe the group"
	case kerr.TopicAuthorizationFailed:
		return ": allow swell-metrics to Describe the topic"
	case kerr.UnknownTopicOrPartition:
		return ": create the topic, or correct spec.kafka.topics"
	}
	return ""
}

// sortJobs puts jobs into the order of their brokers.
func sortJobs(jobs []job) []job {
	slices.SortStableFunc(jobs, func(a, b job) int { return int(a.broker) - int(b.broker) })
	return jobs
}
