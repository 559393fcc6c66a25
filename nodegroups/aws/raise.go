package aws

import (
	"context"
	"fmt"
	"maps"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"

	"swell/nodegroups"
)

// raise is a desired capacity that was asked for under a client token, kept from before the call on.
type raise struct {
	target   int
	result   LaunchResult // what it comes to once the desired capacity has been target
	answered bool
	at       time.Time
}

// raise sets the desired capacity, freshly read, up by count and not above the maximum. The service knows no client token
// here, so the target is remembered: a repeated token asks for the same target, and for nothing where that is reached.
//
// The service's call is absolute, and the raises of one group take turns only within one client. Not covered are: a process
// that dies between the call and its answer, whose successor raises again, so too many may be bought; another writer of the
// desired capacity between the reading and the call, whose change is undone; and another raise between a lost call and its
// repetition, which may pass for the lost one, so too few are bought until the next reading.
func (c *Client) raise(ctx context.Context, group string, count int, token string) (LaunchResult, error) {
	turn := c.turn(group)
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return LaunchResult{}, fmt.Errorf("waiting for another raise of group %s: %w", group, ctx.Err())
	}
	r, repeated := c.raised(token)
	if repeated && r.answered {
		return r.result, nil
	}
	desired, highest, failure, err := c.capacity(ctx, group)
	if err != nil {
		return LaunchResult{}, err
	}
	if failure != nil {
		return LaunchResult{Failures: []Failure{*failure}}, nil
	}
	if !repeated {
		by := max(0, min(count, highest-desired))
		r = raise{target: desired + by, result: LaunchResult{Raised: by}, at: c.now()}
		if by < count {
			r.result.Failures = []Failure{{Code: "MaxSize", Message: fmt.Sprintf("group %s has %d of at most %d instances", group, desired, highest), Class: nodegroups.LimitReached}}
		}
		if by < 1 {
			return r.result, nil
		}
	}
	if desired < r.target {
		c.keep(token, r)
		_, err := c.autoscaling.SetDesiredCapacity(ctx, &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: &group, DesiredCapacity: awssdk.Int32(int32(r.target)), HonorCooldown: awssdk.Bool(false)})
		if err != nil && unsure(err) {
			return LaunchResult{}, c.explain(err, "raising the desired capacity of group %s from %d to %d", group, desired, r.target)
		}
		if err != nil {
			c.mu.Lock()
			delete(c.raises, token)
			c.mu.Unlock()
			return LaunchResult{Failures: append(r.result.Failures, failureOf(err))}, nil
		}
	}
	r.answered = true
	c.keep(token, r)
	return r.result, nil
}

// capacity reads a group's desired and highest number of instances, or what the service refuses.
func (c *Client) capacity(ctx context.Context, group string) (desired, highest int, failure *Failure, err error) {
	out, err := c.autoscaling.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{group}})
	if err != nil {
		if unsure(err) {
			return 0, 0, nil, c.explain(err, "reading the desired capacity of group %s before it is raised", group)
		}
		f := failureOf(err)
		return 0, 0, &f, nil
	}
	if len(out.AutoScalingGroups) != 1 {
		return 0, 0, &Failure{Code: "ValidationError", Class: nodegroups.BadTemplate,
			Message: fmt.Sprintf("there is no such group as %s in %s: check its name and tags", group, c.options.Region)}, nil
	}
	g := out.AutoScalingGroups[0]
	return int(awssdk.ToInt32(g.DesiredCapacity)), int(awssdk.ToInt32(g.MaxSize)), nil, nil
}

// turn is what raises of a group take one after the other.
func (c *Client) turn(group string) chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.turns[group] == nil {
		c.turns[group] = make(chan struct{}, 1)
	}
	return c.turns[group]
}

func (c *Client) raised(token string) (raise, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.raises[token]
	return r, ok
}

// keep a raise, and forget those of long ago.
func (c *Client) keep(token string, r raise) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raises[token] = r
	maps.DeleteFunc(c.raises, func(_ string, r raise) bool { return c.now().Sub(r.at) > forgetAfter })
}
