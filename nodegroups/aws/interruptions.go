package aws

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"swell/nodegroups"
)

// ErrNoQueue says that no queue with interruption notices is configured.
var ErrNoQueue = errors.New("no queue with interruption notices is configured: set queueURL")

// Received is a notice, and what to acknowledge it by.
type Received struct {
	nodegroups.Interruption
	Receipt string
	// left is how many notices of one message are not acknowledged yet.
	left *atomic.Int32
}

const (
	// longPoll is how long SQS waits for a message.
	longPoll = 20 * time.Second
	// hidden is how long a message that was received and not acknowledged is kept from others, whatever the queue's own setting:
	// a successor must have it well within a spot instance's two minutes.
	hidden = 30 * time.Second
)

// Interruptions waits up to 20 s for notices and returns them. Each comes again until it is acknowledged. Messages that are no
// notice of a loss are removed from the queue.
func (c *Client) Interruptions(ctx context.Context) ([]Received, error) {
	if c.options.QueueURL == "" {
		return nil, ErrNoQueue
	}
	call, cancel := context.WithTimeout(ctx, c.pollTimeout)
	defer cancel()
	out, err := c.sqs.ReceiveMessage(call, &sqs.ReceiveMessageInput{QueueUrl: &c.options.QueueURL, MaxNumberOfMessages: 10,
		WaitTimeSeconds: int32(longPoll / time.Second), VisibilityTimeout: int32(hidden / time.Second)})
	if err != nil {
		return nil, c.explain(err, "receiving interruption notices from %s", c.options.QueueURL)
	}
	var notices, others []Received
	for _, m := range out.Messages {
		receipt := awssdk.ToString(m.ReceiptHandle)
		told, err := c.read(awssdk.ToString(m.Body))
		if err != nil {
			c.options.Log.Warn("a message in the interruption queue cannot be read and is removed", "queue", c.options.QueueURL, "message", awssdk.ToString(m.MessageId), "error", err)
		}
		if len(told) == 0 {
			others = append(others, Received{Receipt: receipt})
			continue
		}
		left := &atomic.Int32{}
		left.Store(int32(len(told)))
		for _, n := range told {
			notices = append(notices, Received{Interruption: n, Receipt: receipt, left: left})
		}
	}
	if err := c.Ack(ctx, others...); err != nil {
		c.options.Log.Warn("messages that are no notice stay in the queue", "error", err)
	}
	return notices, nil
}

// Ack removes notices from the queue. A message with several goes with the last of them, so each is acknowledged once.
func (c *Client) Ack(ctx context.Context, notices ...Received) error {
	notices = slices.DeleteFunc(slices.Clone(notices), func(r Received) bool { return r.left != nil && r.left.Add(-1) > 0 })
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
