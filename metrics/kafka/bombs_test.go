package kafka

import (
	"encoding/binary"
	"runtime"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Parts of an answer that is put together by hand: so many bytes of zero, or one of these.
const (
	none  = -1 - iota // a null
	empty             // no bytes, or no elements
	claim             // as many elements as bytes are left
	tags              // as many tags as can be said
)

// bomb is an answer of a size that claims as much as can be believed of it.
func bomb(size int, parts ...int) []byte {
	b := make([]byte, 0, size)
	for _, part := range parts {
		switch part {
		case none:
			b = append(b, 0)
		case empty:
			b = append(b, 1)
		case claim:
			b = binary.AppendUvarint(b, uint64(size-len(b)-8))
		case tags:
			b = binary.AppendUvarint(b, 1<<32-1)
		default:
			b = append(b, make([]byte, part)...)
		}
	}
	return b[:size]
}

// bombs are the worst of each kind that a poll asks for, all of the newest version.
func bombs(size int) map[kmsg.Key][]byte {
	return map[kmsg.Key][]byte{
		kmsg.ApiVersions:               bomb(size, 2, claim),
		kmsg.Metadata:                  bomb(size, 1, 4, empty, none, 4, claim, 2, none, 16, 1, claim, 14, claim),
		kmsg.FindCoordinator:           bomb(size, 1, 4, claim),
		kmsg.OffsetFetch:               bomb(size, 1, 4, claim, empty, claim, empty, claim),
		kmsg.ListOffsets:               bomb(size, 1, 4, claim, empty, claim),
		kmsg.ListGroups:                bomb(size, 1, 4, 2, claim),
		kmsg.DescribeConfigs:           bomb(size, 1, 4, claim, 2, empty, 1, empty, claim, empty, empty, 3, claim),
		kmsg.DescribeShareGroupOffsets: bomb(size, 1, 4, claim, empty, claim, empty, 16, claim),
		kmsg.Fetch:                     bomb(size, 1, 4, 2, 4, claim, 16, claim, 30, claim),
	}
}

// allocated is how many bytes something takes from the heap, those that are given back as well.
func allocated(do func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

func TestHostileClaimsCostNoMemory(t *testing.T) {
	const size = 1 << 20
	for key, body := range bombs(size) {
		t.Run(key.Name(), func(t *testing.T) {
			tr := newTrap(t, 1)
			_, step := tr.caught()
			tr.spring(map[kmsg.Key][]byte{key: body})
			took := allocated(func() {
				for range 8 {
					step()
				}
			})
			asked := tr.requests(key)
			t.Logf("%d requests took %d times their answers' size", asked, took/size/max(asked, 1))
			if asked == 0 || took > asked*3*size+16<<20 {
				t.Errorf("%d answers of %d bytes took %d", asked, size, took)
			}
		})
	}
}

// largestCommits is an answer that is let through and takes nearly as much as any may.
func largestCommits() []byte {
	r := kmsg.NewPtrOffsetFetchResponse()
	r.Version = offsetFetchMost
	g, topic := kmsg.NewOffsetFetchResponseGroup(), kmsg.NewOffsetFetchResponseGroupTopic()
	g.Group, topic.Topic = "g1", "orders"
	for n := range int32(300_000) {
		one := kmsg.NewOffsetFetchResponseGroupTopicPartition()
		one.Partition, one.Offset, one.Metadata = n, 1, kmsg.StringPtr("")
		topic.Partitions = append(topic.Partitions, one)
	}
	g.Topics = append(g.Topics, topic)
	r.Groups = append(r.Groups, g)
	return r.AppendTo([]byte{0})
}

// TestSixHostileBrokersAtOnce answer what is refused, and the most that is not.
func TestSixHostileBrokersAtOnce(t *testing.T) {
	const mib = 1 << 20
	for name, tc := range map[string]struct {
		key    kmsg.Key
		body   []byte
		answer int
	}{
		"refused":     {kmsg.OffsetFetch, bombs(12 * mib)[kmsg.OffsetFetch][:12*mib-4], 13 * mib},
		"too large":   {kmsg.OffsetFetch, make([]byte, 12*mib), mib},
		"no metadata": {kmsg.Metadata, bombs(24 * mib)[kmsg.Metadata][:24*mib-4], 25 * mib},
		"let through": {kmsg.OffsetFetch, largestCommits(), 48 * mib},
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTrap(t, 6)
			p, step := tr.caught()
			step()
			tr.spring(map[kmsg.Key][]byte{tc.key: tc.body})
			p.view.stale()
			took := allocated(step)
			n := tr.requests(tc.key)
			t.Logf("%d answers of %d bytes took %d MiB", n, len(tc.body), took/mib)
			if n == 0 || n > 7 || took > n*tc.answer+8*mib {
				t.Errorf("%d answers of %d bytes took %d", n, len(tc.body), took)
			}
		})
	}
}

func TestHostileBrokerIsLeftAlone(t *testing.T) {
	const polls = 20
	tr := newTrap(t, 3)
	tr.mean = func(broker int) bool { return broker == 1 }
	p, step := tr.caught()
	step()
	hostile := bombs(1 << 16)
	delete(hostile, kmsg.ApiVersions)
	tr.spring(hostile)
	for range polls {
		step()
	}
	n := 0
	for key := range hostile {
		n += tr.requests(key)
	}
	// In every second poll it is asked for commits or for offsets, and now and then for what any broker could say.
	if n == 0 || n > polls {
		t.Errorf("it was asked %d times in %d polls: %v", n, polls, tr.asked)
	}
	if failing := p.Stats().Failing; failing[1] == "" || failing[0] != "" || failing[2] != "" {
		t.Errorf("failing: %v", failing)
	}
}
