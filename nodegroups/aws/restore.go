package aws

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

// Suspended is a group whose AZRebalance process is suspended.
type Suspended struct {
	Group string
	// Ours says that this cluster's swell marked it when it suspended the process; otherwise somebody else did, or took the mark
	// away.
	Ours bool
}

// mark is what the groups get of which this process is suspended.
func (c *Client) mark() string {
	if c.options.ClusterName == "" {
		return rebalance
	}
	return rebalance + "@" + c.options.ClusterName
}

// markOf is swell's mark on a group, with the cluster that it names; empty is none.
func markOf(d astypes.AutoScalingGroup) (marked bool, cluster string) {
	for _, t := range d.Tags {
		process, cluster, _ := strings.Cut(awssdk.ToString(t.Value), "@")
		if awssdk.ToString(t.Key) == suspendedTag && process == rebalance {
			return true, cluster
		}
	}
	return false, ""
}

// Suspensions are the groups with all of these tags whose AZRebalance process is suspended or that carry swell's mark, by name. A
// mark that names no cluster counts as ours, since the tags are.
func (c *Client) Suspensions(ctx context.Context, tags map[string]string) ([]Suspended, error) {
	described, err := c.describeGroups(ctx, tags)
	if err != nil {
		return nil, err
	}
	var out []Suspended
	for _, d := range described {
		marked, cluster := markOf(d)
		if marked || rebalanceSuspended(d) {
			out = append(out, Suspended{awssdk.ToString(d.AutoScalingGroupName), marked && (cluster == "" || cluster == c.options.ClusterName)})
		}
	}
	slices.SortFunc(out, func(a, b Suspended) int { return cmp.Compare(a.Group, b.Group) })
	return out, nil
}

// Marked are all groups of the region that carry swell's mark, by name, but for those of other clusters. Those whose mark names
// none are not known to be ours.
func (c *Client) Marked(ctx context.Context) ([]Suspended, error) {
	in := &autoscaling.DescribeAutoScalingGroupsInput{MaxRecords: awssdk.Int32(100),
		Filters: []astypes.Filter{{Name: awssdk.String("tag-key"), Values: []string{suspendedTag}}}}
	var out []Suspended
	pages := autoscaling.NewDescribeAutoScalingGroupsPaginator(c.autoscaling, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, c.explain(err, "describing the Auto Scaling groups that have the tag %s", suspendedTag)
		}
		for _, d := range page.AutoScalingGroups {
			marked, cluster := markOf(d)
			if marked && (cluster == "" || cluster == c.options.ClusterName) {
				out = append(out, Suspended{awssdk.ToString(d.AutoScalingGroupName), cluster != ""})
			}
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
