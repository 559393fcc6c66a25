package aws

import (
	"context"
	"fmt"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/pricing"
	"github.com/aws/aws-sdk-go-v2/service/savingsplans"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"swell/nodegroups"
)

// permissions proves each action that swell needs: reading EC2 by a dry run, acting on groups by IAM's simulation.
func (k *checker) permissions(ctx context.Context, pools []Checked) {
	dry := awssdk.Bool(true)
	reads := map[string]func() error{
		"ec2:DescribeInstances": func() error {
			_, err := k.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{DryRun: dry})
			return err
		},
		"ec2:DescribeInstanceTypes": func() error {
			_, err := k.ec2.DescribeInstanceTypes(ctx, &ec2.DescribeInstanceTypesInput{DryRun: dry})
			return err
		},
		"ec2:DescribeSubnets": func() error {
			_, err := k.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{DryRun: dry})
			return err
		},
		"ec2:DescribeLaunchTemplateVersions": func() error {
			_, err := k.ec2.DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{DryRun: dry, Versions: []string{"$Latest"}})
			return err
		},
	}
	if k.readsSpotPrices() {
		reads["ec2:DescribeSpotPriceHistory"] = func() error {
			_, err := k.ec2.DescribeSpotPriceHistory(ctx, &ec2.DescribeSpotPriceHistoryInput{DryRun: dry})
			return err
		}
	}
	if k.options.ReadOnDemandPrices {
		reads["pricing:GetProducts"] = k.readsPriceList(ctx)
	}
	if slices.ContainsFunc(pools, func(p Checked) bool { return p.Prepaid }) {
		reads["ec2:DescribeReservedInstances"] = func() error {
			_, err := k.ec2.DescribeReservedInstances(ctx, &ec2.DescribeReservedInstancesInput{DryRun: dry})
			return err
		}
		reads["savingsplans:DescribeSavingsPlans"] = func() error {
			_, err := k.savings.DescribeSavingsPlans(ctx, &savingsplans.DescribeSavingsPlansInput{})
			return err
		}
	}
	for action, call := range reads {
		switch err := call(); {
		case err == nil || codeOf(err) == "DryRunOperation":
			k.add(FindingOK, "permission", action, "allowed, by a call", "")
		case slices.Contains([]nodegroups.FailureClass{nodegroups.NotAllowed, nodegroups.NotKnown}, Classify(codeOf(err), messageOf(err))):
			k.add(FindingProblem, "permission", action, "refused: "+messageOf(err), "allow the action, see docs/aws.md")
		default:
			k.add(NotProven, "permission", action, "the call gave "+codeOrText(err), "")
		}
	}
	k.simulated(ctx, pools)
}

// readsPriceList is a call that asks for one item of the price list.
func (k *checker) readsPriceList(ctx context.Context) func() error {
	return func() error {
		from, err := pricingRegion(k.options.Region)
		if err != nil {
			return err
		}
		_, err = k.pricing.GetProducts(ctx, &pricing.GetProductsInput{ServiceCode: awssdk.String("AmazonEC2"), MaxResults: awssdk.Int32(1)}, func(o *pricing.Options) { o.Region = from })
		return err
	}
}

// simulated asks IAM whether the actions on groups that the scaler makes are allowed; what swell uninstall alone makes is its own
// role's matter. Policies of the organisation may still forbid what it allows.
func (k *checker) simulated(ctx context.Context, pools []Checked) {
	actions := []string{"autoscaling:LaunchInstances", "ec2:CreateFleet", "autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup",
		"autoscaling:DescribeScalingActivities"}
	if slices.ContainsFunc(pools, func(p Checked) bool { return p.MultiZone }) {
		actions = append(actions, "autoscaling:SuspendProcesses", "autoscaling:CreateOrUpdateTags")
	}
	if slices.ContainsFunc(pools, func(p Checked) bool { return p.Prepaid }) {
		actions = append(actions, "savingsplans:DescribeSavingsPlanRates")
	}
	if k.options.QueueURL != "" {
		actions = append(append(actions, "sqs:ReceiveMessage", "sqs:DeleteMessage"), lifecycleActions...)
	}
	unproven := func(why string) {
		for _, a := range actions {
			k.add(NotProven, "permission", a, why, "allow iam:SimulatePrincipalPolicy to the role that checks, or compare its policy with docs/aws.md")
		}
	}
	callCtx, cancel := context.WithTimeout(ctx, k.options.CallTimeout)
	defer cancel()
	who, err := sts.NewFromConfig(k.config).GetCallerIdentity(callCtx, &sts.GetCallerIdentityInput{})
	if err != nil {
		unproven("who is asking is unknown: " + codeOrText(err))
		return
	}
	out, err := k.simulate(callCtx, awssdk.ToString(who.Arn), actions)
	if err != nil {
		unproven("IAM's simulation is not to be had: " + codeOrText(err))
		return
	}
	for _, r := range out.EvaluationResults {
		action := awssdk.ToString(r.EvalActionName)
		actions = slices.DeleteFunc(actions, func(a string) bool { return a == action })
		switch {
		case r.EvalDecision == iamtypes.PolicyEvaluationDecisionTypeAllowed:
			k.add(FindingOK, "permission", action, "allowed, by IAM's simulation", "")
		case r.EvalDecision == iamtypes.PolicyEvaluationDecisionTypeImplicitDeny && conditional(r):
			k.add(NotProven, "permission", action, "the policy has a condition that the simulation does not know", "compare the policy with docs/aws.md")
		default:
			k.refused(ctx, pools, action, fmt.Sprintf("refused, by IAM's simulation (%s)", r.EvalDecision))
		}
	}
	unproven("IAM's simulation did not answer for it") // the actions that are left
}

// lifecycleActions are needed only where a group waits with a termination hook.
var lifecycleActions = []string{"autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"}

// refused tells of an action that the role may not call: a problem, unless no group needs it.
func (k *checker) refused(ctx context.Context, pools []Checked, action, how string) {
	const mend = "allow the action, see docs/aws.md"
	if !slices.Contains(lifecycleActions, action) {
		k.add(FindingProblem, "permission", action, how, mend)
		return
	}
	hooked, err := k.hooked(ctx, pools)
	switch {
	case err != nil:
		k.add(NotProven, "permission", action, how+"; whether a group has a termination hook, which needs it, cannot be read: "+codeOrText(err), "allow autoscaling:DescribeLifecycleHooks to the role that checks, or the action")
	case hooked == "":
		k.add(FindingOK, "permission", action, how+"; not needed, as no group has a termination hook", "")
	default:
		k.add(FindingProblem, "permission", action, how+"; group "+hooked+" has a termination hook", mend)
	}
}

// hooked is the first of the pools' groups that waits with a termination hook; empty is none.
func (k *checker) hooked(ctx context.Context, pools []Checked) (string, error) {
	for _, p := range pools {
		described, err := k.describeGroups(ctx, p.Tags)
		if err != nil {
			return "", err
		}
		for _, d := range described {
			out, err := k.autoscaling.DescribeLifecycleHooks(ctx, &autoscaling.DescribeLifecycleHooksInput{AutoScalingGroupName: d.AutoScalingGroupName})
			if err != nil {
				return "", err
			}
			if slices.ContainsFunc(out.LifecycleHooks, func(h astypes.LifecycleHook) bool { return awssdk.ToString(h.LifecycleTransition) == terminating }) {
				return awssdk.ToString(d.AutoScalingGroupName), nil
			}
		}
	}
	return "", nil
}

// conditional reports whether a decision rests on context that was not given, such as a group's tags.
func conditional(r iamtypes.EvaluationResult) bool { return len(r.MissingContextValues) > 0 }

// simulate asks for the role behind a session of it, as IAM simulates roles and users. A session's ARN leaves the role's path
// out; where that makes a role that there is not, the role itself is read.
func (k *checker) simulate(ctx context.Context, arn string, actions []string) (*iam.SimulatePrincipalPolicyOutput, error) {
	client := iam.NewFromConfig(k.config)
	source, role := principal(arn)
	out, err := client.SimulatePrincipalPolicy(ctx, &iam.SimulatePrincipalPolicyInput{PolicySourceArn: &source, ActionNames: actions})
	if role == "" || codeOf(err) != "NoSuchEntity" {
		return out, err
	}
	named, err := client.GetRole(ctx, &iam.GetRoleInput{RoleName: &role})
	if err != nil {
		return nil, fmt.Errorf("the path of the role %s cannot be read (%s): allow iam:GetRole", role, codeOrText(err))
	}
	return client.SimulatePrincipalPolicy(ctx, &iam.SimulatePrincipalPolicyInput{PolicySourceArn: named.Role.Arn, ActionNames: actions})
}

// principal is who is asking, for a session of a role the role without its path, and that role's name.
func principal(arn string) (source, role string) {
	head, rest, ok := strings.Cut(arn, ":assumed-role/")
	if !ok {
		return arn, ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return strings.Replace(head, ":sts:", ":iam:", 1) + ":role/" + name, name
}
