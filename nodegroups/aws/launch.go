package aws

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"swell/nodegroups"
)

// MaxLaunch is the largest count of one Launch.
const MaxLaunch = 100

// Launch buys count instances in a group and zone. What the service refuses is told as failures. An error means that the
// outcome is not known, as when the call timed out: the caller repeats it with the same token, and nothing is bought twice.
// Where LaunchInstances may not be called nothing is done and the result says what to Raise to.
func (c *Client) Launch(ctx context.Context, group, zone string, count int, token string) (nodegroups.Launched, error) {
	if count < 1 || count > MaxLaunch {
		return nodegroups.Launched{}, fmt.Errorf("launching %d instances in group %s: one call takes 1 to %d; split it", count, group, MaxLaunch)
	}
	p, failure, err := c.placeOf(ctx, group, zone)
	switch {
	case err != nil:
		return nodegroups.Launched{}, err
	case failure != nil:
		return nodegroups.Launched{Failures: []nodegroups.LaunchFailure{*failure}, Refused: true}, nil
	case p.warm || c.isTokenless(p.asg):
		r, err := c.instead(ctx, p, count, nodegroups.LaunchFailure{Code: unsupported, Class: nodegroups.Unclassified, Message: "LaunchInstances does not take such a group"})
		r.Refused = true
		return r, err
	}
	out, err := c.autoscaling.LaunchInstances(ctx, &autoscaling.LaunchInstancesInput{
		AutoScalingGroupName: &p.asg, ClientToken: &token, RequestedCapacity: awssdk.Int32(int32(count)),
		AvailabilityZones: []string{zone}, RetryStrategy: astypes.RetryStrategyNone,
	}, notesLost)
	if err != nil && unsure(err) {
		return nodegroups.Launched{}, c.explain(err, "launching %d instances in group %s, zone %s (repeat with the same token)", count, group, zone)
	}
	if err != nil {
		refused, err := c.refusal(ctx, err, p, count, token)
		refused.Refused = true
		return refused, err
	}
	if len(out.Instances) == 0 && len(out.Errors) == 0 {
		return nodegroups.Launched{}, fmt.Errorf("launching %d instances in group %s, zone %s: the service gave its token back and no outcome, as when EC2 takes long; repeat with the same token", count, group, zone)
	}
	result := c.answer(out, p, zone)
	if id, ok := awsmiddleware.GetRequestIDMetadata(out.ResultMetadata); ok {
		result.Request = id
	}
	if len(result.Instances) == 0 && !slices.ContainsFunc(result.Failures, func(f nodegroups.LaunchFailure) bool { return !mayNotCall(f.Code) }) {
		return c.instead(ctx, p, count, result.Failures[0])
	}
	return result, nil
}

// answer is what a launch call gave.
func (c *Client) answer(out *autoscaling.LaunchInstancesOutput, p place, zone string) nodegroups.Launched {
	now := c.options.Clock.Now()
	var result nodegroups.Launched
	for _, batch := range out.Instances {
		at := cmp.Or(awssdk.ToString(batch.AvailabilityZone), zone)
		for _, id := range batch.InstanceIds {
			result.Instances = append(result.Instances, nodegroups.Instance{ID: id, Type: awssdk.ToString(batch.InstanceType), Zone: at,
				Lifecycle: nodegroups.Pending, LaunchedAt: now, ProviderID: nodegroups.ProviderID(at, id)})
		}
	}
	for _, e := range out.Errors {
		f := nodegroups.LaunchFailure{Code: awssdk.ToString(e.ErrorCode), Message: awssdk.ToString(e.ErrorMessage), Type: awssdk.ToString(e.InstanceType), Zone: awssdk.ToString(e.AvailabilityZone)}
		f.Class = Classify(f.Code, f.Message)
		result.Failures = append(result.Failures, f)
	}
	if slices.ContainsFunc(result.Failures, func(f nodegroups.LaunchFailure) bool { return f.Class == throttled }) {
		c.budget.throttle() // by EC2, behind an answer that is none
	}
	slices.SortFunc(result.Instances, func(a, b nodegroups.Instance) int { return strings.Compare(a.ID, b.ID) })
	c.noteLaunched(p, result.Instances)
	return result
}

// unsupported is the code by which LaunchInstances refuses a group that has a warm pool.
const unsupported = "UnsupportedOperation"

// mayNotCall reports whether a code says that the caller may not call an action, or that the region does not have it.
func mayNotCall(code string) bool {
	return slices.Contains([]string{"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "InvalidAction", "UnknownOperationException"}, code)
}

// refusal is what follows from a launch call that was refused.
func (c *Client) refusal(ctx context.Context, err error, p place, count int, token string) (nodegroups.Launched, error) {
	f := failureOf(err)
	switch {
	case mayNotCall(f.Code):
		return c.instead(ctx, p, count, f)
	case f.Code == unsupported:
		// by its documentation the service may have launched all the same: a reading shows it before the group is raised
		c.setTokenless(p.asg)
	case f.Code == "IdempotentParameterMismatch":
		f.Message = fmt.Sprintf("the token %s was used for another launch: %s", token, f.Message)
	}
	return nodegroups.Launched{Failures: []nodegroups.LaunchFailure{f}}, nil
}

// instead of a launch by token, which was not to be had for the failure's reason, is what to raise the group to.
func (c *Client) instead(ctx context.Context, p place, count int, f nodegroups.LaunchFailure) (nodegroups.Launched, error) {
	if !p.spans {
		return c.raiseTo(ctx, p.asg, count)
	}
	f.Message = fmt.Sprintf("group %s spans zones, and a raised desired capacity cannot choose one: allow autoscaling:LaunchInstances and ec2:CreateFleet (%s)", p.asg, f.Message)
	return nodegroups.Launched{Failures: []nodegroups.LaunchFailure{f}}, nil
}

func failureOf(err error) nodegroups.LaunchFailure {
	return nodegroups.LaunchFailure{Code: codeOf(err), Message: messageOf(err), Class: Classify(codeOf(err), messageOf(err))}
}

// Terminate returns one instance and lowers its group's desired capacity with it. One that is gone already is no error; that the
// group is at its minimum is nodegroups.ErrAtMinimum.
func (c *Client) Terminate(ctx context.Context, instanceID string) error {
	out, err := c.autoscaling.TerminateInstanceInAutoScalingGroup(ctx, &autoscaling.TerminateInstanceInAutoScalingGroupInput{
		InstanceId: &instanceID, ShouldDecrementDesiredCapacity: awssdk.Bool(true)})
	c.noteTermination(instanceID, out)
	if err == nil || codeOf(err) == "ValidationError" && strings.Contains(strings.ToLower(messageOf(err)), "not found") {
		return nil
	}
	if strings.Contains(messageOf(err), "equals minSize") {
		return fmt.Errorf("terminating instance %s: %w (%w); lower the minimum, or keep the instance", instanceID, nodegroups.ErrAtMinimum, err)
	}
	return c.explain(err, "terminating instance %s", instanceID)
}

// Replace ends one instance and leaves its group's desired capacity as it is, so that the group launches another. One that is gone
// already is no error.
func (c *Client) Replace(ctx context.Context, instanceID string) error {
	out, err := c.autoscaling.TerminateInstanceInAutoScalingGroup(ctx, &autoscaling.TerminateInstanceInAutoScalingGroupInput{
		InstanceId: &instanceID, ShouldDecrementDesiredCapacity: awssdk.Bool(false)})
	c.noteTermination(instanceID, out)
	if err == nil || codeOf(err) == "ValidationError" && strings.Contains(strings.ToLower(messageOf(err)), "not found") {
		return nil
	}
	return c.explain(err, "terminating instance %s, for its group to replace it", instanceID)
}
