package aws

import (
	"context"
	"fmt"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"swell/nodegroups"
)

// MaxLaunch is the largest count of one Launch.
const MaxLaunch = 100

// LaunchResult is what came of a launch.
type LaunchResult struct {
	Instances []nodegroups.Instance
	Failures  []Failure
	// Raised is by how much Raise raised the desired capacity; the instances come later and have no ids yet.
	Raised int
	// RaiseTo says that nothing was done, as LaunchInstances may not be called, and that the desired capacity, which is RaiseFrom
	// and may be at most RaiseMost, can be raised to this. Zero is none.
	RaiseFrom, RaiseTo, RaiseMost int
	// Refused says that the call itself was refused, so that nothing is known of an earlier one with the same token.
	Refused bool
}

// Failure is why some or all instances were not launched.
type Failure struct {
	Code, Message string
	Class         nodegroups.FailureClass
}

// Launch buys count instances in a group and zone. What the service refuses is told as failures. An error means that the
// outcome is not known, as when the call timed out: the caller repeats it with the same token, and nothing is bought twice.
// Where LaunchInstances may not be called nothing is done and the result says what to Raise to.
func (c *Client) Launch(ctx context.Context, group, zone string, count int, token string) (LaunchResult, error) {
	if count < 1 || count > MaxLaunch {
		return LaunchResult{}, fmt.Errorf("launching %d instances in group %s: one call takes 1 to %d; split it", count, group, MaxLaunch)
	}
	asg, spans := c.asgOf(group, zone)
	out, err := c.autoscaling.LaunchInstances(ctx, &autoscaling.LaunchInstancesInput{
		AutoScalingGroupName: &asg, ClientToken: &token, RequestedCapacity: awssdk.Int32(int32(count)),
		AvailabilityZones: []string{zone}, RetryStrategy: astypes.RetryStrategyNone,
	})
	if err != nil && unsure(err) {
		return LaunchResult{}, c.explain(err, "launching %d instances in group %s, zone %s (repeat with the same token)", count, group, zone)
	}
	if err != nil {
		refused, err := c.refusal(ctx, err, asg, spans, count, token)
		refused.Refused = true
		return refused, err
	}
	now := c.options.Clock.Now()
	var result LaunchResult
	for _, batch := range out.Instances {
		at := awssdk.ToString(batch.AvailabilityZone)
		for _, id := range batch.InstanceIds {
			result.Instances = append(result.Instances, nodegroups.Instance{ID: id, Type: awssdk.ToString(batch.InstanceType), Zone: at,
				Lifecycle: nodegroups.Pending, LaunchedAt: now, ProviderID: nodegroups.ProviderID(at, id)})
		}
	}
	for _, e := range out.Errors {
		f := Failure{Code: awssdk.ToString(e.ErrorCode), Message: awssdk.ToString(e.ErrorMessage)}
		f.Class = Classify(f.Code, f.Message)
		result.Failures = append(result.Failures, f)
	}
	slices.SortFunc(result.Instances, func(a, b nodegroups.Instance) int { return strings.Compare(a.ID, b.ID) })
	return result, nil
}

// refusal is what follows from a launch call that was refused.
func (c *Client) refusal(ctx context.Context, err error, asg string, spans bool, count int, token string) (LaunchResult, error) {
	f := failureOf(err)
	switch f.Code {
	case "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "InvalidAction", "UnknownOperationException":
		if !spans {
			return c.raiseTo(ctx, asg, count)
		}
		f.Message = fmt.Sprintf("group %s spans zones, and a raised desired capacity cannot choose one: allow autoscaling:LaunchInstances (%s)", asg, f.Message)
	case "IdempotentParameterMismatch":
		f.Message = fmt.Sprintf("the token %s was used for another launch: %s", token, f.Message)
	}
	return LaunchResult{Failures: []Failure{f}}, nil
}

// asgOf is the Auto Scaling group that a group's name stands for, and whether that is one zone of several. A group that was
// read under the very name goes before.
func (c *Client) asgOf(group, zone string) (asg string, spans bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.named[group] {
		return group, false
	}
	return strings.CutSuffix(group, nodegroups.NameInZone("", zone))
}

func failureOf(err error) Failure {
	return Failure{Code: codeOf(err), Message: messageOf(err), Class: Classify(codeOf(err), messageOf(err))}
}

// Terminate returns one instance and lowers its group's desired capacity with it. One that is gone already is no error.
func (c *Client) Terminate(ctx context.Context, instanceID string) error {
	_, err := c.autoscaling.TerminateInstanceInAutoScalingGroup(ctx, &autoscaling.TerminateInstanceInAutoScalingGroupInput{
		InstanceId: &instanceID, ShouldDecrementDesiredCapacity: awssdk.Bool(true)})
	if err == nil || codeOf(err) == "ValidationError" && strings.Contains(strings.ToLower(messageOf(err)), "not found") {
		return nil
	}
	if strings.Contains(messageOf(err), "equals minSize") {
		return fmt.Errorf("terminating instance %s: %w; the group is at its minimum: lower the minimum, or keep the instance", instanceID, err)
	}
	return c.explain(err, "terminating instance %s", instanceID)
}
