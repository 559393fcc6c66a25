package aws

import (
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

var sqsService service

func init() {
	sqsService = service{
		name: "sqs",
		actions: map[string]func(*Emulator, *request) (any, *apiError){
			"GetQueueUrl":        (*Emulator).getQueueURL,
			"GetQueueAttributes": (*Emulator).getQueueAttributes,
			"ReceiveMessage":     (*Emulator).receiveMessage,
			"SendMessage":        (*Emulator).sendMessage,
			"DeleteMessage":      (*Emulator).deleteMessage,
			"DeleteMessageBatch": (*Emulator).deleteMessages,
		},
		throttle: apiError{Status: http.StatusBadRequest, Code: "ThrottlingException", Message: "Rate exceeded"},
		denied:   apiError{Status: http.StatusForbidden, Code: "AccessDenied"},
		write: func(w http.ResponseWriter, _, _ string, result any) {
			if result == nil {
				result = struct{}{}
			}
			writeJSON(w, http.StatusOK, jsonContent, result)
		},
		fail: failSQS,
	}
}

const jsonContent = "application/x-amz-json-1.0"

// queryCodes are the names that errors had before SQS spoke JSON; the SDK still reports these.
var queryCodes = map[string]string{
	"QueueDoesNotExist":            "AWS.SimpleQueueService.NonExistentQueue",
	"EmptyBatchRequest":            "AWS.SimpleQueueService.EmptyBatchRequest",
	"TooManyEntriesInBatchRequest": "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
	"BatchEntryIdsNotDistinct":     "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
}

func failSQS(w http.ResponseWriter, _ string, err *apiError) {
	if old, ok := queryCodes[err.Code]; ok {
		w.Header().Set("X-Amzn-Query-Error", old+";Sender")
	}
	writeJSON(w, err.Status, jsonContent, map[string]string{"__type": "com.amazonaws.sqs#" + err.Code, "message": err.Message})
}

// sqsInput has the fields of every action's input that is read here.
type sqsInput struct {
	QueueName           string
	QueueUrl            string
	MaxNumberOfMessages *int
	WaitTimeSeconds     int
	VisibilityTimeout   *int
	MessageBody         *string
	ReceiptHandle       string
	AttributeNames      []string
	Entries             []struct{ Id, ReceiptHandle string }
}

func (e *Emulator) queueInput(r *request) (sqsInput, *apiError) {
	var in sqsInput
	if err := json.Unmarshal(r.body, &in); err != nil {
		return in, refuse(http.StatusBadRequest, "SerializationException", "The body is not valid JSON: %v", err)
	}
	name := in.QueueName
	if name == "" {
		name = in.QueueUrl[strings.LastIndexByte(in.QueueUrl, '/')+1:]
	}
	if name != e.fleet.Queue {
		return in, refuse(http.StatusBadRequest, "QueueDoesNotExist", "The specified queue does not exist.")
	}
	r.call.Group = name
	return in, nil
}

func (e *Emulator) getQueueURL(r *request) (any, *apiError) {
	if _, bad := e.queueInput(r); bad != nil {
		return nil, bad
	}
	return map[string]string{"QueueUrl": fmt.Sprintf("http://%s/%s/%s", r.http.Host, account, e.fleet.Queue)}, nil
}

// getQueueAttributes gives the attributes that are asked for, those that a queue has by default.
func (e *Emulator) getQueueAttributes(r *request) (any, *apiError) {
	in, bad := e.queueInput(r)
	if bad != nil {
		return nil, bad
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	hidden := 0
	for _, m := range e.state.messages {
		if r.now.Before(m.visibleAfter) {
			hidden++
		}
	}
	made := strconv.FormatInt(e.started.Unix(), 10)
	all := map[string]string{
		"ApproximateNumberOfMessages": strconv.Itoa(len(e.state.messages) - hidden), "ApproximateNumberOfMessagesNotVisible": strconv.Itoa(hidden), "ApproximateNumberOfMessagesDelayed": "0",
		"CreatedTimestamp": made, "LastModifiedTimestamp": made, "VisibilityTimeout": "30", "MessageRetentionPeriod": "345600", "DelaySeconds": "0",
		"ReceiveMessageWaitTimeSeconds": "0", "QueueArn": fmt.Sprintf("arn:aws:sqs:%s:%s:%s", e.fleet.Region, account, e.fleet.Queue),
	}
	out := map[string]string{}
	for _, name := range in.AttributeNames {
		switch v, ok := all[name]; {
		case name == "All":
			out = all
		case ok:
			out[name] = v
		case !slices.Contains(queueSettings, name):
			return nil, refuse(http.StatusBadRequest, "InvalidAttributeName", "Unknown Attribute %s.", name)
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	return map[string]any{"Attributes": out}, nil
}

// queueSettings are attributes that a queue may have and this one does not.
var queueSettings = []string{"Policy", "RedrivePolicy", "RedriveAllowPolicy", "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "SqsManagedSseEnabled", "FifoQueue",
	"ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit", "MaximumMessageSize"}

type receivedMessage struct {
	MessageId     string
	ReceiptHandle string
	MD5OfBody     string
	Body          string
	Attributes    map[string]string
}

func (e *Emulator) receiveMessage(r *request) (any, *apiError) {
	in, bad := e.queueInput(r)
	if bad != nil {
		return nil, bad
	}
	most, visibility := 1, 30
	if in.MaxNumberOfMessages != nil {
		most = *in.MaxNumberOfMessages
	}
	if in.VisibilityTimeout != nil {
		visibility = *in.VisibilityTimeout
	}
	if most < 1 || most > 10 {
		return nil, refuse(http.StatusBadRequest, "InvalidParameterValue", "Value %d for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.", most)
	}
	if in.WaitTimeSeconds < 0 || in.WaitTimeSeconds > 20 {
		return nil, refuse(http.StatusBadRequest, "InvalidParameterValue", "Value %d for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided.", in.WaitTimeSeconds)
	}
	timeout := time.NewTimer(e.fleet.shorten(time.Duration(in.WaitTimeSeconds) * time.Second))
	defer timeout.Stop()
	for {
		out, changed, next := e.take(most, time.Duration(visibility)*time.Second)
		if len(out) > 0 || in.WaitTimeSeconds == 0 {
			r.call.Count = len(out)
			return map[string]any{"Messages": out}, nil
		}
		again := time.NewTimer(next)
		select {
		case <-changed:
		case <-again.C:
		case <-timeout.C:
			again.Stop()
			return map[string]any{}, nil
		case <-r.http.Context().Done():
			again.Stop()
			return map[string]any{}, nil
		}
		again.Stop()
	}
}

// take receives what is visible, and tells what to wait for if nothing is.
func (e *Emulator) take(most int, visibility time.Duration) ([]receivedMessage, <-chan struct{}, time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	next := 20 * time.Second
	var out []receivedMessage
	for _, m := range e.state.messages {
		if len(out) == most {
			break
		}
		if now.Before(m.visibleAfter) {
			next = min(next, max(m.visibleAfter.Sub(now), time.Millisecond))
			continue
		}
		if m.received++; m.received == 1 {
			m.first = now
		}
		m.visibleAfter, m.receipt = now.Add(e.fleet.shorten(visibility)), m.ID+"#"+rand.Text()
		out = append(out, receivedMessage{MessageId: m.ID, ReceiptHandle: m.receipt, MD5OfBody: md5of(m.Body), Body: m.Body, Attributes: map[string]string{
			"SentTimestamp": millis(m.Sent), "ApproximateReceiveCount": strconv.Itoa(m.received), "ApproximateFirstReceiveTimestamp": millis(m.first)}})
	}
	return out, e.changed, next
}

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

func md5of(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

func (e *Emulator) sendMessage(r *request) (any, *apiError) {
	in, bad := e.queueInput(r)
	if bad != nil {
		return nil, bad
	}
	if in.MessageBody == nil || *in.MessageBody == "" {
		return nil, refuse(http.StatusBadRequest, "MissingParameter", "The request must contain the parameter MessageBody.")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.change(r.now)
	id := e.send(c, *in.MessageBody)
	c.commit()
	return map[string]string{"MessageId": id, "MD5OfMessageBody": md5of(*in.MessageBody)}, nil
}

// send puts a message into the queue. The lock is held.
func (e *Emulator) send(c *change, body string) string {
	id := e.uuid("message", e.state.sent)
	c.do(record{Op: opSend, Message: &message{ID: id, Body: body, Sent: c.t.At}})
	return id
}

func (e *Emulator) uuid(what string, n int) string {
	a, b := e.hash(what+" a", uint64(n)), e.hash(what+" b", uint64(n))
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", uint32(a), uint16(a>>32), a>>52, b>>52, b&(1<<48-1))
}

// announce sends an event of EC2 about an instance. The lock is held.
func (e *Emulator) announce(c *change, i *instance, kind string, detail map[string]string) {
	e.publish(c, kind, "aws.ec2", []string{fmt.Sprintf("arn:aws:ec2:%s:%s:instance/%s", e.fleet.Region, account, i.ID)}, detail)
}

func (e *Emulator) deleteMessage(r *request) (any, *apiError) {
	in, bad := e.queueInput(r)
	if bad != nil {
		return nil, bad
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.change(r.now)
	if bad := e.drop(c, in.ReceiptHandle); bad != nil {
		return nil, bad
	}
	c.commit()
	return nil, nil
}

// drop deletes a message by its receipt. One that is deleted already, or was received again since, is no error.
func (e *Emulator) drop(c *change, receipt string) *apiError {
	id, _, ok := strings.Cut(receipt, "#")
	if !ok {
		return refuse(http.StatusBadRequest, "ReceiptHandleIsInvalid", "The input receipt handle \"%s\" is not a valid receipt handle.", receipt)
	}
	if slices.ContainsFunc(e.state.messages, func(m *message) bool { return m.ID == id }) {
		c.do(record{Op: opDelete, ID: id})
	}
	return nil
}

func (e *Emulator) deleteMessages(r *request) (any, *apiError) {
	in, bad := e.queueInput(r)
	if bad != nil {
		return nil, bad
	}
	if len(in.Entries) == 0 {
		return nil, refuse(http.StatusBadRequest, "EmptyBatchRequest", "There should be at least one DeleteMessageBatchRequestEntry in the request.")
	}
	if len(in.Entries) > 10 {
		return nil, refuse(http.StatusBadRequest, "TooManyEntriesInBatchRequest", "Maximum number of entries per request are 10. You have sent %d.", len(in.Entries))
	}
	seen := map[string]bool{}
	for _, entry := range in.Entries {
		if seen[entry.Id] {
			return nil, refuse(http.StatusBadRequest, "BatchEntryIdsNotDistinct", "Id %s repeated.", entry.Id)
		}
		seen[entry.Id] = true
	}
	type failed struct {
		Id, Code, Message string
		SenderFault       bool
	}
	out := struct {
		Successful []map[string]string
		Failed     []failed
	}{Successful: []map[string]string{}, Failed: []failed{}}
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.change(r.now)
	for _, entry := range in.Entries {
		if bad := e.drop(c, entry.ReceiptHandle); bad != nil {
			out.Failed = append(out.Failed, failed{entry.Id, bad.Code, bad.Message, true})
			continue
		}
		out.Successful = append(out.Successful, map[string]string{"Id": entry.Id})
	}
	c.commit()
	r.call.Count = len(out.Successful)
	return out, nil
}
