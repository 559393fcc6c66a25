package awsconformance_test

import (
	"encoding/json"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	emulator "swell/bench/testbed/aws"
)

var sqsCases = []conformanceCase{
	{op: "sqs:GetQueueUrl", docs: sqsDocs + "GetQueueUrl.html", says: "the URL ends with the queue's name",
		want: `true`, run: func(t *target) any {
			return strings.HasSuffix(*must[*sqs.GetQueueUrlOutput](t)(t.sqs.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: awssdk.String("interruptions")})).QueueUrl, "/123456789012/interruptions")
		}},
	{op: "sqs:GetQueueUrl", docs: sqsDocs + "GetQueueUrl.html", says: "a queue that there is not is NonExistentQueue",
		want: `{"error":"AWS.SimpleQueueService.NonExistentQueue"}`, run: func(t *target) any {
			_, err := t.sqs.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: awssdk.String("none")})
			return refusal(err)
		}},
	{op: "sqs:GetQueueAttributes", docs: sqsDocs + "GetQueueAttributes.html", says: "messages that wait and that are received, the timeout and the ARN",
		want: `{"ApproximateNumberOfMessages":"1","ApproximateNumberOfMessagesNotVisible":"1","QueueArn":"arn#1","VisibilityTimeout":"30"}`, run: func(t *target) any {
			t.empty()
			t.send("hello")
			t.send("again")
			t.bodies(1)
			return must[*sqs.GetQueueAttributesOutput](t)(t.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &t.queue, AttributeNames: []types.QueueAttributeName{
				"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "QueueArn", "VisibilityTimeout"}})).Attributes
		}},
	{op: "sqs:GetQueueAttributes", docs: sqsDocs + "GetQueueAttributes.html", says: "All is all of them",
		want: `true`, run: func(t *target) any {
			a := must[*sqs.GetQueueAttributesOutput](t)(t.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &t.queue, AttributeNames: []types.QueueAttributeName{"All"}})).Attributes
			return a["ApproximateNumberOfMessages"] != "" && a["CreatedTimestamp"] != "" && a["QueueArn"] != ""
		}},
	{op: "sqs:GetQueueAttributes", docs: sqsDocs + "GetQueueAttributes.html", says: "none is given where none is asked for",
		want: `0`, run: func(t *target) any {
			return len(must[*sqs.GetQueueAttributesOutput](t)(t.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &t.queue})).Attributes)
		}},
	{op: "sqs:GetQueueAttributes", docs: sqsDocs + "GetQueueAttributes.html", says: "an attribute that there is not is InvalidAttributeName",
		want: `{"error":"InvalidAttributeName"}`, run: func(t *target) any {
			_, err := t.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &t.queue, AttributeNames: []types.QueueAttributeName{"Colour"}})
			return refusal(err)
		}},
	{op: "sqs:GetQueueAttributes", docs: sqsDocs + "GetQueueAttributes.html", says: "a queue that there is not is NonExistentQueue",
		want: `{"error":"AWS.SimpleQueueService.NonExistentQueue"}`, run: func(t *target) any {
			_, err := t.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: awssdk.String(t.queue + "-none")})
			return refusal(err)
		}},
	{op: "sqs:SendMessage", docs: sqsDocs + "SendMessage.html", says: "the digest of the body",
		want: `"ed076287532e86365e841e92bfc50d8c"`, run: func(t *target) any {
			return must[*sqs.SendMessageOutput](t)(t.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &t.queue, MessageBody: awssdk.String("Hello World!")})).MD5OfMessageBody
		}},
	{op: "sqs:ReceiveMessage", docs: sqsDocs + "ReceiveMessage.html", says: "a received message is hidden from others",
		want: `{"again":[],"first":["hello"]}`, run: func(t *target) any {
			t.empty()
			t.send("hello")
			return m{"first": t.bodies(10), "again": t.bodies(10)}
		}},
	{op: "sqs:ReceiveMessage", docs: sqsDocs + "Message.html", says: "how often it was received, and when it was sent",
		want: `{"count":"2","sent":13}`, run: func(t *target) any {
			t.empty()
			t.send("hello")
			in := &sqs.ReceiveMessageInput{QueueUrl: &t.queue, VisibilityTimeout: 1, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}}
			must[*sqs.ReceiveMessageOutput](t)(t.sqs.ReceiveMessage(ctx, in))
			t.pass(2 * time.Second)
			if t.isMoto {
				time.Sleep(1100 * time.Millisecond)
			}
			a := must[*sqs.ReceiveMessageOutput](t)(t.sqs.ReceiveMessage(ctx, in)).Messages[0].Attributes
			return m{"count": a["ApproximateReceiveCount"], "sent": len(a["SentTimestamp"])}
		}},
	{op: "sqs:ReceiveMessage", docs: sqsDocs + "ReceiveMessage.html", says: "at most ten messages a call",
		want: `{"error":"InvalidParameterValue"}`, run: func(t *target) any {
			_, err := t.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &t.queue, MaxNumberOfMessages: 11})
			return refusal(err)
		}},
	{op: "sqs:ReceiveMessage", docs: sqsDocs + "ReceiveMessage.html", says: "a wait of at most twenty seconds",
		want: `{"error":"InvalidParameterValue"}`, run: func(t *target) any {
			_, err := t.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &t.queue, WaitTimeSeconds: 21})
			return refusal(err)
		}},
	{op: "sqs:DeleteMessage", docs: sqsDocs + "DeleteMessage.html", says: "a deleted message does not come again, and deleting it twice is no error",
		want: `{"after":[],"twice":"ok"}`, run: func(t *target) any {
			t.empty()
			t.send("hello")
			got := must[*sqs.ReceiveMessageOutput](t)(t.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &t.queue})).Messages[0]
			in := &sqs.DeleteMessageInput{QueueUrl: &t.queue, ReceiptHandle: got.ReceiptHandle}
			must[*sqs.DeleteMessageOutput](t)(t.sqs.DeleteMessage(ctx, in))
			_, err := t.sqs.DeleteMessage(ctx, in)
			t.pass(31 * time.Second)
			return m{"twice": refusal(err), "after": t.bodies(10)}
		}},
	{op: "sqs:DeleteMessage", docs: sqsDocs + "DeleteMessage.html", says: "a handle that was never given is ReceiptHandleIsInvalid",
		want: `{"error":"ReceiptHandleIsInvalid"}`, run: func(t *target) any {
			_, err := t.sqs.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &t.queue, ReceiptHandle: awssdk.String("nonsense")})
			return refusal(err)
		}},
	{op: "sqs:DeleteMessageBatch", docs: sqsDocs + "DeleteMessageBatch.html", says: "what was deleted and what was not, by entry",
		want: `{"failed":["b ReceiptHandleIsInvalid true"],"successful":["a"]}`, run: func(t *target) any {
			t.empty()
			t.send("hello")
			got := must[*sqs.ReceiveMessageOutput](t)(t.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &t.queue})).Messages[0]
			out := must[*sqs.DeleteMessageBatchOutput](t)(t.sqs.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &t.queue, Entries: []types.DeleteMessageBatchRequestEntry{
				{Id: awssdk.String("a"), ReceiptHandle: got.ReceiptHandle}, {Id: awssdk.String("b"), ReceiptHandle: awssdk.String("nonsense")}}}))
			good, bad := []string{}, []string{}
			for _, s := range out.Successful {
				good = append(good, *s.Id)
			}
			for _, f := range out.Failed {
				bad = append(bad, *f.Id+" "+*f.Code+" "+map[bool]string{true: "true", false: "false"}[f.SenderFault])
			}
			return m{"successful": good, "failed": bad}
		}},
	{op: "sqs:DeleteMessageBatch", docs: sqsDocs + "DeleteMessageBatch.html", says: "no entries are EmptyBatchRequest",
		want: `{"error":"AWS.SimpleQueueService.EmptyBatchRequest"}`, run: func(t *target) any {
			_, err := t.sqs.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &t.queue, Entries: []types.DeleteMessageBatchRequestEntry{}})
			return refusal(err)
		}},
	{op: "sqs:DeleteMessageBatch", docs: sqsDocs + "DeleteMessageBatch.html", says: "entries with the same id are BatchEntryIdsNotDistinct",
		want: `{"error":"AWS.SimpleQueueService.BatchEntryIdsNotDistinct"}`, run: func(t *target) any {
			e := types.DeleteMessageBatchRequestEntry{Id: awssdk.String("a"), ReceiptHandle: awssdk.String("x")}
			_, err := t.sqs.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &t.queue, Entries: []types.DeleteMessageBatchRequestEntry{e, e}})
			return refusal(err)
		}},
	{op: "sqs:ReceiveMessage", docs: "https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-event-reference.html", says: "a termination's lifecycle action comes as an event", alone: "moto sends no such events to queues",
		want: `{"fields":["AutoScalingGroupName","Destination","EC2InstanceId","LifecycleActionToken","LifecycleHookName","LifecycleTransition","Origin"],"source":"aws.autoscaling","transition":"autoscaling:EC2_INSTANCE_TERMINATING"}`,
		run: func(t *target) any {
			t.leave()
			e := t.event("EC2 Instance-terminate Lifecycle Action")
			return m{"source": e.Source, "transition": e.Detail["LifecycleTransition"], "fields": fields(e.Detail)}
		}},
	{op: "sqs:ReceiveMessage", docs: "https://docs.aws.amazon.com/health/latest/ug/aws-health-events-eventbridge-schema.html", says: "a scheduled retirement comes as an AWS Health event", alone: "moto sends no such events to queues",
		want: `{"category":"scheduledChange","code":"AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED","service":"EC2","source":"aws.health"}`, run: func(t *target) any {
			t.order("maintenance", emulator.Order{Instances: t.instances("web")[:1]})
			e := t.event("AWS Health Event")
			return m{"source": e.Source, "service": e.Detail["service"], "code": e.Detail["eventTypeCode"], "category": e.Detail["eventTypeCategory"]}
		}},
}

func (t *target) send(body string) {
	t.Helper()
	must[*sqs.SendMessageOutput](t)(t.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &t.queue, MessageBody: &body}))
}

func (t *target) bodies(most int32) []string {
	t.Helper()
	out := []string{}
	for _, x := range must[*sqs.ReceiveMessageOutput](t)(t.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &t.queue, MaxNumberOfMessages: most})).Messages {
		out = append(out, *x.Body)
	}
	return out
}

// empty takes what the world's beginning left in the queue out of it.
func (t *target) empty() {
	t.Helper()
	for {
		got := must[*sqs.ReceiveMessageOutput](t)(t.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &t.queue, MaxNumberOfMessages: 10})).Messages
		if len(got) == 0 {
			return
		}
		for _, x := range got {
			must[*sqs.DeleteMessageOutput](t)(t.sqs.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &t.queue, ReceiptHandle: x.ReceiptHandle}))
		}
	}
}

type envelope struct {
	Kind   string `json:"detail-type"`
	Source string `json:"source"`
	Detail m      `json:"detail"`
}

// event finds one of a kind in the queue.
func (t *target) event(kind string) envelope {
	t.Helper()
	for bodies := t.bodies(10); len(bodies) > 0; bodies = t.bodies(10) {
		for _, b := range bodies {
			var e envelope
			if err := json.Unmarshal([]byte(b), &e); err != nil {
				t.Fatal(err)
			}
			if e.Kind == kind {
				return e
			}
		}
	}
	return envelope{Kind: "none"}
}
