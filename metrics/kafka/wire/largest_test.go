package wire

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// largest is how many partitions the largest cluster has that one poller is meant for.
const largest = 100_000

// largeTopic is a name longer than most.
func largeTopic(n int) string { return fmt.Sprintf("%s.%06d", strings.Repeat("orders", 7), n) }

func largeMetadata(topics int) kmsg.Response {
	r := kmsg.NewPtrMetadataResponse()
	r.Version = 13
	for t := range topics {
		topic := kmsg.NewMetadataResponseTopic()
		topic.Topic, topic.TopicID = kmsg.StringPtr(largeTopic(t)), [16]byte{1, byte(t)}
		for n := range int32(largest / topics) {
			one := kmsg.NewMetadataResponseTopicPartition()
			one.Partition, one.Leader, one.Replicas, one.ISR = n, n%6, []int32{0, 1, 2}, []int32{0, 1, 2}
			topic.Partitions = append(topic.Partitions, one)
		}
		r.Topics = append(r.Topics, topic)
	}
	return r
}

func largeCommits(topics int, said string) kmsg.Response {
	r := kmsg.NewPtrOffsetFetchResponse()
	r.Version = 9
	for t := range topics {
		g, topic := kmsg.NewOffsetFetchResponseGroup(), kmsg.NewOffsetFetchResponseGroupTopic()
		g.Group, topic.Topic = fmt.Sprintf("group-%06d", t), largeTopic(t)
		for n := range int32(largest / topics) {
			one := kmsg.NewOffsetFetchResponseGroupTopicPartition()
			one.Partition, one.Offset, one.Metadata = n, int64(n), kmsg.StringPtr(said)
			topic.Partitions = append(topic.Partitions, one)
		}
		g.Topics = append(g.Topics, topic)
		r.Groups = append(r.Groups, g)
	}
	return r
}

func largeOffsets(topics int) kmsg.Response {
	r := kmsg.NewPtrListOffsetsResponse()
	r.Version = 10
	for t := range topics {
		topic := kmsg.NewListOffsetsResponseTopic()
		topic.Topic = largeTopic(t)
		for n := range int32(largest / topics) {
			one := kmsg.NewListOffsetsResponseTopicPartition()
			one.Partition, one.Offset = n, int64(n)
			topic.Partitions = append(topic.Partitions, one)
		}
		r.Topics = append(r.Topics, topic)
	}
	return r
}

func largeCoordinators() kmsg.Response {
	r := kmsg.NewPtrFindCoordinatorResponse()
	r.Version = 6
	for n := range largest / 2 {
		one := kmsg.NewFindCoordinatorResponseCoordinator()
		one.Key, one.Host = largeTopic(n), "broker-0.kafka-headless.kafka.svc.cluster.local"
		r.Coordinators = append(r.Coordinators, one)
	}
	return r
}

func largeGroups() kmsg.Response {
	r := kmsg.NewPtrListGroupsResponse()
	r.Version = 5
	for n := range largest / 2 {
		one := kmsg.NewListGroupsResponseGroup()
		one.Group, one.ProtocolType, one.GroupState, one.GroupType = largeTopic(n), "consumer", "Stable", "consumer"
		r.Groups = append(r.Groups, one)
	}
	return r
}

func TestTheLargestHonestAnswersArePassed(t *testing.T) {
	for name, resp := range map[string]kmsg.Response{
		"metadata, 100 topics":           largeMetadata(100),
		"metadata, 100,000 topics":       largeMetadata(largest),
		"commits, 2,000 groups":          largeCommits(2000, ""),
		"commits, 2,000 groups of words": largeCommits(2000, strings.Repeat("m", 60)),
		"offsets, 100 topics":            largeOffsets(100),
		"offsets, 100,000 topics":        largeOffsets(largest),
		"coordinators of 50,000 groups":  largeCoordinators(),
		"50,000 groups":                  largeGroups(),
	} {
		t.Run(name, func(t *testing.T) {
			body := resp.AppendTo([]byte{0})
			of, l := asked{key: resp.Key(), version: resp.GetVersion()}, layouts[resp.Key()]
			w, problem := walked(of, body)
			took, err := decode(of, body)
			t.Logf("%.1f MB, %.1f MB decoded (%.1f were counted)", float64(len(body))/1e6, float64(took)/1e6, float64(w.decoded)/1e6)
			if problem != "" || err != nil || int64(len(body))+4 > l.size {
				t.Errorf("%d bytes of at most %d: %s, %v", len(body), l.size, problem, err)
			}
			if took > most(w.decoded) {
				t.Errorf("%d bytes, and %d were counted", took, w.decoded)
			}
		})
	}
}

func BenchmarkCheck(b *testing.B) {
	for name, resp := range map[string]kmsg.Response{"metadata": largeMetadata(2000), "commits": largeCommits(2000, ""), "offsets": largeOffsets(2000)} {
		body := resp.AppendTo([]byte{0})
		of := asked{key: resp.Key(), version: resp.GetVersion()}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if problem := layouts[of.key].check(of, body); problem != "" {
					b.Fatal(problem)
				}
			}
		})
	}
}
