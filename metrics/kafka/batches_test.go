package kafka

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"swell/metrics/lag"
)

// aBatch is one in the log's format: records at some of the offsets from first to last.
func aBatch(first, last int64, attributes int16, producer int64, count int32, records []byte) []byte {
	b := make([]byte, batchHead, batchHead+len(records))
	binary.BigEndian.PutUint64(b, uint64(first))
	binary.BigEndian.PutUint32(b[8:], uint32(batchHead-12+len(records)))
	b[16] = 2
	binary.BigEndian.PutUint16(b[21:], uint16(attributes))
	binary.BigEndian.PutUint32(b[23:], uint32(last-first))
	binary.BigEndian.PutUint64(b[43:], uint64(producer))
	binary.BigEndian.PutUint32(b[57:], uint32(count))
	b = append(b, records...)
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], castagnoli))
	return b
}

// aRecord is one with an offset from its batch's first on.
func aRecord(delta int64, key, value []byte) []byte {
	var r []byte
	r = append(r, 0)
	r = binary.AppendVarint(r, 17)
	r = binary.AppendVarint(r, delta)
	for _, part := range [][]byte{key, value} {
		r = binary.AppendVarint(r, int64(len(part)))
		r = append(r, part...)
	}
	r = binary.AppendVarint(r, 0)
	return append(binary.AppendVarint(nil, int64(len(r))), r...)
}

var codecs = []kgo.CompressionCodec{kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}

// pack compresses records, and says how they are marked therefore.
func pack(t interface{ Fatal(...any) }, codec kgo.CompressionCodec, records []byte) (packed []byte, is int16) {
	compressor, err := kgo.DefaultCompressor(codec)
	if err != nil {
		t.Fatal(err)
	}
	packed, used := compressor.Compress(new(bytes.Buffer), records)
	return packed, int16(used)
}

// aLog is a fetched part of a log, with transactions of two producers among it, and gaps as compaction leaves them.
func aLog(t *rapid.T) (fetched *kmsg.FetchResponseTopicPartition, end int64) {
	fetched = new(kmsg.FetchResponseTopicPartition)
	next := rapid.Int64Range(0, 3).Draw(t, "from")
	for range rapid.IntRange(0, 8).Draw(t, "batches") {
		first := next + rapid.Int64Range(0, 2).Draw(t, "gap")
		last := first + rapid.Int64Range(0, 4).Draw(t, "long")
		producer := rapid.Int64Range(1, 2).Draw(t, "producer")
		next = last + 1
		if rapid.Bool().Draw(t, "marker") {
			kind := rapid.ByteRange(0, 1).Draw(t, "commits")
			fetched.RecordBatches = append(fetched.RecordBatches, aBatch(first, first, 1<<4|1<<5, producer, 1, aRecord(0, []byte{0, 0, 0, kind}, []byte{0, 0, 0, 0, 0, 0}))...)
			next = first + 1
			continue
		}
		var records []byte
		count := int32(0)
		for delta := range last - first + 1 {
			if rapid.Bool().Draw(t, "kept") {
				records, count = append(records, aRecord(delta, nil, []byte("value"))...), count+1
			}
		}
		attributes := rapid.SampledFrom([]int16{0, 1 << 4}).Draw(t, "transactional")
		if rapid.Bool().Draw(t, "packed") && count > 0 {
			codec := rapid.SampledFrom(codecs).Draw(t, "codec")
			packed, is := pack(t, codec, records)
			records, attributes = packed, attributes|is
		}
		fetched.RecordBatches = append(fetched.RecordBatches, aBatch(first, last, attributes, producer, count, records)...)
	}
	for range rapid.IntRange(0, 3).Draw(t, "aborted") {
		fetched.AbortedTransactions = append(fetched.AbortedTransactions, kmsg.FetchResponseTopicPartitionAbortedTransaction{
			ProducerID: rapid.Int64Range(1, 2).Draw(t, "producer"), FirstOffset: rapid.Int64Range(0, next).Draw(t, "first")})
	}
	return fetched, next
}

// clientsReadable is what the client's own reader says.
func clientsReadable(fetched *kmsg.FetchResponseTopicPartition, key proofKey) int64 {
	isolation := kgo.ReadUncommitted()
	if key.committed {
		isolation = kgo.ReadCommitted()
	}
	got, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{KeepControlRecords: true, Offset: key.commit,
		IsolationLevel: isolation}, fetched, kgo.DefaultDecompressor(), nil)
	for _, r := range got.Records {
		if r.Offset >= key.commit && r.Offset < key.end && !r.Attrs.IsControl() {
			return r.Offset
		}
	}
	if got.Err != nil || next < key.end {
		return lag.Unknown
	}
	return key.end
}

func TestBatchesAreReadAsTheClientReadsThem(t *testing.T) {
	var found, proven, unknown int
	one := func(t *rapid.T) {
		fetched, end := aLog(t)
		commit := rapid.Int64Range(0, max(end-1, 0)).Draw(t, "commit")
		key := proofKey{commit: commit, end: rapid.Int64Range(commit+1, commit+1+end).Draw(t, "end"), committed: rapid.Bool().Draw(t, "committed")}
		if rapid.IntRange(0, 9).Draw(t, "cut") == 0 {
			fetched.RecordBatches = fetched.RecordBatches[:rapid.IntRange(0, len(fetched.RecordBatches)).Draw(t, "at")]
		}
		want := clientsReadable(fetched, key)
		got := readable(fetched, key, &unpacker{kgo.DefaultDecompressor(), unpackedBytes})
		if got != want {
			t.Fatalf("readable is %d, and the client's reader says %d", got, want)
		}
		switch got {
		case lag.Unknown:
			unknown++
		case key.end:
			proven++
		default:
			found++
		}
	}
	for range 20 {
		rapid.Check(t, one)
	}
	if found == 0 || proven == 0 || unknown == 0 {
		t.Errorf("found %d, proven %d, unknown %d", found, proven, unknown)
	}
}

// TestPackedBatchesCostWhatTheyMay is of batches that say to have many records, and of such that become large.
func TestPackedBatchesCostWhatTheyMay(t *testing.T) {
	const most = 10 * batchBytes // as buffers double until all is in one
	p := unconnected(t, time.Now())
	decompressor := p.client.OptValue(kgo.WithDecompressor).(kgo.Decompressor)
	takes := func(name string, most int, batches ...[]byte) {
		fetched := &kmsg.FetchResponseTopicPartition{RecordBatches: slices.Concat(batches...)}
		var got int64
		took := allocated(func() { got = readable(fetched, proofKey{commit: 0, end: 4}, &unpacker{decompressor, unpackedBytes}) })
		if got != lag.Unknown || took > most {
			t.Errorf("%s: %d is proven, with %d bytes", name, got, took)
		}
	}
	takes("many records", 1<<16, aBatch(0, 3, 0, 0, 1<<30, make([]byte, 1<<20)))
	takes("a record of headers", 1<<16, aBatch(0, 3, 0, 0, 2, aRecord(-9, nil, make([]byte, 1<<20))))
	for _, codec := range codecs {
		packed, is := pack(t, codec, make([]byte, 4*batchBytes))
		takes("a large batch", most, aBatch(0, 3, is, 0, 1, packed))
		packed, is = pack(t, codec, make([]byte, batchBytes))
		one := aBatch(0, 3, is, 0, 1, packed)
		takes("large batches at the same offsets", most, one, one, one, one)
	}
	packed, is := pack(t, kgo.ZstdCompression(), make([]byte, batchBytes))
	u := &unpacker{decompressor, unpackedBytes}
	for n := range unpackedBytes/batchBytes + 1 {
		b, _, _ := nextBatch(aBatch(0, 3, is, 0, 1, packed))
		if _, ok := u.unpack(&b); ok != (n < unpackedBytes/batchBytes) {
			t.Errorf("batch %d of an answer: %v", n, ok)
		}
	}
}
