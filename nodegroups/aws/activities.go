package aws

import (
	"cmp"
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"swell/nodegroups"
)

const (
	// shortAsk is how long apart the activities of a group that stays short are read, and how long it is short before the first
	// reading, machine time: an instance that was just asked for is no failure.
	shortAsk = 30 * time.Second
	// failedWithin is how old a failed activity may be and still tell of the present.
	failedWithin = 10 * time.Minute
	// activitiesRead is how many of a group's newest activities are looked at.
	activitiesRead = 20
)

// shortfall is since when a group has fewer instances than it wants, and its failed launches as last read, machine time.
type shortfall struct {
	since, read time.Time
	failures    []nodegroups.LaunchFailure
	// unread is why they could not be read when that was last tried; nil is that they were.
	unread error
}

// failedActivities are the failed launches of a group that stays short of its desired capacity: what nobody is answered who
// raised it, or whose instance it replaces by itself. What cannot be read again stays as it was read last while it may tell of the
// present, with a problem.
func (c *Client) failedActivities(ctx context.Context, g nodegroups.Group) ([]nodegroups.LaunchFailure, []Problem) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if g.Alive() >= g.Desired {
		delete(c.short, g.Name)
		return nil, nil
	}
	s, ok := c.short[g.Name]
	if !ok {
		s = shortfall{since: now}
		c.short[g.Name] = s
	}
	if now.Sub(s.since) >= shortAsk && now.Sub(s.read) >= shortAsk {
		c.mu.Unlock()
		failures, err := c.readActivities(ctx, g, now)
		c.mu.Lock()
		c.tellActivities(g.Name, s.unread, err)
		s.read, s.unread = now, err
		if err == nil {
			s.failures = failures
		}
		c.short[g.Name] = s
	}
	oldest := c.options.Clock.At(now.Add(-failedWithin))
	failures := slices.DeleteFunc(slices.Clone(s.failures), func(f nodegroups.LaunchFailure) bool { return f.At.Before(oldest) })
	if s.unread == nil {
		return failures, nil
	}
	return failures, []Problem{{g.Name, "it stays short of its desired capacity, and its scaling activities, which say why, cannot be read: " + codeOrText(s.unread), mendOf(s.unread, "autoscaling:DescribeScalingActivities")}}
}

// readActivities reads the failed launches among a group's newest activities.
func (c *Client) readActivities(ctx context.Context, g nodegroups.Group, now time.Time) ([]nodegroups.LaunchFailure, error) {
	out, err := c.autoscaling.DescribeScalingActivities(ctx, &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: &g.Name, MaxRecords: awssdk.Int32(activitiesRead)})
	if err != nil {
		return nil, err
	}
	failures := failuresIn(out.Activities, g.InstanceTypes, now)
	for i := range failures {
		failures[i].At = c.options.Clock.At(failures[i].At)
	}
	return failures, nil
}

// tellActivities logs that the activities of a group cannot be read, for another reason than before, or can again.
func (c *Client) tellActivities(group string, before, err error) {
	switch {
	case err != nil && (before == nil || codeOf(before) != codeOf(err)):
		c.options.Log.Warn("scaling activities cannot be read", "group", group, "error", c.explain(err, "reading why group %s stays short", group))
	case err == nil && before != nil:
		c.options.Log.Info("scaling activities can be read again", "group", group)
	}
}

// failuresIn are the failed launches among activities, newest first, up to the newest launch that did not fail. The types are those
// that the group launches now; what failed for the capacity of another, which it launched before, tells nothing of them and is left out.
func failuresIn(activities []astypes.Activity, types []string, now time.Time) []nodegroups.LaunchFailure {
	var out []nodegroups.LaunchFailure
	for _, a := range activities {
		if !strings.HasPrefix(awssdk.ToString(a.Description), "Launching") {
			continue
		}
		switch a.StatusCode {
		case astypes.ScalingActivityStatusCodeSuccessful:
			return out
		case astypes.ScalingActivityStatusCodeFailed, astypes.ScalingActivityStatusCodeCancelled:
			at := awssdk.ToTime(a.StartTime)
			if now.Sub(at) > failedWithin {
				return out
			}
			code, message := codeIn(awssdk.ToString(a.StatusMessage))
			f := nodegroups.LaunchFailure{Code: code, Message: message, Class: Classify(code, message), Type: typeIn(message, types), Zone: zoneIn(a), At: at}
			if f.Class == nodegroups.NoCapacity && f.Type != "" && len(types) > 0 && !slices.Contains(types, f.Type) {
				continue
			}
			if a.StatusCode == astypes.ScalingActivityStatusCodeFailed || f.Class != nodegroups.Unclassified { // a launch may be cancelled for no fault
				out = append(out, f)
			}
		}
	}
	return out
}

var codePattern = regexp.MustCompile(`\b((?:Client|Server)\.)?([A-Z][A-Za-z0-9]+(?:\.[A-Z][A-Za-z0-9]+)*)(?: - |: )`)

// phrases that stand for a code where an activity's message has none.
var phrases = []struct{ has, code string }{
	{"do not have sufficient", "InsufficientInstanceCapacity"},
	{"no spot capacity", "InsufficientInstanceCapacity"},
	{"insufficient capacity", "InsufficientInstanceCapacity"},
	{notOffered, "Unsupported"},
	{"vcpu limit", "VcpuLimitExceeded"},
	{"max spot instance count exceeded", "MaxSpotInstanceCountExceeded"},
	{"free addresses in subnet", "InsufficientFreeAddressesInSubnet"},
	{"not authorized", "UnauthorizedOperation"},
	{"the image id", "InvalidAMIID.NotFound"},
	{"security group", "InvalidGroup.NotFound"},
	{"key pair", "InvalidKeyPair.NotFound"},
	{"launch template", "InvalidLaunchTemplateId.NotFound"},
	{"request limit exceeded", "RequestLimitExceeded"},
}

// codeIn is the error code that a failed activity's message names, or that its words stand for; empty is neither.
func codeIn(message string) (code, text string) {
	for _, m := range codePattern.FindAllStringSubmatch(message, -1) {
		for _, code := range []string{m[1] + m[2], m[2]} {
			if class, _ := strings.CutPrefix(code, "Server."); Classify(class, message) != nodegroups.Unclassified {
				return class, message
			}
		}
	}
	lower := strings.ToLower(message)
	at := slices.IndexFunc(phrases, func(p struct{ has, code string }) bool { return strings.Contains(lower, p.has) })
	if at < 0 {
		return "", message
	}
	return phrases[at].code, message
}

// namedType is the instance type that a failure's message names.
var namedType = regexp.MustCompile(`(?i)sufficient ([a-z0-9-]+\.[a-z0-9-]+) capacity|requested instance type \(([a-z0-9-]+\.[a-z0-9-]+)\)`)

// typeIn is the type that could not be launched: the group's only one, or one that the message names and the group has no more. Of a
// group of several it is empty: its launch fails when none of them is had, and the message names one of those that were tried.
func typeIn(message string, types []string) string {
	if m := namedType.FindStringSubmatch(message); m != nil && !slices.Contains(types, cmp.Or(m[1], m[2])) {
		return cmp.Or(m[1], m[2])
	}
	if len(types) == 1 {
		return types[0]
	}
	return ""
}

// requestedZone is the zone that a failure's message says was asked for; it may name others as well, where there is capacity.
var requestedZone = regexp.MustCompile(`(?i)requested(?: availability zone)? \(([a-z0-9-]+)\)`)

// zoneIn is the zone that an activity was in; empty is not told.
func zoneIn(a astypes.Activity) string {
	var details struct {
		Zone string `json:"Availability Zone"`
	}
	_ = json.Unmarshal([]byte(awssdk.ToString(a.Details)), &details) // free text: what is not as expected tells nothing
	if m := requestedZone.FindStringSubmatch(awssdk.ToString(a.StatusMessage)); details.Zone == "" && m != nil {
		return m[1]
	}
	return details.Zone
}

// failedInZone are the failures of a group that are of one of its zones: all where it has one, else those in the zone, and those
// of no zone that are not a zone's matter.
func failedInZone(failures []nodegroups.LaunchFailure, g nodegroups.Group, spans bool) []nodegroups.LaunchFailure {
	if !spans {
		return failures
	}
	return slices.DeleteFunc(slices.Clone(failures), func(f nodegroups.LaunchFailure) bool {
		if f.Zone == "" {
			return f.Class == nodegroups.NoCapacity || f.Class == nodegroups.NoAddresses
		}
		return f.Zone != g.Zone
	})
}
