package kafka

import (
	"encoding/binary"
	"hash/crc32"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"swell/metrics/lag"
)

// batchHead is the length of a batch's fields before its records, from the format of KIP-98 on.
const batchHead = 61

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// batch is a record batch as it lies in the log. The client's own reader is not used: it takes 200 bytes for each record that a batch
// says to have, and keeps all that it unpacks.
type batch struct {
	// first and last are the offsets that it stands for, whether records at them are left or not.
	first, last int64
	attributes  uint16
	producer    int64
	count       int
	records     []byte
}

func (b *batch) transactional() bool { return b.attributes&(1<<4) != 0 }
func (b *batch) control() bool       { return b.attributes&(1<<5) != 0 }

// nextBatch reads the first batch of several. It fails where that is cut off, damaged, or of an older format.
func nextBatch(in []byte) (b batch, rest []byte, ok bool) {
	if len(in) < batchHead {
		return b, nil, false
	}
	size := 12 + int64(int32(binary.BigEndian.Uint32(in[8:])))
	if size < batchHead || size > int64(len(in)) || in[16] != 2 {
		return b, nil, false
	}
	in, rest = in[:size], in[size:]
	if crc32.Checksum(in[21:], castagnoli) != binary.BigEndian.Uint32(in[17:]) {
		return b, nil, false
	}
	b.first = int64(binary.BigEndian.Uint64(in))
	b.last = b.first + int64(int32(binary.BigEndian.Uint32(in[23:])))
	b.attributes = binary.BigEndian.Uint16(in[21:])
	b.producer = int64(binary.BigEndian.Uint64(in[43:]))
	b.count = int(int32(binary.BigEndian.Uint32(in[57:])))
	b.records = in[batchHead:]
	return b, rest, b.first >= 0 && b.last >= b.first && b.count >= 0
}

// each gives the records' offsets and what stands behind them, until it is told to stop. It is false where a record is cut off.
func (b *batch) each(records []byte, take func(offset int64, rest []byte) (stop bool)) bool {
	for range b.count {
		size, n := binary.Varint(records)
		if n <= 0 || size < 1 || size > int64(len(records)-n) {
			return false
		}
		record := records[n+1 : n+int(size)]
		records = records[n+int(size):]
		_, stamp := binary.Varint(record)
		if stamp <= 0 {
			return false
		}
		delta, n := binary.Varint(record[stamp:])
		if n <= 0 {
			return false
		}
		if take(b.first+delta, record[stamp+n:]) {
			return true
		}
	}
	return true
}

// aborts says whether a control batch ends a transaction as aborted: its only record has a version and a type as key.
func (b *batch) aborts() (abort bool) {
	b.each(b.records, func(_ int64, rest []byte) bool {
		size, n := binary.Varint(rest)
		abort = n > 0 && size >= 4 && len(rest) >= n+4 && rest[n+2] == 0 && rest[n+3] == 0
		return true
	})
	return abort
}

// aborted are the first offsets of aborted transactions, by producer and in order.
type aborted map[int64][]int64

func abortedIn(fetched *kmsg.FetchResponseTopicPartition) aborted {
	a := aborted{}
	for _, t := range fetched.AbortedTransactions {
		a[t.ProducerID] = append(a[t.ProducerID], t.FirstOffset)
	}
	for _, all := range a {
		slices.Sort(all)
	}
	return a
}

// has says whether a batch is part of an aborted transaction. The marker that ends the transaction takes it out.
func (a aborted) has(b *batch) bool {
	first := a[b.producer]
	if !b.transactional() || len(first) == 0 || b.first < first[0] {
		return false
	}
	if b.control() && b.aborts() {
		a[b.producer] = first[1:]
	}
	return true
}

// unpacker unpacks batches up to so many bytes together.
type unpacker struct {
	inner kgo.Decompressor
	left  int
}

// unpack gives a batch's records as they were before they were compressed.
func (u *unpacker) unpack(b *batch) ([]byte, bool) {
	codec := kgo.CompressionCodecType(b.attributes & 7)
	if codec == kgo.CodecNone {
		return b.records, true
	}
	if u.left <= 0 {
		return nil, false
	}
	records, err := u.inner.Decompress(b.records, codec)
	u.left -= max(len(records), len(b.records))
	return records, err == nil
}

// readable is the first offset at which a fetch has found a message, or the stretch's end if it has found none in
// all of it; lag.Unknown where the fetch was cut short or proves nothing.
func readable(fetched *kmsg.FetchResponseTopicPartition, key proofKey, u *unpacker) int64 {
	if fetched.ErrorCode != 0 {
		return lag.Unknown
	}
	var a aborted
	if key.committed {
		a = abortedIn(fetched)
	}
	for in, next := fetched.RecordBatches, key.commit; ; {
		if next >= key.end {
			return key.end
		}
		b, rest, ok := nextBatch(in)
		if in = rest; !ok || b.last >= key.commit && b.last < next {
			return lag.Unknown
		}
		if b.last < key.commit {
			continue
		}
		if !a.has(&b) && !b.control() && b.first < key.end {
			if found, ok := b.firstIn(key.commit, key.end, u); !ok || found >= 0 {
				return found
			}
		}
		next = max(next, b.last+1)
	}
}

// firstIn is the first offset of a record from one offset on and before another, or lag.Unknown; ok is false where it
// cannot be told.
func (b *batch) firstIn(from, before int64, u *unpacker) (found int64, ok bool) {
	found = lag.Unknown
	records, ok := u.unpack(b)
	if !ok {
		return found, false
	}
	ok = b.each(records, func(offset int64, _ []byte) bool {
		if offset >= from && offset < before {
			found = offset
		}
		return found >= 0
	})
	return found, ok
}
