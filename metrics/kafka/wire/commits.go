package wire

import "github.com/twmb/franz-go/pkg/kmsg"

// CommitsSize is how much of an answer to OffsetFetch one group takes at most, in bytes: as many groups as together take no more than
// MaxOther find room in one.
func CommitsSize(one *kmsg.OffsetFetchResponseGroup) int64 {
	size := int64(64 + len(one.Group))
	for i := range one.Topics {
		t := &one.Topics[i]
		size += int64(64 + len(t.Topic) + 40*len(t.Partitions))
		for j := range t.Partitions {
			if said := t.Partitions[j].Metadata; said != nil {
				size += int64(len(*said))
			}
		}
	}
	return size
}
