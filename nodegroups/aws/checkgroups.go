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

// settings finds what else acts on the groups, and what would keep swell from acting.
func (k *checker) settings(ctx context.Context, p Checked, usable []nodegroups.Group) {
	described, err := k.describeGroups(ctx, p.Tags)
	if err != nil {
		k.add(NotProven, "group", "pool "+p.Pool, err.Error(), "")
		return
	}
	for _, d := range described {
		name := awssdk.ToString(d.AutoScalingGroupName)
		if !slices.ContainsFunc(usable, func(g nodegroups.Group) bool { return g.AutoScalingGroup() == name }) {
			continue // it was refused with the reason
		}
		k.cluster(name, d)
		k.suspended(name, d)
		k.replaced(name, d)
		k.hooks(ctx, name)
		k.policies(ctx, name)
		k.scheduled(ctx, name)
		k.refresh(ctx, name)
	}
}

// cluster tells of a group that is another cluster's by its tags.
func (k *checker) cluster(name string, d astypes.AutoScalingGroup) {
	own, of := k.options.ClusterName, nodegroups.Clusters(described(nodegroups.Selection{}, d).Tags)
	switch named := strings.Join(of, ", "); {
	case own != "" && len(of) > 0 && !slices.Contains(of, own):
		k.add(FindingProblem, "group", name, fmt.Sprintf("it is of cluster %s by its tags, and clusterName is %s: its pool only observes", named, own), "give each cluster's groups tags of their own")
	case own == "" && len(of) > 0:
		k.add(NotProven, "group", name, fmt.Sprintf("it is of cluster %s by its tags; whether that is this one is not known, as clusterName is empty", named), "give clusterName, and each cluster's groups tags of their own")
	case own == "":
		k.add(NotProven, "group", name, "no tag says which cluster it is of, and clusterName is empty: a pool of the same tags in another cluster would use it too", "give clusterName and tag it swell/cluster")
	case len(of) == 0:
		k.add(NotProven, "group", name, "no tag says which cluster it is of", "tag it swell/cluster="+own)
	}
}

// hooks tells of what an instance's end waits for, and who completes it.
func (k *checker) hooks(ctx context.Context, name string) {
	out, err := k.autoscaling.DescribeLifecycleHooks(ctx, &autoscaling.DescribeLifecycleHooksInput{AutoScalingGroupName: &name})
	if err != nil {
		k.unread("group", name, "its lifecycle hooks", "autoscaling:DescribeLifecycleHooks", err)
		return
	}
	for _, h := range out.LifecycleHooks {
		if awssdk.ToString(h.LifecycleTransition) != terminating {
			continue
		}
		hook, waits := awssdk.ToString(h.LifecycleHookName), fmt.Sprintf("%d s without a heartbeat, then %s", awssdk.ToInt32(h.HeartbeatTimeout), awssdk.ToString(h.DefaultResult))
		switch {
		case !k.ownHook(hook):
			k.add(NotProven, "group", name, fmt.Sprintf("its termination hook %s (%s) is not completed by swell, and each return waits for whoever does", hook, waits), "if it is swell's, name it in aws.lifecycleHooks")
		case k.options.QueueURL == "":
			k.add(FindingProblem, "group", name, fmt.Sprintf("its termination hook %s (%s) is swell's to complete, which hears of it by no queue", hook, waits), "give aws.queueURL, or delete the hook")
		default:
			k.add(FindingOK, "group", name, fmt.Sprintf("its termination hook %s (%s) is completed by swell", hook, waits), "")
		}
	}
}

func (k *checker) suspended(name string, d astypes.AutoScalingGroup) {
	for _, s := range d.SuspendedProcesses {
		if process := awssdk.ToString(s.ProcessName); process == "Launch" || process == "Terminate" {
			k.add(FindingProblem, "group", name, fmt.Sprintf("its %s process is suspended (%s)", process, awssdk.ToString(s.SuspensionReason)), "resume it: aws autoscaling resume-processes --auto-scaling-group-name "+name+" --scaling-processes "+process)
		}
	}
}

// replaced tells of settings by which Auto Scaling ends nodes by itself, without a drain.
func (k *checker) replaced(name string, d astypes.AutoScalingGroup) {
	if seconds := awssdk.ToInt32(d.MaxInstanceLifetime); seconds > 0 {
		k.add(FindingProblem, "group", name, fmt.Sprintf("instances are replaced after %d days without a drain", seconds/86400), "set the maximum instance lifetime to 0")
	}
	if t := awssdk.ToString(d.HealthCheckType); strings.Contains(t, "ELB") || strings.Contains(t, "VPC_LATTICE") {
		k.add(FindingProblem, "group", name, "its health check is "+t+": nodes that a load balancer finds unhealthy are replaced without a drain", "set the health check type to EC2")
	}
	if awssdk.ToBool(d.CapacityRebalance) {
		k.rebalances(name, d)
	}
	if awssdk.ToBool(d.NewInstancesProtectedFromScaleIn) {
		k.add(FindingOK, "group", name, "new instances are protected from scale-in, which holds for Auto Scaling's own and not for swell's", "")
	}
}

// rebalances tells of a group that replaces spot instances by itself at a rebalance recommendation.
func (k *checker) rebalances(name string, d astypes.AutoScalingGroup) {
	if managed := described(nodegroups.Selection{}, d).Tags[managedTag]; managed != "" {
		k.add(FindingOK, "group", name, "Capacity Rebalancing is EKS's own for managed node group "+managed+": rebalance recommendations are left to it", "")
		return
	}
	k.add(FindingProblem, "group", name, "Capacity Rebalancing launches and ends spot instances by itself, without a drain unless a termination hook waits for one; rebalance recommendations are left to it", "turn Capacity Rebalancing off: swell replaces them")
}

func (k *checker) policies(ctx context.Context, name string) {
	out, err := k.autoscaling.DescribePolicies(ctx, &autoscaling.DescribePoliciesInput{AutoScalingGroupName: &name})
	if err != nil {
		k.unread("group", name, "its scaling policies", "autoscaling:DescribePolicies", err)
		return
	}
	for _, p := range out.ScalingPolicies {
		if p.Enabled == nil || *p.Enabled {
			k.add(FindingProblem, "group", name, "the scaling policy "+awssdk.ToString(p.PolicyName)+" changes its desired capacity too", "delete it: aws autoscaling delete-policy --auto-scaling-group-name "+name+" --policy-name "+awssdk.ToString(p.PolicyName))
		}
	}
	if len(out.ScalingPolicies) == 0 {
		k.add(FindingOK, "group", name, "no scaling policy", "")
	}
}

func (k *checker) scheduled(ctx context.Context, name string) {
	out, err := k.autoscaling.DescribeScheduledActions(ctx, &autoscaling.DescribeScheduledActionsInput{AutoScalingGroupName: &name})
	if err != nil {
		k.unread("group", name, "its scheduled actions", "autoscaling:DescribeScheduledActions", err)
		return
	}
	for _, a := range out.ScheduledUpdateGroupActions {
		k.add(FindingProblem, "group", name, "the scheduled action "+awssdk.ToString(a.ScheduledActionName)+" changes its size too", "delete it, a DiurnalSchedule or a hold does the same: aws autoscaling delete-scheduled-action --auto-scaling-group-name "+name+" --scheduled-action-name "+awssdk.ToString(a.ScheduledActionName))
	}
	if len(out.ScheduledUpdateGroupActions) == 0 {
		k.add(FindingOK, "group", name, "no scheduled action", "")
	}
}

func (k *checker) refresh(ctx context.Context, name string) {
	out, err := k.autoscaling.DescribeInstanceRefreshes(ctx, &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: &name})
	if err != nil {
		k.unread("group", name, "its instance refreshes", "autoscaling:DescribeInstanceRefreshes", err)
		return
	}
	over := []astypes.InstanceRefreshStatus{astypes.InstanceRefreshStatusSuccessful, astypes.InstanceRefreshStatusFailed, astypes.InstanceRefreshStatusCancelled,
		astypes.InstanceRefreshStatusRollbackFailed, astypes.InstanceRefreshStatusRollbackSuccessful}
	for _, r := range out.InstanceRefreshes {
		if !slices.Contains(over, r.Status) {
			k.add(FindingProblem, "group", name, fmt.Sprintf("an instance refresh is %s and ends nodes without a drain", r.Status), "cancel it, swell replaces nodes of an old image with a drain: aws autoscaling cancel-instance-refresh --auto-scaling-group-name "+name)
			return
		}
	}
	k.add(FindingOK, "group", name, "no instance refresh under way", "")
}

// unread tells of what an action did not give.
func (k *checker) unread(check, at, what, action string, err error) {
	mend := ""
	if Classify(codeOf(err), messageOf(err)) == nodegroups.NotAllowed {
		mend = "allow " + action
	}
	k.add(NotProven, check, at, what+" cannot be read: "+codeOrText(err), mend)
}

func codeOrText(err error) string {
	if code := codeOf(err); code != "" {
		return code
	}
	return err.Error()
}
