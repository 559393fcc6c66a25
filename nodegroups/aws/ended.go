package aws

import (
	"context"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"

	"swell/nodegroups"
)

// endedPages bounds how far back the activities of a group are read, in pages of a hundred.
const endedPages = 5

// Ended are the ends of instances of one Auto Scaling group, by id, as its scaling activities tell them. One that is missing is not
// among the newest, and one without a time has not ended yet.
func (c *Client) Ended(ctx context.Context, asg string, ids []string) (map[string]nodegroups.Ending, error) {
	out := map[string]nodegroups.Ending{}
	in := &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: &asg, MaxRecords: awssdk.Int32(100)}
	for range endedPages {
		page, err := c.autoscaling.DescribeScalingActivities(ctx, in)
		if err != nil {
			return out, c.explain(err, "reading when instances of group %s ended (allow autoscaling:DescribeScalingActivities)", asg)
		}
		for _, a := range page.Activities {
			id, terminating := strings.CutPrefix(awssdk.ToString(a.Description), "Terminating EC2 instance: ")
			id, _, _ = strings.Cut(id, " ")
			if _, known := out[id]; !terminating || known || !slices.Contains(ids, id) {
				continue
			}
			end := nodegroups.Ending{Activity: awssdk.ToString(a.ActivityId), Cause: awssdk.ToString(a.Cause)}
			if a.EndTime != nil {
				end.At = c.options.Clock.At(*a.EndTime)
			}
			out[id] = end
		}
		if in.NextToken = page.NextToken; in.NextToken == nil || len(out) == len(ids) {
			break
		}
	}
	return out, nil
}

// ActivityOf is the id of the scaling activity by which the last Terminate or Replace of an instance ended it, once; empty is not known.
func (c *Client) ActivityOf(instanceID string) string {
	id, _ := c.terminations.LoadAndDelete(instanceID)
	activity, _ := id.(string)
	return activity
}

func (c *Client) noteTermination(instanceID string, out *autoscaling.TerminateInstanceInAutoScalingGroupOutput) {
	if out != nil && out.Activity != nil {
		c.terminations.Store(instanceID, awssdk.ToString(out.Activity.ActivityId))
	}
}
