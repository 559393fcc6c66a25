package aws

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"swell/nodegroups"
)

// FindingStatus is what a check came to.
type FindingStatus string

const (
	FindingOK      FindingStatus = "ok"
	FindingProblem FindingStatus = "problem"
	// NotProven is what could not be known; it is never taken for OK.
	NotProven FindingStatus = "not proven"
)

// Finding is what one check found.
type Finding struct {
	Check  string        `json:"check"` // clock, permission, group, subnets, quota or queue
	At     string        `json:"at"`    // the action, group, pool or queue
	Status FindingStatus `json:"status"`
	What   string        `json:"what"`
	// Mend is empty where there is nothing to do.
	Mend string `json:"mend,omitempty"`
}

// Checked is a pool to be checked, with the most nodes that it may have; 0 is no limit of the pool's own.
type Checked struct {
	nodegroups.Selection
	MaxNodes int
}

// skewAllowed is how far the clocks may be apart; AWS refuses signatures that are more than five minutes off.
const skewAllowed = time.Minute

// checker gathers findings.
type checker struct {
	*Client
	findings []Finding
}

func (k *checker) add(status FindingStatus, check, at, what, mend string) {
	k.findings = append(k.findings, Finding{check, at, status, strings.Join(strings.Fields(what), " "), mend})
}

// Check finds out before the first launch what would fail or fight with it. It only reads, and sorts what it finds by check.
func (c *Client) Check(ctx context.Context, pools []Checked) []Finding {
	k := &checker{Client: c}
	k.clock(ctx)
	for _, p := range pools {
		k.pool(ctx, p)
	}
	k.permissions(ctx, pools)
	k.quotas(ctx, pools)
	k.queue(ctx)
	order := []string{"clock", "permission", "group", "subnets", "quota", "queue"}
	slices.SortStableFunc(k.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Check), slices.Index(order, b.Check)), cmp.Compare(a.At, b.At))
	})
	return k.findings
}

// clock compares this machine's clock with the service's, and so finds out whether the service answers.
func (k *checker) clock(ctx context.Context) {
	out, err := k.autoscaling.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{MaxRecords: awssdk.Int32(1)})
	switch {
	case codeOf(err) == "RequestExpired", codeOf(err) == "RequestTimeTooSkewed", codeOf(err) == "SignatureDoesNotMatch" && strings.Contains(messageOf(err), "expired"):
		k.add(FindingProblem, "clock", k.options.Region, messageOf(err), "set this machine's clock, such as by chrony")
		return
	case err != nil:
		k.add(NotProven, "clock", k.options.Region, k.explain(err, "asking the service for its time").Error(), "")
		return
	}
	server, ok := awsmiddleware.GetServerTime(out.ResultMetadata)
	at, given := awsmiddleware.GetResponseAt(out.ResultMetadata)
	if !ok || !given {
		k.add(NotProven, "clock", k.options.Region, "the service's answer carries no time", "")
		return
	}
	skew := at.Sub(server).Round(time.Second)
	if skew.Abs() > skewAllowed {
		k.add(FindingProblem, "clock", k.options.Region, fmt.Sprintf("this machine's clock is %s from the service's", skew), "set this machine's clock, such as by chrony")
		return
	}
	k.add(FindingOK, "clock", k.options.Region, fmt.Sprintf("within %.0f s of the service's", skewAllowed.Seconds()), "")
}

// pool checks the groups that one pool selects.
func (k *checker) pool(ctx context.Context, p Checked) {
	p.MayChange = false
	groups, problems, err := k.Select(ctx, p.Selection)
	if err != nil {
		status := FindingProblem
		if codeOf(err) == "" && unsure(err) {
			status = NotProven
		}
		k.add(status, "group", "pool "+p.Pool, err.Error(), "")
		return
	}
	bad := map[string]bool{}
	for _, problem := range problems {
		check := "group"
		if strings.Contains(problem.What, "address") {
			check = "subnets"
		}
		bad[problem.Group] = true
		k.add(FindingProblem, check, cmp.Or(problem.Group, "pool "+p.Pool), problem.What, problem.Mend)
	}
	for _, g := range groups {
		if g.FreeAddresses != nil && !bad[g.Name] {
			k.add(FindingOK, "subnets", g.Name, fmt.Sprintf("%d free addresses in %s", *g.FreeAddresses, g.Zone), "")
		} else if g.FreeAddresses == nil {
			k.add(NotProven, "subnets", g.Name, "the free addresses are unknown", "allow ec2:DescribeSubnets")
		}
		if g.Unusable != "" {
			continue
		}
		k.add(FindingOK, "group", g.Name, fmt.Sprintf("%s, %s, %s, %d to %d instances", g.Zone, g.Market, strings.Join(g.InstanceTypes, " or "), g.Min, g.Max), "")
	}
	if len(groups) == 0 && len(problems) > 0 {
		return
	}
	k.settings(ctx, p, groups)
	highest := map[string]int{}
	total := 0
	for _, g := range groups {
		highest[g.AutoScalingGroup()] = g.Max
	}
	for _, n := range highest {
		total += n
	}
	if p.MaxNodes > total {
		k.add(FindingProblem, "group", "pool "+p.Pool, fmt.Sprintf("spec.limits.maxNodes is %d, and its groups together may have %d", p.MaxNodes, total), "raise the groups' maximum, or lower maxNodes")
	}
}

// queue reads the queue's attributes. What EventBridge sends there cannot be seen from the queue.
func (k *checker) queue(ctx context.Context) {
	if k.options.QueueURL == "" {
		k.add(NotProven, "queue", "", "no queue is configured: interruptions are not heard of before they come", "give aws.queueURL")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, k.options.CallTimeout)
	defer cancel()
	out, err := k.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &k.options.QueueURL, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameAll}})
	switch {
	case err != nil && (strings.Contains(codeOf(err), "NonExistent") || strings.Contains(codeOf(err), "QueueDoesNotExist")):
		k.add(FindingProblem, "queue", k.options.QueueURL, "there is no such queue", "correct aws.queueURL, or make the queue")
		return
	case err != nil:
		k.unread("queue", k.options.QueueURL, "its attributes", "sqs:GetQueueAttributes", err)
		return
	}
	k.add(FindingOK, "queue", k.options.QueueURL, "it is there, with "+cmp.Or(out.Attributes["ApproximateNumberOfMessages"], "an unknown number of")+" messages", "")
	k.add(NotProven, "queue", "EventBridge rules", "which events reach the queue cannot be seen from it", "compare the rules with docs/aws.md")
}
