package aws

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"

	"swell/nodegroups"
)

// spotNotice is how long before its end a spot instance is told.
const spotNotice = 2 * time.Minute

// terminating is the transition of a lifecycle hook that waits before an instance ends.
const terminating = "autoscaling:EC2_INSTANCE_TERMINATING"

// hookNotice is what a lifecycle hook sends, to the queue itself or as an EventBridge event's detail.
type hookNotice struct {
	LifecycleActionToken, AutoScalingGroupName, LifecycleHookName, EC2InstanceID, LifecycleTransition string
}

// event is an EventBridge event of EC2, Auto Scaling or AWS Health. Of a lifecycle hook's own message it is the time alone, which
// stands there as "Time".
type event struct {
	DetailType string          `json:"detail-type"`
	Time       time.Time       `json:"time"`
	Detail     json.RawMessage `json:"detail"`
}

// read gives the notices of one message; none for what tells of no loss.
func (c *Client) read(body string) ([]nodegroups.Interruption, error) {
	var e event
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		return nil, fmt.Errorf("reading an event: %w; send EventBridge's events to the queue as they are", err)
	}
	at := c.options.Clock.At(e.Time)
	switch e.DetailType {
	case "":
		var direct hookNotice
		if err := json.Unmarshal([]byte(body), &direct); err != nil || direct.LifecycleTransition == "" {
			return nil, nil // a test notification, or nothing of ours
		}
		if e.Time.IsZero() {
			at = c.options.Clock.Now()
		}
		return c.hook(at, direct)
	case "EC2 Instance-terminate Lifecycle Action":
		var h hookNotice
		if err := json.Unmarshal(e.Detail, &h); err != nil {
			return nil, fmt.Errorf("reading an event %q: %w; send EventBridge's events to the queue as they are", e.DetailType, err)
		}
		return c.hook(at, h)
	case "AWS Health Event":
		return c.health(at, e)
	}
	return c.ofInstance(at, e)
}

func (c *Client) hook(at time.Time, h hookNotice) ([]nodegroups.Interruption, error) {
	if h.LifecycleTransition != terminating {
		return nil, nil
	}
	if h.EC2InstanceID == "" || h.AutoScalingGroupName == "" || h.LifecycleHookName == "" {
		return nil, fmt.Errorf("reading a lifecycle action: EC2InstanceId, AutoScalingGroupName or LifecycleHookName is missing; send Auto Scaling's events to the queue as they are")
	}
	n := nodegroups.Interruption{InstanceID: h.EC2InstanceID, Kind: nodegroups.TerminationHook, At: at, ASG: h.AutoScalingGroupName}
	if c.ownHook(h.LifecycleHookName) {
		n.Hook, n.HookToken = h.LifecycleHookName, h.LifecycleActionToken
	}
	return []nodegroups.Interruption{n}, nil
}

// hookPrefix is what the name of a lifecycle hook begins with that is made for swell, where none are configured.
const hookPrefix = "swell"

// ownHook says whether the action of a lifecycle hook is swell's to complete.
func (c *Client) ownHook(name string) bool {
	if own := c.options.LifecycleHooks; len(own) > 0 {
		return slices.Contains(own, name)
	}
	return strings.HasPrefix(name, hookPrefix)
}

// health reads a scheduled change of EC2. Whichever it is, Auto Scaling takes the instance for unhealthy and ends it at the start:
// https://docs.aws.amazon.com/autoscaling/ec2/userguide/health-checks-overview.html.
func (c *Client) health(at time.Time, e event) ([]nodegroups.Interruption, error) {
	var d struct {
		Service           string `json:"service"`
		EventTypeCategory string `json:"eventTypeCategory"`
		StartTime         string `json:"startTime"`
		StatusCode        string `json:"statusCode"`
		AffectedEntities  []struct {
			EntityValue string `json:"entityValue"`
		} `json:"affectedEntities"`
	}
	if err := json.Unmarshal(e.Detail, &d); err != nil {
		return nil, fmt.Errorf("reading an AWS Health event: %w; send EventBridge's events to the queue as they are", err)
	}
	if d.Service != "EC2" || d.EventTypeCategory != "scheduledChange" || d.StatusCode == "closed" {
		return nil, nil
	}
	var deadline time.Time
	if d.StartTime != "" {
		start, err := time.Parse(time.RFC1123, d.StartTime)
		if err != nil {
			if start, err = time.Parse(time.RFC3339, d.StartTime); err != nil {
				return nil, fmt.Errorf("reading an AWS Health event: startTime: %w; send EventBridge's events to the queue as they are", err)
			}
		}
		deadline = c.options.Clock.At(start)
	}
	var out []nodegroups.Interruption
	for _, entity := range d.AffectedEntities {
		if strings.HasPrefix(entity.EntityValue, "i-") {
			out = append(out, nodegroups.Interruption{InstanceID: entity.EntityValue, Kind: nodegroups.Maintenance, At: at, Deadline: deadline})
		}
	}
	return out, nil
}

func (c *Client) ofInstance(at time.Time, e event) ([]nodegroups.Interruption, error) {
	var d struct {
		InstanceID string `json:"instance-id"`
		State      string `json:"state"`
	}
	n := nodegroups.Interruption{At: at}
	switch e.DetailType {
	case "EC2 Spot Instance Interruption Warning":
		n.Kind, n.Deadline = nodegroups.SpotInterruption, n.At.Add(spotNotice)
	case "EC2 Instance Rebalance Recommendation":
		n.Kind = nodegroups.RebalanceNotice
	case "EC2 Instance State-change Notification":
		n.Kind, n.Deadline = nodegroups.InstanceTerminating, n.At // its group replaces what does not run
	default:
		return nil, nil
	}
	if err := json.Unmarshal(e.Detail, &d); err != nil {
		return nil, fmt.Errorf("reading an event %q: %w; send EventBridge's EC2 events to the queue as they are", e.DetailType, err)
	}
	if n.Kind == nodegroups.InstanceTerminating && !slices.Contains([]string{"stopping", "stopped", "shutting-down", "terminated"}, d.State) {
		return nil, nil
	}
	if d.InstanceID == "" {
		return nil, fmt.Errorf("reading an event %q: detail.instance-id is missing; send EventBridge's EC2 events to the queue as they are", e.DetailType)
	}
	n.InstanceID = d.InstanceID
	return []nodegroups.Interruption{n}, nil
}

// Heartbeat keeps a lifecycle action waiting for one more of its hook's timeouts.
func (c *Client) Heartbeat(ctx context.Context, n nodegroups.Interruption) error {
	in := &autoscaling.RecordLifecycleActionHeartbeatInput{AutoScalingGroupName: &n.ASG, LifecycleHookName: &n.Hook, InstanceId: &n.InstanceID}
	if n.HookToken != "" {
		in.LifecycleActionToken = &n.HookToken
	}
	_, err := c.autoscaling.RecordLifecycleActionHeartbeat(ctx, in)
	if err == nil || over(err) {
		return nil
	}
	return c.explain(err, "keeping lifecycle hook %s of group %s waiting for instance %s", n.Hook, n.ASG, n.InstanceID)
}

// Complete ends a lifecycle action, so that the group goes on with the instance's end. One that is over is no error.
func (c *Client) Complete(ctx context.Context, n nodegroups.Interruption) error {
	result := "CONTINUE"
	in := &autoscaling.CompleteLifecycleActionInput{AutoScalingGroupName: &n.ASG, LifecycleHookName: &n.Hook, InstanceId: &n.InstanceID, LifecycleActionResult: &result}
	if n.HookToken != "" {
		in.LifecycleActionToken = &n.HookToken
	}
	_, err := c.autoscaling.CompleteLifecycleAction(ctx, in)
	if err == nil || over(err) {
		return nil
	}
	return c.explain(err, "completing lifecycle hook %s of group %s for instance %s", n.Hook, n.ASG, n.InstanceID)
}

// over says that the service knows no such lifecycle action any more.
func over(err error) bool {
	return codeOf(err) == "ValidationError" && strings.Contains(messageOf(err), "No active Lifecycle Action")
}
