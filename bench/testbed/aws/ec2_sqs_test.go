package aws_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

func TestDescribeInstances(t *testing.T) {
	w := newWorld(t)
	w.settle()
	launchedAt := w.clock()
	must[*autoscaling.LaunchInstancesOutput](t)(w.launch("general-1a-on-demand", 11, "t"))
	var found []types.Instance
	pages := ec2.NewDescribeInstancesPaginator(w.ec2, &ec2.DescribeInstancesInput{MaxResults: awssdk.Int32(5),
		Filters: []types.Filter{{Name: awssdk.String("tag:aws:autoscaling:groupName"), Values: []string{"general-1a-on-demand"}}}})
	calls := 0
	for pages.HasMorePages() {
		calls++
		for _, r := range must[*ec2.DescribeInstancesOutput](t)(pages.NextPage(ctx)).Reservations {
			found = append(found, r.Instances...)
		}
	}
	if len(found) != 12 || calls != 3 {
		t.Fatalf("%d instances on %d pages, want 12 on 3", len(found), calls)
	}
	i := found[0]
	if !i.LaunchTime.Equal(launchedAt) || i.State.Name != types.InstanceStateNamePending || !strings.HasSuffix(*i.PrivateDnsName, ".ap-northeast-1.compute.internal") ||
		*i.Placement.AvailabilityZone != "ap-northeast-1a" || i.InstanceLifecycle != "" || *i.PrivateIpAddress == "" {
		t.Fatalf("unexpected instance %+v", i)
	}
	spot := must[*ec2.DescribeInstancesOutput](t)(w.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: w.instances("general-1a-spot")[:1]}))
	if spot.Reservations[0].Instances[0].InstanceLifecycle != types.InstanceLifecycleTypeSpot {
		t.Error("a spot instance is not told as one")
	}
	for id, code := range map[string]string{"i-0123456789abcdef0": "InvalidInstanceID.NotFound", "nonsense": "InvalidInstanceID.Malformed"} {
		_, err := w.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
		wantCode(t, err, code)
	}
	_, err := w.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{MaxResults: awssdk.Int32(4)})
	wantCode(t, err, "InvalidParameterValue")
	_, err = w.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{NextToken: awssdk.String("nonsense")})
	wantCode(t, err, "InvalidNextToken")
	w.order("throttle", map[string]any{"share": 1, "service": "ec2"})
	_, err = w.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{})
	wantCode(t, err, "RequestLimitExceeded")
}

func TestDescribeWhatInstancesAreMadeOf(t *testing.T) {
	w := newWorld(t)
	w.settle()
	kinds := must[*ec2.DescribeInstanceTypesOutput](t)(w.ec2.DescribeInstanceTypes(ctx, &ec2.DescribeInstanceTypesInput{InstanceTypes: []types.InstanceType{"m6i.4xlarge"}}))
	if k := kinds.InstanceTypes[0]; *k.VCpuInfo.DefaultVCpus != 16 || *k.MemoryInfo.SizeInMiB != 65536 {
		t.Fatalf("unexpected type %+v", k)
	}
	_, err := w.ec2.DescribeInstanceTypes(ctx, &ec2.DescribeInstanceTypesInput{InstanceTypes: []types.InstanceType{"x9.huge"}})
	wantCode(t, err, "InvalidInstanceType")
	templates := must[*ec2.DescribeLaunchTemplateVersionsOutput](t)(w.ec2.DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: awssdk.String("general-1a-spot"), Versions: []string{"$Default"}}))
	data := templates.LaunchTemplateVersions[0].LaunchTemplateData
	if data.InstanceType != "m6i.4xlarge" || data.InstanceMarketOptions.MarketType != types.MarketTypeSpot || *data.ImageId == "" {
		t.Fatalf("unexpected launch template %+v", data)
	}
	_, err = w.ec2.DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: awssdk.String("none")})
	wantCode(t, err, "InvalidLaunchTemplateName.NotFoundException")
	must[*autoscaling.LaunchInstancesOutput](t)(w.launch("general-1c-spot", 3, "t"))
	subnets := must[*ec2.DescribeSubnetsOutput](t)(w.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: []string{"subnet-small"}}))
	if n := *subnets.Subnets[0].AvailableIpAddressCount; n != 5 {
		t.Errorf("%d addresses are free, want 5", n)
	}
	prices := must[*ec2.DescribeSpotPriceHistoryOutput](t)(w.ec2.DescribeSpotPriceHistory(ctx, &ec2.DescribeSpotPriceHistoryInput{AvailabilityZone: awssdk.String("ap-northeast-1a"), InstanceTypes: []types.InstanceType{"m6i.4xlarge"}}))
	if len(prices.SpotPriceHistory) != 1 || *prices.SpotPriceHistory[0].SpotPrice != "0.310000" {
		t.Errorf("unexpected prices %+v", prices.SpotPriceHistory)
	}
	offerings := must[*ec2.DescribeInstanceTypeOfferingsOutput](t)(w.ec2.DescribeInstanceTypeOfferings(ctx, &ec2.DescribeInstanceTypeOfferingsInput{LocationType: types.LocationTypeAvailabilityZone}))
	if len(offerings.InstanceTypeOfferings) != 5 {
		t.Errorf("%d offerings, want 5", len(offerings.InstanceTypeOfferings))
	}
}

func TestQueue(t *testing.T) {
	w := newWorld(t)
	_, err := w.sqs.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: awssdk.String("none")})
	wantCode(t, err, "AWS.SimpleQueueService.NonExistentQueue")
	url := must[*sqs.GetQueueUrlOutput](t)(w.sqs.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: awssdk.String("interruptions")})).QueueUrl
	if !strings.HasPrefix(*url, w.url) {
		t.Fatalf("the queue's URL is %s", *url)
	}
	must[*sqs.SendMessageOutput](t)(w.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: url, MessageBody: awssdk.String("hello & <hi>")}))
	receive := func() []sqstypes.Message {
		t.Helper()
		return must[*sqs.ReceiveMessageOutput](t)(w.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10})).Messages
	}
	got := receive()
	if len(got) != 1 || *got[0].Body != "hello & <hi>" || got[0].Attributes["ApproximateReceiveCount"] != "1" {
		t.Fatalf("unexpected messages %+v", got)
	}
	if more := receive(); len(more) != 0 {
		t.Fatalf("a received message is visible: %+v", more)
	}
	w.pass(31 * time.Second)
	got = nil
	for _, m := range receive() {
		if *m.Body == "hello & <hi>" {
			got = append(got, m)
		}
	}
	if len(got) != 1 {
		t.Fatal("a message that was not deleted did not come again")
	}
	_, err = w.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 11})
	wantCode(t, err, "InvalidParameterValue")
	_, err = w.sqs.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: awssdk.String("nonsense")})
	wantCode(t, err, "ReceiptHandleIsInvalid")
	must[*sqs.DeleteMessageOutput](t)(w.sqs.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: got[0].ReceiptHandle}))
	w.pass(31 * time.Second)
	for _, m := range receive() {
		if *m.Body == "hello & <hi>" {
			t.Fatal("a deleted message came again")
		}
	}
	_, err = w.sqs.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: url, Entries: []sqstypes.DeleteMessageBatchRequestEntry{}})
	wantCode(t, err, "AWS.SimpleQueueService.EmptyBatchRequest")
}

func TestLongPollEndsWithAMessage(t *testing.T) {
	w := newWorld(t)
	url := w.url + "/123456789012/interruptions"
	done := make(chan []sqstypes.Message, 1)
	go func() {
		out, err := w.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &url, WaitTimeSeconds: 20})
		if err != nil {
			t.Error(err)
			done <- nil
			return
		}
		done <- out.Messages
	}()
	must[*sqs.SendMessageOutput](t)(w.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &url, MessageBody: awssdk.String("now")}))
	if got := <-done; len(got) != 1 || *got[0].Body != "now" {
		t.Fatalf("the poll gave %+v", got)
	}
}

func TestInterruptionsAreAnnounced(t *testing.T) {
	w := newWorld(t)
	w.pass(10 * time.Minute)
	url := w.url + "/123456789012/interruptions"
	w.order("rebalance", map[string]any{"count": 1})
	w.order("interrupt", map[string]any{"count": 1, "zone": "ap-northeast-1a"})
	kinds := map[string]string{}
	for {
		out := must[*sqs.ReceiveMessageOutput](t)(w.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10}))
		if len(out.Messages) == 0 {
			break
		}
		for _, m := range out.Messages {
			var event struct {
				Kind   string `json:"detail-type"`
				Detail struct {
					ID string `json:"instance-id"`
				} `json:"detail"`
			}
			if err := json.Unmarshal([]byte(*m.Body), &event); err != nil {
				t.Fatal(err)
			}
			kinds[event.Kind] = event.Detail.ID
		}
	}
	oldest := w.instances("general-1a-spot")[0]
	for _, kind := range []string{"EC2 Spot Instance Interruption Warning", "EC2 Instance Rebalance Recommendation"} {
		if kinds[kind] != oldest {
			t.Errorf("%s names %q, want %s", kind, kinds[kind], oldest)
		}
	}
	if kinds["EC2 Instance State-change Notification"] == "" {
		t.Error("no state change was told")
	}
}
