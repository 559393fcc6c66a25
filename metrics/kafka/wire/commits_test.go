package wire

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

func TestCommitsSizeIsNoLessThanWhatTheyTake(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := kmsg.NewPtrOffsetFetchResponse()
		r.Version = 9
		size := int64(0)
		for range rapid.IntRange(1, 4).Draw(t, "groups") {
			g := kmsg.NewOffsetFetchResponseGroup()
			g.Group = strings.Repeat("g", rapid.IntRange(0, 300).Draw(t, "name"))
			for range rapid.IntRange(0, 4).Draw(t, "topics") {
				topic := kmsg.NewOffsetFetchResponseGroupTopic()
				topic.Topic = strings.Repeat("t", rapid.IntRange(0, 249).Draw(t, "topic"))
				for n := range rapid.Int32Range(0, 300).Draw(t, "partitions") {
					one := kmsg.NewOffsetFetchResponseGroupTopicPartition()
					one.Partition = n
					if said := rapid.IntRange(-1, 200).Draw(t, "metadata"); said >= 0 {
						one.Metadata = kmsg.StringPtr(strings.Repeat("m", said))
					}
					topic.Partitions = append(topic.Partitions, one)
				}
				g.Topics = append(g.Topics, topic)
			}
			size += CommitsSize(&g)
			r.Groups = append(r.Groups, g)
		}
		body := r.AppendTo([]byte{0})
		w := layouts[r.Key()].walker(asked{key: r.Key(), version: r.Version}, body)
		if w.problem != "" || size < int64(len(body)) || 2*size < w.decoded {
			t.Fatalf("%d bytes, and it is %d, %d decoded (%s)", size, len(body), w.decoded, w.problem)
		}
	})
	if maxOtherDecoded < 2*maxOther {
		t.Error("what finds room as it comes may be too large when it is decoded")
	}
}
