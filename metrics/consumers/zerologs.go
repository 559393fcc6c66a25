package consumers

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"swell/api/v1alpha1"
	"swell/metrics/lag"
)

// logEnd is where one partition's log ended. A topic that is made anew has other logs.
type logEnd struct {
	topic     string
	partition int32
	topicID   [16]byte
	end       int64
}

// logsOf are the logs whose ends are known, and the sum of these.
func logsOf(readings []lag.Reading, isolation v1alpha1.Isolation) (logs []logEnd, appended int64) {
	logs = make([]logEnd, 0, len(readings))
	for _, r := range readings {
		end := r.Stable
		if isolation == v1alpha1.ReadUncommitted {
			end = r.End
		}
		if end >= 0 && r.Partition != lag.NoPartition {
			logs = append(logs, logEnd{r.Topic, r.Partition, r.TopicID, end})
			appended += end
		}
	}
	return logs, appended
}

// nameOf is the same for the same logs, whatever their ends and whoever asks.
func nameOf(logs []logEnd) string {
	h := fnv.New64a()
	for _, l := range logs {
		_, _ = h.Write([]byte(l.topic))
		_, _ = h.Write(l.topicID[:])
		_, _ = h.Write(binary.BigEndian.AppendUint32(nil, uint32(l.partition)))
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

// baseline is where a group's logs ended when its workload went to none, or when that was first seen.
type baseline struct {
	// appended is the sum of their ends; -1: nothing is known.
	appended int64
	// name is their nameOf; empty: not known.
	name string
	// logs is nil where the baseline is from a status, which has their sum and name alone.
	logs []logEnd
}

var noBaseline = baseline{appended: -1}

// baselineOf takes a poll of which everything is known.
func baselineOf(s sight) baseline {
	return baseline{appended: s.appended, name: nameOf(s.logs), logs: s.logs}
}

// produced says that a message was, since then. What is known of the ends is proof enough, whatever is unknown besides. A log that is
// new and not empty counts: its topic was made anew, or partitions were added.
func (b baseline) produced(s sight) bool {
	switch {
	case b.appended < 0:
		return false
	case b.logs == nil:
		return s.appended > b.appended || s.unknown == "" && s.appended > 0 && b.name != "" && b.name != nameOf(s.logs)
	}
	return slices.ContainsFunc(s.logs, func(l logEnd) bool {
		i, there := slices.BinarySearchFunc(b.logs, l, byLog)
		return l.end > 0 && (!there || b.logs[i].topicID != l.topicID || b.logs[i].end != l.end)
	})
}

// follow is the baseline after a poll: logs that are empty now begin anew.
func (b baseline) follow(s sight) baseline {
	if b.appended < 0 || s.unknown != "" || b.produced(s) {
		return b
	}
	return baselineOf(s)
}

func byLog(a, b logEnd) int {
	if n := strings.Compare(a.topic, b.topic); n != 0 {
		return n
	}
	return int(a.partition) - int(b.partition)
}
