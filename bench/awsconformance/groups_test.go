package awsconformance_test

import (
	"fmt"
	"slices"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	emulator "swell/bench/testbed/aws"
)

var groupCases = []conformanceCase{
	{op: "autoscaling:DescribeAutoScalingGroups", docs: asDocs + "AutoScalingGroup.html", says: "a group's sizes, zones, template and tags",
		want: `{"capacityRebalance":false,"cooldown":300,"desired":2,"health":"EC2","instances":2,"max":10,"min":1,"name":"web","policies":["Default"],"protectNew":false,"subnets":"subnet#1","suspended":0,"tags":["pool=general auto-scaling-group web true"],"template":"web $Default","zones":["ap-northeast-1a"]}`,
		run: func(t *target) any {
			g := t.group("web")
			tags := []string{}
			for _, x := range g.Tags {
				tags = append(tags, *x.Key+"="+*x.Value+" "+*x.ResourceType+" "+*x.ResourceId+" "+map[bool]string{true: "true", false: "false"}[*x.PropagateAtLaunch])
			}
			return m{"name": g.AutoScalingGroupName, "min": g.MinSize, "max": g.MaxSize, "desired": g.DesiredCapacity, "cooldown": g.DefaultCooldown, "zones": g.AvailabilityZones,
				"health": g.HealthCheckType, "template": *g.LaunchTemplate.LaunchTemplateName + " " + *g.LaunchTemplate.Version, "subnets": g.VPCZoneIdentifier, "tags": tags,
				"policies": g.TerminationPolicies, "protectNew": g.NewInstancesProtectedFromScaleIn, "capacityRebalance": awssdk.ToBool(g.CapacityRebalance), "suspended": len(g.SuspendedProcesses), "instances": len(g.Instances)}
		}},
	{op: "autoscaling:DescribeAutoScalingGroups", docs: asDocs + "Instance.html", says: "an instance's state, zone, type and template version",
		want: `{"health":"Healthy","id":"i#1","protected":false,"state":"InService","template":"web 1","type":"m5.large","zone":"ap-northeast-1a"}`,
		run: func(t *target) any {
			i := t.group("web").Instances[0]
			return m{"id": i.InstanceId, "state": i.LifecycleState, "zone": i.AvailabilityZone, "type": i.InstanceType, "health": i.HealthStatus, "protected": i.ProtectedFromScaleIn,
				"template": *i.LaunchTemplate.LaunchTemplateName + " " + *i.LaunchTemplate.Version}
		}},
	{op: "autoscaling:DescribeAutoScalingGroups", docs: asDocs + "DescribeAutoScalingGroups.html", says: "names that are not known are left out",
		want: `["spare"]`, run: func(t *target) any {
			return t.names(&autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{"none", "spare"}})
		}},
	{op: "autoscaling:DescribeAutoScalingGroups", docs: asDocs + "Filter.html", says: "tag filters select groups",
		want: `["web"]`, run: func(t *target) any {
			return t.names(&autoscaling.DescribeAutoScalingGroupsInput{Filters: []types.Filter{{Name: awssdk.String("tag:pool"), Values: []string{"general", "other"}}}})
		}},
	{op: "autoscaling:DescribeAutoScalingGroups", docs: asDocs + "DescribeAutoScalingGroups.html", says: "pages of MaxRecords groups follow each other",
		want: `{"names":["spare","web","wide"],"pages":2}`, run: func(t *target) any {
			names, pages := []string{}, 0
			for p := autoscaling.NewDescribeAutoScalingGroupsPaginator(t.as, &autoscaling.DescribeAutoScalingGroupsInput{MaxRecords: awssdk.Int32(2)}); p.HasMorePages(); pages++ {
				for _, g := range must[*autoscaling.DescribeAutoScalingGroupsOutput](t)(p.NextPage(ctx)).AutoScalingGroups {
					names = append(names, *g.AutoScalingGroupName)
				}
			}
			slices.Sort(names)
			return m{"names": names, "pages": pages}
		}},
	{op: "autoscaling:DescribeAutoScalingGroups", docs: asDocs + "DescribeAutoScalingGroups.html", says: "a token that was never given is InvalidNextToken",
		moto: &difference{says: "an invalid NextToken is refused as InvalidNextToken", want: noAnswer},
		want: `{"error":"InvalidNextToken"}`, run: func(t *target) any {
			_, err := t.as.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{NextToken: awssdk.String("nonsense")})
			return refusal(err)
		}},
	{op: "autoscaling:DescribeAutoScalingGroups", docs: asDocs + "DescribeAutoScalingGroups.html", says: "MaxRecords is at most 100",
		moto: &difference{says: "the default is 50 and the maximum 100", want: noAnswer},
		want: `{"error":"ValidationError"}`, run: func(t *target) any {
			_, err := t.as.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{MaxRecords: awssdk.Int32(101)})
			return refusal(err)
		}},
	{op: "autoscaling:DescribeAutoScalingInstances", docs: asDocs + "AutoScalingInstanceDetails.html", says: "instances with their group and state",
		moto: &difference{says: "the example answers HEALTHY, in capitals, unlike DescribeAutoScalingGroups", want: `["web InService m5.large ap-northeast-1a Healthy","web InService m5.large ap-northeast-1a Healthy"]`},
		want: `["web InService m5.large ap-northeast-1a HEALTHY","web InService m5.large ap-northeast-1a HEALTHY"]`, run: func(t *target) any {
			all := []string{}
			for _, i := range must[*autoscaling.DescribeAutoScalingInstancesOutput](t)(t.as.DescribeAutoScalingInstances(ctx, &autoscaling.DescribeAutoScalingInstancesInput{})).AutoScalingInstances {
				all = append(all, *i.AutoScalingGroupName+" "+*i.LifecycleState+" "+*i.InstanceType+" "+*i.AvailabilityZone+" "+*i.HealthStatus)
			}
			return all
		}},
	{op: "autoscaling:DescribeAutoScalingInstances", docs: asDocs + "DescribeAutoScalingInstances.html", says: "an id of no group is left out",
		want: `1`, run: func(t *target) any {
			return len(must[*autoscaling.DescribeAutoScalingInstancesOutput](t)(t.as.DescribeAutoScalingInstances(ctx,
				&autoscaling.DescribeAutoScalingInstancesInput{InstanceIds: []string{"i-0123456789abcdef0", t.instances("web")[0]}})).AutoScalingInstances)
		}},
	{op: "autoscaling:DescribeTags", docs: asDocs + "DescribeTags.html", says: "filters by group and key",
		want: `["web pool=general auto-scaling-group true"]`, run: func(t *target) any {
			all := []string{}
			for _, x := range must[*autoscaling.DescribeTagsOutput](t)(t.as.DescribeTags(ctx, &autoscaling.DescribeTagsInput{Filters: []types.Filter{
				{Name: awssdk.String("auto-scaling-group"), Values: []string{"web"}}, {Name: awssdk.String("key"), Values: []string{"pool"}}}})).Tags {
				all = append(all, *x.ResourceId+" "+*x.Key+"="+*x.Value+" "+*x.ResourceType+" "+map[bool]string{true: "true", false: "false"}[*x.PropagateAtLaunch])
			}
			return all
		}},
	{op: "autoscaling:DescribePolicies", docs: asDocs + "DescribePolicies.html", says: "a group without policies has none",
		want: `0`, run: func(t *target) any {
			return len(must[*autoscaling.DescribePoliciesOutput](t)(t.as.DescribePolicies(ctx, &autoscaling.DescribePoliciesInput{AutoScalingGroupName: awssdk.String("web")})).ScalingPolicies)
		}},
	{op: "autoscaling:DescribeScheduledActions", docs: asDocs + "DescribeScheduledActions.html", says: "a group without scheduled actions has none",
		want: `0`, run: func(t *target) any {
			return len(must[*autoscaling.DescribeScheduledActionsOutput](t)(t.as.DescribeScheduledActions(ctx, &autoscaling.DescribeScheduledActionsInput{AutoScalingGroupName: awssdk.String("web")})).ScheduledUpdateGroupActions)
		}},
	{op: "autoscaling:DescribeInstanceRefreshes", docs: asDocs + "DescribeInstanceRefreshes.html", says: "a group that is not refreshed has none",
		want: `0`, run: func(t *target) any {
			return len(must[*autoscaling.DescribeInstanceRefreshesOutput](t)(t.as.DescribeInstanceRefreshes(ctx, &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: awssdk.String("web")})).InstanceRefreshes)
		}},
	{op: "autoscaling:DescribeScheduledActions", docs: asDocs + "ScheduledUpdateGroupAction.html", says: "an action's group, recurrence and sizes",
		moto: &difference{says: "an action has an ARN", want: `["spare evening 0 18 * * * min=1 max=5 desired=2 "]`},
		want: `["spare evening 0 18 * * * min=1 max=5 desired=2 arn#1"]`, run: func(t *target) any {
			out := []string{}
			for _, a := range must[*autoscaling.DescribeScheduledActionsOutput](t)(t.as.DescribeScheduledActions(ctx, &autoscaling.DescribeScheduledActionsInput{ScheduledActionNames: []string{"evening"},
				AutoScalingGroupName: awssdk.String("spare")})).ScheduledUpdateGroupActions {
				out = append(out, fmt.Sprintf("%s %s %s min=%d max=%d desired=%d %s", *a.AutoScalingGroupName, *a.ScheduledActionName, *a.Recurrence, awssdk.ToInt32(a.MinSize), awssdk.ToInt32(a.MaxSize), awssdk.ToInt32(a.DesiredCapacity), awssdk.ToString(a.ScheduledActionARN)))
			}
			return out
		}},
	{op: "autoscaling:DescribeInstanceRefreshes", docs: asDocs + "InstanceRefresh.html", says: "refreshes with their status, newest first",
		want: `["spare InProgress 0","spare Successful 100"]`, run: func(t *target) any {
			out := []string{}
			in := &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: awssdk.String("spare"), MaxRecords: awssdk.Int32(1)}
			for p := autoscaling.NewDescribeInstanceRefreshesPaginator(t.as, in); p.HasMorePages(); {
				for _, r := range must[*autoscaling.DescribeInstanceRefreshesOutput](t)(p.NextPage(ctx)).InstanceRefreshes {
					out = append(out, fmt.Sprintf("%s %s %d", *r.AutoScalingGroupName, r.Status, *r.PercentageComplete))
				}
			}
			return out
		}},
	{op: "autoscaling:DescribeAccountLimits", docs: asDocs + "DescribeAccountLimits.html", says: "the limit of groups and their number",
		want: `{"groups":3,"max":500}`, run: func(t *target) any {
			out := must[*autoscaling.DescribeAccountLimitsOutput](t)(t.as.DescribeAccountLimits(ctx, &autoscaling.DescribeAccountLimitsInput{}))
			return m{"max": out.MaxNumberOfAutoScalingGroups, "groups": out.NumberOfAutoScalingGroups}
		}},
	{op: "autoscaling:DescribeScalingActivities", docs: asDocs + "Activity.html", says: "a launch is an activity with its status, newest first",
		moto: &difference{says: "activities of the last six weeks are told", want: `"none"`},
		want: `{"end":"recent","group":"web","progress":100,"start":"recent","status":"Successful"}`, run: func(t *target) any {
			out := must[*autoscaling.DescribeScalingActivitiesOutput](t)(t.as.DescribeScalingActivities(ctx, &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: awssdk.String("web")})).Activities
			if len(out) == 0 {
				return "none"
			}
			a := out[0]
			return m{"group": a.AutoScalingGroupName, "status": a.StatusCode, "progress": a.Progress, "start": t.recent(a.StartTime), "end": t.recent(a.EndTime)}
		}},
	{op: "autoscaling:DescribeScalingActivities", docs: "https://docs.aws.amazon.com/cli/latest/reference/autoscaling/describe-scaling-activities.html", says: "an activity's details are its subnet and zone, as JSON", alone: "moto tells no activities",
		want: `"{\"Subnet ID\":\"subnet#1\",\"Availability Zone\":\"ap-northeast-1a\"}"`, run: func(t *target) any {
			return must[*autoscaling.DescribeScalingActivitiesOutput](t)(t.as.DescribeScalingActivities(ctx, &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: awssdk.String("web")})).Activities[0].Details
		}},
	{op: "autoscaling:DescribeScalingActivities", docs: asGuide + "ts-as-instancelaunchfailure.html", says: "a launch that found no capacity failed, and its message names other zones that have some", alone: "moto tells no activities",
		want: `{"details":"{\"Subnet ID\":\"subnet#1\",\"Availability Zone\":\"ap-northeast-1a\"}","message":"We currently do not have sufficient m5.large capacity in the Availability Zone you requested (ap-northeast-1a). Our system will be working on provisioning additional capacity. You can currently get m5.large capacity by not specifying an Availability Zone in your request or choosing ap-northeast-1c. Launching EC2 instance failed.","status":"Failed"}`,
		run: func(t *target) any {
			t.order("capacity", emulator.Order{Fault: emulator.Fault{Zone: "ap-northeast-1a"}})
			t.setDesired("web", 3)
			a := must[*autoscaling.DescribeScalingActivitiesOutput](t)(t.as.DescribeScalingActivities(ctx, &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: awssdk.String("web")})).Activities[0]
			return m{"status": a.StatusCode, "message": a.StatusMessage, "details": a.Details}
		}},
}

func (t *target) names(in *autoscaling.DescribeAutoScalingGroupsInput) []string {
	t.Helper()
	out := []string{}
	for _, g := range must[*autoscaling.DescribeAutoScalingGroupsOutput](t)(t.as.DescribeAutoScalingGroups(ctx, in)).AutoScalingGroups {
		out = append(out, *g.AutoScalingGroupName)
	}
	slices.Sort(out)
	return out
}
