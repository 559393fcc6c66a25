package stack_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"swell/api/config"
	"swell/bench/testbed/aws"
	"swell/bench/testbed/controlplane"
	"swell/bench/testbed/kafka"
	"swell/bench/testbed/stack"
)

// 300 messages over six partitions, 100 of them committed: swell-metrics must give 200 through the API server, from a real
// broker as from kfake.
func TestTheLagOfARealBrokerIsServed(t *testing.T) {
	for _, real := range []bool{false, true} {
		t.Run(fmt.Sprintf("real=%t", real), func(t *testing.T) {
			st := boot(t, real)
			produce(t, st.Kafka.Bootstrap)
			st.Clock = config.Clock{}
			if err := st.StartMetrics(t.Context(), stack.MetricsOptions{PollEvery: time.Second}); err != nil {
				t.Fatal(err)
			}
			err := stack.Poll(t.Context(), "waiting for the lag", 30*time.Second, func(ctx context.Context) (bool, error) {
				raw, err := st.Kube.Discovery().RESTClient().Get().
					AbsPath("/apis/external.metrics.k8s.io/v1beta1/namespaces/default/kafka_consumergroup_lag").
					Param("labelSelector", "cluster=main,group=orders,topic=orders").DoRaw(ctx)
				if err != nil {
					return false, err
				}
				var list struct {
					Items []struct {
						Value string `json:"value"`
					} `json:"items"`
				}
				if err := json.Unmarshal(raw, &list); err != nil {
					return false, err
				}
				if len(list.Items) != 1 || list.Items[0].Value != "200" {
					return false, fmt.Errorf("the API server gives %s", raw)
				}
				return true, nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func boot(t *testing.T, real bool) *stack.Stack {
	t.Helper()
	controlplane.BinaryForTest(t)
	fleet := aws.Fleet{
		Region:        "ap-northeast-1",
		InstanceTypes: map[string]aws.InstanceType{"m6i.4xlarge": {VCPU: 16, MemoryMiB: 64 << 10}},
		Prices:        map[string]aws.Price{"m6i.4xlarge": {OnDemand: 1, Spot: 0.35}},
		Groups:        []aws.Group{{Name: "a", Zone: "ap-northeast-1a", Market: "spot", Max: 1, InstanceTypes: []string{"m6i.4xlarge"}}},
	}
	st, err := stack.Start(t.Context(), stack.Options{Fleet: fleet, Topics: map[string]int{"orders": 6}, RealKafka: real})
	if errors.Is(err, kafka.ErrNoJava) && !strings.Contains(os.Getenv("SWELL_REQUIRE"), "kafka") {
		t.Skipf("skipped: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Stop(); err != nil {
			t.Error(err)
		}
	})
	return st
}

// produce puts 50 messages into each of six partitions and commits 100 in all.
func produce(t *testing.T, bootstrap string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.DefaultProduceTopic("orders"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for i := range 300 {
		if err := client.ProduceSync(t.Context(), &kgo.Record{Partition: int32(i % 6), Value: []byte("x")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	var offsets kadm.Offsets
	for p, n := range []int64{50, 30, 10, 5, 5, 0} {
		offsets.AddOffset("orders", int32(p), n, -1)
	}
	committed, err := kadm.NewClient(client).CommitOffsets(t.Context(), "orders", offsets)
	if err := errors.Join(err, committed.Error()); err != nil {
		t.Fatal(err)
	}
}
