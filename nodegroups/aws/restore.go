package aws

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

// Suspended is a group whose AZRebalance process is suspended.
type Suspended struct {
	Group string
	// Ours says that swell marked it when it suspended the process; otherwise somebody else did, or took the mark away.
	Ours bool
}

// Suspensions are the groups with all of these tags whose AZRebalance process is suspended or that carry swell's mark, by name.
func (c *Client) Suspensions(ctx context.Context, tags map[string]string) ([]Suspended, error) {
	described, err := c.describeGroups(ctx, tags)
	if err != nil {
		return nil, err
	}
	var out []Suspended
	for _, d := range described {
		marked := slices.ContainsFunc(d.Tags, func(t astypes.TagDescription) bool {
			return awssdk.ToString(t.Key) == suspendedTag && awssdk.ToString(t.Value) == rebalance
		})
		if marked || rebalanceSuspended(d) {
			out = append(out, Suspended{awssdk.ToString(d.AutoScalingGroupName), marked})
		}
	}
	slices.SortFunc(out, func(a, b Suspended) int { return cmp.Compare(a.Group, b.Group) })
	return out, nil
}

// Resume lets a group's AZRebalance process run again, and takes swell's mark away. It may be repeated.
func (c *Client) Resume(ctx context.Context, group string) error {
	_, err := c.autoscaling.ResumeProcesses(ctx, &autoscaling.ResumeProcessesInput{AutoScalingGroupName: &group, ScalingProcesses: []string{rebalance}})
	if err != nil {
		return fmt.Errorf("%w; allow autoscaling:ResumeProcesses", c.explain(err, "resuming AZRebalance of group %s", group))
	}
	_, err = c.autoscaling.DeleteTags(ctx, &autoscaling.DeleteTagsInput{Tags: []astypes.Tag{{ResourceId: &group, ResourceType: awssdk.String(groupType), Key: awssdk.String(suspendedTag)}}})
	if err != nil {
		return fmt.Errorf("%w; allow autoscaling:DeleteTags", c.explain(err, "taking the tag %s from group %s", suspendedTag, group))
	}
	return nil
}

func rebalanceSuspended(d astypes.AutoScalingGroup) bool {
	return slices.ContainsFunc(d.SuspendedProcesses, func(p astypes.SuspendedProcess) bool { return awssdk.ToString(p.ProcessName) == rebalance })
}
