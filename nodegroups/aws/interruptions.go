package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"swell/nodegroups"
)

// ErrNoQueue says that no queue with interruption notices is configured.
var ErrNoQueue = errors.New("no queue with interruption notices is configured: set queueURL")

// spotNotice is how long before its end a spot instance is told.
const spotNotice = 2 * time.Minute

// Received is a notice, and what to acknowledge it by.
type Received struct {
	nodegroups.Interruption
	Receipt string
}

// longPoll is how long SQS waits for a message.
const longPoll = 20 * time.Second

// Interruptions waits up to 20 s for notices and returns them. Each comes again until it is acknowledged. Messages that are no
// notice of a loss are removed from the queue.
func (c *Client) Interruptions(ctx context.Context) ([]Received, error) {
	if c.options.QueueURL == "" {
		return nil, ErrNoQueue
	}
	call, cancel := context.WithTimeout(ctx, c.pollTimeout)
	defer cancel()
	out, err := c.sqs.ReceiveMessage(call, &sqs.ReceiveMessageInput{QueueUrl: &c.options.QueueURL, MaxNumberOfMessages: 10, WaitTimeSeconds: int32(longPoll / time.Second)})
	if err != nil {
		return nil, c.explain(err, "receiving interruption notices from %s", c.options.QueueURL)
	}
	var notices, others []Received
	for _, m := range out.Messages {
		r := Received{Receipt: awssdk.ToString(m.ReceiptHandle)}
		notice, ok, err := c.interruption(awssdk.ToString(m.Body))
		if err != nil {
			c.options.Log.Warn("a message in the interruption queue cannot be read and is removed", "queue", c.options.QueueURL, "message", awssdk.ToString(m.MessageId), "error", err)
		}
		if !ok {
			others = append(others, r)
			continue
		}
		r.Interruption = notice
		notices = append(notices, r)
	}
	if err := c.Ack(ctx, others...); err != nil {
		c.options.Log.Warn("messages that are no notice stay in the queue", "error", err)
	}
	return notices, nil
}

// interruption reads one EventBridge event; ok is false for what tells of no loss.
func (c *Client) interruption(body string) (n nodegroups.Interruption, ok bool, err error) {
	var event struct {
		DetailType string    `json:"detail-type"`
		Time       time.Time `json:"time"`
		Detail     struct {
			InstanceID string `json:"instance-id"`
			State      string `json:"state"`
		} `json:"detail"`
	}
	if err := json.Unmarshal([]byte(body), &event); err != nil {
		return n, false, fmt.Errorf("reading an event: %w; send EventBridge's EC2 events to the queue as they are", err)
	}
	n = nodegroups.Interruption{InstanceID: event.Detail.InstanceID, At: c.options.Clock.At(event.Time)}
	switch event.DetailType {
	case "EC2 Spot Instance Interruption Warning":
		n.Kind, n.Deadline = nodegroups.SpotInterruption, n.At.Add(spotNotice)
	case "EC2 Instance Rebalance Recommendation":
		n.Kind = nodegroups.RebalanceNotice
	case "EC2 Instance State-change Notification":
		if !slices.Contains([]string{"stopping", "stopped", "shutting-down", "terminated"}, event.Detail.State) {
			return n, false, nil
		}
		n.Kind = nodegroups.InstanceTerminating
	default:
		return n, false, nil
	}
	if n.InstanceID == "" {
		return n, false, fmt.Errorf("reading an event %q: detail.instance-id is missing; send EventBridge's EC2 events to the queue as they are", event.DetailType)
	}
	return n, true, nil
}

// Ack removes notices from the queue.
func (c *Client) Ack(ctx context.Context, notices ...Received) error {
	var failed error
	for batch := range slices.Chunk(notices, 10) {
		in := &sqs.DeleteMessageBatchInput{QueueUrl: &c.options.QueueURL}
		for n, r := range batch {
			in.Entries = append(in.Entries, sqstypes.DeleteMessageBatchRequestEntry{Id: awssdk.String(strconv.Itoa(n)), ReceiptHandle: awssdk.String(r.Receipt)})
		}
		call, cancel := context.WithTimeout(ctx, c.options.CallTimeout)
		out, err := c.sqs.DeleteMessageBatch(call, in)
		cancel()
		if err != nil {
			failed = errors.Join(failed, c.explain(err, "acknowledging %d notices at %s", len(batch), c.options.QueueURL))
			continue
		}
		for _, f := range out.Failed {
			failed = errors.Join(failed, fmt.Errorf("acknowledging a notice at %s: %s: %s; it will come again", c.options.QueueURL, awssdk.ToString(f.Code), awssdk.ToString(f.Message)))
		}
	}
	return failed
}
