package conformance_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// patience is how long a broker may take to do what was asked of it; no case's result depends on it.
const patience = 30 * time.Second

// env is where one case runs.
type env struct {
	*testing.T
	target *target
	// name begins the names of the case's topics and groups.
	name string
	// dial is how the case's own clients come.
	dial   []kgo.Opt
	client *kgo.Client
	admin  *kadm.Client
}

// newEnv is an env whose clients may do everything where nobody is told apart.
func newEnv(t *testing.T, target *target, name string) *env {
	t.Helper()
	return newEnvOn(t, target, name, kgo.SeedBrokers(target.plain...))
}

func newEnvOn(t *testing.T, target *target, name string, dial ...kgo.Opt) *env {
	t.Helper()
	// Topics come and go, and their clients must hear of it at once.
	dial = append(dial, kgo.MetadataMinAge(20*time.Millisecond))
	e := &env{T: t, target: target, name: strings.NewReplacer(" ", "-", "'", "").Replace(name), dial: dial}
	e.client = e.open(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	e.admin = kadm.NewClient(e.client)
	return e
}

// open makes a client that ends with the case.
func (e *env) open(opts ...kgo.Opt) *kgo.Client {
	e.Helper()
	client, err := kgo.NewClient(slices.Concat(e.dial, opts)...)
	if err != nil {
		e.Fatalf("make a client: %v", err)
	}
	e.Cleanup(client.Close)
	return client
}

// topic makes a topic with configuration given as key, value, key, value…
func (e *env) topic(name string, partitions int32, config ...string) {
	e.Helper()
	configs := map[string]*string{}
	for i := 0; i < len(config); i += 2 {
		configs[config[i]] = &config[i+1]
	}
	if _, err := e.admin.CreateTopic(e.Context(), partitions, 1, configs, name); err != nil {
		e.Fatalf("make topic %s: %v", name, err)
	}
	// A real broker knows a topic a moment after it was made.
	e.until("topic "+name+" is led", func() (bool, error) {
		offsets, err := e.admin.ListEndOffsets(e.Context(), name)
		led := 0
		offsets.Each(func(o kadm.ListedOffset) {
			if o.Err == nil {
				led++
			}
		})
		return err == nil && led == int(partitions), err
	})
}

// produce writes n messages, one by one, and is their records with offsets and stamps.
func (e *env) produce(topic string, partition int32, n int) []*kgo.Record {
	e.Helper()
	records := make([]*kgo.Record, n)
	for i := range records {
		records[i] = &kgo.Record{Topic: topic, Partition: partition, Value: fmt.Append(nil, i)}
	}
	e.write(e.client, records...)
	return records
}

// write waits for each message before the next, so that each is a batch of its own.
func (e *env) write(client *kgo.Client, records ...*kgo.Record) {
	e.Helper()
	for _, r := range records {
		if err := client.ProduceSync(e.Context(), r).FirstErr(); err != nil {
			e.Fatalf("produce to %s/%d: %v", r.Topic, r.Partition, err)
		}
	}
}

// commit commits for a group without members, as one that assigns partitions by hand does.
func (e *env) commit(group, topic string, partition int32, at int64) {
	e.Helper()
	offsets := kadm.Offsets{}
	offsets.AddOffset(topic, partition, at, -1)
	if err := e.admin.CommitAllOffsets(e.Context(), group, offsets); err != nil {
		e.Fatalf("commit %d of %s/%d for %s: %v", at, topic, partition, group, err)
	}
}

func (e *env) deleteRecords(topic string, partition int32, before int64) {
	e.Helper()
	offsets := kadm.Offsets{}
	offsets.AddOffset(topic, partition, before, -1)
	if _, err := e.admin.DeleteRecords(e.Context(), offsets); err != nil {
		e.Fatalf("delete records of %s/%d: %v", topic, partition, err)
	}
}

func (e *env) deleteTopic(topic string) {
	e.Helper()
	if _, err := e.admin.DeleteTopic(e.Context(), topic); err != nil {
		e.Fatalf("delete topic %s: %v", topic, err)
	}
	e.client.PurgeTopicsFromClient(topic)
}

// groupConfig sets a configuration of a group, which a share group reads before it has members.
func (e *env) groupConfig(group, key, value string) {
	e.Helper()
	resource := kmsg.NewIncrementalAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeGroupConfig, group
	config := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	config.Name, config.Value = key, &value
	resource.Configs = append(resource.Configs, config)
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Resources = append(req.Resources, resource)
	resp, err := req.RequestWith(e.Context(), e.client)
	if err != nil {
		e.Fatalf("configure group %s: %v", group, err)
	}
	for _, r := range resp.Resources {
		if r.ErrorCode != 0 {
			e.Fatalf("configure group %s: error %d: %v", group, r.ErrorCode, r.ErrorMessage)
		}
	}
}

// member is a client whose membership lasts until the target ends, so that the tools see a group that lives.
func (e *env) member(opts ...kgo.Opt) *kgo.Client {
	e.Helper()
	client, err := kgo.NewClient(slices.Concat(e.dial, []kgo.Opt{kgo.FetchMaxWait(200 * time.Millisecond), kgo.WithContext(e.target.ctx)}, opts)...)
	if err != nil {
		e.Fatalf("make a member: %v", err)
	}
	e.target.atEnd(client.Close)
	return client
}

// readSome polls until at least n messages came.
func (e *env) readSome(client *kgo.Client, n int) []*kgo.Record {
	e.Helper()
	ctx, cancel := context.WithTimeout(e.Context(), patience)
	defer cancel()
	var records []*kgo.Record
	for len(records) < n {
		fetches := client.PollRecords(ctx, n-len(records))
		if err := fetches.Err(); err != nil {
			e.Fatalf("read %d messages, have %d: %v", n, len(records), err)
		}
		records = append(records, fetches.Records()...)
	}
	return records
}

// readAll is every message that a partition holds from an offset on, as a consumer of an isolation reads it.
func (e *env) readAll(topic string, partition int32, from int64, isolation kgo.IsolationLevel) []*kgo.Record {
	e.Helper()
	ends, err := e.admin.ListEndOffsets(e.Context(), topic)
	if isolation == kgo.ReadCommitted() {
		ends, err = e.admin.ListCommittedOffsets(e.Context(), topic)
	}
	if err != nil {
		e.Fatalf("list the ends of %s: %v", topic, err)
	}
	end, _ := ends.Lookup(topic, partition)
	client := e.open(kgo.FetchIsolationLevel(isolation), kgo.KeepControlRecords(), kgo.FetchMaxWait(200*time.Millisecond),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: kgo.NewOffset().At(from)}}))
	defer client.Close()
	ctx, cancel := context.WithTimeout(e.Context(), patience)
	defer cancel()
	var records []*kgo.Record
	for next := from; next < end.Offset; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			e.Fatalf("read %s/%d from %d to %d, at %d: %v", topic, partition, from, end.Offset, next, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			next = r.Offset + 1
			if !r.Attrs.IsControl() {
				records = append(records, r)
			}
		})
	}
	return records
}

// until waits for what a broker does in its own time.
func (e *env) until(what string, done func() (bool, error)) {
	e.Helper()
	var (
		ok  bool
		err error
	)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if ok, err = done(); ok {
			return
		}
	}
	e.Fatalf("waited %s until %s; last error: %v", patience, what, err)
}
