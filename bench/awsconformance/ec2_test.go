package awsconformance_test

import (
	"slices"
	"strconv"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	emulator "swell/bench/testbed/aws"
)

var ec2Cases = []conformanceCase{
	{op: "ec2:DescribeInstances", docs: ec2Docs + "Instance.html", says: "a group's instance with its image, type, zone, subnet and state",
		want: `{"code":16,"group":"web","id":"i#1","image":"ami-12c6146b","launched":"recent","lifecycle":"","state":"running","subnet":"subnet#1","tag":"general","type":"m5.large","zone":"ap-northeast-1a"}`, run: func(t *target) any {
			i := t.describe(t.instances("web")[0])
			tags := map[string]string{}
			for _, x := range i.Tags {
				tags[*x.Key] = *x.Value
			}
			return m{"id": i.InstanceId, "image": i.ImageId, "type": i.InstanceType, "zone": i.Placement.AvailabilityZone, "subnet": i.SubnetId, "state": i.State.Name, "code": i.State.Code,
				"lifecycle": i.InstanceLifecycle, "launched": t.recent(i.LaunchTime), "tag": tags["pool"], "group": tags["aws:autoscaling:groupName"]}
		}},
	{op: "ec2:DescribeInstances", docs: ec2Docs + "DescribeInstances.html", says: "filters by tag and state",
		want: `2`, run: func(t *target) any {
			return len(t.ids(&ec2.DescribeInstancesInput{Filters: []types.Filter{{Name: awssdk.String("tag:aws:autoscaling:groupName"), Values: []string{"web"}},
				{Name: awssdk.String("instance-state-name"), Values: []string{"running"}}}}))
		}},
	{op: "ec2:DescribeInstances", docs: "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html", says: "an id of no instance is InvalidInstanceID.NotFound",
		want: `{"error":"InvalidInstanceID.NotFound"}`, run: func(t *target) any {
			_, err := t.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{"i-0123456789abcdef0"}})
			return refusal(err)
		}},
	{op: "ec2:DescribeInstances", docs: "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html", says: "an id of another form is InvalidInstanceID.Malformed",
		moto: &difference{says: "an id of the wrong form is Malformed, one of the right form NotFound", want: `{"error":"InvalidInstanceID.NotFound"}`},
		want: `{"error":"InvalidInstanceID.Malformed"}`, run: func(t *target) any {
			_, err := t.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{"nonsense"}})
			return refusal(err)
		}},
	{op: "ec2:DescribeInstances", docs: "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html", says: "too many filter values are FilterLimitExceeded",
		moto: &difference{says: "a request has no more than 200 filter values", want: `"ok"`},
		want: `{"error":"FilterLimitExceeded"}`, run: func(t *target) any {
			_, err := t.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{Filters: []types.Filter{{Name: awssdk.String("instance-id"), Values: slices.Repeat(t.instances("web")[:1], 201)}}})
			return refusal(err)
		}},
	{op: "ec2:DescribeInstances", docs: ec2Docs + "DescribeInstances.html", says: "ids and MaxResults do not go together",
		want: `{"error":"InvalidParameterCombination"}`, run: func(t *target) any {
			_, err := t.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: t.instances("web")[:1], MaxResults: awssdk.Int32(5)})
			return refusal(err)
		}},
	{op: "ec2:DescribeInstances", docs: ec2Docs + "DescribeInstances.html", says: "a dry run that is allowed is DryRunOperation",
		want: `{"error":"DryRunOperation"}`, run: func(t *target) any {
			_, err := t.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{DryRun: awssdk.Bool(true)})
			return refusal(err)
		}},
	{op: "ec2:DescribeInstances", docs: ec2Docs + "DescribeInstances.html", says: "a dry run that is not allowed is UnauthorizedOperation", alone: "moto is told of no denials",
		want: `{"error":"UnauthorizedOperation"}`, run: func(t *target) any {
			t.order("deny", emulator.Order{Fault: emulator.Fault{Service: "ec2"}})
			_, err := t.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{DryRun: awssdk.Bool(true)})
			return refusal(err)
		}},
	{op: "ec2:DescribeInstances", docs: "https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html", says: "too many calls are RequestLimitExceeded", alone: "moto is told of no throttling",
		want: `{"error":"RequestLimitExceeded"}`, run: func(t *target) any {
			t.order("throttle", emulator.Order{Fault: emulator.Fault{Service: "ec2", Share: 1}})
			_, err := t.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{})
			return refusal(err)
		}},
	{op: "ec2:TerminateInstances", docs: asGuide + "ec2-auto-scaling-health-checks.html", says: "a group replaces an instance that was ended behind its back",
		want: `{"instances":2,"left":true}`, run: func(t *target) any {
			id := t.instances("web")[0]
			must[*ec2.TerminateInstancesOutput](t)(t.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}}))
			t.pass(5 * time.Minute)
			return m{"instances": len(t.instances("web")), "left": !slices.Contains(t.instances("web"), id)}
		}},
	{op: "ec2:TerminateInstances", docs: ec2Docs + "TerminateInstances.html", says: "the states before and after",
		want: `{"id":"i#1","now":"shutting-down 32","was":"running 16"}`, run: func(t *target) any {
			out := must[*ec2.TerminateInstancesOutput](t)(t.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: t.instances("web")[:1]})).TerminatingInstances[0]
			state := func(s *types.InstanceState) string {
				return string(s.Name) + " " + map[int32]string{16: "16", 32: "32", 48: "48"}[*s.Code]
			}
			return m{"id": out.InstanceId, "was": state(out.PreviousState), "now": state(out.CurrentState)}
		}},
	{op: "ec2:DescribeInstanceStatus", docs: ec2Docs + "InstanceStatus.html", says: "running instances with their checks",
		want: `["running ok ok ap-northeast-1a","running ok ok ap-northeast-1a"]`, run: func(t *target) any {
			out := []string{}
			for _, s := range must[*ec2.DescribeInstanceStatusOutput](t)(t.ec2.DescribeInstanceStatus(ctx, &ec2.DescribeInstanceStatusInput{})).InstanceStatuses {
				out = append(out, string(s.InstanceState.Name)+" "+string(s.SystemStatus.Status)+" "+string(s.InstanceStatus.Status)+" "+*s.AvailabilityZone)
			}
			return out
		}},
	{op: "ec2:DescribeInstanceStatus", docs: ec2Docs + "InstanceStatusEvent.html", says: "a scheduled retirement is an event with its time", alone: "moto schedules no maintenance",
		want: `{"code":"instance-retirement","in":"48h0m0s"}`, run: func(t *target) any {
			t.order("maintenance", emulator.Order{Instances: t.instances("web")[:1], In: "48h"})
			s := must[*ec2.DescribeInstanceStatusOutput](t)(t.ec2.DescribeInstanceStatus(ctx, &ec2.DescribeInstanceStatusInput{InstanceIds: t.instances("web")[:1]})).InstanceStatuses[0]
			return m{"code": s.Events[0].Code, "in": s.Events[0].NotBefore.Sub(t.now()).String()}
		}},
	{op: "ec2:DescribeInstanceTypes", docs: ec2Docs + "InstanceTypeInfo.html", says: "a type's vCPUs and memory",
		want: `{"arch":["x86_64"],"memory":8192,"type":"m5.large","vcpu":2}`, run: func(t *target) any {
			i := must[*ec2.DescribeInstanceTypesOutput](t)(t.ec2.DescribeInstanceTypes(ctx, &ec2.DescribeInstanceTypesInput{InstanceTypes: []types.InstanceType{"m5.large"}})).InstanceTypes[0]
			return m{"type": i.InstanceType, "vcpu": i.VCpuInfo.DefaultVCpus, "memory": i.MemoryInfo.SizeInMiB, "arch": i.ProcessorInfo.SupportedArchitectures}
		}},
	{op: "ec2:DescribeInstanceTypes", docs: "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html", says: "a type that there is not is InvalidInstanceType",
		want: `{"error":"InvalidInstanceType"}`, run: func(t *target) any {
			_, err := t.ec2.DescribeInstanceTypes(ctx, &ec2.DescribeInstanceTypesInput{InstanceTypes: []types.InstanceType{"x9.huge"}})
			return refusal(err)
		}},
	{op: "ec2:DescribeInstanceTypes", docs: ec2Docs + "DescribeInstanceTypes.html", says: "at most 100 types are named",
		moto: &difference{says: "the list of types has at most 100 members", want: `{"error":"InvalidInstanceType"}`},
		want: `{"error":"InvalidParameterValue"}`, run: func(t *target) any {
			_, err := t.ec2.DescribeInstanceTypes(ctx, &ec2.DescribeInstanceTypesInput{InstanceTypes: slices.Repeat([]types.InstanceType{"m5.large"}, 101)})
			return refusal(err)
		}},
	{op: "ec2:DescribeInstanceTypeOfferings", docs: ec2Docs + "DescribeInstanceTypeOfferings.html", says: "the zones that have a type",
		want: `true`, run: func(t *target) any {
			for _, o := range must[*ec2.DescribeInstanceTypeOfferingsOutput](t)(t.ec2.DescribeInstanceTypeOfferings(ctx, &ec2.DescribeInstanceTypeOfferingsInput{LocationType: types.LocationTypeAvailabilityZone,
				Filters: []types.Filter{{Name: awssdk.String("instance-type"), Values: []string{"m5.large"}}}})).InstanceTypeOfferings {
				if o.InstanceType == "m5.large" && *o.Location == "ap-northeast-1a" && o.LocationType == types.LocationTypeAvailabilityZone {
					return true
				}
			}
			return false
		}},
	{op: "ec2:DescribeSubnets", docs: ec2Docs + "Subnet.html", says: "free addresses fall with each instance",
		want: `{"before":249,"now":247,"state":"available","zone":"ap-northeast-1a"}`, run: func(t *target) any {
			before := t.subnetOf("ap-northeast-1a").AvailableIpAddressCount
			t.setDesired("web", 4)
			s := t.subnetOf("ap-northeast-1a")
			return m{"before": before, "now": s.AvailableIpAddressCount, "zone": s.AvailabilityZone, "state": s.State}
		}},
	{op: "ec2:DescribeSubnets", docs: ec2Docs + "DescribeSubnets.html", says: "a filter by id leaves out what there is not",
		want: `["ap-northeast-1c"]`, run: func(t *target) any {
			zones := []string{}
			for _, s := range must[*ec2.DescribeSubnetsOutput](t)(t.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{Filters: []types.Filter{{Name: awssdk.String("subnet-id"), Values: []string{t.subnet["ap-northeast-1c"], "subnet-none"}}}})).Subnets {
				zones = append(zones, *s.AvailabilityZone)
			}
			return zones
		}},
	{op: "ec2:DescribeSubnets", docs: "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html", says: "an id of no subnet is InvalidSubnetID.NotFound",
		want: `{"error":"InvalidSubnetID.NotFound"}`, run: func(t *target) any {
			_, err := t.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: []string{"subnet-0123456789abcdef0"}})
			return refusal(err)
		}},
	{op: "ec2:DescribeSpotPriceHistory", docs: ec2Docs + "SpotPrice.html", says: "the price of a type in a zone",
		moto: &difference{says: "only the products that are asked for are told", want: `{"product":"Linux/UNIX (Amazon VPC)","type":"m5.large","zone":"ap-northeast-1a"}`},
		want: `{"product":"Linux/UNIX","type":"m5.large","zone":"ap-northeast-1a"}`, run: func(t *target) any {
			out := must[*ec2.DescribeSpotPriceHistoryOutput](t)(t.ec2.DescribeSpotPriceHistory(ctx, &ec2.DescribeSpotPriceHistoryInput{InstanceTypes: []types.InstanceType{"m5.large"},
				AvailabilityZone: awssdk.String("ap-northeast-1a"), ProductDescriptions: []string{"Linux/UNIX"}})).SpotPriceHistory
			if len(out) == 0 {
				return "none"
			}
			return m{"type": out[0].InstanceType, "zone": out[0].AvailabilityZone, "product": out[0].ProductDescription}
		}},
	{op: "ec2:DescribeSpotPriceHistory", docs: ec2Docs + "SpotPriceHistory.html", says: "from a start of now on it tells the price in force, once a type and zone",
		moto: &difference{says: "only the zone that is asked for is told", want: `["m5.large ap-northeast-1a in force","m5.large ap-northeast-1c in force","m5.large ap-northeast-1d in force"]`},
		want: `["m5.large ap-northeast-1a in force"]`, run: func(t *target) any {
			now, out := time.Now(), []string{}
			for _, p := range must[*ec2.DescribeSpotPriceHistoryOutput](t)(t.ec2.DescribeSpotPriceHistory(ctx, &ec2.DescribeSpotPriceHistoryInput{InstanceTypes: []types.InstanceType{"m5.large"},
				AvailabilityZone: awssdk.String("ap-northeast-1a"), ProductDescriptions: []string{"Linux/UNIX", "Linux/UNIX (Amazon VPC)"}, StartTime: &now})).SpotPriceHistory {
				since := "in force"
				if price, err := strconv.ParseFloat(*p.SpotPrice, 64); err != nil || price <= 0 || p.Timestamp == nil {
					since = "without a price"
				}
				out = append(out, string(p.InstanceType)+" "+*p.AvailabilityZone+" "+since)
			}
			slices.Sort(out)
			return out
		}},
	{op: "ec2:DescribeReservedInstances", docs: ec2Docs + "ReservedInstances.html", says: "what is reserved, where, and how many",
		want: `["active m5.large Region default"]`, run: func(t *target) any {
			out := []string{}
			for _, r := range must[*ec2.DescribeReservedInstancesOutput](t)(t.ec2.DescribeReservedInstances(ctx, &ec2.DescribeReservedInstancesInput{Filters: []types.Filter{{Name: awssdk.String("state"), Values: []string{"active"}}}})).ReservedInstances {
				out = append(out, string(r.State)+" "+string(r.InstanceType)+" "+string(r.Scope)+" "+string(r.InstanceTenancy))
			}
			return out
		}},
}

func (t *target) describe(id string) types.Instance {
	t.Helper()
	return must[*ec2.DescribeInstancesOutput](t)(t.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{id}})).Reservations[0].Instances[0]
}

func (t *target) ids(in *ec2.DescribeInstancesInput) []string {
	t.Helper()
	out := []string{}
	for _, r := range must[*ec2.DescribeInstancesOutput](t)(t.ec2.DescribeInstances(ctx, in)).Reservations {
		for _, i := range r.Instances {
			out = append(out, *i.InstanceId)
		}
	}
	return out
}

func (t *target) subnetOf(zone string) types.Subnet {
	t.Helper()
	return must[*ec2.DescribeSubnetsOutput](t)(t.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: []string{t.subnet[zone]}})).Subnets[0]
}
