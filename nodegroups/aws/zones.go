package aws

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	corev1 "k8s.io/api/core/v1"

	"swell/nodegroups"
)

const (
	// rebalance is the process of an Auto Scaling group that moves instances between zones.
	rebalance = "AZRebalance"
	// suspendedTag marks a group of which swell suspended this process: what somebody else suspended is not swell's to resume.
	// Its value is the process, and @ and the cluster's name where that is known.
	suspendedTag = "swell/suspended"
	groupType    = "auto-scaling-group"
)

// perZone makes one group of each zone that the group spans. Auto Scaling must not move instances between them: while its
// AZRebalance process runs and may be suspended, it is; if that fails, there is no group to plan with. A pool that changes
// nothing gets its groups, and the problem.
func (c *Client) perZone(ctx context.Context, s nodegroups.Selection, g nodegroups.Group, d astypes.AutoScalingGroup) ([]nodegroups.Group, *Problem) {
	if len(d.AvailabilityZones) == 1 {
		c.placed(g.Name, d)
		return []nodegroups.Group{g}, nil
	}
	var problem *Problem
	if !rebalanceSuspended(d) {
		problem = c.suspendRebalance(ctx, s, g.Name)
		if problem != nil && s.MayChange {
			if g.Unusable = problem.What; len(g.Instances) == 0 {
				return nil, problem
			}
		}
	}
	return c.inZones(g, d, slices.Sorted(slices.Values(d.AvailabilityZones))), problem
}

// inZones makes one group of each of the zones.
func (c *Client) inZones(g nodegroups.Group, d astypes.AutoScalingGroup, zones []string) []nodegroups.Group {
	var out []nodegroups.Group
	desired := c.desiredByZone(g, zones)
	for _, zone := range zones {
		z := g
		z.Name, z.ASG, z.Zone = nodegroups.NameInZone(g.Name, zone), g.Name, zone
		z.Instances = slices.DeleteFunc(slices.Clone(g.Instances), func(i nodegroups.Instance) bool { return i.Zone != zone })
		z.Desired = desired[zone]
		c.placed(z.Name, d)
		z.Template = inZone(g.Template, zone)
		z.Templates = map[string]nodegroups.Template{}
		for name, t := range g.Templates {
			z.Templates[name] = inZone(t, zone)
		}
		out = append(out, z)
	}
	return out
}

// inZone is a template of one zone; of one that is not known nothing is made up.
func inZone(t nodegroups.Template, zone string) nodegroups.Template {
	if t.Labels == nil {
		return t
	}
	t.Labels = maps.Clone(t.Labels)
	t.Labels[corev1.LabelTopologyZone], t.Labels[ebsZone] = zone, zone
	return t
}

func (c *Client) suspendRebalance(ctx context.Context, s nodegroups.Selection, name string) *Problem {
	if !s.MayChange {
		return &Problem{name, "it spans zones and its AZRebalance process is not suspended", "nothing while the pool observes; on Enforce swell suspends it"}
	}
	// the mark goes first: a mark without the process suspended does no harm, the other way round it is never resumed
	_, err := c.autoscaling.CreateOrUpdateTags(ctx, &autoscaling.CreateOrUpdateTagsInput{Tags: []astypes.Tag{{ResourceId: &name, ResourceType: awssdk.String(groupType),
		Key: awssdk.String(suspendedTag), Value: awssdk.String(c.mark()), PropagateAtLaunch: awssdk.Bool(false)}}})
	if err != nil {
		return &Problem{name, fmt.Sprintf("it spans zones and could not be marked before its AZRebalance process is suspended (%v)", c.explain(err, "tagging the group")),
			"suspend AZRebalance of the group, or allow autoscaling:CreateOrUpdateTags"}
	}
	_, err = c.autoscaling.SuspendProcesses(ctx, &autoscaling.SuspendProcessesInput{AutoScalingGroupName: &name, ScalingProcesses: []string{rebalance}})
	if err != nil {
		return &Problem{name, fmt.Sprintf("it spans zones and its AZRebalance process could not be suspended (%v)", c.explain(err, "suspending AZRebalance")),
			"suspend AZRebalance of the group, or allow autoscaling:SuspendProcesses"}
	}
	c.options.Log.Info("suspended a process", "group", name, "process", rebalance)
	return nil
}

// subnetsOf a group by id.
func subnetsOf(d astypes.AutoScalingGroup) []string {
	return strings.FieldsFunc(awssdk.ToString(d.VPCZoneIdentifier), func(r rune) bool { return r == ',' || r == ' ' })
}
