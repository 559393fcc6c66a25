//go:build eks

package eks

import (
	"context"
	"fmt"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// account is AWS as the suite itself sees it, without swell's client.
type account struct {
	settings Settings
	groups   *autoscaling.Client
	ec2      *ec2.Client
}

// open refuses credentials of another account than the one that was named.
func open(ctx context.Context, s Settings) (*account, error) {
	c, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithRegion(s.Region))
	if err != nil {
		return nil, fmt.Errorf("finding AWS's credentials: %w", err)
	}
	who, err := sts.NewFromConfig(c).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return nil, fmt.Errorf("asking AWS whose credentials these are: %w", err)
	}
	if got := awssdk.ToString(who.Account); got != s.Account {
		return nil, fmt.Errorf("the credentials are of account %s, and SWELL_EKS_ACCOUNT is %s: nothing is bought; use the other credentials, or name this account", got, s.Account)
	}
	return &account{settings: s, groups: autoscaling.NewFromConfig(c), ec2: ec2.NewFromConfig(c)}, nil
}

// list are the suite's own groups.
func (a *account) list(ctx context.Context) ([]astypes.AutoScalingGroup, error) {
	var list []astypes.AutoScalingGroup
	pages := autoscaling.NewDescribeAutoScalingGroupsPaginator(a.groups, &autoscaling.DescribeAutoScalingGroupsInput{
		Filters: []astypes.Filter{{Name: awssdk.String("tag:" + a.settings.TagKey), Values: []string{a.settings.TagValue}}}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("reading the groups with tag %s=%s: %w", a.settings.TagKey, a.settings.TagValue, err)
		}
		list = append(list, page.AutoScalingGroups...)
	}
	return list, nil
}

// instances of the suite's groups that are not on their way out.
func (a *account) instances(ctx context.Context) ([]string, error) {
	list, err := a.list(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, g := range list {
		for _, i := range g.Instances {
			if !strings.HasPrefix(string(i.LifecycleState), "Terminat") {
				ids = append(ids, awssdk.ToString(i.InstanceId))
			}
		}
	}
	return ids, nil
}

// beginsEmpty is an error where a group has instances, or would have without the suite: what the suite ends must be its own.
func (a *account) beginsEmpty(ctx context.Context) error {
	list, err := a.list(ctx)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return fmt.Errorf("no group carries the tag %s=%s in %s: make some as README.md says", a.settings.TagKey, a.settings.TagValue, a.settings.Region)
	}
	for _, g := range list {
		if n := awssdk.ToInt32(g.MinSize); n > 0 || awssdk.ToInt32(g.DesiredCapacity) > 0 || len(g.Instances) > 0 {
			return fmt.Errorf("group %s has minimum %d, desired %d and %d instances: the suite's groups must be its own, and empty",
				awssdk.ToString(g.AutoScalingGroupName), n, awssdk.ToInt32(g.DesiredCapacity), len(g.Instances))
		}
	}
	return nil
}

// end ends every instance of the suite's groups, each with decrement, and says what could not be ended.
func (a *account) end(ctx context.Context) error {
	for {
		ids, err := a.instances(ctx)
		if err == nil && len(ids) == 0 {
			return a.nothingIsAsked(ctx)
		}
		for _, id := range ids {
			if _, err = a.groups.TerminateInstanceInAutoScalingGroup(ctx, &autoscaling.TerminateInstanceInAutoScalingGroupInput{
				InstanceId: awssdk.String(id), ShouldDecrementDesiredCapacity: awssdk.Bool(true)}); err != nil {
				break
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("ENDING INSTANCES %v OF ACCOUNT %s: %w; they are paid for until you end them by hand", ids, a.settings.Account, err)
		case <-time.After(5 * time.Second):
		}
	}
}

// nothingIsAsked lowers what a group still wants and does not have.
func (a *account) nothingIsAsked(ctx context.Context) error {
	list, err := a.list(ctx)
	if err != nil {
		return err
	}
	for _, g := range list {
		if awssdk.ToInt32(g.DesiredCapacity) == 0 {
			continue
		}
		if _, err := a.groups.SetDesiredCapacity(ctx, &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: g.AutoScalingGroupName, DesiredCapacity: awssdk.Int32(0)}); err != nil {
			return fmt.Errorf("LOWERING GROUP %s TO 0: %w; do so by hand, or it launches", awssdk.ToString(g.AutoScalingGroupName), err)
		}
	}
	return nil
}
