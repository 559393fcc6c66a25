package aws

import (
	"context"
	"fmt"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"

	"swell/nodegroups"
)

// A desired capacity is absolute and knows no client token, so a raise takes two steps: Launch says what it would be raised
// to, the caller writes that down where a successor finds it, and Raise asks for it. Whoever repeats Raise asks for the same
// number, and for nothing once that is reached: neither a lost answer nor a crash buys twice.
//
// What the service gives no means against: another writer that changes the desired capacity between the reading and the call
// is undone by it; and one that lowers it between a call and its repetition is undone by the latter. Therefore one scaler
// acts on a group, and it never lowers a desired capacity but by the decrementing termination of an instance that a plan
// named. (An absolute number from a stale count once ended 32 nodes with running jobs.) A desired capacity above what can be
// had is left there: those instances are launched when there is capacity, and returned if nobody needs them then.

// raiseTo is what a group's desired capacity, freshly read, would be raised to.
func (c *Client) raiseTo(ctx context.Context, group string, count int) (nodegroups.Launched, error) {
	desired, highest, sees, failure, err := c.capacity(ctx, group)
	if err != nil {
		return nodegroups.Launched{}, err
	}
	if failure != nil {
		return nodegroups.Launched{Failures: []nodegroups.LaunchFailure{*failure}}, nil
	}
	by := max(0, min(count, highest-desired))
	var r nodegroups.Launched
	if by < count {
		r.Failures = []nodegroups.LaunchFailure{{Code: "MaxSize", Message: fmt.Sprintf("group %s has %d of at most %d instances", group, desired, highest), Class: nodegroups.LimitReached}}
	}
	if by > 0 {
		r.RaiseFrom, r.RaiseTo, r.RaiseMost, r.RaiseSees = desired, desired+by, highest, sees
	}
	return r, nil
}

// Raise sets a group's desired capacity to target where it is lower, and gives by how much it was raised. An error means that
// the outcome is not known: the caller repeats it with the same target.
func (c *Client) Raise(ctx context.Context, group string, target int) (nodegroups.Launched, error) {
	desired, highest, _, failure, err := c.capacity(ctx, group)
	if err != nil {
		return nodegroups.Launched{}, err
	}
	if failure != nil {
		return nodegroups.Launched{Failures: []nodegroups.LaunchFailure{*failure}}, nil
	}
	to := min(target, highest)
	if desired >= to {
		return nodegroups.Launched{}, nil
	}
	_, err = c.autoscaling.SetDesiredCapacity(ctx, &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: &group, DesiredCapacity: awssdk.Int32(int32(to)), HonorCooldown: awssdk.Bool(false)}, notesLost)
	if err != nil && unsure(err) {
		return nodegroups.Launched{}, c.explain(err, "raising the desired capacity of group %s from %d to %d", group, desired, to)
	}
	if err != nil {
		return nodegroups.Launched{Failures: []nodegroups.LaunchFailure{failureOf(err)}}, nil
	}
	return nodegroups.Launched{Raised: to - desired}, nil
}

// capacity reads a group's desired and highest number of instances and those that run or will, or what the service refuses.
func (c *Client) capacity(ctx context.Context, group string) (desired, highest int, sees []string, failure *nodegroups.LaunchFailure, err error) {
	found, failure, err := c.describeNamed(ctx, "reading the desired capacity of group "+group+" before it is raised", group)
	if err != nil || failure != nil {
		return 0, 0, nil, failure, err
	}
	if len(found) != 1 {
		return 0, 0, nil, c.noSuchGroup(group), nil
	}
	for _, i := range found[0].Instances {
		if lifecycle(i.LifecycleState) != nodegroups.Terminating {
			sees = append(sees, awssdk.ToString(i.InstanceId))
		}
	}
	return int(awssdk.ToInt32(found[0].DesiredCapacity)), int(awssdk.ToInt32(found[0].MaxSize)), sees, nil, nil
}
