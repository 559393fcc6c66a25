package aws

import (
	"context"
	"fmt"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
	sqtypes "github.com/aws/aws-sdk-go-v2/service/servicequotas/types"
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
	if slices.ContainsFunc(pools, func(p Checked) bool { return p.Prepaid }) {
		reads["ec2:DescribeReservedInstances"] = func() error {
			_, err := k.ec2.DescribeReservedInstances(ctx, &ec2.DescribeReservedInstancesInput{DryRun: dry})
			return err
		}
	}
	for action, call := range reads {
		switch err := call(); {
		case err == nil || codeOf(err) == "DryRunOperation":
			k.add(FindingOK, "permission", action, "allowed, by a call", "")
		case Classify(codeOf(err), messageOf(err)) == nodegroups.NotAllowed:
			k.add(FindingProblem, "permission", action, "refused: "+messageOf(err), "allow the action, see docs/aws.md")
		default:
			k.add(NotProven, "permission", action, "the call gave "+codeOrText(err), "")
		}
	}
	k.simulated(ctx, pools)
}

// simulated asks IAM whether the actions on groups are allowed. Policies of the organisation may still forbid what it allows.
func (k *checker) simulated(ctx context.Context, pools []Checked) {
	actions := []string{"autoscaling:LaunchInstances", "autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"}
	if slices.ContainsFunc(pools, func(p Checked) bool { return p.MultiZone }) {
		actions = append(actions, "autoscaling:SuspendProcesses", "autoscaling:CreateOrUpdateTags")
	}
	if k.options.QueueURL != "" {
		actions = append(actions, "sqs:ReceiveMessage", "sqs:DeleteMessage")
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
	out, err := iam.NewFromConfig(k.config).SimulatePrincipalPolicy(callCtx, &iam.SimulatePrincipalPolicyInput{PolicySourceArn: awssdk.String(principal(awssdk.ToString(who.Arn))), ActionNames: actions})
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
			k.add(FindingProblem, "permission", action, fmt.Sprintf("refused, by IAM's simulation (%s)", r.EvalDecision), "allow the action, see docs/aws.md")
		}
	}
	unproven("IAM's simulation did not answer for it") // the actions that are left
}

// conditional reports whether a decision rests on context that was not given, such as a group's tags.
func conditional(r iamtypes.EvaluationResult) bool { return len(r.MissingContextValues) > 0 }

// principal is the role behind a session of it: IAM simulates roles and users.
func principal(arn string) string {
	head, rest, ok := strings.Cut(arn, ":assumed-role/")
	if !ok {
		return arn
	}
	name, _, _ := strings.Cut(rest, "/")
	return strings.Replace(head, ":sts:", ":iam:", 1) + ":role/" + name
}

// The quotas of vCPUs that run at once, for the instance families A, C, D, H, I, M, R, T and Z.
const (
	quotaOnDemand = "L-1216C47A"
	quotaSpot     = "L-34B43A08"
)

// quotas compares what the pools may have with the account's quota of vCPUs in each market.
func (k *checker) quotas(ctx context.Context, pools []Checked) {
	need := map[nodegroups.Market]float64{}
	for _, p := range pools {
		p.MayChange = false
		groups, _, err := k.Select(ctx, p.Selection)
		if err != nil {
			continue // it was told of
		}
		for market, n := range k.vcpus(groups, p.MaxNodes) {
			need[market] += n
		}
	}
	callCtx, cancel := context.WithTimeout(ctx, k.options.CallTimeout)
	defer cancel()
	values := map[string]float64{}
	pages := servicequotas.NewListServiceQuotasPaginator(servicequotas.NewFromConfig(k.config), &servicequotas.ListServiceQuotasInput{ServiceCode: awssdk.String("ec2")})
	for pages.HasMorePages() {
		page, err := pages.NextPage(callCtx)
		if err != nil {
			k.unread("quota", "vCPUs", "the account's quotas", "servicequotas:ListServiceQuotas", err)
			return
		}
		for _, q := range page.Quotas {
			values[awssdk.ToString(q.QuotaCode)] = quotaValue(q)
		}
	}
	for market, code := range map[nodegroups.Market]string{nodegroups.OnDemand: quotaOnDemand, nodegroups.Spot: quotaSpot} {
		at := string(market) + " vCPUs"
		value, ok := values[code]
		switch {
		case need[market] == 0:
		case !ok:
			k.add(NotProven, "quota", at, "the account shows no quota "+code, "")
		case value < need[market]:
			k.add(FindingProblem, "quota", at, fmt.Sprintf("the quota is %.0f, and the pools at their largest take %.0f", value, need[market]), "ask for more of quota "+code+", or lower spec.limits.maxNodes")
		default:
			k.add(FindingOK, "quota", at, fmt.Sprintf("the quota of %.0f holds the pools at their largest, %.0f; what else the account runs is not counted", value, need[market]), "")
		}
	}
}

func quotaValue(q sqtypes.ServiceQuota) float64 { return awssdk.ToFloat64(q.Value) }

// vcpus that the groups of a pool take at most in each market, by the largest type of each group.
func (k *checker) vcpus(groups []nodegroups.Group, maxNodes int) map[nodegroups.Market]float64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	nodes, most, seen := map[nodegroups.Market]int{}, map[nodegroups.Market]int{}, map[string]bool{}
	for _, g := range groups {
		for _, name := range g.InstanceTypes {
			if v := k.types[name].VCpuInfo; v != nil {
				most[g.Market] = max(most[g.Market], int(awssdk.ToInt32(v.DefaultVCpus)))
			}
		}
		if !seen[g.AutoScalingGroup()] {
			seen[g.AutoScalingGroup()] = true
			nodes[g.Market] += g.Max
		}
	}
	out := map[nodegroups.Market]float64{}
	for market, n := range nodes {
		if maxNodes > 0 {
			n = min(n, maxNodes)
		}
		out[market] = float64(n * most[market])
	}
	return out
}
