package awsconformance_test

import (
	"fmt"
	"maps"
	"slices"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/savingsplans"
	plantypes "github.com/aws/aws-sdk-go-v2/service/savingsplans/types"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	emulator "swell/bench/testbed/aws"
)

func fields(detail m) []string { return slices.Sorted(maps.Keys(detail)) }

var accountCases = []conformanceCase{
	{op: "sts:GetCallerIdentity", docs: stsDocs + "GetCallerIdentity.html", says: "account, ARN and user id",
		want: `{"account":"123456789012","arn":"arn#1","user":true}`, run: func(t *target) any {
			out := must[*sts.GetCallerIdentityOutput](t)(t.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}))
			return m{"account": out.Account, "arn": out.Arn, "user": awssdk.ToString(out.UserId) != ""}
		}},
	{op: "iam:SimulatePrincipalPolicy", docs: iamDocs + "SimulatePrincipalPolicy.html", says: "each action is allowed or implicitly denied",
		want: `["autoscaling:LaunchInstances implicitDeny *","ec2:DescribeInstances allowed *"]`, run: func(t *target) any {
			t.order("deny", emulator.Order{Fault: emulator.Fault{Service: "autoscaling", Action: "LaunchInstances"}})
			out := []string{}
			for _, r := range must[*iam.SimulatePrincipalPolicyOutput](t)(t.iam.SimulatePrincipalPolicy(ctx, &iam.SimulatePrincipalPolicyInput{PolicySourceArn: awssdk.String("arn:aws:iam::123456789012:user/emulated"),
				ActionNames: []string{"autoscaling:LaunchInstances", "ec2:DescribeInstances"}})).EvaluationResults {
				out = append(out, *r.EvalActionName+" "+string(r.EvalDecision)+" "+*r.EvalResourceName)
			}
			return out
		}},
	{op: "iam:SimulatePrincipalPolicy", docs: iamDocs + "SimulatePrincipalPolicy.html", says: "an ARN of nobody is NoSuchEntity",
		want: `{"error":"NoSuchEntity"}`, run: func(t *target) any {
			_, err := t.iam.SimulatePrincipalPolicy(ctx, &iam.SimulatePrincipalPolicyInput{PolicySourceArn: awssdk.String("arn:aws:iam::123456789012:role/none"), ActionNames: []string{"ec2:DescribeInstances"}})
			return refusal(err)
		}},
	{op: "iam:GetRole", docs: iamDocs + "GetRole.html", says: "a role that there is not is NoSuchEntity",
		want: `{"error":"NoSuchEntity"}`, run: func(t *target) any {
			_, err := t.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: awssdk.String("none")})
			return refusal(err)
		}},
	{op: "savingsplans:DescribeSavingsPlans", docs: planDocs + "SavingsPlan.html", says: "active plans with commitment, family and region",
		want: `["EC2Instance active 2.50000000 m5 ap-northeast-1 [EC2]"]`, run: func(t *target) any {
			out := []string{}
			for _, p := range must[*savingsplans.DescribeSavingsPlansOutput](t)(t.plans.DescribeSavingsPlans(ctx, &savingsplans.DescribeSavingsPlansInput{States: []plantypes.SavingsPlanState{"active"}})).SavingsPlans {
				out = append(out, fmt.Sprintf("%s %s %s %s %s %v", p.SavingsPlanType, p.State, *p.Commitment, *p.Ec2InstanceFamily, *p.Region, p.ProductTypes))
			}
			return out
		}},
	{op: "savingsplans:DescribeSavingsPlanRates", docs: planDocs + "DescribeSavingsPlanRates.html", says: "a plan's rate of a type an hour",
		want: `["0.06200000 Hrs APN1-BoxUsage:m5.large","0.06200000 Hrs APN1-UnusedBox:m5.large"]`, run: func(t *target) any {
			id := must[*savingsplans.DescribeSavingsPlansOutput](t)(t.plans.DescribeSavingsPlans(ctx, &savingsplans.DescribeSavingsPlansInput{})).SavingsPlans[0].SavingsPlanId
			out := []string{}
			for _, r := range must[*savingsplans.DescribeSavingsPlanRatesOutput](t)(t.plans.DescribeSavingsPlanRates(ctx, &savingsplans.DescribeSavingsPlanRatesInput{SavingsPlanId: id,
				Filters: []plantypes.SavingsPlanRateFilter{{Name: "instanceType", Values: []string{"m5.large", "m5.xlarge"}}, {Name: "region", Values: []string{region}}}})).SearchResults {
				out = append(out, *r.Rate+" "+string(r.Unit)+" "+*r.UsageType)
			}
			return out
		}},
	{op: "savingsplans:DescribeSavingsPlanRates", docs: planDocs + "DescribeSavingsPlanRates.html", says: "a plan that there is not is ResourceNotFoundException",
		want: `{"error":"ResourceNotFoundException"}`, run: func(t *target) any {
			_, err := t.plans.DescribeSavingsPlanRates(ctx, &savingsplans.DescribeSavingsPlanRatesInput{SavingsPlanId: awssdk.String("none")})
			return refusal(err)
		}},
	{op: "servicequotas:ListServiceQuotas", docs: quotaDocs + "ListServiceQuotas.html", says: "EC2's quotas on vCPUs",
		want: `["L-1216C47A 640 ec2","L-34B43A08 100000 ec2","L-3819A6DF 100000 ec2","L-DB2E81BA 100000 ec2"]`, run: func(t *target) any {
			out := []string{}
			for _, q := range must[*servicequotas.ListServiceQuotasOutput](t)(t.quotas.ListServiceQuotas(ctx, &servicequotas.ListServiceQuotasInput{ServiceCode: awssdk.String("ec2")})).Quotas {
				out = append(out, *q.QuotaCode+" "+map[float64]string{640: "640", 100000: "100000"}[*q.Value]+" "+*q.ServiceCode)
			}
			return out
		}},
	{op: "servicequotas:GetServiceQuota", docs: quotaDocs + "GetServiceQuota.html", says: "a quota that there is not is NoSuchResourceException",
		want: `{"error":"NoSuchResourceException"}`, run: func(t *target) any {
			_, err := t.quotas.GetServiceQuota(ctx, &servicequotas.GetServiceQuotaInput{ServiceCode: awssdk.String("ec2"), QuotaCode: awssdk.String("L-00000000")})
			return refusal(err)
		}},
}
